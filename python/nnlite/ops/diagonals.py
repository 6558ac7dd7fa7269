"""Diagonals and triangles of matrices."""

from __future__ import annotations

import numpy as np

from nnlite.ops import elementwise as e, index, movement
from nnlite.ops._convert import axis_of, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.manipulation import moveaxis, ravel
from nnlite.tensor import Tensor


def _diagonal_positions(rows: int, columns: int, k: int) -> np.ndarray:
    i = np.arange(max(-k, 0), rows)
    i = i[i + k < columns]
    return (i * columns + i + k).astype("int32")


@public
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The elements of a diagonal of two axes, as a new last axis."""
    x = to_tensor(x)
    rank = len(x.spec.shape)
    i, j = (axis_of("diagonal", a, rank) for a in (axis1, axis2))
    x = moveaxis(x, (i, j), (0, 1))
    rows, columns, *rest = x.spec.shape
    flat = movement.reshape(x, shape=(rows * columns, *rest))
    return moveaxis(index.take_rows(flat, to_tensor(_diagonal_positions(rows, columns, offset))), 0, -1)


@public
def diag(x, k=0):
    """The k-th diagonal of a matrix, or the matrix with a vector on its k-th diagonal."""
    x = to_tensor(x)
    if len(x.spec.shape) == 2:
        return diagonal(x, k)
    if len(x.spec.shape) != 1:
        raise ValueError(f"diag() takes a vector or a matrix; received shape {x.spec.shape}. Use diagonal for more axes.")
    n, size = x.spec.size, x.spec.size + abs(k)
    column = movement.reshape(x, shape=(n, 1))
    tall = movement.pad(column, low=(max(-k, 0), 0), high=(max(k, 0), 0), interior=(0, 0), value=0.0)
    on_diagonal = np.eye(size, size, k, dtype=bool)
    return e.where(to_tensor(on_diagonal), movement.broadcast_to(tall, shape=(size, size)), scalar(0, x.spec.dtype))


@public
def diagflat(x, k=0):
    """The matrix with the flattened x on its k-th diagonal."""
    return diag(ravel(x), k)


def _triangle(name: str, x, mask) -> Tensor:
    x = to_tensor(x)
    if len(x.spec.shape) < 2:
        raise ValueError(f"{name}() takes a tensor with at least 2 axes; received shape {x.spec.shape}.")
    return e.where(to_tensor(mask(x.spec.shape[-2:])), x, scalar(0, x.spec.dtype))


@public
def tril(x, k=0):
    """The last two axes with zeros above diagonal k.

    >>> import nnlite
    >>> nnlite.ops.tril([[1, 2], [3, 4]]).tolist()
    [[1, 0], [3, 4]]
    """
    return _triangle("tril", x, lambda shape: np.tri(*shape, k, dtype=bool))


@public
def triu(x, k=0):
    """The last two axes with zeros below diagonal k."""
    return _triangle("triu", x, lambda shape: ~np.tri(*shape, k - 1, dtype=bool))


@public
def vander(x, N=None, increasing=False):
    """Powers of the elements of a vector, one column each: x**(N-1) ... x**0, or the other way round."""
    from nnlite.ops.arithmetic import power

    x = to_tensor(x)
    n = x.spec.size if N is None else int(N)
    exponents = np.arange(n, dtype="int32") if increasing else np.arange(n, dtype="int32")[::-1]
    return power(movement.reshape(x, shape=(x.spec.size, 1)), to_tensor(np.ascontiguousarray(exponents)))
