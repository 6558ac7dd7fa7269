"""Layers that act in training only: dropout and noise; and ActivityRegularization."""

from __future__ import annotations

import math

from nnlite import ops, random, regularizers
from nnlite.layers._arguments import data_format_of, fraction
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class _Random(Layer):
    """A layer with its own random numbers."""

    def _start(self, seed) -> None:
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        return input_shape


class Dropout(_Random):
    """In training, sets a part of the inputs to zero and scales the rest by 1 / (1 - rate); otherwise the identity.

    Args:
        rate: Part that is dropped, 0 to 1.
        noise_shape: Shape of the mask, broadcast to the inputs: entries of 1 drop whole axes together, None takes the input's size.
        seed: Makes the draws repeatable.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Dropout(0.5)(np.ones((1, 3))).numpy().tolist()
    [[1.0, 1.0, 1.0]]
    """

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = fraction(rate, "rate", type(self).__name__)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)
        if any(dim is not None and (not isinstance(dim, int) or dim < 1) for dim in self.noise_shape or ()):
            raise ValueError(
                f"Invalid `noise_shape` of Dropout: its entries must be positive integers or None. Received: noise_shape={noise_shape!r}."
            )
        self._start(seed)

    def _start(self, seed) -> None:
        super()._start(seed)
        if self.rate == 0:
            del self.seed_generator

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        return random.dropout(inputs, self.rate, noise_shape=self._mask_shape(inputs), seed=self.seed_generator)

    def _mask_shape(self, inputs):
        if self.noise_shape is None:
            return None
        return tuple(size if dim is None else dim for dim, size in zip(self.noise_shape, inputs.shape))

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


class _SpatialDropout(Dropout):
    """Drops whole channels."""

    rank = 2

    def __init__(self, rate, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _mask_shape(self, inputs):
        batch, channels = inputs.shape[0], inputs.shape[-1]
        return (batch, *(1,) * self.rank, channels)

    def get_config(self):
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


class SpatialDropout1D(_SpatialDropout):
    """In training, drops whole channels of [batch, steps, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SpatialDropout1D(0.5)(np.ones((1, 3, 2))).shape
    (1, 3, 2)
    """

    rank = 1


class SpatialDropout2D(_SpatialDropout):
    """In training, drops whole channels of images.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SpatialDropout2D(0.5)(np.ones((1, 3, 3, 2))).shape
    (1, 3, 3, 2)
    """

    rank = 2

    def __init__(self, rate, data_format=None, seed=None, name=None, dtype=None, **kwargs):
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = data_format_of(data_format)

    def _mask_shape(self, inputs):
        if self.data_format == "channels_last":
            return super()._mask_shape(inputs)
        return (*inputs.shape[:2], *(1,) * self.rank)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class GaussianNoise(_Random):
    """In training, adds normal noise.

    Args:
        stddev: Standard deviation of the noise.
        seed: Makes the draws repeatable.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GaussianNoise(0.5)(np.ones((1, 2))).numpy().tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, stddev, seed=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(stddev, bool) or not isinstance(stddev, (int, float)) or stddev < 0:
            raise ValueError(f"Invalid value received for argument `stddev` of GaussianNoise. Expected a number >= 0. Received: stddev={stddev!r}.")
        self.stddev = stddev
        self._start(seed)

    def call(self, inputs, training=False):
        if not training or self.stddev == 0:
            return inputs
        return inputs + random.normal(inputs.shape, stddev=self.stddev, dtype=inputs.dtype, seed=self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


class GaussianDropout(_Random):
    """In training, multiplies by normal noise of mean 1 and standard deviation sqrt(rate / (1 - rate)).

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GaussianDropout(0.5)(np.ones((1, 2))).numpy().tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = fraction(rate, "rate", "GaussianDropout")
        self._start(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        return inputs * random.normal(inputs.shape, mean=1.0, stddev=stddev, dtype=inputs.dtype, seed=self.seed_generator)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


class AlphaDropout(_Random):
    """Dropout that keeps mean and variance of self-normalizing (SELU) networks.

    Args:
        rate: Part that is dropped.
        noise_shape: As in `Dropout`.
        seed: Makes the draws repeatable.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.AlphaDropout(0.5)(np.ones((1, 2))).numpy().tolist()
    [[1.0, 1.0]]
    """

    # What SELU gives for very negative inputs: -scale * alpha.
    _SATURATED = -1.0507009873554805 * 1.6732632423543772

    def __init__(self, rate, noise_shape=None, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.rate = fraction(rate, "rate", "AlphaDropout")
        self.noise_shape = noise_shape
        self._start(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        shape = inputs.shape if self.noise_shape is None else tuple(size if dim is None else dim for dim, size in zip(self.noise_shape, inputs.shape))
        kept = ops.greater_equal(random.uniform(shape, dtype=inputs.dtype, seed=self.seed_generator), self.rate)
        scale = 1.0 / math.sqrt((1 - self.rate) * (1 + self.rate * self._SATURATED**2))
        shift = -scale * self._SATURATED * self.rate
        return scale * ops.where(kept, inputs, self._SATURATED) + shift

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


class ActivityRegularization(Layer):
    """The identity; adds l1 * sum(abs(x)) + l2 * sum(x^2) to the loss.

    >>> import nnlite, numpy as np
    >>> layer = nnlite.layers.ActivityRegularization(l2=0.5)
    >>> _ = layer(np.ones((1, 2)))
    >>> float(layer.losses[0])
    1.0
    """

    def __init__(self, l1=0.0, l2=0.0, **kwargs):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2
        self._build_at_init()

    def call(self, inputs):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
