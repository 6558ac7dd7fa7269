"""Changes of the tones of images: sharpness, number of tones, thresholds, histograms, blur."""

from __future__ import annotations

import numpy as np

from nnlite import ops, random
from nnlite.layers._arguments import int_tuple, positive_int
from nnlite.layers._augmentation import ImageLayer, RandomImageLayer, factor_range, value_range_of
from nnlite.layers.random_colors import _Ranged


def rescaled(x, source, target):
    """Values of one range as values of another."""
    if tuple(source) == tuple(target):
        return x
    scale = (target[1] - target[0]) / (source[1] - source[0])
    return x * scale + (target[0] - source[0] * scale)


class RandomSharpness(_Ranged):
    """In training, sharpens or smooths images: 2 f times the image and 1 - 2 f times its smoothed version.

    Args:
        factor: A number f for [0, f], or (lower, upper); 0.5 leaves images as they are.
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        window = np.full((3, 3, 1, 1), 1 / 13)
        window[1, 1] = 5 / 13
        smooth = ops.nn.depthwise_conv(x, np.tile(window, (1, 1, x.shape[-1], 1)).astype(x.dtype), padding="same", data_format="channels_last")
        return self.clip(x + (1.0 - 2.0 * self.draw(x, *self.factor)) * (smooth - x))


class RandomPosterization(_Ranged):
    """In training, keeps the first bits of the pixels' 8 only.

    Args:
        factor: Largest number of bits, 1 to 8: a number n for 1 .. n - 1, or (lower, upper) for lower .. upper - 1; two equal ones for just that.
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> RandomPosterization((2, 2))(np.array([[[63.0], [64.0], [255.0]]])).numpy().reshape(-1).tolist()
    [0.0, 64.0, 192.0]
    """

    _bounds = (1, 8)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        low, high = self.factor
        bits = ops.floor(self.draw(x, float(low), float(high))) if low < high else ops.full((1, 1, 1, 1), float(low), x.dtype)
        step = ops.power(ops.full_like(bits, 2.0), 8.0 - bits)
        kept = ops.floor(ops.floor(rescaled(x, self.value_range, (0, 255))) / step) * step
        return rescaled(kept, (0, 255), self.value_range)


class Solarization(RandomImageLayer):
    """In training, adds a number to the pixels and inverts those that are not below a threshold.

    Args:
        addition_factor, threshold_factor: Largest values, as a share of 255: a number f for [0, f], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> Solarization()(np.array([[[55.0]]])).numpy().reshape(-1).tolist()
    [200.0]
    """

    def __init__(self, addition_factor=0.0, threshold_factor=0.0, value_range=(0, 255), seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = factor_range(addition_factor, self, 0.0, 1.0, "addition_factor")
        self.threshold_factor = factor_range(threshold_factor, self, 0.0, 1.0, "threshold_factor")
        self.value_range = value_range_of(value_range, self)

    def transform(self, x):
        added, threshold = (self.draw(x, low, 255.0 * high) for low, high in (self.addition_factor, self.threshold_factor))
        y = ops.clip(rescaled(x, self.value_range, (0, 255)) + added, 0.0, 255.0)
        return rescaled(ops.where(y < threshold, y, 255.0 - y), (0, 255), self.value_range)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "value_range": self.value_range,
            "addition_factor": self.addition_factor,
            "threshold_factor": self.threshold_factor,
        }


class AutoContrast(ImageLayer):
    """Stretches each channel of each image to the whole range of values, in training or not.

    Args:
        value_range: Lowest and highest value of a pixel.

    >>> import numpy as np
    >>> AutoContrast()(np.array([[[50.0], [60.0], [70.0]]])).numpy().reshape(-1).tolist()
    [0.0, 127.5, 255.0]
    """

    _only_in_training = False

    def __init__(self, value_range=(0, 255), **kwargs):
        super().__init__(**kwargs)
        self.value_range = value_range_of(value_range, self)

    def transform(self, x, training=True):
        y = rescaled(x, self.value_range, (0, 255))
        low, high = ops.min(y, axis=(1, 2), keepdims=True), ops.max(y, axis=(1, 2), keepdims=True)
        flat = ops.equal(high, low)
        scale = 255.0 / ops.where(flat, 1.0, high - low)
        stretched = rescaled(ops.clip((y - low) * scale, 0.0, 255.0), (0, 255), self.value_range)
        return ops.where(flat, x, stretched)

    def get_config(self) -> dict:
        return {**super().get_config(), "value_range": self.value_range}


class Equalization(ImageLayer):
    """In training, spreads the tones of each channel of each image evenly.

    Args:
        value_range: Lowest and highest value of a pixel.
        bins: Tones that are told apart.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
    """

    def __init__(self, value_range=(0, 255), bins=256, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range_of(value_range, self)
        self.bins = positive_int(bins, "bins", "Equalization")

    def transform(self, x):
        n, height, width, channels = x.shape
        y = rescaled(x, self.value_range, (0, 255))
        tones = ops.clip(ops.cast(y * ((self.bins - 1) / 255.0), "int32"), 0, self.bins - 1)
        planes = np.arange(n * channels, dtype="int32").reshape(n, 1, 1, channels) * self.bins
        places = ops.reshape(tones + planes, (-1,))
        counts = ops.segment_sum(ops.ones(places.shape, "float32"), places, num_segments=n * channels * self.bins)
        totals = ops.cumsum(ops.reshape(counts, (n * channels, self.bins)), axis=1)
        least = ops.min(ops.where(totals > 0, totals, float(height * width)), axis=1, keepdims=True)
        spread = totals[:, -1:] - least
        table = ops.clip(ops.round((totals - least) * 255.0 / ops.where(spread > 0, spread, 1.0)), 0.0, 255.0)
        evened = ops.cast(ops.reshape(ops.take(ops.reshape(table, (-1,)), places), x.shape), x.dtype)
        single = ops.reshape(ops.equal(spread, 0.0), (n, 1, 1, channels))
        return rescaled(ops.where(single, y, evened), (0, 255), self.value_range)

    def get_config(self) -> dict:
        return {**super().get_config(), "bins": self.bins, "value_range": self.value_range}


class RandomGaussianBlur(_Ranged):
    """In training, smooths images with a Gaussian window.

    Args:
        factor: Probability: a number p for one drawn from [0, p], or (lower, upper).
        kernel_size: (height, width) of the window, or one number for both.
        sigma: Standard deviation in pixels: a number s for [0, s], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    def __init__(self, factor=1.0, kernel_size=3, sigma=1.0, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)
        self.kernel_size = int_tuple(kernel_size, 2, "kernel_size")
        self.sigma = factor_range(sigma, self, 0.0, float("inf"), "sigma") if isinstance(sigma, (tuple, list)) else [0, sigma]

    def transform(self, x):
        kernel = ops.expand_dims(self._window(0, x), 1) * ops.expand_dims(self._window(1, x), 0)
        kernel = ops.tile(ops.reshape(kernel, (*self.kernel_size, 1, 1)), (1, 1, x.shape[-1], 1))
        smooth = ops.nn.depthwise_conv(x, kernel, padding="same", data_format="channels_last")
        return self.clip(ops.where(self.chosen(x, self.draw(x, *self.factor)), smooth, x))

    def _window(self, axis: int, x):
        """Bell-shaped weights that sum to 1, of a random width."""
        size = self.kernel_size[axis]
        deviation = random.uniform((), *[float(s) for s in self.sigma], dtype=x.dtype, seed=self.generator) + 1e-6
        weights = ops.exp(-0.5 * ops.square((np.arange(size) - (size - 1) / 2).astype(x.dtype) / deviation))
        return weights / ops.sum(weights)

    def get_config(self) -> dict:
        return {**super().get_config(), "kernel_size": self.kernel_size, "sigma": self.sigma}
