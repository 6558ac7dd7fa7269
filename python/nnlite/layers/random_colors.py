"""Random changes of brightness, contrast and colours of images."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._augmentation import RandomImageLayer, factor_range, value_range_of


class _Ranged(RandomImageLayer):
    """A random image layer that knows the range of the pixels' values and a factor."""

    _bounds = (0.0, 1.0)

    def __init__(self, factor, value_range, seed, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range(factor, self, *self._bounds)
        self.value_range = value_range_of(value_range, self)

    def clip(self, x):
        return ops.clip(x, *self.value_range)

    def to_unit(self, x):
        """Values as 0..1."""
        low, high = self.value_range
        return x if (low, high) == (0, 1) else (x - low) / (high - low)

    def from_unit(self, x):
        low, high = self.value_range
        return x if (low, high) == (0, 1) else x * (high - low) + low

    def get_config(self) -> dict:
        return {**super().get_config(), "factor": self.factor, "value_range": self.value_range}


class RandomContrast(_Ranged):
    """In training, moves pixels towards or away from the mean of their channel.

    Args:
        factor: Largest change: a number f for factors in [1 - f, 1 + f], or two for [1 - lower, 1 + upper].
        value_range: Lowest and highest value of a pixel.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> layer = RandomContrast(0.5, seed=1)
    >>> round(float(layer(np.array([[[50.0], [150.0]]])).numpy().mean()))
    100
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(factor, value_range, seed, **kwargs)

    def transform(self, x):
        middle = ops.mean(x, axis=(1, 2), keepdims=True)
        return self.clip(middle + (x - middle) * self.draw(x, 1 - self.factor[0], 1 + self.factor[1]))


class RandomBrightness(_Ranged):
    """In training, adds a number to all pixels of an image.

    Args:
        factor: Largest change, as a share of the value range: a number f for [-f, f], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> RandomBrightness((0.2, 0.2))(np.array([[[0.0], [250.0]]])).numpy().reshape(-1).tolist()
    [51.0, 255.0]
    """

    _bounds = (-1.0, 1.0)

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(factor, value_range, seed, **kwargs)

    def transform(self, x):
        low, high = self.value_range
        return self.clip(x + self.draw(x, *self.factor) * (high - low))
