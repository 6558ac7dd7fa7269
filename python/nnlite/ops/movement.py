"""Primitives that move elements without computing: reshape, transpose, slice, pad, concatenate and so on."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, primitive, variadic
from nnlite.graph.spec import Spec
from nnlite.ops.elementwise import unbroadcast


def _no_flops(inputs, outputs, attributes):
    return 0.0


_MOVES = Traits(cost=_no_flops)


@primitive(
    gradients=(lambda node, dy: reshape(dy, shape=node.inputs[0].spec.shape),),
    reference=lambda x, shape: x.reshape(shape),
    traits=Traits(view=True, in_place=((0, 0),), cost=_no_flops),
)
def reshape(x, *, shape):
    """The same elements in row-major order under another shape."""
    if math.prod(shape) != x.size:
        raise ValueError(
            f"reshape() keeps the number of elements: shape {x.shape} has {x.size}, the new shape {tuple(shape)} has {math.prod(shape)}."
        )
    return Spec(tuple(shape), x.dtype)


def inverse_permutation(axes) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    inverse = [0] * len(axes)
    for i, axis in enumerate(axes):
        inverse[axis] = i
    return tuple(inverse)


@primitive(
    gradients=(lambda node, dy: transpose(dy, axes=inverse_permutation(node.attributes["axes"])),),
    reference=lambda x, axes: np.transpose(x, axes),
    traits=_MOVES,
)
def transpose(x, *, axes):
    """Axis i of the result is axis axes[i] of x."""
    if sorted(axes) != list(range(len(x.shape))):
        raise ValueError(f"transpose() takes a permutation of all {len(x.shape)} axes of shape {x.shape}; received axes={tuple(axes)}.")
    return Spec(tuple(x.shape[axis] for axis in axes), x.dtype)


@primitive(
    gradients=(lambda node, dy: unbroadcast(dy, node.inputs[0].spec.shape),),
    reference=lambda x, shape: np.broadcast_to(x, shape),
    traits=_MOVES,
)
def broadcast_to(x, *, shape):
    """Repeats x along axes of size 1 and new leading axes."""
    extra = len(shape) - len(x.shape)
    if extra < 0 or any(dim not in (1, shape[i + extra]) for i, dim in enumerate(x.shape)):
        raise ValueError(f"broadcast_to() repeats axes of size 1 and adds leading axes; shape {x.shape} does not broadcast to {tuple(shape)}.")
    return Spec(tuple(shape), x.dtype)


@primitive(gradients=(lambda node, dy: reverse(dy, axes=node.attributes["axes"]),), reference=lambda x, axes: np.flip(x, axes), traits=_MOVES)
def reverse(x, *, axes):
    """Reverses the order of elements along axes."""
    if any(not 0 <= axis < len(x.shape) for axis in axes):
        raise ValueError(f"reverse() takes axes between 0 and {len(x.shape) - 1} for shape {x.shape}; received {tuple(axes)}.")
    return x


def _slice_reference(x, starts, sizes, strides):
    return x[tuple(slice(s, s + n * t, t) if n else slice(0, 0) for s, n, t in zip(starts, sizes, strides))]


def _slice_gradient(node, dy):
    given = node.attributes
    low, high = [], []
    for dim, start, size, stride in zip(node.inputs[0].spec.shape, given["starts"], given["sizes"], given["strides"]):
        covered = (size - 1) * stride + 1 if size else 0
        low.append(start)
        high.append(dim - start - covered)
    return pad(dy, low=tuple(low), high=tuple(high), interior=tuple(t - 1 for t in given["strides"]), value=0.0)


@primitive(gradients=(_slice_gradient,), reference=_slice_reference, traits=_MOVES, name="slice")
def slice_(x, *, starts, sizes, strides):
    """sizes[i] elements along axis i, from starts[i] on, every strides[i]-th."""
    for dim, start, size, stride in zip(x.shape, starts, sizes, strides, strict=True):
        if start < 0 or size < 0 or stride < 1 or (size and start + (size - 1) * stride >= dim) or start > dim:
            raise ValueError(
                f"slice() must stay inside its input: shape {x.shape} with starts={tuple(starts)}, sizes={tuple(sizes)}, strides={tuple(strides)}. "
                "Starts and sizes must be >= 0, strides >= 1."
            )
    return Spec(tuple(sizes), x.dtype)


def padded_dim(dim: int, low: int, high: int, interior: int) -> int:
    """Size of an axis after padding."""
    return low + high + dim + max(dim - 1, 0) * interior


def _pad_reference(x, low, high, interior, value):
    shape = tuple(padded_dim(*dims) for dims in zip(x.shape, low, high, interior))
    out = np.full(shape, value, x.dtype)
    if x.size:
        out[tuple(slice(a, a + (n - 1) * (t + 1) + 1, t + 1) for n, a, t in zip(x.shape, low, interior))] = x
    return out


def _pad_gradient(node, dy):
    given = node.attributes
    return slice_(dy, starts=given["low"], sizes=node.inputs[0].spec.shape, strides=tuple(t + 1 for t in given["interior"]))


@primitive(gradients=(_pad_gradient,), reference=_pad_reference, traits=_MOVES)
def pad(x, *, low, high, interior, value):
    """Puts `value` low[i] times before, high[i] times after and interior[i] times between the elements of axis i."""
    for counts in zip(low, high, interior, strict=True):
        if min(counts) < 0:
            raise ValueError(f"pad() takes counts >= 0; received low={tuple(low)}, high={tuple(high)}, interior={tuple(interior)}. Use slice to cut.")
    if len(low) != len(x.shape):
        raise ValueError(f"pad() takes one count per axis of shape {x.shape}; received low={tuple(low)}.")
    return Spec(tuple(padded_dim(*dims) for dims in zip(x.shape, low, high, interior)), x.dtype)


def _concatenate_gradient(node, i, dy):
    axis = node.attributes["axis"]
    shape = node.inputs[i].spec.shape
    starts = [0] * len(shape)
    starts[axis] = sum(t.spec.shape[axis] for t in node.inputs[:i])
    return slice_(dy, starts=tuple(starts), sizes=shape, strides=(1,) * len(shape))


@primitive(gradients=variadic(_concatenate_gradient), reference=lambda *xs, axis: np.concatenate(xs, axis), traits=_MOVES)
def concatenate(*xs, axis):
    """Joins tensors along an axis; all other axes agree."""
    first = xs[0]
    for x in xs:
        others = x.shape[:axis] + x.shape[axis + 1 :]
        if (
            x.dtype != first.dtype
            or len(x.shape) != len(first.shape)
            or not 0 <= axis < len(x.shape)
            or others != first.shape[:axis] + first.shape[axis + 1 :]
        ):
            raise ValueError(f"concatenate() takes tensors of one dtype and equal shapes outside axis {axis}; received {first} and {x}.")
    return Spec(first.shape[:axis] + (sum(x.shape[axis] for x in xs),) + first.shape[axis + 1 :], first.dtype)
