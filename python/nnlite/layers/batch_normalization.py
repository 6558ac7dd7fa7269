"""BatchNormalization: each channel normalized over the batch."""

from __future__ import annotations

import numpy as np

from nnlite import constraints, initializers, ops, regularizers
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer
from nnlite.ops import norms


class BatchNormalization(Layer):
    """Normalizes every channel to mean 0 and variance 1, then scales by gamma and shifts by beta.

    In training the statistics are those of the batch, and moving averages are updated: moving = moving * momentum + batch * (1 - momentum), with
    the biased
    variance. Otherwise, and whenever `trainable` is False, the moving averages are used.

    Args:
        axis: The channels axis.
        momentum: Of the moving averages.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta and a gamma.
        beta_*, gamma_*, moving_*: Initializers, regularizers and constraints of the weights.
        renorm: Only False is available.
        synchronized: Accepted for familiarity.

    Weights: gamma, beta, moving_mean, moving_variance, each [channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.BatchNormalization()(np.array([[1.0], [3.0]]), training=True).numpy().round(2).tolist()
    [[-1.0], [1.0]]
    """

    def __init__(
        self,
        axis=-1,
        momentum=0.99,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        renorm=False,
        renorm_clipping=None,
        renorm_momentum=0.99,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if renorm:
            raise ValueError("BatchNormalization with renorm=True is not available. Leave `renorm` out.")
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
            raise ValueError(f"`axis` of BatchNormalization must be an integer. Received: axis={axis!r}.")
        self.axis = int(axis)
        self.momentum = float(momentum)
        if not 0.0 <= self.momentum <= 1.0:
            raise ValueError(f"`momentum` of BatchNormalization must be between 0 and 1. Received: momentum={momentum}.")
        if not epsilon >= 0:
            raise ValueError(f"`epsilon` of BatchNormalization must be at least 0. Received: epsilon={epsilon!r}.")
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        self.supports_masking = True
        self.gamma = self.beta = None

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank:
            raise ValueError(
                f"`axis` of BatchNormalization must be an axis of the input. Layer {self.name!r} has axis={self.axis}, but received "
                f"input_shape={tuple(input_shape)}."
            )
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"The channels axis of BatchNormalization must be known. Layer {self.name!r} with axis={self.axis} received "
                f"input_shape={tuple(input_shape)}. "
                "Give the size in Input(shape=...)."
            )
        shape = (channels,)
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer=self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer=self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )
        self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer=self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer=self.moving_variance_initializer, trainable=False)
        self.input_spec = InputSpec(ndim=rank, axes={self.axis: channels})

    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable:
            return self._normalized(inputs, self.moving_mean, self.moving_variance)
        if mask is not None and len(mask.shape) == len(inputs.shape) - 1:
            return self._train_masked(inputs, mask)
        rank = len(inputs.shape)
        last = self.axis % rank == rank - 1
        x = inputs if last else ops.moveaxis(inputs, self.axis, -1)
        channels = x.shape[-1:]
        gamma = ops.ones(channels, x.dtype) if self.gamma is None else ops.convert_to_tensor(self.gamma)
        beta = ops.zeros(channels, x.dtype) if self.beta is None else ops.convert_to_tensor(self.beta)
        y, mean, variance = norms.batch_norm(x, gamma, beta, epsilon=self.epsilon)
        self._update(mean, variance)
        return y if last else ops.moveaxis(y, -1, self.axis)

    def _train_masked(self, inputs, mask):
        """Statistics of the positions that are not masked."""
        weights = ops.broadcast_to(ops.expand_dims(ops.cast(mask, inputs.dtype), -1), inputs.shape)
        axes = [axis for axis in range(len(inputs.shape)) if axis != self.axis % len(inputs.shape)]
        count = ops.maximum(ops.sum(weights, axis=axes, keepdims=True), 1e-7)
        mean = ops.sum(inputs * weights, axis=axes, keepdims=True) / count
        variance = ops.sum(weights * ops.square(inputs - mean), axis=axes) / ops.reshape(count, (-1,))
        mean = ops.reshape(mean, (-1,))
        self._update(mean, variance)
        return self._normalized(inputs, mean, variance)

    def _update(self, mean, variance) -> None:
        keep = self.momentum
        self.moving_mean.assign(self.moving_mean * keep + mean * (1.0 - keep))
        self.moving_variance.assign(self.moving_variance * keep + variance * (1.0 - keep))

    def _normalized(self, inputs, mean, variance):
        return ops.batch_normalization(inputs, mean, variance, self.axis, offset=self.beta, scale=self.gamma, epsilon=self.epsilon)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }
