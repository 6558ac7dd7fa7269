"""Resizing, CenterCrop and RandomCrop: images of another size."""

from __future__ import annotations

from nnlite import ops, random
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._arguments import positive_int
from nnlite.layers._augmentation import ImageLayer, RandomImageLayer
from nnlite.random.seed_generator import make_seed

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


class _Sized(ImageLayer):
    """An image layer with a fixed output size."""

    _only_in_training = False

    def _set_size(self, height, width) -> None:
        self.height = positive_int(height, "height", type(self).__name__)
        self.width = positive_int(width, "width", type(self).__name__)

    def compute_output_shape(self, input_shape):
        if isinstance(input_shape, dict):
            return {key: self.compute_output_shape(shape) if key == "images" else shape for key, shape in input_shape.items()}
        if self.data_format == "channels_last":
            return (*input_shape[:-3], self.height, self.width, input_shape[-1])
        return (*input_shape[:-2], self.height, self.width)

    def get_config(self) -> dict:
        return {**super().get_config(), "height": self.height, "width": self.width}


class Resizing(_Sized):
    """Images of `height` x `width`.

    Args:
        height, width: The size.
        interpolation: "bilinear", "nearest", "bicubic", "lanczos3" or "lanczos5".
        crop_to_aspect_ratio: Cuts the images to the new proportions first.
        pad_to_aspect_ratio: Surrounds the images with `fill_value` to the new proportions first.
        fill_mode: "constant".
        fill_value: What surrounds the images.
        antialias: Whether shrinking averages over all the pixels it skips.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> Resizing(2, 2)(np.ones((1, 5, 4, 3))).shape
    (1, 2, 2, 3)
    """

    def __init__(
        self,
        height,
        width,
        interpolation="bilinear",
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=False,
        fill_mode="constant",
        fill_value=0.0,
        antialias=False,
        data_format=None,
        **kwargs,
    ):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)
        if interpolation not in _INTERPOLATIONS:
            raise ValueError(f"Unknown `interpolation` of Resizing: must be one of {_INTERPOLATIONS}. Received: interpolation={interpolation!r}")
        if crop_to_aspect_ratio and pad_to_aspect_ratio:
            raise ValueError("Resizing takes one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio`; received True for both. Choose one.")
        if fill_mode != "constant":
            raise ValueError(f"`fill_mode` of Resizing must be 'constant'. Received: fill_mode={fill_mode!r}")
        self.interpolation = interpolation
        self.crop_to_aspect_ratio = crop_to_aspect_ratio
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.fill_mode = fill_mode
        self.fill_value = fill_value
        self.antialias = antialias

    def call(self, data, training=True):
        images = data["images"] if isinstance(data, dict) else data
        self._check_images(data, images)
        y = ops.image.resize(
            images,
            (self.height, self.width),
            interpolation=self.interpolation,
            antialias=self.antialias,
            crop_to_aspect_ratio=self.crop_to_aspect_ratio,
            pad_to_aspect_ratio=self.pad_to_aspect_ratio,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format=self.data_format,
        )
        return {**data, "images": y} if isinstance(data, dict) else y

    def compute_output_spec(self, data, training=True):
        if isinstance(data, dict):
            return {**data, "images": self.compute_output_spec(data["images"])}
        dtype = self.compute_dtype if "float" in data.dtype else data.dtype
        return KerasTensor(self.compute_output_shape(data.shape), dtype)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "interpolation": self.interpolation,
            "crop_to_aspect_ratio": self.crop_to_aspect_ratio,
            "pad_to_aspect_ratio": self.pad_to_aspect_ratio,
            "fill_mode": self.fill_mode,
            "fill_value": self.fill_value,
            "antialias": self.antialias,
        }


def _window(x, top, left, height: int, width: int):
    """A part of a batch that begins at numbers or scalar tensors."""
    rows, columns = ops.arange(height, dtype="int32") + top, ops.arange(width, dtype="int32") + left
    return ops.take(ops.take(x, rows, axis=1), columns, axis=2)


class CenterCrop(_Sized):
    """The middle of images; images that are too small are resized first, keeping their proportions.

    Args:
        height, width: The size.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> CenterCrop(1, 2)(np.arange(4.0).reshape(1, 4, 1)).numpy().reshape(-1).tolist()
    [1.0, 2.0]
    """

    def __init__(self, height, width, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self._set_size(height, width)

    def transform(self, x, training):
        height, width = x.shape[1:3]
        if height < self.height or width < self.width:
            return ops.image.resize(x, (self.height, self.width), crop_to_aspect_ratio=True, data_format="channels_last")
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return x[:, top : top + self.height, left : left + self.width, :]


class RandomCrop(_Sized, RandomImageLayer):
    """In training, a part of the images at a random place, the same for a batch; else the largest middle part of these proportions, resized.

    Args:
        height, width: The size.
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> RandomCrop(1, 2, seed=1)(np.arange(4.0).reshape(1, 4, 1)).shape
    (1, 2, 1)
    """

    def __init__(self, height, width, seed=None, data_format=None, name=None, **kwargs):
        super().__init__(seed=make_seed() if seed is None else seed, data_format=data_format, name=name, **kwargs)
        self._set_size(height, width)

    def transform(self, x, training):
        height, width = x.shape[1:3]
        if (height, width) == (self.height, self.width):
            return x
        if not training:
            return ops.image.resize(x, (self.height, self.width), crop_to_aspect_ratio=True, data_format="channels_last")
        if height > self.height and width > self.width:
            top, left = (
                ops.cast(random.uniform((), 0.0, float(free + 1), seed=self.generator), "int32")
                for free in (height - self.height, width - self.width)
            )
            return _window(x, top, left, self.height, self.width)
        tall = max(min(height, width * self.height // self.width), 1)
        wide = max(min(width, height * self.width // self.height), 1)
        top, left = (height - tall) // 2, (width - wide) // 2
        part = x[:, top : top + self.height, left : left + self.width, :]
        return (
            part if part.shape[1:3] == (self.height, self.width) else ops.image.resize(part, (self.height, self.width), data_format="channels_last")
        )
