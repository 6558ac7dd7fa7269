"""nnlite.ops.image: colours, sizes, patches and geometric transforms of images [H, W, C] or [N, H, W, C]."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.spec import FLOATS
from nnlite.ops import conv2d as convolutions, elementwise as e, movement, reduce
from nnlite.ops._convert import to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops._sampling import KERNELS, mix_axis, weights
from nnlite.ops._windows import same_padding
from nnlite.ops.arithmetic import const
from nnlite.ops.convolution import _each, _format
from nnlite.ops.joining import part_along
from nnlite.ops.manipulation import moveaxis
from nnlite.tensor import Tensor

# Functions of this module by name.
IMAGE: dict = {}


class Batch:
    """Images brought to [N, H, W, C], and how to go back.

    Attributes:
        x: The images.
    """

    def __init__(self, name: str, images, data_format):
        self.x = to_tensor(images)
        self.dtype = self.x.spec.dtype
        self.single = len(self.x.spec.shape) == 3
        if len(self.x.spec.shape) not in (3, 4):
            raise ValueError(f"{name}() takes one image with 3 axes or a batch with 4; received shape {self.x.spec.shape}.")
        self.first = _format(name, data_format) == "channels_first"
        if self.single:
            self.x = movement.reshape(self.x, shape=(1, *self.x.spec.shape))
        if self.first:
            self.x = moveaxis(self.x, 1, -1)

    def back(self, y: Tensor) -> Tensor:
        """[N, H, W, C] in the layout the images came in."""
        y = moveaxis(y, -1, 1) if self.first else y
        return movement.reshape(y, shape=y.spec.shape[1:]) if self.single else y


def as_dtype(y: Tensor, dtype: str) -> Tensor:
    """Floats back to the images' dtype; integers are rounded and limited first."""
    from nnlite.ops.core import saturate_cast

    if y.spec.dtype == dtype:
        return y
    return saturate_cast(e.round(y) if dtype not in FLOATS else y, dtype)


@public(home=IMAGE)
def rgb_to_grayscale(images, data_format=None):
    """Brightness 0.2989 R + 0.587 G + 0.114 B, with one channel."""
    batch = Batch("rgb_to_grayscale", images, data_format)
    x = to_float(batch.x)
    if x.spec.shape[-1] not in (1, 3):
        raise ValueError(f"rgb_to_grayscale() takes images of 1 or 3 channels; received shape {to_tensor(images).spec.shape}.")
    if x.spec.shape[-1] == 1:
        return batch.back(batch.x)
    parts = to_tensor(np.asarray([0.2989, 0.587, 0.114]), x.spec.dtype)
    y = reduce.sum(e.multiply(x, parts), axes=(3,), keepdims=True)
    return batch.back(to_tensor(y, batch.dtype))


def _channels(x: Tensor, name: str) -> list[Tensor]:
    if x.spec.shape[-1] != 3 or x.spec.dtype not in FLOATS:
        raise ValueError(f"{name}() takes float images of 3 channels; received {x.spec}.")
    return [part_along(x, 3, k, 1) for k in range(3)]


@public(home=IMAGE)
def rgb_to_hsv(images, data_format=None):
    """Hue, saturation and value, all in 0..1, of float images in 0..1."""
    from nnlite.ops.arithmetic import divide_no_nan

    batch = Batch("rgb_to_hsv", images, data_format)
    r, g, b = _channels(batch.x, "rgb_to_hsv")
    top, bottom = e.maximum(e.maximum(r, g), b), e.minimum(e.minimum(r, g), b)
    span = e.subtract(top, bottom)
    sixth, zero = const(1 / 6, r), const(0.0, r)

    def turn(first, second, offset):
        return e.add(e.multiply(divide_no_nan(e.subtract(first, second), span), sixth), const(offset, r))

    hue = e.where(e.equal(top, r), turn(g, b, 0.0), e.where(e.equal(top, g), turn(b, r, 1 / 3), turn(r, g, 2 / 3)))
    hue = e.where(e.equal(span, zero), zero, e.where(e.less(hue, zero), e.add(hue, const(1.0, r)), hue))
    saturation = e.where(e.greater(top, zero), divide_no_nan(span, top), zero)
    return batch.back(movement.concatenate(hue, saturation, top, axis=3))


@public(home=IMAGE)
def hsv_to_rgb(images, data_format=None):
    """The inverse of `rgb_to_hsv`."""
    batch = Batch("hsv_to_rgb", images, data_format)
    h, s, v = _channels(batch.x, "hsv_to_rgb")
    h = e.multiply(e.mod(h, const(1.0, h)), const(6.0, h))

    def channel(offset):
        k = e.mod(e.add(h, const(offset, h)), const(6.0, h))
        ramp = e.minimum(e.minimum(k, e.subtract(const(4.0, h), k)), const(1.0, h))
        return e.subtract(v, e.multiply(e.multiply(v, s), e.maximum(ramp, const(0.0, h))))

    return batch.back(movement.concatenate(channel(5.0), channel(3.0), channel(1.0), axis=3))


_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5")


@public(home=IMAGE)
def resize(
    images,
    size,
    interpolation="bilinear",
    antialias=False,
    crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False,
    fill_mode="constant",
    fill_value=0.0,
    data_format=None,
):
    """Images of another size.

    Args:
        size: (height, width).
        interpolation: "nearest", "bilinear", "bicubic", "lanczos3" or "lanczos5".
        antialias: Whether shrinking averages over all the pixels it skips.
        crop_to_aspect_ratio: Cuts the images to the shape of `size` first.
        pad_to_aspect_ratio: Surrounds the images with `fill_value` to the shape of `size` first.

    >>> import nnlite
    >>> nnlite.ops.image.resize(nnlite.ops.ones((4, 6, 3)), (2, 3)).shape
    (2, 3, 3)
    """
    if interpolation not in _INTERPOLATIONS or len(size) != 2:
        raise ValueError(
            f"resize() takes size=(height, width) and interpolation out of {', '.join(_INTERPOLATIONS)}; received {size} and {interpolation!r}."
        )
    if fill_mode != "constant" or (pad_to_aspect_ratio and crop_to_aspect_ratio):
        raise ValueError(
            f'resize() takes fill_mode "constant" and one of crop_to_aspect_ratio and pad_to_aspect_ratio; received fill_mode={fill_mode!r}, '
            f"crop_to_aspect_ratio={crop_to_aspect_ratio}, pad_to_aspect_ratio={pad_to_aspect_ratio}."
        )
    batch = Batch("resize", images, data_format)
    height, width = (int(v) for v in size)
    x = batch.x
    if crop_to_aspect_ratio:
        x = _cropped(x, height, width)
    if pad_to_aspect_ratio:
        x = _surrounded(x, height, width, fill_value)
    if interpolation == "nearest":
        return batch.back(_nearest(_nearest(x, 1, height), 2, width))
    y = to_float(x)
    for axis, new in ((1, height), (2, width)):
        old = y.spec.shape[axis]
        if old != new:
            y = mix_axis(y, axis, weights(old, new, new / old, 0.0, interpolation, antialias))
    return batch.back(as_dtype(y, batch.dtype))


def _nearest(x: Tensor, axis: int, new: int) -> Tensor:
    from nnlite.ops.indexing import take_along

    old = x.spec.shape[axis]
    if old == new:
        return x
    ids = np.minimum(((np.arange(new) + 0.5) * (old / new)).astype("int32"), old - 1)
    return take_along(x, to_tensor(ids), axis)


def _cropped(x: Tensor, height: int, width: int) -> Tensor:
    _, h, w, _ = x.spec.shape
    new_h, new_w = min(h, int(float(w * height) / width)), min(w, int(float(h * width) / height))
    return part_along(part_along(x, 1, int((h - new_h) / 2), new_h), 2, int((w - new_w) / 2), new_w)


def _surrounded(x: Tensor, height: int, width: int, value) -> Tensor:
    _, h, w, _ = x.spec.shape
    new_h, new_w = max(h, int(float(w * height) / width)), max(w, int(float(h * width) / height))
    around = (0, (new_h - h) // 2, (new_w - w) // 2, 0)
    return movement.pad(x, low=around, high=around, interior=(0,) * 4, value=float(value))


@public(home=IMAGE)
def pad_images(
    images, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None, target_height=None, target_width=None, data_format=None
):
    """Zeros around images; of each direction, two of (before, after, target size) are given."""
    batch = Batch("pad_images", images, data_format)
    _, h, w, _ = batch.x.spec.shape
    top, bottom = _two_of_three("pad_images", "height", top_padding, bottom_padding, target_height, h, 1)
    left, right = _two_of_three("pad_images", "width", left_padding, right_padding, target_width, w, 1)
    return batch.back(movement.pad(batch.x, low=(0, top, left, 0), high=(0, bottom, right, 0), interior=(0,) * 4, value=0.0))


def _two_of_three(name: str, what: str, before, after, target, size: int, sign: int) -> tuple[int, int]:
    if (before is None) + (after is None) + (target is None) != 1:
        raise ValueError(f"{name}() takes exactly two of (before, after, target) for the {what}; received {before}, {after} and {target}.")
    total = None if target is None else sign * (target - size)
    before = total - after if before is None else before
    after = total - before if after is None else after
    if before < 0 or after < 0 or (sign < 0 and before + after > size):
        raise ValueError(f"{name}() got amounts that do not fit a {what} of {size}: before={before}, after={after}, target={target}.")
    return before, after


@public(home=IMAGE)
def crop_images(
    images, top_cropping=None, left_cropping=None, bottom_cropping=None, right_cropping=None, target_height=None, target_width=None, data_format=None
):
    """Parts of images; of each direction, two of (before, after, target size) are given."""
    batch = Batch("crop_images", images, data_format)
    n, h, w, c = batch.x.spec.shape
    top, bottom = _two_of_three("crop_images", "height", top_cropping, bottom_cropping, target_height, h, -1)
    left, right = _two_of_three("crop_images", "width", left_cropping, right_cropping, target_width, w, -1)
    return batch.back(movement.slice_(batch.x, starts=(0, top, left, 0), sizes=(n, h - top - bottom, w - left - right, c), strides=(1,) * 4))


@public(home=IMAGE)
def extract_patches(images, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """Patches of images, flattened (row, column, channel) into the channels: [N, rows, columns, height * width * C].

    Args:
        size: (height, width) of a patch, or one number for both.
        strides: Distance of patches; default: `size`, side by side.
    """
    batch = Batch("extract_patches", images, data_format)
    window = _each("extract_patches", "size", size, 2)
    strides = window if strides is None else _each("extract_patches", "strides", strides, 2)
    return batch.back(_patches("extract_patches", batch.x, window, strides, _each("extract_patches", "dilation_rate", dilation_rate, 2), padding))


def _patches(name: str, x: Tensor, window, strides, dilation, padding: str) -> Tensor:
    """[N, *spatial, C] to [N, *positions, prod(window) * C] for any number of spatial axes: one slice per cell."""
    if padding not in ("valid", "same"):
        raise ValueError(f'{name}() takes padding "valid" or "same"; received {padding!r}.')
    if padding == "same":
        pads = [same_padding(*dims) for dims in zip(x.spec.shape[1:-1], window, strides, dilation)]
        x = movement.pad(x, low=(0, *[p[0] for p in pads], 0), high=(0, *[p[1] for p in pads], 0), interior=(0,) * (len(window) + 2), value=0.0)
    n, *dims, c = x.spec.shape
    counts = [max((dim - (k - 1) * d - 1) // s + 1, 0) for dim, k, s, d in zip(dims, window, strides, dilation)]
    if strides == window and all(d == 1 for d in dilation):
        return _tiled(x, window, counts)
    ones = (1, *strides, 1)
    parts = [
        movement.slice_(x, starts=(0, *[i * d for i, d in zip(cell, dilation)], 0), sizes=(n, *counts, c), strides=ones)
        for cell in np.ndindex(*window)
    ]
    return movement.concatenate(*parts, axis=len(window) + 1)


def _tiled(x: Tensor, window, counts) -> Tensor:
    """Patches side by side: a transposition."""
    n, *_, c = x.spec.shape
    m = len(window)
    x = movement.slice_(x, starts=(0,) * (m + 2), sizes=(n, *[a * b for a, b in zip(counts, window)], c), strides=(1,) * (m + 2))
    x = movement.reshape(x, shape=(n, *[v for pair in zip(counts, window) for v in pair], c))
    x = movement.transpose(x, axes=(0, *range(1, 2 * m, 2), *range(2, 2 * m + 1, 2), 2 * m + 1))
    return movement.reshape(x, shape=(n, *counts, math.prod(window) * c))


@public(home=IMAGE)
def extract_patches_3d(volumes, size, strides=None, dilation_rate=1, padding="valid", data_format=None):
    """Like `extract_patches`, of volumes [D, H, W, C] or [N, D, H, W, C]."""
    x = to_tensor(volumes)
    single, first = len(x.spec.shape) == 4, _format("extract_patches_3d", data_format) == "channels_first"
    if len(x.spec.shape) not in (4, 5):
        raise ValueError(f"extract_patches_3d() takes one volume with 4 axes or a batch with 5; received shape {x.spec.shape}.")
    x = movement.reshape(x, shape=(1, *x.spec.shape)) if single else x
    x = moveaxis(x, 1, -1) if first else x
    window = _each("extract_patches_3d", "size", size, 3)
    strides = window if strides is None else _each("extract_patches_3d", "strides", strides, 3)
    y = _patches("extract_patches_3d", x, window, strides, _each("extract_patches_3d", "dilation_rate", dilation_rate, 3), padding)
    y = moveaxis(y, -1, 1) if first else y
    return movement.reshape(y, shape=y.spec.shape[1:]) if single else y


def depthwise(x: Tensor, kernel: np.ndarray, padding=(0, 0, 0, 0)) -> Tensor:
    """Every channel convolved with the same kernel [kh, kw] or each with [kh, kw, 1, filters]."""
    kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    w = to_tensor(np.repeat(kernel, x.spec.shape[3], axis=2), x.spec.dtype)
    return convolutions.depthwise_conv2d(x, w, strides=(1, 1), padding=padding, dilation=(1, 1))


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Bell-shaped weights that sum to 1."""
    x = np.arange(size) - (size - 1) / 2
    w = np.exp(-0.5 * (x / sigma) ** 2)
    return w / w.sum()


@public(home=IMAGE)
def gaussian_blur(images, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None):
    """Images smoothed with a Gaussian window; zeros beyond the border."""
    batch = Batch("gaussian_blur", images, data_format)
    kh, kw = _each("gaussian_blur", "kernel_size", kernel_size, 2)
    sigma = np.asarray(to_tensor(sigma), "float64").reshape(-1)
    kernel = np.outer(gaussian(kh, float(sigma[0])), gaussian(kw, float(sigma[-1])))
    _, h, w, _ = batch.x.spec.shape
    pads = (*same_padding(h, kh, 1), *same_padding(w, kw, 1))
    return batch.back(as_dtype(depthwise(to_float(batch.x), kernel, pads), batch.dtype))


@public(home=IMAGE)
def sobel_edges(images, data_format=None):
    """Vertical and horizontal derivatives of every channel, on a new last axis; the border is reflected."""
    from nnlite.ops.manipulation import pad

    batch = Batch("sobel_edges", images, data_format)
    x = to_float(batch.x)
    n, h, w, c = x.spec.shape
    down = np.asarray([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], "float64")
    y = depthwise(pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "reflect"), np.stack([down, down.T], -1))
    y = movement.reshape(y, shape=(n, h, w, c, 2))
    y = moveaxis(y, 3, 1) if batch.first else y
    return movement.reshape(y, shape=y.spec.shape[1:]) if batch.single else y


@public(home=IMAGE)
def ssim(image1, image2, max_val=1.0, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, data_format=None):
    """Structural similarity of two (batches of) images, one number each, 1 for equal ones."""
    a, b = Batch("ssim", image1, data_format), Batch("ssim", image2, data_format)
    x, y = to_float(a.x), to_float(b.x)
    line = gaussian(filter_size, filter_sigma)
    kernel = np.outer(line, line)
    c1, c2 = const((k1 * max_val) ** 2, x), const((k2 * max_val) ** 2, x)
    two = const(2.0, x)
    mean_x, mean_y = depthwise(x, kernel), depthwise(y, kernel)
    product = e.multiply(mean_x, mean_y)
    squares = e.add(e.square(mean_x), e.square(mean_y))
    luminance = e.divide(e.add(e.multiply(product, two), c1), e.add(squares, c1))
    both = depthwise(e.multiply(e.multiply(x, y), two), kernel)
    spread = depthwise(e.add(e.square(x), e.square(y)), kernel)
    contrast = e.divide(e.add(e.subtract(both, e.multiply(product, two)), c2), e.add(e.subtract(spread, squares), c2))
    value = e.multiply(luminance, contrast)
    share = const(1.0 / max(math.prod(value.spec.shape[1:]), 1), value)
    value = e.multiply(reduce.sum(value, axes=(1, 2, 3), keepdims=False), share)
    return movement.reshape(value, shape=()) if a.single else value


@public(home=IMAGE)
def scale_and_translate(images, output_shape, scale, translation, spatial_dims, method, antialias=True):
    """Resamples axes: output position p shows input position (p - translation) / scale."""
    if method not in KERNELS:
        raise ValueError(f"scale_and_translate() takes a method of {', '.join(KERNELS)}; received {method!r}.")
    x = to_float(images)
    scale, translation = (np.asarray(to_tensor(v), "float64").reshape(-1) for v in (scale, translation))
    for k, axis in enumerate(spatial_dims):
        axis = axis % len(x.spec.shape)
        x = mix_axis(x, axis, weights(x.spec.shape[axis], int(output_shape[axis]), scale[k], translation[k], method, antialias))
    return x


def __getattr__(name: str):
    """Geometric transforms are loaded when first used."""
    if not name.startswith("_"):
        from nnlite.ops import geometry

        if name in geometry.GEOMETRY:
            return geometry.GEOMETRY[name]
    raise AttributeError(f"module 'nnlite.ops.image' has no attribute {name!r}")
