"""Random changes of the colours of images: hue, saturation, grayness, inversion."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import fraction
from nnlite.layers._augmentation import RandomImageLayer, value_range_of
from nnlite.layers.random_colors import RandomBrightness, RandomContrast, _Ranged


class RandomHue(_Ranged):
    """In training, turns the hues of images.

    Args:
        factor: Largest turn in either direction, as a share of half the colour circle: a number f for [0, f], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> RandomHue((1.0, 1.0))(np.array([[[255.0, 0.0, 0.0]]])).numpy().round().reshape(-1).tolist()
    [0.0, 255.0, 255.0]
    """

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        turn = self.draw(x, *self.factor) * ops.where(self.chosen(x, 0.5), 0.5, -0.5)
        hsv = ops.image.rgb_to_hsv(self.to_unit(x), data_format="channels_last")
        hue = hsv[..., 0:1] + turn
        hue = ops.where(hue > 1.0, hue - 1.0, ops.where(hue < 0.0, hue + 1.0, hue))
        rgb = ops.image.hsv_to_rgb(ops.concatenate([hue, hsv[..., 1:]], axis=-1), data_format="channels_last")
        return self.from_unit(ops.clip(rgb, 0.0, 1.0))


class RandomSaturation(_Ranged):
    """In training, multiplies the saturation of images by f / (1 - f), with f drawn from `factor`: 0 is gray, 0.5 leaves colours as they are.

    Args:
        factor: A number f for [-f, f], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    _bounds = (-1.0, 1.0)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        factor = self.draw(x, *self.factor)
        hsv = ops.image.rgb_to_hsv(x, data_format="channels_last")
        saturation = self.clip(hsv[..., 1:2] * (factor / (1.0 - factor + 1e-7)))
        return ops.image.hsv_to_rgb(ops.concatenate([hsv[..., 0:1], saturation, hsv[..., 2:]], axis=-1), data_format="channels_last")


class RandomColorDegeneration(_Ranged):
    """In training, mixes images with their gray version.

    Args:
        factor: Share of gray: a number f for [-f, f], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    _bounds = (-1.0, 1.0)

    def __init__(self, factor, value_range=(0, 255), data_format=None, seed=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        gray = ops.image.rgb_to_grayscale(x, data_format="channels_last")
        return self.clip(x + self.draw(x, *self.factor) * (gray - x))


class RandomInvert(_Ranged):
    """In training, turns images into their negatives.

    Args:
        factor: Probability: a number p for one drawn from [0, p], or (lower, upper).
        value_range: Lowest and highest value of a pixel.
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> RandomInvert((1.0, 1.0))(np.array([[[55.0]]])).numpy().reshape(-1).tolist()
    [200.0]
    """

    def __init__(self, factor=1.0, value_range=(0, 255), seed=None, data_format=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)

    def transform(self, x):
        return ops.where(self.chosen(x, self.draw(x, *self.factor)), self.value_range[1] - x, x)


class RandomGrayscale(RandomImageLayer):
    """In training, makes a share of the images gray, keeping three channels.

    Args:
        factor: Probability of an image.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    def __init__(self, factor=0.5, data_format=None, seed=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = fraction(factor, "factor", "RandomGrayscale")

    def transform(self, x):
        return ops.where(self.chosen(x, self.factor), ops.image.rgb_to_grayscale(x, data_format="channels_last"), x)

    def get_config(self) -> dict:
        config = {**super().get_config(), "factor": self.factor}
        del config["seed"]
        return config


class RandomColorJitter(RandomImageLayer):
    """In training, random brightness, contrast, saturation and hue, one after the other; factors that are None are left out.

    Args:
        value_range: Lowest and highest value of a pixel.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: As for the single layers.
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
    """

    def __init__(
        self,
        value_range=(0, 255),
        brightness_factor=None,
        contrast_factor=None,
        saturation_factor=None,
        hue_factor=None,
        seed=None,
        data_format=None,
        **kwargs,
    ):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range_of(value_range, self)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        factors = (brightness_factor, contrast_factor, saturation_factor, hue_factor)
        kinds = (RandomBrightness, RandomContrast, RandomSaturation, RandomHue)
        self.parts = [kind(factor, value_range=value_range, seed=seed) for kind, factor in zip(kinds, factors) if factor is not None]

    def transform(self, x):
        for part in self.parts:
            x = part.transform(x)
        return x

    def get_config(self) -> dict:
        names = ("value_range", "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
