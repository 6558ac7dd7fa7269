"""Rearranging space and channels; patches; adaptive pooling; einops-like rearrangement."""

from __future__ import annotations

import math

import numpy as np

from nnlite.ops import elementwise as e, matrix, movement, reduce
from nnlite.ops._convert import to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops._windows import cells, output_size
from nnlite.ops.convolution import _back, _channels_last, _each, _format
from nnlite.ops.manipulation import moveaxis, transpose
from nnlite.tensor import Tensor


def _image(name: str, x, data_format) -> tuple[Tensor, str]:
    x = to_tensor(x)
    data_format = _format(name, data_format)
    if len(x.spec.shape) != 4:
        raise ValueError(f"{name}() takes a batch of images with 4 axes; received shape {x.spec.shape}.")
    return _channels_last(x, data_format), data_format


@public
def depth_to_space(x, block_size, data_format="channels_last"):
    """Channels spread into blocks of space: [N, H, W, C] to [N, H*b, W*b, C / b**2]."""
    x, data_format = _image("depth_to_space", x, data_format)
    n, h, w, c = x.spec.shape
    b = int(block_size)
    if b < 1 or c % (b * b):
        raise ValueError(f"depth_to_space() needs channels divisible by block_size**2; received {c} channels and block_size={block_size}.")
    x = movement.transpose(movement.reshape(x, shape=(n, h, w, b, b, c // b // b)), axes=(0, 1, 3, 2, 4, 5))
    return _back(movement.reshape(x, shape=(n, h * b, w * b, c // b // b)), data_format)


@public
def space_to_depth(x, block_size, data_format="channels_last"):
    """Blocks of space joined into channels: [N, H, W, C] to [N, H / b, W / b, C * b**2]."""
    x, data_format = _image("space_to_depth", x, data_format)
    n, h, w, c = x.spec.shape
    b = int(block_size)
    if b < 1 or h % b or w % b:
        raise ValueError(f"space_to_depth() needs a height and width divisible by block_size; received {h} x {w} and block_size={block_size}.")
    x = movement.transpose(movement.reshape(x, shape=(n, h // b, b, w // b, b, c)), axes=(0, 1, 3, 2, 4, 5))
    return _back(movement.reshape(x, shape=(n, h // b, w // b, b * b * c)), data_format)


def _two(name: str, what: str, value, least: int = 1) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int) else tuple(int(v) for v in value)
    if len(values) != 2 or min(values) < least:
        raise ValueError(f"{name}() takes {what} as an integer >= {least} or two of them; received {value!r}.")
    return values


@public
def unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    """Sliding blocks of [N, C, H, W] as columns: [N, C * kh * kw, positions]."""
    x = to_tensor(x)
    if len(x.spec.shape) != 4:
        raise ValueError(f"unfold() takes [N, C, H, W]; received shape {x.spec.shape}.")
    k, d, p, s = (_two("unfold", *v) for v in (("kernel_size", kernel_size), ("dilation", dilation), ("padding", padding, 0), ("stride", stride)))
    n, c, h, w = x.spec.shape
    x = movement.pad(x, low=(0, 0, *p), high=(0, 0, *p), interior=(0,) * 4, value=0.0)
    oh, ow = (output_size(size, k[i], s[i], p[i], p[i], d[i]) for i, size in enumerate((h, w)))
    parts = [
        movement.reshape(movement.slice_(x, starts=(0, 0, i * d[0], j * d[1]), sizes=(n, c, oh, ow), strides=(1, 1, *s)), shape=(n, c, 1, oh * ow))
        for i, j in cells(k)
    ]
    return movement.reshape(movement.concatenate(*parts, axis=2), shape=(n, c * k[0] * k[1], oh * ow))


@public
def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Adds the columns of `unfold` back into images: [N, C, *output_size]."""
    x = to_tensor(x)
    k, d, p, s = (_two("fold", *v) for v in (("kernel_size", kernel_size), ("dilation", dilation), ("padding", padding, 0), ("stride", stride)))
    h, w = _two("fold", "output_size", output_size)
    oh, ow = ((size + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i, size in enumerate((h, w)))
    if len(x.spec.shape) != 3 or x.spec.shape[1] % (k[0] * k[1]) or x.spec.shape[2] != oh * ow:
        raise ValueError(f"fold() to {(h, w)} with kernel_size={kernel_size} takes [N, C * {k[0] * k[1]}, {oh * ow}]; received shape {x.spec.shape}.")
    n, c = x.spec.shape[0], x.spec.shape[1] // (k[0] * k[1])
    blocks = movement.reshape(x, shape=(n, c, k[0] * k[1], oh, ow))
    full = (h + 2 * p[0], w + 2 * p[1])
    total = None
    for q, (i, j) in enumerate(cells(k)):
        part = movement.slice_(blocks, starts=(0, 0, q, 0, 0), sizes=(n, c, 1, oh, ow), strides=(1,) * 5)
        part = movement.reshape(part, shape=(n, c, oh, ow))
        low = (0, 0, i * d[0], j * d[1])
        high = (0, 0, full[0] - low[2] - (oh - 1) * s[0] - 1, full[1] - low[3] - (ow - 1) * s[1] - 1)
        part = movement.pad(part, low=low, high=high, interior=(0, 0, s[0] - 1, s[1] - 1), value=0.0)
        total = part if total is None else e.add(total, part)
    return movement.slice_(total, starts=(0, 0, *p), sizes=(n, c, h, w), strides=(1,) * 4)


def _bins(size: int, parts: int) -> list[tuple[int, int]]:
    """Start and end of `parts` bins that cover `size` cells; neighbours may overlap."""
    return [(i * size // parts, -((-(i + 1) * size) // parts)) for i in range(parts)]


def _adaptive(name: str, inputs, output_size, data_format, reduce_axis):
    x = to_float(inputs)
    data_format = _format(name, data_format)
    x = _channels_last(x, data_format)
    n = len(x.spec.shape) - 2
    for axis, parts in enumerate(_each(name, "output_size", output_size, n), 1):
        x = reduce_axis(x, axis, _bins(x.spec.shape[axis], parts))
    return _back(x, data_format)


def _averaged(x: Tensor, axis: int, bins) -> Tensor:
    """Means of bins of an axis: a product with the matrix of shares."""
    shares = np.zeros((x.spec.shape[axis], len(bins)))
    for k, (start, end) in enumerate(bins):
        shares[start:end, k] = 1 / (end - start)
    moved = moveaxis(x, axis, -1)
    flat = movement.reshape(moved, shape=(math.prod(moved.spec.shape[:-1]), moved.spec.shape[-1]))
    y = matrix.matmul(flat, to_tensor(shares, x.spec.dtype), transpose_a=False, transpose_b=False)
    return moveaxis(movement.reshape(y, shape=(*moved.spec.shape[:-1], len(bins))), -1, axis)


def _largest(x: Tensor, axis: int, bins) -> Tensor:
    from nnlite.ops.joining import part_along

    parts = [reduce.max(part_along(x, axis, start, end - start), axes=(axis,), keepdims=True) for start, end in bins]
    return movement.concatenate(*parts, axis=axis)


@public
def adaptive_average_pool(inputs, output_size, data_format=None):
    """Means over bins chosen so that the spatial axes get `output_size`."""
    return _adaptive("adaptive_average_pool", inputs, output_size, data_format, _averaged)


@public
def adaptive_max_pool(inputs, output_size, data_format=None):
    """Maxima over bins chosen so that the spatial axes get `output_size`."""
    return _adaptive("adaptive_max_pool", inputs, output_size, data_format, _largest)


@public
def rearrange(tensor, pattern, **axes_lengths):
    """Axes named, split and joined by a pattern such as "b (h p) c -> b h (p c)"; sizes that cannot be inferred are given by name.

    >>> import nnlite
    >>> nnlite.ops.rearrange(nnlite.ops.ones((2, 6)), "b (h w) -> h b w", w=2).shape
    (3, 2, 2)
    """
    x = to_tensor(tensor)
    left, arrow, right = pattern.partition("->")
    before, after = _groups(left), _groups(right)
    if not arrow or len(before) != len(x.spec.shape):
        raise ValueError(f"rearrange() takes a pattern with one name or group per axis; {pattern!r} does not fit shape {x.spec.shape}.")
    sizes = dict(axes_lengths)
    for group, dim in zip(before, x.spec.shape):
        _infer(group, dim, sizes, pattern)
    names = [name for group in before for name in group]
    wanted = [name for group in after for name in group]
    if sorted(names) != sorted(wanted) or len(set(names)) != len(names):
        raise ValueError(f"rearrange() keeps every name exactly once; the sides of {pattern!r} differ.")
    x = movement.reshape(x, shape=tuple(sizes[name] for name in names))
    x = transpose(x, [names.index(name) for name in wanted]) if names else x
    return movement.reshape(x, shape=tuple(math.prod(sizes[name] for name in group) for group in after))


def _groups(side: str) -> list[list[str]]:
    """ "b (h w) 1" as [["b"], ["h", "w"], []]."""
    groups, current = [], None
    for token in side.replace("(", " ( ").replace(")", " ) ").split():
        if token == "(":
            current = []
        elif token == ")":
            groups.append(current or [])
            current = None
        elif current is not None:
            current.append(token)
        else:
            groups.append([] if token == "1" else [token])
    return groups


def _infer(group: list[str], dim: int, sizes: dict, pattern: str) -> None:
    unknown = [name for name in group if name not in sizes]
    known = math.prod(sizes[name] for name in group if name in sizes)
    if len(unknown) > 1 or (dim % known if unknown else dim != known):
        raise ValueError(
            f"rearrange() cannot split an axis of {dim} into ({' '.join(group)}) in {pattern!r}; known sizes: {sizes}. Give more sizes by name."
        )
    if unknown:
        sizes[unknown[0]] = dim // known
