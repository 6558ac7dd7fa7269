"""Convolutions over three spatial axes: image convolutions with the depth folded into the batch and the planes of the window into the channels."""

from __future__ import annotations

from nnlite.ops import conv2d as primitives, elementwise as e, movement
from nnlite.ops._windows import output_size
from nnlite.ops.creation import zeros
from nnlite.tensor import Tensor


def _padded_depth(x: Tensor, before: int, after: int) -> Tensor:
    if before == after == 0:
        return x
    zeros = (0,) * len(x.spec.shape)
    return movement.pad(x, low=(0, before, *zeros[2:]), high=(0, after, *zeros[2:]), interior=zeros, value=0.0)


def _cut(x: Tensor, axis: int, start: int, size: int, stride: int = 1) -> Tensor:
    """`size` places of one axis, from `start` on."""
    shape = x.spec.shape
    if (start, size, stride) == (0, shape[axis], 1):
        return x
    starts, sizes, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], sizes[axis], strides[axis] = start, size, stride
    return movement.slice_(x, starts=tuple(starts), sizes=tuple(sizes), strides=tuple(strides))


def _window_planes(x: Tensor, window: int, stride: int, dilation: int) -> list[Tensor]:
    """For every plane of the window, what it sees in all its positions along the depth: [N, planes, H, W, C] each."""
    planes = output_size(x.spec.shape[1], window, stride, 0, 0, dilation)
    return [_cut(x, 1, k * dilation, planes, stride) for k in range(window)]


def _stacked_kernel(w: Tensor) -> Tensor:
    """[depth, rows, cols, C, K] as the image kernel [rows, cols, depth * C, K]."""
    depth, rows, cols, c, k = w.spec.shape
    if depth > 1:
        w = movement.transpose(w, axes=(1, 2, 0, 3, 4))
    return movement.reshape(w, shape=(rows, cols, depth * c, k))


def _stacked(parts: list[Tensor], groups: int) -> Tensor:
    """Planes of the window as channels, within every group: [N, planes, H, W, C] each -> [N * planes, H, W, window * C]."""
    n, planes, h, width, c = parts[0].spec.shape
    if len(parts) > 1:
        grouped = [movement.reshape(part, shape=(n * planes * h * width, groups, c // groups)) for part in parts]
        joined = movement.concatenate(*grouped, axis=2)
    else:
        joined = parts[0]
    return movement.reshape(joined, shape=(n * planes, h, width, len(parts) * c))


def conv_volume(x: Tensor, w: Tensor, strides, pads, dilation, groups: int) -> Tensor:
    """x [N, D, H, W, C] with w [depth, rows, cols, C / groups, K]."""
    parts = _window_planes(_padded_depth(x, *pads[0]), w.spec.shape[0], strides[0], dilation[0])
    n, planes = parts[0].spec.shape[:2]
    images = _stacked(parts, groups)
    padding = (*pads[1], *pads[2])
    y = primitives.conv2d(images, _stacked_kernel(w), strides=strides[1:], padding=padding, dilation=dilation[1:], groups=groups)
    return movement.reshape(y, shape=(n, planes, *y.spec.shape[1:]))


def depthwise_conv_volume(x: Tensor, w: Tensor, strides, pads, dilation) -> Tensor:
    """x [N, D, H, W, C] with w [depth, rows, cols, C, M]: a sum over the planes of the window."""
    total = None
    for k, part in enumerate(_window_planes(_padded_depth(x, *pads[0]), w.spec.shape[0], strides[0], dilation[0])):
        n, planes, h, width, c = part.spec.shape
        plane = movement.reshape(_cut(w, 0, k, 1), shape=w.spec.shape[1:])
        images = movement.reshape(part, shape=(n * planes, h, width, c))
        y = primitives.depthwise_conv2d(images, plane, strides=strides[1:], padding=(*pads[1], *pads[2]), dilation=dilation[1:])
        total = y if total is None else e.add(total, y)
    return movement.reshape(total, shape=(n, planes, *total.spec.shape[1:]))


def conv_transpose_volume(x: Tensor, w: Tensor, strides, pads, dilation, sizes) -> Tensor:
    """x [N, D, H, W, C] with w [depth, rows, cols, K, C] to [N, *sizes, K]: what every plane of the window gives, put where it belongs."""
    n, depth, h, width, c = x.spec.shape
    filters = w.spec.shape[3]
    shape = (n * depth, sizes[1], sizes[2], w.spec.shape[0] * filters)
    padding = (*pads[1], *pads[2])
    images = movement.reshape(x, shape=(n * depth, h, width, c))
    y = primitives.conv2d_input_grad(
        images, _stacked_kernel(w), input_shape=shape, strides=strides[1:], padding=padding, dilation=dilation[1:], groups=1
    )
    y = movement.reshape(y, shape=(n, depth, *shape[1:]))
    parts = [_cut(y, 4, k * filters, filters) for k in range(w.spec.shape[0])]
    return _spread_planes(parts, strides[0], dilation[0], pads[0][0], sizes[0])


def _spread_planes(parts: list[Tensor], stride: int, dilation: int, before: int, size: int) -> Tensor:
    """Adds plane i of part k to plane i * stride + k * dilation - before of the result, of which there are `size`.

    Planes that are a stride apart get the same parts, so each such phase is a sum of shifted parts and the result deals them out in turn.
    """
    n, depth, h, width, c = parts[0].spec.shape
    length = -(-max((depth - 1) * stride + (len(parts) - 1) * dilation + 1, before + size) // stride)
    phases: list[Tensor | None] = [None] * stride
    for k, part in enumerate(parts):
        shift, phase = divmod(k * dilation, stride)
        part = _padded_depth(part, shift, length - depth - shift)
        phases[phase] = part if phases[phase] is None else e.add(phases[phase], part)
    if stride > 1:
        empty = zeros((n, length, h, width, c), parts[0].spec.dtype) if any(p is None for p in phases) else None
        dealt = [movement.reshape(empty if p is None else p, shape=(n, length, 1, h, width, c)) for p in phases]
        spread = movement.reshape(movement.concatenate(*dealt, axis=2), shape=(n, length * stride, h, width, c))
    else:
        spread = phases[0]
    return _cut(spread, 1, before, size)
