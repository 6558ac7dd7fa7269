"""Sorting, ranking, and functions of sorted values."""

from __future__ import annotations

import numpy as np

from nnlite.ops import elementwise as e, movement, reduce
from nnlite.ops._convert import axis_of, pair, static_ints, to_number, to_tensor
from nnlite.ops._public import public, register
from nnlite.ops.indexing import _take_flat, eager_array
from nnlite.ops.joining import part_along
from nnlite.ops.manipulation import moveaxis
from nnlite.tensor import Tensor


def _last(name: str, x, axis) -> tuple[Tensor, int]:
    """x with the axis moved to the end (None: flattened), and where it came from."""
    x = to_tensor(x)
    if axis is None:
        return movement.reshape(x, shape=(x.spec.size,)), 0
    axis = axis_of(name, axis, len(x.spec.shape))
    return moveaxis(x, axis, -1), axis


@public
def argsort(x, axis=-1):
    """Positions that sort an axis (None: the flattened tensor) in ascending order, int32; equal elements keep their order."""
    x, axis = _last("argsort", x, axis)
    return moveaxis(reduce.argsort(x), -1, axis)


@public
def sort(x, axis=-1):
    """The elements of an axis (None: of the flattened tensor) in ascending order.

    >>> import nnlite
    >>> nnlite.ops.sort([3, 1, 2]).tolist()
    [1, 2, 3]
    """
    x, axis = _last("sort", x, axis)
    return moveaxis(_take_flat(x, reduce.argsort(x), len(x.spec.shape) - 1), -1, axis)


@public
def top_k(x, k, sorted=True):
    """(values, positions) of the k largest elements of the last axis, largest first; the first of equal ones first.

    >>> import nnlite
    >>> values, positions = nnlite.ops.top_k([1.0, 3.0, 2.0], 2)
    >>> values.tolist(), positions.tolist()
    ([3.0, 2.0], [1, 2])
    """
    x = to_number(x)
    if not x.spec.shape or not 0 <= k <= x.spec.shape[-1]:
        raise ValueError(f"top_k() takes k between 0 and the size of the last axis; received k={k} for shape {x.spec.shape}.")
    axis = len(x.spec.shape) - 1
    positions = part_along(reduce.argsort(e.negative(x)), axis, 0, int(k))
    return _take_flat(x, positions, axis), positions


@public
def argpartition(x, kth, axis=-1):
    """Positions ordered so that the kth is where sorting puts it, smaller elements before. Here: the full order."""
    return argsort(x, axis)


@public
def searchsorted(sorted_sequence, values, side="left"):
    """Where to insert `values` into a sorted vector, int32: before ("left") or after ("right") equal elements."""
    if side not in ("left", "right"):
        raise ValueError(f'searchsorted() takes side "left" or "right"; received {side!r}.')
    row, values = pair(sorted_sequence, values, "int")
    if len(row.spec.shape) != 1:
        raise ValueError(f"searchsorted() takes a sorted vector; received shape {row.spec.shape}.")
    column = movement.reshape(values, shape=(*values.spec.shape, 1))
    before = (e.less if side == "left" else e.less_equal)(row, column)
    return reduce.sum(e.cast(before, dtype="int32"), axes=(len(values.spec.shape),), keepdims=False)


@public
def digitize(x, bins):
    """The number of the bin of each element: how many edges are <= it, int32."""
    return searchsorted(to_tensor(bins), x, "right")


@public
def isin(x1, x2, assume_unique=False, invert=False):
    """Whether each element of x1 occurs in x2."""
    a, b = pair(x1, x2)
    column = movement.reshape(a, shape=(*a.spec.shape, 1))
    same = e.equal(column, movement.reshape(b, shape=(b.spec.size,)))
    if not b.spec.size:
        found = e.not_equal(a, a)
    else:
        found = reduce.max(same, axes=(len(a.spec.shape),), keepdims=False)
    return e.logical_not(found) if invert else found


@register
def unique(x, sorted=True, return_index=False, return_inverse=False, return_counts=False, axis=None, size=None, fill_value=None):
    """The different elements in ascending order, and what the flags ask for. Not available in compiled functions.

    Args:
        size: Number of results; missing ones are `fill_value` (default: the smallest), further ones are cut off.
    """
    found = np.unique(eager_array("unique", x), return_index=True, return_inverse=True, return_counts=True, axis=axis)
    values, *details = found
    if size is not None:
        values, details = _sized(values, details, size, fill_value, axis)
    details[1] = details[1].reshape(-1) if axis is not None else details[1].reshape(np.shape(x))
    wanted = [d.astype("int32") for d, flag in zip(details, (return_index, return_inverse, return_counts)) if flag]
    results = tuple(to_tensor(np.ascontiguousarray(r)) for r in (values, *wanted))
    return results if wanted else results[0]


def _sized(values, details, size: int, fill_value, axis):
    along = 0 if axis is None else axis
    missing = size - values.shape[along]
    if missing <= 0:
        keep = np.arange(size)
        return np.take(values, keep, along), [details[0][:size], details[1], details[2][:size]]
    filler = np.take(values, [0] * missing, along) if fill_value is None else np.full_like(np.take(values, [0] * missing, along), fill_value)
    return np.concatenate([values, filler], along), [np.pad(details[0], (0, missing)), details[1], np.pad(details[2], (0, missing))]


@public
def bincount(x, weights=None, minlength=0, sparse=False):
    """How often each integer 0, 1, ... occurs along the last axis (or the sum of its weights). The length is max(x) + 1 or `minlength`.

    In compiled functions the length is `minlength`, which must be given; larger integers are left out.
    """
    from nnlite.ops.crossentropy import one_hot

    if sparse:
        raise ValueError("bincount() makes dense tensors only; received sparse=True. Leave it out.")
    x = to_tensor(x)
    if x.data is None and not minlength:
        raise ValueError("bincount() in a compiled function needs `minlength`: the largest integer is not known while tracing.")
    length = int(minlength) if x.data is None else max(int(x.data.max(initial=-1)) + 1, int(minlength))
    weights = None if weights is None else to_number(weights)
    codes = one_hot(x, length, dtype="int32" if weights is None else weights.spec.dtype)
    if weights is not None:
        codes = e.multiply(codes, movement.reshape(weights, shape=(*weights.spec.shape, 1)))
    return reduce.sum(codes, axes=(len(x.spec.shape) - 1,), keepdims=False)


@register
def histogram(x, bins=10, range=None):
    """(counts, edges) of the elements in equal bins, both float32. Not available in compiled functions."""
    if range is not None and range[0] > range[1]:
        raise ValueError(f"histogram() takes range=(low, high) with low <= high; received {range}.")
    counts, edges = np.histogram(eager_array("histogram", x), bins=static_ints("histogram", "bins", bins)[0], range=range)
    return to_tensor(counts.astype("float32")), to_tensor(edges.astype("float32"))


@register
def unravel_index(indices, shape):
    """Coordinates of flat positions, one int32 tensor per axis."""
    ids = to_tensor(indices, "int32")
    coordinates = []
    for dim in reversed(tuple(shape)):
        size = to_tensor(int(dim), ids.spec.dtype)
        coordinates.append(e.mod(ids, size))
        ids = e.floor_divide(ids, size)
    return tuple(reversed(coordinates))
