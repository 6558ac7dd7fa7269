"""Rows of tables: gather and its gradient."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import Spec
from nnlite.ops import elementwise as e, movement
from nnlite.ops._scalars import scalar

_INTS = ("int32", "int64")


def _known(ids, rows):
    return (ids >= 0) & (ids < rows)


def _take_rows_reference(table, ids):
    known = _known(ids, table.shape[0])
    if not table.shape[0]:
        return np.full((*ids.shape, *table.shape[1:]), np.nan if table.dtype.kind == "f" else 0, table.dtype)
    rows = table[np.where(known, ids, 0)]
    missing = np.nan if table.dtype.kind == "f" else 0
    return np.where(known.reshape(ids.shape + (1,) * (table.ndim - 1)), rows, np.asarray(missing).astype(table.dtype))


def _scatter_add_rows_reference(ids, dy, rows):
    known = _known(ids, rows).reshape(-1)
    inner = dy.shape[ids.ndim :]
    out = np.zeros((rows, *inner), dy.dtype)
    np.add.at(out, ids.reshape(-1)[known], dy.reshape(ids.size, *inner)[known])
    return out


@primitive(
    gradients=(lambda node, dy: scatter_add_rows(node.inputs[1], dy, rows=node.inputs[0].spec.shape[0]), no_gradient),
    reference=_take_rows_reference,
    traits=Traits(cost=lambda inputs, outputs, attributes: 0.0),
)
def take_rows(table, ids):
    """table[ids] along the first axis: [*ids, *table.shape[1:]]. An id outside the table gives a row of NaN (0 for ints)."""
    if not table.shape or ids.dtype not in _INTS:
        raise ValueError(f"take_rows() takes a table with at least one axis and int32 or int64 ids; received {table} and {ids}.")
    return Spec(ids.shape + table.shape[1:], table.dtype)


def _scatter_gradient(node, g):
    # Rows that were left out have no gradient, while take_rows would give NaN for them.
    ids, dy = node.inputs
    known = e.logical_and(e.greater_equal(ids, scalar(0, ids.spec.dtype)), e.less(ids, scalar(node.attributes["rows"], ids.spec.dtype)))
    known = movement.reshape(known, shape=ids.spec.shape + (1,) * (len(dy.spec.shape) - len(ids.spec.shape)))
    return e.where(known, take_rows(g, ids), scalar(0.0, g.spec.dtype))


@primitive(gradients=(no_gradient, _scatter_gradient), reference=_scatter_add_rows_reference, traits=Traits(widen=True))
def scatter_add_rows(ids, dy, *, rows):
    """Zeros [rows, ...] to which row dy[i] is added at ids[i]. Ids outside the table are left out."""
    if ids.dtype not in _INTS or dy.shape[: len(ids.shape)] != ids.shape or dy.dtype == "bool":
        raise ValueError(f"scatter_add_rows() takes int32 or int64 ids and rows of numbers shaped [*ids, ...]; received {ids} and {dy}.")
    return Spec((rows, *dy.shape[len(ids.shape) :]), dy.dtype)
