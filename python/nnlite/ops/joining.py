"""Joining and cutting tensors."""

from __future__ import annotations

import numpy as np

from nnlite.ops import movement
from nnlite.ops._convert import all_same, axis_of, static_ints, to_tensor
from nnlite.ops._public import public
from nnlite.tensor import Tensor


def at_least(x, rank: int) -> Tensor:
    """x with axes of size 1 in front until it has `rank` axes."""
    x = to_tensor(x)
    return x if len(x.spec.shape) >= rank else movement.reshape(x, shape=(1,) * (rank - len(x.spec.shape)) + x.spec.shape)


@public
def concatenate(xs, axis=0):
    """Joins tensors along an axis.

    >>> import nnlite
    >>> nnlite.ops.concatenate([[1, 2], [3]]).tolist()
    [1, 2, 3]
    """
    tensors = all_same(_listed("concatenate", xs))
    return movement.concatenate(*tensors, axis=axis_of("concatenate", axis, len(tensors[0].spec.shape)))


def _listed(name: str, xs) -> list:
    if isinstance(xs, (Tensor, np.ndarray)):
        return list(xs)
    if not isinstance(xs, (list, tuple)) or not xs:
        raise ValueError(f"{name}() takes a list of one or more tensors; received {xs!r}.")
    return list(xs)


@public
def stack(x, axis=0):
    """Joins tensors of one shape along a new axis.

    >>> import nnlite
    >>> nnlite.ops.stack([[1, 2], [3, 4]], axis=1).tolist()
    [[1, 3], [2, 4]]
    """
    tensors = all_same(_listed("stack", x))
    shape = tensors[0].spec.shape
    for tensor in tensors:
        if tensor.spec.shape != shape:
            raise ValueError(f"stack() takes tensors of one shape; received {shape} and {tensor.spec.shape}. Use concatenate for different sizes.")
    axis = axis_of("stack", axis, len(shape) + 1)
    expanded = shape[:axis] + (1,) + shape[axis:]
    return movement.concatenate(*[movement.reshape(t, shape=expanded) for t in tensors], axis=axis)


@public
def append(x1, x2, axis=None):
    """x2 after x1 along an axis (None: both flattened)."""
    if axis is not None:
        return concatenate([x1, x2], axis)
    return concatenate([movement.reshape(t, shape=(t.spec.size,)) for t in (to_tensor(x1), to_tensor(x2))])


@public
def hstack(xs):
    """Joins along the second axis, or the first for vectors."""
    tensors = [at_least(x, 1) for x in _listed("hstack", xs)]
    return concatenate(tensors, 0 if len(tensors[0].spec.shape) == 1 else 1)


@public
def vstack(xs):
    """Joins along the first axis; vectors count as rows."""
    return concatenate([at_least(x, 2) for x in _listed("vstack", xs)], 0)


@public
def dstack(xs):
    """Joins along the third axis."""

    def cube(x):
        x = at_least(x, 2)
        return x if len(x.spec.shape) > 2 else movement.reshape(x, shape=(*x.spec.shape, 1))

    return concatenate([cube(x) for x in _listed("dstack", xs)], 2)


def part_along(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """`size` slices along an axis, from `start` on."""
    dims = x.spec.shape
    starts = tuple(start if i == axis else 0 for i in range(len(dims)))
    sizes = tuple(size if i == axis else dim for i, dim in enumerate(dims))
    return movement.slice_(x, starts=starts, sizes=sizes, strides=(1,) * len(dims))


def _split_at(x: Tensor, borders, axis: int) -> list[Tensor]:
    dim = x.spec.shape[axis]
    edges = [0, *(min(max(b + dim if b < 0 else b, 0), dim) for b in borders), dim]
    return [part_along(x, axis, a, max(b - a, 0)) for a, b in zip(edges, edges[1:])]


@public
def split(x, indices_or_sections, axis=0):
    """Cuts along an axis into equal parts (an int) or at positions (a sequence). Returns a list.

    >>> import nnlite
    >>> [t.tolist() for t in nnlite.ops.split([1, 2, 3, 4], 2)]
    [[1, 2], [3, 4]]
    """
    x = to_tensor(x)
    axis = axis_of("split", axis, len(x.spec.shape))
    dim = x.spec.shape[axis]
    if not isinstance(indices_or_sections, (int, np.integer)):
        return _split_at(x, static_ints("split", "indices_or_sections", indices_or_sections), axis)
    n = int(indices_or_sections)
    if n < 1 or dim % n:
        raise ValueError(
            f"split() cuts into equal parts: axis {axis} of shape {x.spec.shape} cannot be cut into {n}. Give positions instead, or use array_split."
        )
    return _split_at(x, [dim // n * k for k in range(1, n)], axis)


@public
def array_split(x, indices_or_sections, axis=0):
    """Cuts along an axis into nearly equal parts: the first ones are longer."""
    x = to_tensor(x)
    axis = axis_of("array_split", axis, len(x.spec.shape))
    if not isinstance(indices_or_sections, (int, np.integer)):
        return _split_at(x, static_ints("array_split", "indices_or_sections", indices_or_sections), axis)
    size, longer = divmod(x.spec.shape[axis], int(indices_or_sections))
    return _split_at(x, [size * k + min(k, longer) for k in range(1, int(indices_or_sections))], axis)


@public
def hsplit(x, indices_or_sections):
    """`split` along the second axis, or the first for vectors."""
    x = to_tensor(x)
    return split(x, indices_or_sections, 0 if len(x.spec.shape) == 1 else 1)


@public
def vsplit(x, indices_or_sections):
    """`split` along the first axis."""
    return split(x, indices_or_sections, 0)


@public
def dsplit(x, indices_or_sections):
    """`split` along the third axis."""
    return split(x, indices_or_sections, 2)
