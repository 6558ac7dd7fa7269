"""Images as arrays, and files of images. Files need Pillow, which is imported when they are read or written."""

from __future__ import annotations

import os

import numpy as np

from nnlite import config


def _pillow():
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("Reading and writing image files needs Pillow. Install it with `pip install pillow`.") from None
    return Image


def _channels_first(data_format) -> bool:
    data_format = data_format or config.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f'`data_format` must be "channels_first" or "channels_last"; received data_format={data_format!r}.')
    return data_format == "channels_first"


def array_to_img(x, data_format=None, scale=True, dtype=None):
    """A Pillow image from an array [height, width, channels] with 1, 3 or 4 channels.

    Args:
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        scale: Whether the values are stretched to 0..255.
        dtype: Of the values in between; `config.floatx()` by default.
    """
    image = _pillow()
    x = np.asarray(x, dtype or config.floatx())
    if x.ndim != 3:
        raise ValueError(f"array_to_img() takes one image with 3 axes; received an array of shape {x.shape}. Take one image out of a batch: x[0].")
    if _channels_first(data_format):
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        top = x.max()
        x = x / (top or 1.0) * 255
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if x.shape[2] not in modes:
        raise ValueError(f"array_to_img() takes 1, 3 or 4 channels; received {x.shape[2]} (shape {x.shape}).")
    if x.shape[2] == 1:
        return image.fromarray(x[:, :, 0].astype("int32"), "I") if x.max() > 255 else image.fromarray(x[:, :, 0].astype("uint8"), "L")
    return image.fromarray(x.astype("uint8"), modes[x.shape[2]])


def img_to_array(img, data_format=None, dtype=None) -> np.ndarray:
    """A Pillow image as an array [height, width, channels].

    Args:
        data_format: "channels_last" or "channels_first"; by default the library's setting.
        dtype: `config.floatx()` by default.
    """
    x = np.asarray(img, dtype or config.floatx())
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3:
        raise ValueError(f"img_to_array() takes an image with 2 or 3 axes; received shape {x.shape}.")
    return x.transpose(2, 0, 1) if _channels_first(data_format) else x


def load_img(path, color_mode="rgb", target_size=None, interpolation="nearest", keep_aspect_ratio=False):
    """Reads an image file as a Pillow image.

    Args:
        path: Path, or an open binary file.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width) to resize to, or None.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: Whether the largest centred part with the target's proportions is cut out first.
    """
    image = _pillow()
    modes = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}
    if color_mode not in modes:
        raise ValueError(f'`color_mode` must be "rgb", "rgba" or "grayscale"; received color_mode={color_mode!r}.')
    resampling = {name: getattr(image.Resampling, name.upper()) for name in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")}
    if interpolation not in resampling:
        raise ValueError(f"`interpolation` must be one of {', '.join(resampling)}; received interpolation={interpolation!r}.")
    if isinstance(path, (str, os.PathLike)):
        with open(path, "rb") as file:
            img = image.open(file)
            img.load()
    else:
        img = image.open(path)
    if img.mode != modes[color_mode] and not (color_mode == "grayscale" and img.mode in ("I;16", "I")):
        img = img.convert(modes[color_mode])
    if target_size is None or img.size == (target_size[1], target_size[0]):
        return img
    height, width = target_size
    box = _centred_box(img.size, width, height) if keep_aspect_ratio else None
    return img.resize((width, height), resampling[interpolation], box=box)


def _centred_box(size, width: int, height: int):
    """(left, top, right, bottom) of the largest part with the proportions width : height."""
    inner_width = min(size[0], size[1] * width // height)
    inner_height = min(size[1], size[0] * height // width)
    left, top = (size[0] - inner_width) // 2, (size[1] - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def save_img(path, x, data_format=None, file_format=None, scale=True, **kwargs) -> None:
    """Writes an array [height, width, channels] as an image file; the format follows from the name.

    Args:
        file_format: Overrides the name's extension.
        scale: Whether the values are stretched to 0..255.
    """
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and (file_format or os.fspath(path).rpartition(".")[2]).lower() in ("jpg", "jpeg"):
        img = img.convert("RGB")  # JPEG has no transparency
    img.save(path, format=file_format, **kwargs)
