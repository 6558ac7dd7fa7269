"""Convolutions and poolings of 1, 2 and 3 spatial axes, over the two-dimensional primitives."""

from __future__ import annotations

from nnlite import config
from nnlite.ops import conv2d as primitives, movement, pool
from nnlite.ops._convert import float_pair, to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops._volumes import conv_transpose_volume, conv_volume, depthwise_conv_volume
from nnlite.ops._windows import same_padding
from nnlite.ops.manipulation import moveaxis
from nnlite.tensor import Tensor


def _format(name: str, data_format) -> str:
    data_format = data_format or config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f'{name}() takes data_format "channels_last" or "channels_first"; received {data_format!r}.')
    return data_format


def _each(name: str, what: str, value, n: int) -> tuple[int, ...]:
    values = (value,) * n if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != n or min(values) < 1:
        raise ValueError(f"{name}() takes {what} as an integer >= 1 or {n} of them; received {value!r}.")
    return values


def _channels_last(x: Tensor, data_format: str) -> Tensor:
    return x if data_format == "channels_last" else moveaxis(x, 1, -1)


def _back(x: Tensor, data_format: str) -> Tensor:
    return x if data_format == "channels_last" else moveaxis(x, -1, 1)


def _spatial(name: str, x: Tensor) -> int:
    n = len(x.spec.shape) - 2
    if n not in (1, 2, 3):
        raise ValueError(f"{name}() takes inputs with a batch axis, 1 to 3 spatial axes and channels; received shape {x.spec.shape}.")
    return n


def _paddings(name: str, padding, sizes, windows, strides, dilation) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(sizes)
    if padding == "same":
        return [same_padding(*dims) for dims in zip(sizes, windows, strides, dilation)]
    raise ValueError(f'{name}() takes padding "valid" or "same"; received {padding!r}.')


def _image(x: Tensor) -> Tensor:
    """[N, L, C] as an image of height 1."""
    n, length, c = x.spec.shape
    return movement.reshape(x, shape=(n, 1, length, c))


def _line(x: Tensor) -> Tensor:
    """An image of height 1 as [N, L, C]."""
    n, _, length, c = x.spec.shape
    return movement.reshape(x, shape=(n, length, c))


def _check_kernel(name: str, kernel: Tensor, n: int) -> None:
    if len(kernel.spec.shape) != n + 2:
        raise ValueError(f"{name}() on {n} spatial axes takes a kernel of {n + 2} axes; received kernel shape {kernel.spec.shape}.")


def _convolved(name: str, op, volume, inputs, kernel, strides, padding, data_format, dilation_rate, **attributes):
    """`op` on images, or on lines as images of height 1; `volume` on three spatial axes."""
    x, w = float_pair(inputs, kernel)
    data_format = _format(name, data_format)
    x = _channels_last(x, data_format)
    n = _spatial(name, x)
    _check_kernel(name, w, n)
    strides, dilation = _each(name, "strides", strides, n), _each(name, "dilation_rate", dilation_rate, n)
    pads = _paddings(name, padding, x.spec.shape[1:-1], w.spec.shape[:n], strides, dilation)
    if n == 3:
        return _back(volume(x, w, strides, pads, dilation, **attributes), data_format)
    if n == 1:
        x, w = _image(x), movement.reshape(w, shape=(1, *w.spec.shape))
        strides, dilation, pads = (1, *strides), (1, *dilation), [(0, 0), *pads]
    y = op(x, w, strides=strides, padding=(*pads[0], *pads[1]), dilation=dilation, **attributes)
    return _back(_line(y) if n == 1 else y, data_format)


def _grouped_image(x: Tensor, w: Tensor, *, groups: int, **attributes) -> Tensor:
    """`conv2d`; with one channel in every group that is a depthwise convolution, on the same weights."""
    rows, cols, per_group, filters = w.spec.shape
    if groups == 1 or per_group > 1 or filters % groups:
        return primitives.conv2d(x, w, groups=groups, **attributes)
    return primitives.depthwise_conv2d(x, movement.reshape(w, shape=(rows, cols, groups, filters // groups)), **attributes)


@public
def conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution (correlation) of 1, 2 or 3 spatial axes.

    Args:
        inputs: [N, *spatial, channels], or [N, channels, *spatial] with data_format "channels_first".
        kernel: [*window, channels / groups, filters]; the number of groups follows from the shapes.
        padding: "valid" or "same" (ceil(size / stride) positions; the odd cell is added at the end).
        data_format: Defaults to `config.image_data_format()`.

    >>> import nnlite
    >>> nnlite.ops.conv(nnlite.ops.ones((1, 5, 5, 3)), nnlite.ops.ones((3, 3, 3, 8)), padding="same").shape
    (1, 5, 5, 8)
    """
    channels = _channels(inputs, data_format)
    per_group = to_tensor(kernel).spec.shape[-2] if len(to_tensor(kernel).spec.shape) > 1 else 0
    if not per_group or channels % per_group:
        raise ValueError(
            f"conv() needs kernel [*window, channels / groups, filters]: the input has {channels} channels, the kernel shape is "
            f"{to_tensor(kernel).spec.shape}."
        )
    return _convolved(
        "conv", _grouped_image, conv_volume, inputs, kernel, strides, padding, data_format, dilation_rate, groups=channels // per_group
    )


def _channels(inputs, data_format) -> int:
    shape = to_tensor(inputs).spec.shape
    return shape[-1] if _format("conv", data_format) == "channels_last" or len(shape) < 2 else shape[1]


@public
def depthwise_conv(inputs, kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """Convolution of every channel with its own kernels [*window, channels, multiplier]."""
    return _convolved(
        "depthwise_conv", primitives.depthwise_conv2d, depthwise_conv_volume, inputs, kernel, strides, padding, data_format, dilation_rate
    )


@public
def separable_conv(inputs, depthwise_kernel, pointwise_kernel, strides=1, padding="valid", data_format=None, dilation_rate=1):
    """`depthwise_conv`, then a convolution with a window of 1 over its channels."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format, 1)


def transposed_size(size: int, window: int, stride: int, padding: str, output_padding: int | None, dilation: int) -> int:
    """Size of an axis after a transposed convolution."""
    reach = (window - 1) * dilation + 1
    if output_padding is not None:
        return (size - 1) * stride + reach - (2 * (reach // 2) if padding == "same" else 0) + output_padding
    return size * stride + (max(reach - stride, 0) if padding == "valid" else 0)


@public
def conv_transpose(inputs, kernel, strides=1, padding="valid", output_padding=None, data_format=None, dilation_rate=1):
    """Transposed convolution: the gradient of `conv` with respect to its input, used to enlarge.

    Args:
        kernel: [*window, filters, channels].
        output_padding: Cells added at the end of the result; None: the size that "same" or "valid" implies.
    """
    x, w = float_pair(inputs, kernel)
    data_format = _format("conv_transpose", data_format)
    x = _channels_last(x, data_format)
    n = _spatial("conv_transpose", x)
    _check_kernel("conv_transpose", w, n)
    strides, dilation = _each("conv_transpose", "strides", strides, n), _each("conv_transpose", "dilation_rate", dilation_rate, n)
    extra = (None,) * n if output_padding is None else (output_padding,) * n if isinstance(output_padding, int) else tuple(output_padding)
    sizes = [transposed_size(s, k, t, padding, o, d) for s, k, t, o, d in zip(x.spec.shape[1:-1], w.spec.shape, strides, extra, dilation)]
    pads = _transposed_paddings(padding, x.spec.shape[1:-1], sizes, w.spec.shape[:n], strides, dilation)
    if n == 3:
        return _back(conv_transpose_volume(x, w, strides, pads, dilation, sizes), data_format)
    if n == 1:
        x, w = _image(x), movement.reshape(w, shape=(1, *w.spec.shape))
        strides, dilation, pads, sizes = (1, *strides), (1, *dilation), [(0, 0), *pads], [1, *sizes]
    y = primitives.conv2d_input_grad(
        x, w, input_shape=(x.spec.shape[0], *sizes, w.spec.shape[2]), strides=strides, padding=(*pads[0], *pads[1]), dilation=dilation, groups=1
    )
    return _back(_line(y) if n == 1 else y, data_format)


def _transposed_paddings(padding, sizes, results, windows, strides, dilation) -> list[tuple[int, int]]:
    """What `conv` on the result would pad, so that it gives the size of the input."""
    if padding not in ("valid", "same"):
        raise ValueError(f'conv_transpose() takes padding "valid" or "same"; received {padding!r}.')
    pads = []
    for size, result, window, stride, rate in zip(sizes, results, windows, strides, dilation):
        missing = max((size - 1) * stride + (window - 1) * rate + 1 - result, 0)
        pads.append((missing // 2, missing - missing // 2))
    return pads


def _pooled(name: str, op, inputs, pool_size, strides, padding, data_format):
    x = _channels_last(inputs, _format(name, data_format))
    n = _spatial(name, x)
    windows = _each(name, "pool_size", pool_size, n)
    strides = windows if strides is None else _each(name, "strides", strides, n)
    pads = _paddings(name, padding, x.spec.shape[1:-1], windows, strides, (1,) * n)
    if n == 3:
        return _back(_pooled_volume(op, x, windows, strides, pads), _format(name, data_format))
    if n == 1:
        x, windows, strides, pads = _image(x), (1, *windows), (1, *strides), [(0, 0), *pads]
    y = op(x, pool_size=windows, strides=strides, padding=(*pads[0], *pads[1]))
    return _back(_line(y) if n == 1 else y, _format(name, data_format))


def _pooled_volume(op, x: Tensor, windows, strides, pads) -> Tensor:
    """Three spatial axes: planes first, then depth; both maxima and means of padded boxes separate that way."""
    n, depth, h, width, c = x.spec.shape
    flat = op(movement.reshape(x, shape=(n * depth, h, width, c)), pool_size=windows[1:], strides=strides[1:], padding=(*pads[1], *pads[2]))
    _, oh, ow, _ = flat.spec.shape
    lines = movement.reshape(flat, shape=(n, depth, oh * ow, c))
    y = op(lines, pool_size=(windows[0], 1), strides=(strides[0], 1), padding=(*pads[0], 0, 0))
    return movement.reshape(y, shape=(n, y.spec.shape[1], oh, ow, c))


@public
def max_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Largest value of every window of 1, 2 or 3 spatial axes; `strides` defaults to `pool_size`.

    >>> import nnlite
    >>> nnlite.ops.max_pool(nnlite.ops.ones((1, 4, 4, 3)), 2).shape
    (1, 2, 2, 3)
    """
    return _pooled("max_pool", lambda x, **k: pool.max_pool2d(x, **k)[0], to_tensor(inputs), pool_size, strides, padding, data_format)


@public
def average_pool(inputs, pool_size, strides=None, padding="valid", data_format=None):
    """Mean of every window of 1, 2 or 3 spatial axes; padding is left out. `strides` defaults to `pool_size`."""
    return _pooled("average_pool", pool.average_pool2d, to_float(inputs), pool_size, strides, padding, data_format)
