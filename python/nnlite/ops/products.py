"""Products of vectors, matrices and higher tensors."""

from __future__ import annotations

import math

import numpy as np

from nnlite.ops import elementwise as e, matrix, movement, reduce
from nnlite.ops._convert import axis_of, pair
from nnlite.ops._public import public
from nnlite.tensor import Tensor


@public
def matmul(x1, x2):
    """Matrix product over the last axis of x1 and the last but one of x2; leading axes broadcast, vectors count as a row or a column.

    >>> import nnlite
    >>> nnlite.ops.matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    a, b = pair(x1, x2)
    if not a.spec.shape or not b.spec.shape:
        raise ValueError(
            f"matmul() takes tensors with at least one axis; received shapes {a.spec.shape} and {b.spec.shape}. Use multiply for scalars."
        )
    if a.spec.dtype == "bool":
        return e.cast(matmul(e.cast(a, dtype="int32"), e.cast(b, dtype="int32")), dtype="bool")
    if a.spec.dtype in ("int8", "uint8"):
        a, b = e.cast(a, dtype="int32"), e.cast(b, dtype="int32")
    return product(a, b)


def product(a: Tensor, b: Tensor) -> Tensor:
    """`matmul` of two tensors of one dtype."""
    rank_a, rank_b = len(a.spec.shape), len(b.spec.shape)
    if rank_b == 2 and rank_a > 2:  # one large product instead of many small ones
        flat = movement.reshape(a, shape=(math.prod(a.spec.shape[:-1]), a.spec.shape[-1]))
        return movement.reshape(_plain(flat, b), shape=(*a.spec.shape[:-1], b.spec.shape[1]))
    left = movement.reshape(a, shape=(1, a.spec.shape[0])) if rank_a == 1 else a
    right = movement.reshape(b, shape=(b.spec.shape[0], 1)) if rank_b == 1 else b
    y = _plain(left, right)
    if rank_a == 1 or rank_b == 1:
        dims = y.spec.shape
        y = movement.reshape(y, shape=dims[:-2] + (() if rank_a == 1 else dims[-2:-1]) + (() if rank_b == 1 else dims[-1:]))
    return y


def _plain(a: Tensor, b: Tensor) -> Tensor:
    return matrix.matmul(a, b, transpose_a=False, transpose_b=False)


@public
def dot(x1, x2):
    """Sum of products over the last axis of x1 and the last but one (or only) axis of x2; a scalar multiplies."""
    a, b = pair(x1, x2, "int")
    rank_a, rank_b = len(a.spec.shape), len(b.spec.shape)
    if not rank_a or not rank_b:
        return e.multiply(a, b)
    return tensordot(a, b, ([rank_a - 1], [max(rank_b - 2, 0)]))


@public
def tensordot(x1, x2, axes=2):
    """Sum of products over pairs of axes: the last `axes` of x1 with the first of x2, or the listed ones."""
    a, b = pair(x1, x2, "int")
    rank_a, rank_b = len(a.spec.shape), len(b.spec.shape)
    if isinstance(axes, (int, np.integer)):
        over_a, over_b = list(range(rank_a - axes, rank_a)), list(range(axes))
    else:
        over_a, over_b = ([x] if isinstance(x, (int, np.integer)) else list(x) for x in axes)
    over_a = [axis_of("tensordot", x, rank_a) for x in over_a]
    over_b = [axis_of("tensordot", x, rank_b) for x in over_b]
    if [a.spec.shape[x] for x in over_a] != [b.spec.shape[x] for x in over_b]:
        raise ValueError(f"tensordot() sums over axes of equal sizes; received shapes {a.spec.shape} and {b.spec.shape} with axes={axes}.")
    free_a, free_b = [x for x in range(rank_a) if x not in over_a], [x for x in range(rank_b) if x not in over_b]
    depth = math.prod(a.spec.shape[x] for x in over_a)
    kept = tuple(a.spec.shape[x] for x in free_a) + tuple(b.spec.shape[x] for x in free_b)
    left = movement.reshape(_ordered(a, free_a + over_a), shape=(math.prod(a.spec.shape[x] for x in free_a), depth))
    right = movement.reshape(_ordered(b, over_b + free_b), shape=(depth, math.prod(b.spec.shape[x] for x in free_b)))
    return movement.reshape(_plain(left, right), shape=kept)


def _ordered(t: Tensor, order) -> Tensor:
    return t if list(order) == sorted(order) else movement.transpose(t, axes=tuple(order))


@public
def inner(x1, x2):
    """Sum of products over the last axes of both."""
    a, b = pair(x1, x2, "int")
    if not a.spec.shape or not b.spec.shape:
        return e.multiply(a, b)
    return tensordot(a, b, ([-1], [-1]))


@public
def vdot(x1, x2):
    """Sum of products of all elements."""
    a, b = pair(x1, x2, "int")
    flat = e.multiply(movement.reshape(a, shape=(a.spec.size,)), movement.reshape(b, shape=(b.spec.size,)))
    return reduce.sum(flat, axes=(0,), keepdims=False)


@public
def outer(x1, x2):
    """All products of an element of x1 with one of x2, [size of x1, size of x2]."""
    a, b = pair(x1, x2, "int")
    return e.multiply(movement.reshape(a, shape=(a.spec.size, 1)), movement.reshape(b, shape=(1, b.spec.size)))


@public
def kron(x1, x2):
    """Kronecker product."""
    a, b = pair(x1, x2, "int")
    rank = max(len(a.spec.shape), len(b.spec.shape))
    da, db = ((1,) * (rank - len(t.spec.shape)) + t.spec.shape for t in (a, b))
    a = movement.reshape(a, shape=tuple(s for d in da for s in (d, 1)))
    b = movement.reshape(b, shape=tuple(s for d in db for s in (1, d)))
    return movement.reshape(e.multiply(a, b), shape=tuple(x * y for x, y in zip(da, db)))


@public
def cross(x1, x2, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """Cross product of vectors of 3 (or 2) elements along an axis."""
    from nnlite.ops.core import unstack
    from nnlite.ops.joining import stack

    a, b = pair(x1, x2, "int")
    axisa, axisb, axisc = (axis, axis, axis) if axis is not None else (axisa, axisb, axisc)
    u, v = unstack(a, axis=axisa), unstack(b, axis=axisb)
    if len(u) not in (2, 3) or len(v) not in (2, 3):
        raise ValueError(f"cross() takes vectors of 2 or 3 elements; received {len(u)} and {len(v)}.")

    def minor(i, j):
        return e.subtract(e.multiply(u[i], v[j]), e.multiply(u[j], v[i]))

    if len(u) == len(v) == 2:
        return minor(0, 1)
    u, v = (t if len(t) == 3 else [*t, e.subtract(t[0], t[0])] for t in (u, v))
    return stack([minor(1, 2), minor(2, 0), minor(0, 1)], axis=axisc)


@public
def trace(x, offset=0, axis1=0, axis2=1):
    """Sum along a diagonal."""
    from nnlite.ops.diagonals import diagonal
    from nnlite.ops.reductions import sum as total

    return total(diagonal(x, offset, axis1, axis2), -1)


def contract(a: Tensor, b: Tensor, left: str, right: str, out: str) -> Tensor:
    """einsum of two operands whose subscripts have no repeated letter: one batched matrix product."""
    size = {**dict(zip(left, a.spec.shape)), **dict(zip(right, b.spec.shape))}
    a, left = _summed_alone(a, left, right + out)
    b, right = _summed_alone(b, right, left + out)
    batch = [c for c in left if c in right and c in out]
    over = [c for c in left if c in right and c not in out]
    rows, columns = [c for c in left if c not in right], [c for c in right if c not in left]

    def many(letters):
        return math.prod(size[c] for c in letters)

    if not over:  # nothing is summed: an elementwise product
        a, b = _arranged(a, left, out, size), _arranged(b, right, out, size)
        return e.multiply(a, b)
    a = movement.reshape(_ordered(a, [left.index(c) for c in batch + rows + over]), shape=(*[size[c] for c in batch], many(rows), many(over)))
    b = movement.reshape(_ordered(b, [right.index(c) for c in batch + over + columns]), shape=(*[size[c] for c in batch], many(over), many(columns)))
    y = movement.reshape(_plain(a, b), shape=tuple(size[c] for c in batch + rows + columns))
    order = batch + rows + columns
    return _ordered(y, [order.index(c) for c in out])


def _summed_alone(t: Tensor, letters: str, used: str):
    """Sums over the letters that occur nowhere else."""
    alone = tuple(i for i, c in enumerate(letters) if c not in used)
    if not alone:
        return t, letters
    return reduce.sum(t, axes=alone, keepdims=False), "".join(c for c in letters if c in used)


def _arranged(t: Tensor, letters: str, out: str, size) -> Tensor:
    """Axes in the order of `out`, with size 1 where a letter is missing."""
    here = [c for c in out if c in letters]
    t = _ordered(t, [letters.index(c) for c in here])
    return movement.reshape(t, shape=tuple(size[c] if c in letters else 1 for c in out))


@public
def einsum(subscripts, *operands, **kwargs):
    """Sums of products by index letters, e.g. "bij,bjk->bik"; "..." stands for further axes.

    >>> import nnlite
    >>> nnlite.ops.einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0]).tolist()
    [11.0]
    """
    from nnlite.ops._einsum import run

    return run(subscripts, operands)
