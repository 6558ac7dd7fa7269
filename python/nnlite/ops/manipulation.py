"""Changing the arrangement of elements."""

from __future__ import annotations

import math

import numpy as np

from nnlite.ops import elementwise as e, movement
from nnlite.ops._convert import axes_of, axis_of, static_ints, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.joining import at_least, part_along
from nnlite.tensor import Tensor


@public
def reshape(x, newshape):
    """The same elements in row-major order under another shape; one size may be -1.

    Sizes taken from a symbolic tensor's shape may be None: one alone is inferred, several stand for the sizes of x at the same axes.

    >>> import nnlite
    >>> nnlite.ops.reshape([1, 2, 3, 4], (2, -1)).tolist()
    [[1, 2], [3, 4]]
    """
    x = to_tensor(x)
    if isinstance(newshape, (tuple, list)) and any(dim is None for dim in newshape):
        newshape = _known_sizes(x.spec.shape, newshape)
    shape = static_ints("reshape", "newshape", newshape)
    if -1 in shape:
        shape = _filled_in(x.spec.shape, x.spec.size, shape)
    return x if shape == x.spec.shape else movement.reshape(x, shape=shape)


def _known_sizes(old, new) -> list:
    """`new` without None."""
    if sum(dim is None for dim in new) == 1 and -1 not in [dim for dim in new if isinstance(dim, int)]:
        return [-1 if dim is None else dim for dim in new]
    if any(dim is None and axis >= len(old) for axis, dim in enumerate(new)):
        raise ValueError(f"reshape() reads None as the size of x at the same axis; shape {old} has no such axis for newshape={tuple(new)}. Use -1.")
    return [old[axis] if dim is None else dim for axis, dim in enumerate(new)]


def _filled_in(old, size: int, shape) -> tuple[int, ...]:
    known = math.prod(dim for dim in shape if dim != -1)
    if shape.count(-1) > 1 or (size % known if known else size):
        raise ValueError(f"reshape() can infer one size: shape {old} with {size} elements does not fit newshape={shape}.")
    return tuple((size // known if known else 0) if dim == -1 else dim for dim in shape)


@public
def ravel(x):
    """The elements in one axis, row-major."""
    x = to_tensor(x)
    return movement.reshape(x, shape=(x.spec.size,))


@public
def transpose(x, axes=None):
    """Axes in the given order (None: reversed).

    >>> import nnlite
    >>> nnlite.ops.transpose([[1, 2], [3, 4]]).tolist()
    [[1, 3], [2, 4]]
    """
    x = to_tensor(x)
    rank = len(x.spec.shape)
    if axes is None:
        order = tuple(range(rank))[::-1]
    else:
        order = tuple(axis_of("transpose", axis, rank) for axis in axes)
    return x if order == tuple(range(rank)) else movement.transpose(x, axes=order)


@public
def moveaxis(x, source, destination):
    """Moves axes to new places; the others keep their order."""
    x = to_tensor(x)
    rank = len(x.spec.shape)
    sources = [axis_of("moveaxis", a, rank) for a in static_ints("moveaxis", "source", source)]
    targets = [axis_of("moveaxis", a, rank) for a in static_ints("moveaxis", "destination", destination)]
    if len(sources) != len(targets):
        raise ValueError(f"moveaxis() takes as many sources as destinations; received source={source}, destination={destination}.")
    order = [a for a in range(rank) if a not in sources]
    for target, axis in sorted(zip(targets, sources)):
        order.insert(target, axis)
    return transpose(x, order)


@public
def swapaxes(x, axis1, axis2):
    """Exchanges two axes."""
    x = to_tensor(x)
    order = list(range(len(x.spec.shape)))
    i, j = (axis_of("swapaxes", a, len(order)) for a in (axis1, axis2))
    order[i], order[j] = j, i
    return transpose(x, order)


@public
def expand_dims(x, axis):
    """Puts axes of size 1 at the given places of the result.

    >>> import nnlite
    >>> nnlite.ops.expand_dims([1, 2], -1).shape
    (2, 1)
    """
    x = to_tensor(x)
    axis = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = len(x.spec.shape) + len(axis)
    places = sorted({axis_of("expand_dims", a, rank) for a in axis})
    dims = list(x.spec.shape)
    for place in places:
        dims.insert(place, 1)
    return movement.reshape(x, shape=tuple(dims))


@public
def squeeze(x, axis=None):
    """Removes axes of size 1 (None: all of them)."""
    x = to_tensor(x)
    dims = x.spec.shape
    axes = tuple(i for i, dim in enumerate(dims) if dim == 1) if axis is None else axes_of("squeeze", axis, len(dims))
    for axis in axes:
        if dims[axis] != 1:
            raise ValueError(f"squeeze() removes axes of size 1; axis {axis} of shape {dims} has size {dims[axis]}. Leave it out.")
    return movement.reshape(x, shape=tuple(dim for i, dim in enumerate(dims) if i not in axes))


@public
def broadcast_to(x, shape):
    """Repeats x along axes of size 1 and new leading axes."""
    x = to_tensor(x)
    shape = static_ints("broadcast_to", "shape", shape)
    return x if shape == x.spec.shape else movement.broadcast_to(x, shape=shape)


@public
def tile(x, repeats):
    """The whole tensor repeated along each axis.

    >>> import nnlite
    >>> nnlite.ops.tile([1, 2], 2).tolist()
    [1, 2, 1, 2]
    """
    x = to_tensor(x)
    repeats = static_ints("tile", "repeats", repeats)
    rank = max(len(repeats), len(x.spec.shape))
    x = at_least(x, rank)
    repeats = (1,) * (rank - len(repeats)) + repeats
    if all(r == 1 for r in repeats):
        return x
    dims = x.spec.shape
    x = movement.reshape(x, shape=tuple(size for dim in dims for size in (1, dim)))
    x = movement.broadcast_to(x, shape=tuple(size for r, dim in zip(repeats, dims) for size in (r, dim)))
    return movement.reshape(x, shape=tuple(r * dim for r, dim in zip(repeats, dims)))


@public
def repeat(x, repeats, axis=None):
    """Each element repeated along an axis (None: of the flattened tensor); `repeats` may give a count per element.

    >>> import nnlite
    >>> nnlite.ops.repeat([1, 2], 2).tolist()
    [1, 1, 2, 2]
    """
    x = to_tensor(x) if axis is not None else ravel(x)
    axis = axis_of("repeat", 0 if axis is None else axis, len(x.spec.shape))
    counts = static_ints("repeat", "repeats", repeats)
    dims = x.spec.shape
    if len(counts) > 1:
        if len(counts) != dims[axis]:
            raise ValueError(f"repeat() takes one count, or one per element of axis {axis} (size {dims[axis]}); received {len(counts)} counts.")
        from nnlite.ops.indexing import take

        return take(x, np.repeat(np.arange(dims[axis], dtype="int32"), counts), axis)
    n = counts[0]
    x = movement.reshape(x, shape=dims[: axis + 1] + (1,) + dims[axis + 1 :])
    x = movement.broadcast_to(x, shape=dims[: axis + 1] + (n,) + dims[axis + 1 :])
    return movement.reshape(x, shape=dims[:axis] + (dims[axis] * n,) + dims[axis + 1 :])


@public
def flip(x, axis=None):
    """Reverses the order along axes (None: all)."""
    x = to_tensor(x)
    return movement.reverse(x, axes=axes_of("flip", axis, len(x.spec.shape)))


@public
def fliplr(x):
    """Reverses the second axis."""
    return flip(x, 1)


@public
def flipud(x):
    """Reverses the first axis."""
    return flip(x, 0)


@public
def rot90(array, k=1, axes=(0, 1)):
    """Turns by k quarters in the plane of two axes, from the first towards the second."""
    x = to_tensor(array)
    first, second = (axis_of("rot90", a, len(x.spec.shape)) for a in axes)
    if first == second:
        raise ValueError(f"rot90() takes two different axes; received axes={tuple(axes)}.")
    turns = k % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if turns == 1 else flip(swapaxes(x, first, second), second)


@public
def roll(x, shift, axis=None):
    """Shifts elements along axes; those that leave at one end enter at the other."""
    x = to_tensor(x)
    if axis is None:
        return movement.reshape(roll(ravel(x), shift, 0), shape=x.spec.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    for amount, one in zip(shifts, axes, strict=True):
        one = axis_of("roll", one, len(x.spec.shape))
        dim = x.spec.shape[one]
        amount = int(amount) % dim if dim else 0
        if amount:
            x = movement.concatenate(part_along(x, one, dim - amount, amount), part_along(x, one, 0, dim - amount), axis=one)
    return x


def _pairs(name: str, pad_width, rank: int) -> list[tuple[int, int]]:
    width = np.asarray(pad_width)
    if width.dtype.kind not in "iu":
        raise ValueError(f"{name}() takes integer pad_width; received {pad_width!r}.")
    try:
        return [tuple(int(v) for v in p) for p in np.broadcast_to(width.reshape(-1, 1) if width.ndim == 1 and width.size == 1 else width, (rank, 2))]
    except ValueError:
        raise ValueError(
            f"{name}() takes pad_width as n, (before, after) or one such pair per axis; received {pad_width!r} for {rank} axes."
        ) from None


@public
def pad(x, pad_width, mode="constant", constant_values=None):
    """Adds elements around x.

    Args:
        pad_width: n, (before, after), or one pair per axis.
        mode: "constant" (`constant_values`, default 0), "reflect", "symmetric", "edge" or "wrap".

    >>> import nnlite
    >>> nnlite.ops.pad([1, 2], (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    x = to_tensor(x)
    pairs = _pairs("pad", pad_width, len(x.spec.shape))
    if mode != "constant":
        return _pad_by_copy(x, pairs, mode, constant_values)
    if not pairs:
        return x
    low, high = zip(*pairs)
    zeros = (0,) * len(low)
    if constant_values is None or isinstance(constant_values, (int, float)):
        return movement.pad(x, low=low, high=high, interior=zeros, value=float(constant_values or 0))
    inside = movement.pad(scalar_ones(x), low=low, high=high, interior=zeros, value=0.0)
    return e.where(inside, movement.pad(x, low=low, high=high, interior=zeros, value=0.0), to_tensor(constant_values, x.spec.dtype))


def scalar_ones(x: Tensor) -> Tensor:
    """True in the shape of x."""
    return movement.broadcast_to(scalar(True, "bool"), shape=x.spec.shape)


def _pad_by_copy(x: Tensor, pairs, mode: str, constant_values) -> Tensor:
    if mode not in ("reflect", "symmetric", "edge", "wrap") or constant_values is not None:
        raise ValueError(
            'pad() takes mode "constant", "reflect", "symmetric", "edge" or "wrap", and constant_values with "constant" only; '
            f"received mode={mode!r}, "
            f"constant_values={constant_values!r}."
        )
    from nnlite.ops.indexing import take

    for axis, (before, after) in enumerate(pairs):
        if before or after:
            x = take(x, np.pad(np.arange(x.spec.shape[axis], dtype="int32"), (before, after), mode), axis)
    return x


@public
def meshgrid(*x, indexing="xy"):
    """Coordinate grids of vectors, a list of tensors."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f'meshgrid() takes indexing "xy" or "ij"; received {indexing!r}.')
    vectors = [ravel(v) for v in x]
    n = len(vectors)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[0], places[1] = 1, 0
    shape = [0] * n
    for vector, place in zip(vectors, places):
        shape[place] = vector.spec.size
    columns = [movement.reshape(v, shape=tuple(v.spec.size if i == place else 1 for i in range(n))) for v, place in zip(vectors, places)]
    return [movement.broadcast_to(c, shape=tuple(shape)) for c in columns]
