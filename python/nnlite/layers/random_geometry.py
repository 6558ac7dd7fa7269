"""Random flips, shifts, rotations, zooms and shears of images."""

from __future__ import annotations

import math

from nnlite import ops
from nnlite.layers._augmentation import RandomImageLayer, check_words, factor_range

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomImageLayer):
    """In training, mirrors half of the images, drawn one by one.

    Args:
        mode: "horizontal", "vertical" or "horizontal_and_vertical", where each direction is drawn for itself.
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> image = np.array([[[1.0], [2.0]]])
    >>> flip = RandomFlip("horizontal", seed=1)
    >>> sorted({tuple(flip(image).numpy().reshape(-1).tolist()) for _ in range(20)})
    [(1.0, 2.0), (2.0, 1.0)]
    """

    def __init__(self, mode="horizontal_and_vertical", seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if mode not in _FLIPS:
            raise ValueError(f"The `mode` argument of RandomFlip must be one of {_FLIPS}. Received: mode={mode!r}")
        self.mode = mode

    def transform(self, x):
        for word, axis in (("horizontal", 2), ("vertical", 1)):
            if word in self.mode:
                x = ops.where(self.chosen(x, 0.5), ops.flip(x, axis), x)
        return x

    def get_config(self) -> dict:
        return {**super().get_config(), "mode": self.mode}


class _Projected(RandomImageLayer):
    """Images read at coordinates that depend linearly on the output's: x' = a x + b y + c, y' = d x + e y + f."""

    def __init__(self, fill_mode, interpolation, seed, fill_value, data_format, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        check_words(self, fill_mode=fill_mode, interpolation=interpolation)
        self.fill_mode = fill_mode
        self.interpolation = interpolation
        self.fill_value = fill_value

    def project(self, x, a, b, c, d, e, f):
        """Each coefficient is a number or a tensor [batch, 1]."""
        rows = [ops.broadcast_to(ops.cast(v, x.dtype), (x.shape[0], 1)) for v in (a, b, c, d, e, f, 0.0, 0.0)]
        return ops.image.affine_transform(
            x, ops.concatenate(rows, axis=1), self.interpolation, self.fill_mode, self.fill_value, data_format="channels_last"
        )

    def get_config(self) -> dict:
        return {**super().get_config(), "fill_mode": self.fill_mode, "interpolation": self.interpolation, "fill_value": self.fill_value}


class RandomTranslation(_Projected):
    """In training, shifts images.

    Args:
        height_factor, width_factor: Largest shift down and to the right, as a share of the size: a number f for [-f, f], or (lower, upper).
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws repeatable.
        fill_value: For "constant".
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> layer = RandomTranslation(0.0, (0.5, 0.5), fill_mode="constant")
    >>> layer(np.array([[[1.0], [2.0]]])).numpy().reshape(-1).tolist()
    [0.0, 1.0]
    """

    def __init__(
        self, height_factor, width_factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None, **kwargs
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.__dict__["_ranges"] = (
            factor_range(height_factor, self, name="height_factor"),
            factor_range(width_factor, self, name="width_factor"),
        )

    def transform(self, x):
        down = self.draw(x, *self._ranges[0], rank=2) * x.shape[1]
        right = self.draw(x, *self._ranges[1], rank=2) * x.shape[2]
        return self.project(x, 1.0, 0.0, -right, 0.0, 1.0, -down)

    def get_config(self) -> dict:
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


class RandomRotation(_Projected):
    """In training, rotates images around their centre.

    Args:
        factor: Largest angle, as a share of a whole turn, counter-clockwise: a number f for [-f, f], or (lower, upper).
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws repeatable.
        fill_value: For "constant".
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> layer = RandomRotation((0.5, 0.5), interpolation="nearest")
    >>> layer(np.array([[[1.0], [2.0]]])).numpy().reshape(-1).tolist()
    [2.0, 1.0]
    """

    def __init__(self, factor, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None, **kwargs):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = factor_range(factor, self)

    def transform(self, x):
        angle = self.draw(x, *self.factor, rank=2) * (2 * math.pi)
        cosine, sine = ops.cos(angle), ops.sin(angle)
        middle_x, middle_y = (x.shape[2] - 1) / 2, (x.shape[1] - 1) / 2
        right = middle_x - cosine * middle_x + sine * middle_y
        down = middle_y - sine * middle_x - cosine * middle_y
        return self.project(x, cosine, -sine, right, sine, cosine, down)

    def get_config(self) -> dict:
        return {**super().get_config(), "factor": self.factor}


class RandomZoom(_Projected):
    """In training, zooms images around their centre; negative factors zoom in.

    Args:
        height_factor: Largest change of the height that is seen: a number f for [-f, f], or (lower, upper).
        width_factor: The same for the width; None keeps the proportions.
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws repeatable.
        fill_value: For "constant".
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> layer = RandomZoom((1.0, 1.0), (0.0, 0.0), fill_mode="constant")
    >>> layer(np.ones((4, 1, 1))).numpy().reshape(-1).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """

    def __init__(
        self, height_factor, width_factor=None, fill_mode="reflect", interpolation="bilinear", seed=None, fill_value=0.0, data_format=None, **kwargs
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = height_factor
        self.width_factor = width_factor
        self.__dict__["_ranges"] = tuple(
            None if value is None else factor_range(value, self, low=-1.0, high=float("inf"), name=name)
            for name, value in (("height_factor", height_factor), ("width_factor", width_factor))
        )

    def transform(self, x):
        height, width = self._ranges
        tall = self.draw(x, 1 + height[0], 1 + height[1], rank=2)
        wide = tall if width is None else self.draw(x, 1 + width[0], 1 + width[1], rank=2)
        right, down = (x.shape[2] - 1) / 2 * (1 - wide), (x.shape[1] - 1) / 2 * (1 - tall)
        return self.project(x, wide, 0.0, right, 0.0, tall, down)

    def get_config(self) -> dict:
        return {**super().get_config(), "height_factor": self.height_factor, "width_factor": self.width_factor}


class RandomShear(_Projected):
    """In training, slants images: each row moves by its distance from the top, each column by its distance from the left.

    Args:
        x_factor, y_factor: Largest slant along each axis: a number f for [-f, f], or (lower, upper). The direction is drawn, too.
        interpolation: "bilinear" or "nearest".
        fill_mode: What lies outside: "reflect", "wrap", "constant" or "nearest".
        fill_value: For "constant".
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.
    """

    def __init__(
        self, x_factor=0.0, y_factor=0.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0, data_format=None, seed=None, **kwargs
    ):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.x_factor = factor_range(x_factor, self, name="x_factor")
        self.y_factor = factor_range(y_factor, self, name="y_factor")

    def transform(self, x):
        sign = ops.where(ops.less(self.draw(x, rank=2), 0.5), 1.0, -1.0)
        down = self.draw(x, *self.y_factor, rank=2) * sign
        right = self.draw(x, *self.x_factor, rank=2) * sign
        return self.project(x, 1.0, right, 0.0, down, 1.0, 0.0)

    def get_config(self) -> dict:
        return {**super().get_config(), "x_factor": self.x_factor, "y_factor": self.y_factor}
