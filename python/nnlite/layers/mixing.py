"""MixUp, CutMix and RandomErasing: parts of images replaced by other images or by noise."""

from __future__ import annotations

import numpy as np

from nnlite import ops, random
from nnlite.layers._augmentation import RandomImageLayer, factor_range
from nnlite.layers.random_colors import _Ranged

# Points of the tables that turn uniform numbers into beta-distributed ones, and values of alpha CutMix tells apart.
_POINTS, _ALPHAS = 1025, 64


def beta_quantiles(alpha: float) -> np.ndarray:
    """Quantiles of the symmetric beta distribution at 0, 1/1024, ..., 1.

    In w = (2 x)^alpha the lower half has the smooth density (1 - x)^(alpha - 1), which is integrated by the trapezoidal rule.
    """
    w = np.linspace(0, 1, 8 * _POINTS)
    x = 0.5 * w ** (1 / alpha)
    density = (1 - x) ** (alpha - 1)
    total = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    lower = 0.5 * np.interp(np.linspace(0, 1, (_POINTS + 1) // 2), total / total[-1], w) ** (1 / alpha)
    return np.concatenate([lower, 1 - lower[-2::-1]]).astype("float32")


def _read(table, place):
    """Values of a table at fractional places."""
    low = ops.clip(ops.floor(place), 0.0, table.shape[0] - 2.0)
    part, index = place - low, ops.cast(low, "int32")
    return ops.take(table, index) * (1.0 - part) + ops.take(table, index + 1) * part


class _Mixing(RandomImageLayer):
    """Images mixed with those of the same batch in another order; labels in a dict are mixed likewise."""

    def call(self, data, training=True):
        images = data["images"] if isinstance(data, dict) else data
        images = ops.cast(images, self.compute_dtype)
        if training:
            self._check_images(data, images)
        if not training or len(images.shape) == 3:
            return {**data, "images": images} if isinstance(data, dict) else images
        first = self.data_format == "channels_first"
        x = ops.moveaxis(images, 1, -1) if first else images
        order = random.shuffle(ops.arange(x.shape[0], dtype="int32"), seed=self.generator)
        y, share = self.mix(x, ops.take(x, order, axis=0))
        y = ops.moveaxis(y, -1, 1) if first else y
        if not isinstance(data, dict):
            return y
        if "labels" not in data:
            return {**data, "images": y}
        labels = ops.cast(data["labels"], self.compute_dtype)
        if len(labels.shape) < 2:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} mixes labels, so they must be one-hot rows [batch, classes]; received shape "
                f"{tuple(labels.shape)}. Use nnlite.utils.to_categorical first."
            )
        share = ops.reshape(share, (-1,) + (1,) * (len(labels.shape) - 1))
        return {**data, "images": y, "labels": share * labels + (1.0 - share) * ops.take(labels, order, axis=0)}


class MixUp(_Mixing):
    """In training, averages each image with another of the batch, with random weights; labels in a dict, too.

    Args:
        alpha: Of the beta distribution the weights come from.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        seed: Makes the draws repeatable.

    >>> import numpy as np
    >>> data = {"images": np.ones((2, 4, 4, 3)), "labels": np.eye(2)}
    >>> MixUp(seed=1)(data)["labels"].numpy().sum(-1).tolist()
    [1.0, 1.0]
    """

    def __init__(self, alpha=0.2, data_format=None, seed=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not isinstance(alpha, (int, float)) or alpha <= 0:
            raise ValueError(f"`alpha` of MixUp must be a positive number. Received: alpha={alpha!r}")
        self.alpha = alpha
        self.__dict__["_table"] = beta_quantiles(alpha)

    def mix(self, x, other):
        share = _read(self._table, self.draw(x) * (_POINTS - 1))
        return share * x + (1.0 - share) * other, share

    def get_config(self) -> dict:
        return {**super().get_config(), "alpha": self.alpha}


def _boxes(layer, x, across, down):
    """Whether each pixel lies in a box at a random place, and the boxes' shares of the area; sizes are shares of width and height."""
    _, height, width, _ = x.shape
    wide, tall = across * width, down * height
    left, top = layer.draw(x) * (width - wide), layer.draw(x) * (height - tall)
    columns = np.arange(width, dtype="float32").reshape(1, 1, width, 1).astype(x.dtype)
    rows = np.arange(height, dtype="float32").reshape(1, height, 1, 1).astype(x.dtype)
    inside_x = ops.logical_and(columns >= left, columns < left + wide)
    inside_y = ops.logical_and(rows >= top, rows < top + tall)
    return ops.logical_and(inside_x, inside_y), wide * tall / (width * height)


class CutMix(_Mixing):
    """In training, puts a box of another image of the batch into each image; labels in a dict are mixed by the areas.

    Args:
        factor: Alpha of the beta distribution the areas come from: a number f for one drawn from [0, f], or (lower, upper).
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
    """

    def __init__(self, factor=1.0, seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range(factor, self, 0.0, 1.0)
        low, high = self.factor
        alphas = [low] if low == high else low + (high - low) * (np.arange(_ALPHAS) + 0.5) / _ALPHAS
        self.__dict__["_table"] = np.concatenate([beta_quantiles(max(alpha, 0.005)) for alpha in alphas])

    def mix(self, x, other):
        tables = self._table.size // _POINTS
        which = ops.floor(random.uniform((1, 1, 1, 1), 0.0, float(tables), dtype=x.dtype, seed=self.generator))
        share = _read(self._table, ops.minimum(which, tables - 1.0) * _POINTS + self.draw(x) * (_POINTS - 1))
        size = ops.sqrt(1.0 - share)
        inside, area = _boxes(self, x, size, size)
        return ops.where(inside, other, x), 1.0 - area

    def get_config(self) -> dict:
        return {**super().get_config(), "factor": self.factor}


class RandomErasing(_Ranged):
    """In training, fills a box of each image with noise or with a value.

    Args:
        factor: Probability: a number p for one drawn from [0, p], or (lower, upper).
        scale: Squares of the box's height and width, as shares of the image's: (lower, upper).
        fill_value: A number, three numbers for the channels, or None for normal noise.
        value_range: Lowest and highest value of a pixel.
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
    """

    def __init__(self, factor=1.0, scale=(0.02, 0.33), fill_value=None, value_range=(0, 255), seed=None, data_format=None, **kwargs):
        super().__init__(factor, value_range, seed, data_format, **kwargs)
        self.scale = factor_range(scale, self, 0.0, 1.0, "scale")
        if (
            fill_value is not None
            and not isinstance(fill_value, (int, float))
            and not (isinstance(fill_value, (tuple, list)) and len(fill_value) == 3)
        ):
            raise ValueError(f"`fill_value` of RandomErasing must be a number, three numbers or None. Received: fill_value={fill_value!r}")
        self.fill_value = fill_value

    def transform(self, x):
        across, down = (ops.sqrt(self.draw(x, *self.scale)) for _ in range(2))
        inside, _ = _boxes(self, x, across, down)
        chosen = self.chosen(x, self.draw(x, *self.factor))
        if self.fill_value is None:
            fill = random.normal(x.shape, dtype=x.dtype, seed=self.generator) * self.value_range[1]
        else:
            fill = ops.convert_to_tensor(np.asarray(self.fill_value, x.dtype))
        return ops.where(ops.logical_and(inside, chosen), self.clip(fill), x)

    def get_config(self) -> dict:
        return {**super().get_config(), "scale": self.scale, "fill_value": self.fill_value}
