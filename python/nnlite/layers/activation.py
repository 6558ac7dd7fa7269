"""Activations as layers."""

from __future__ import annotations

from nnlite import activations, constraints, initializers, ops, regularizers
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: Name or function.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Activation("relu")(np.array([-1.0, 2.0])).numpy().tolist()
    [0.0, 2.0]
    """

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs):
        return self.activation(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class _Elementwise(Layer):
    """Keeps the shape and the mask."""

    def _start(self) -> None:
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        return input_shape


class ReLU(_Elementwise):
    """max(x, 0), with an optional upper limit, slope below and threshold.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ReLU(max_value=1)(np.array([-1.0, 0.5, 2.0])).numpy().tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(self, max_value=None, negative_slope=0.0, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if (value is None and name != "max_value") or (value is not None and value < 0):
                raise ValueError(f"{name} of a ReLU layer cannot be {'None or ' if name != 'max_value' else ''}negative. Received: {name}={value}.")
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold
        self._start()

    def call(self, inputs):
        return activations.relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)

    def get_config(self):
        return {**super().get_config(), "max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}


class LeakyReLU(_Elementwise):
    """x where positive, negative_slope * x elsewhere.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.LeakyReLU(0.5)(np.array([-1.0, 2.0])).numpy().tolist()
    [-0.5, 2.0]
    """

    def __init__(self, negative_slope=0.3, **kwargs):
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative value. Expected a float. Received: "
                f"negative_slope={negative_slope}."
            )
        self.negative_slope = negative_slope
        self._start()

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(_Elementwise):
    """x where positive, alpha * (exp(x) - 1) elsewhere.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ELU()(np.array([0.0, 2.0])).numpy().tolist()
    [0.0, 2.0]
    """

    def __init__(self, alpha=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self._start()

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(Layer):
    """x where positive, alpha * x elsewhere, with a learned alpha per input.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: Of the weight.
        shared_axes: Axes along which alpha is shared, e.g. (1, 2) for one per channel of an image.

    Weights: alpha, of the inputs' shape without the batch axis.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.PReLU()(np.array([[-1.0, 2.0]])).numpy().tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, alpha_initializer="Zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = None if shared_axes is None else list(shared_axes) if isinstance(shared_axes, (list, tuple)) else [shared_axes]

    def build(self, input_shape):
        shared = self.shared_axes or ()
        shape = [1 if axis in shared else dim for axis, dim in enumerate(input_shape)][1:]
        self.alpha = self.add_weight(
            name="alpha", shape=tuple(shape), initializer=self.alpha_initializer, regularizer=self.alpha_regularizer, constraint=self.alpha_constraint
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: dim for axis, dim in enumerate(input_shape) if axis and axis not in shared})

    def call(self, inputs):
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": None if self.shared_axes is None else list(self.shared_axes),
        }


class Softmax(_Elementwise):
    """Positive values that sum to 1 along `axis`; where a mask is False they are 0.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Softmax()(np.zeros((1, 2))).numpy().tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self._start()

    def call(self, inputs, mask=None):
        if mask is not None:
            # A large finite number: rows that are masked entirely stay finite.
            inputs = inputs + (1.0 - ops.cast(mask, inputs.dtype)) * -3e38
        axis = tuple(self.axis) if isinstance(self.axis, (list, tuple)) else self.axis
        outputs = ops.softmax(inputs, axis=axis)
        return outputs if mask is None else outputs * ops.cast(mask, inputs.dtype)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}
