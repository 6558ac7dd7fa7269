"""Primitives that reduce over axes."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import Spec
from nnlite.ops import elementwise as e
from nnlite.ops._scalars import scalar


def reduced_shape(name: str, x: Spec, axes, keepdims: bool) -> tuple[int, ...]:
    """Shape after reducing `axes`, a sorted tuple of different axes >= 0."""
    if list(axes) != sorted(set(axes)) or any_of(not 0 <= axis < len(x.shape) for axis in axes):
        raise ValueError(f"{name}() takes sorted, different axes between 0 and {len(x.shape) - 1} for a tensor of shape {x.shape}; received {axes}.")
    if keepdims:
        return tuple(1 if i in axes else dim for i, dim in enumerate(x.shape))
    return tuple(dim for i, dim in enumerate(x.shape) if i not in axes)


any_of = any  # the primitives below take the builtins' names


def _spread(node, gradient):
    """The reduced gradient with its axes put back, broadcast to the input's shape."""
    from nnlite.ops import movement

    shape = node.inputs[0].spec.shape
    axes = node.attributes["axes"]
    kept = tuple(1 if i in axes else dim for i, dim in enumerate(shape))
    return movement.broadcast_to(_kept(gradient, kept), shape=shape)


def _kept(tensor, shape):
    from nnlite.ops import movement

    return tensor if tensor.spec.shape == shape else movement.reshape(tensor, shape=shape)


def _kept_shape(node):
    shape, axes = node.inputs[0].spec.shape, node.attributes["axes"]
    return tuple(1 if i in axes else dim for i, dim in enumerate(shape))


def _extreme_gradient(node, dy):
    # Elements equal to the extreme share its gradient evenly.
    x, axes = node.inputs[0], node.attributes["axes"]
    shape = _kept_shape(node)
    chosen = e.cast(e.equal(x, _kept(node.outputs[0], shape)), dtype=dy.spec.dtype)
    return e.multiply(chosen, e.divide(_kept(dy, shape), sum(chosen, axes=axes, keepdims=True)))


def _prod_gradient(node, dy):
    # The product of the other elements: y / x, made safe where elements are 0.
    x, axes = node.inputs[0], node.attributes["axes"]
    zero, one = scalar(0.0, x.spec.dtype), scalar(1.0, x.spec.dtype)
    is_zero = e.equal(x, zero)
    zeros = sum(e.cast(is_zero, dtype=x.spec.dtype), axes=axes, keepdims=True)
    safe = e.where(is_zero, one, x)
    others = prod(safe, axes=axes, keepdims=True)
    at_zero = e.where(e.equal(zeros, one), others, zero)
    elsewhere = e.where(e.equal(zeros, zero), e.divide(others, safe), zero)
    return e.multiply(_kept(dy, _kept_shape(node)), e.where(is_zero, at_zero, elsewhere))


def _reducing(function):
    def reference(x, axes, keepdims):
        return function(x, axis=tuple(axes), keepdims=keepdims)

    return reference


def _extreme(function):
    def reference(x, axes, keepdims):
        return function(x, axis=tuple(axes), keepdims=keepdims) if axes else x

    return reference


def _cost(inputs, outputs, attributes):
    return float(inputs[0].size)


@primitive(
    gradients=(lambda node, dy: _spread(node, dy),), reference=_reducing(lambda x, **k: np.sum(x, dtype=x.dtype, **k)), traits=Traits(cost=_cost)
)
def sum(x, *, axes, keepdims):
    """Sum over axes; the dtype stays."""
    if x.dtype == "bool":
        raise ValueError("sum() takes numbers; received dtype bool. Use nnlite.ops.sum, which counts in int32, or cast first.")
    return Spec(reduced_shape("sum", x, axes, keepdims), x.dtype)


@primitive(gradients=(_prod_gradient,), reference=_reducing(lambda x, **k: np.prod(x, dtype=x.dtype, **k)), traits=Traits(cost=_cost))
def prod(x, *, axes, keepdims):
    """Product over axes; the dtype stays."""
    if x.dtype == "bool":
        raise ValueError("prod() takes numbers; received dtype bool. Use nnlite.ops.prod, which counts in int32, or cast first.")
    return Spec(reduced_shape("prod", x, axes, keepdims), x.dtype)


def _nonempty(name: str, x: Spec, axes) -> None:
    if math.prod(x.shape[axis] for axis in axes) == 0:
        raise ValueError(
            f"{name}() of no elements is undefined; received shape {x.shape} with axes {axes}. Give `initial`, or check for emptiness first."
        )


@primitive(gradients=(_extreme_gradient,), reference=_extreme(np.max), traits=Traits(cost=_cost))
def max(x, *, axes, keepdims):
    """Largest element over axes ("any" for bool); NaN wins. Equal elements share the gradient evenly."""
    shape = reduced_shape("max", x, axes, keepdims)
    _nonempty("max", x, axes)
    return Spec(shape, x.dtype)


@primitive(gradients=(_extreme_gradient,), reference=_extreme(np.min), traits=Traits(cost=_cost))
def min(x, *, axes, keepdims):
    """Smallest element over axes ("all" for bool); NaN wins. Equal elements share the gradient evenly."""
    shape = reduced_shape("min", x, axes, keepdims)
    _nonempty("min", x, axes)
    return Spec(shape, x.dtype)


def _position_rule(name: str, x: Spec, axis: int) -> Spec:
    shape = reduced_shape(name, x, (axis,), False)
    _nonempty(name, x, (axis,))
    return Spec(shape, "int32")


@primitive(gradients=(no_gradient,), reference=lambda x, axis: np.argmax(x, axis=axis), traits=Traits(cost=_cost))
def argmax(x, *, axis):
    """Position of the largest element along an axis, int32; the first wins, NaN counts as largest."""
    return _position_rule("argmax", x, axis)


@primitive(gradients=(no_gradient,), reference=lambda x, axis: np.argmin(x, axis=axis), traits=Traits(cost=_cost))
def argmin(x, *, axis):
    """Position of the smallest element along an axis, int32; the first wins, NaN counts as smallest."""
    return _position_rule("argmin", x, axis)


def _cumsum_reference(x, axis, reverse):
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
    return np.cumsum(x, axis=axis, dtype=x.dtype)


def _cumsum_gradient(node, dy):
    return cumsum(dy, axis=node.attributes["axis"], reverse=not node.attributes["reverse"])


@primitive(gradients=(_cumsum_gradient,), reference=_cumsum_reference)
def cumsum(x, *, axis, reverse):
    """Running sum along an axis, from the end when `reverse`."""
    if x.dtype == "bool" or not 0 <= axis < len(x.shape):
        raise ValueError(
            f"cumsum() takes numbers and an axis between 0 and {len(x.shape) - 1}; received {x} with axis={axis}. Cast or reshape first."
        )
    return x


def _argsort_reference(x):
    return np.argsort(x, axis=-1, kind="stable")


@primitive(gradients=(no_gradient,), reference=_argsort_reference)
def argsort(x):
    """Positions that sort the last axis in ascending order, int32; equal elements keep their order, NaN comes last."""
    if not x.shape:
        raise ValueError(f"argsort() takes a tensor with at least one axis; received {x}. Reshape it to (1,).")
    return Spec(x.shape, "int32")
