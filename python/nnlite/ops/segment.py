"""Scatters and reductions by segment."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e, index, movement, reduce
from nnlite.ops._convert import static_ints, to_number, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.indexing import ids_of
from nnlite.tensor import Tensor


def _segments(name: str, segment_ids, num_segments) -> tuple[Tensor, int]:
    ids = ids_of(name, segment_ids)
    if num_segments is not None:
        return ids, int(num_segments)
    if ids.data is None:
        raise ValueError(f"{name}() in a compiled function needs `num_segments`: the largest id is not known while tracing.")
    return ids, int(ids.data.max(initial=-1)) + 1


@public
def segment_sum(data, segment_ids, num_segments=None, sorted=False):
    """Sums the rows of `data` that have the same id. Negative ids are left out.

    >>> import nnlite
    >>> nnlite.ops.segment_sum([1, 2, 3], [0, 1, 0]).tolist()
    [4, 2]
    """
    ids, rows = _segments("segment_sum", segment_ids, num_segments)
    return index.scatter_add_rows(ids, to_number(data), rows=rows)


def _by_mask(name: str, op, data, segment_ids, num_segments, neutral) -> Tensor:
    """Reduces masked copies, one per segment: for the reductions that have no scatter."""
    ids, rows = _segments(name, segment_ids, num_segments)
    x = to_number(data)
    mask = e.equal(to_tensor(np.arange(rows, dtype=ids.spec.dtype).reshape(rows, 1)), ids)
    mask = movement.reshape(mask, shape=(rows, x.spec.shape[0]) + (1,) * (len(x.spec.shape) - 1))
    return op(e.where(mask, x, scalar(neutral(x.spec.dtype), x.spec.dtype)), axes=(1,), keepdims=False)


def lowest(dtype: str):
    """The smallest value of a dtype."""
    return -math.inf if dtype in FLOATS else int(np.iinfo(dtype).min)


def highest(dtype: str):
    """The largest value of a dtype."""
    return math.inf if dtype in FLOATS else int(np.iinfo(dtype).max)


@public
def segment_max(data, segment_ids, num_segments=None, sorted=False):
    """Largest rows by id; a segment without rows gives the lowest value (-inf)."""
    return _by_mask("segment_max", reduce.max, data, segment_ids, num_segments, lowest)


@public
def segment_min(data, segment_ids, num_segments=None, sorted=False):
    """Smallest rows by id; a segment without rows gives the highest value (inf)."""
    return _by_mask("segment_min", reduce.min, data, segment_ids, num_segments, highest)


@public
def segment_prod(data, segment_ids, num_segments=None, sorted=False):
    """Products of rows by id; a segment without rows gives 1."""
    return _by_mask("segment_prod", reduce.prod, data, segment_ids, num_segments, lambda dtype: 1)


def _flat_positions(name: str, indices, shape) -> tuple[Tensor, tuple[int, ...]]:
    """Row numbers in the leading axes flattened, from indices [..., n] into the first n axes; and the shape of a row."""
    ids = ids_of(name, indices)
    n = ids.spec.shape[-1] if ids.spec.shape else 0
    if not 0 < n <= len(shape):
        raise ValueError(
            f"{name}() takes indices [..., n] into the first n axes of shape {tuple(shape)}; received indices of shape {ids.spec.shape}."
        )
    strides = np.asarray([math.prod(shape[i + 1 : n]) for i in range(n)], ids.spec.dtype)
    last = len(ids.spec.shape) - 1
    flat = reduce.sum(e.multiply(ids, to_tensor(strides)), axes=(last,), keepdims=False)
    zero, sizes = scalar(0, ids.spec.dtype), to_tensor(np.asarray(shape[:n], ids.spec.dtype))
    inside = reduce.min(e.logical_and(e.greater_equal(ids, zero), e.less(ids, sizes)), axes=(last,), keepdims=False)
    return e.where(inside, flat, scalar(-1, ids.spec.dtype)), tuple(shape[n:])


@public
def scatter(indices, values, shape):
    """Zeros of `shape` with `values` added at `indices` [..., n], positions in the first n axes.

    >>> import nnlite
    >>> nnlite.ops.scatter([[0], [2]], [5.0, 6.0], (4,)).tolist()
    [5.0, 0.0, 6.0, 0.0]
    """
    shape = static_ints("scatter", "shape", shape)
    values = to_number(values)
    flat, row = _flat_positions("scatter", indices, shape)
    added = index.scatter_add_rows(flat, values, rows=math.prod(shape[: len(shape) - len(row)]))
    return movement.reshape(added, shape=shape)


_REDUCTIONS = (None, "add", "max", "min", "mul")


@public
def scatter_update(inputs, indices, updates, reduction=None):
    """`inputs` with the elements at `indices` [..., n] replaced by `updates`, or combined by `reduction`: "add", "max", "min" or "mul".

    >>> import nnlite
    >>> nnlite.ops.scatter_update([0, 0, 0], [[1]], [9]).tolist()
    [0, 9, 0]
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"scatter_update() takes a reduction of {_REDUCTIONS}; received {reduction!r}.")
    x = to_tensor(inputs)
    flat, row = _flat_positions("scatter_update", indices, x.spec.shape)
    updates = to_tensor(updates, x.spec.dtype)
    if updates.spec.shape != flat.spec.shape + row:
        raise ValueError(
            f"scatter_update() takes one update per position: indices of shape {to_tensor(indices).spec.shape} into shape {x.spec.shape} "
            f"need updates of shape {flat.spec.shape + row}; received {updates.spec.shape}."
        )
    rows = math.prod(x.spec.shape[: len(x.spec.shape) - len(row)])
    table = movement.reshape(x, shape=(rows, *row))
    ids = movement.reshape(flat, shape=(flat.spec.size,))
    values = movement.reshape(updates, shape=(flat.spec.size, *row))
    return movement.reshape(_combined(table, ids, values, reduction), shape=x.spec.shape)


def _combined(table: Tensor, ids: Tensor, values: Tensor, reduction) -> Tensor:
    rows = table.spec.shape[0]
    if reduction == "add":
        return e.add(table, index.scatter_add_rows(ids, values, rows=rows))
    if reduction == "max":
        return e.maximum(table, segment_max(values, ids, rows))
    if reduction == "min":
        return e.minimum(table, segment_min(values, ids, rows))
    if reduction == "mul":
        return e.multiply(table, segment_prod(values, ids, rows))
    # The last update of a row wins: the largest update number that names it.
    order = to_tensor(np.arange(ids.spec.size, dtype="int32"))
    last = segment_max(order, ids, rows)
    named = e.greater_equal(last, scalar(0, "int32"))
    taken = index.take_rows(values, e.maximum(last, scalar(0, "int32"))) if ids.spec.size else table
    mask = movement.reshape(named, shape=(rows,) + (1,) * (len(table.spec.shape) - 1))
    return e.where(mask, taken, table)
