"""Pooling primitives: NHWC images, explicit padding (top, bottom, left, right)."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import FLOATS, ITEM_SIZE, Spec
from nnlite.ops import elementwise as e
from nnlite.ops._scalars import scalar
from nnlite.ops._windows import cell_view, cells, output_hw, padded, unpadded

# Positions in windows of up to this many cells fit into uint8.
_SMALL_WINDOW = 255


def _given(node) -> dict:
    return {key: node.attributes[key] for key in ("pool_size", "strides", "padding")}


def _check(name: str, x: Spec, pool_size, strides, padding, dtypes=FLOATS) -> None:
    if len(x.shape) != 4 or x.dtype not in dtypes:
        raise ValueError(f"{name}() takes an image [N,H,W,C] of numbers; received {x}.")
    if min(pool_size) < 1 or min(strides) < 1 or min(padding) < 0:
        raise ValueError(
            f"{name}() takes pool_size and strides >= 1, padding >= 0; received pool_size={pool_size}, strides={strides}, padding={padding}."
        )
    if max(padding[:2]) >= pool_size[0] or max(padding[2:]) >= pool_size[1]:
        raise ValueError(
            f"{name}() takes padding smaller than the window, so that every window sees a pixel; received pool_size={pool_size}, padding={padding}."
        )


def _pooled(x: Spec, pool_size, strides, padding) -> tuple[int, int, int, int]:
    return (x.shape[0], *output_hw(x.shape, pool_size, strides, padding), x.shape[3])


def _position_dtype(pool_size) -> str:
    return "uint8" if math.prod(pool_size) <= _SMALL_WINDOW else "int32"


def _lowest(dtype):
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _max_pool2d_reference(x, pool_size, strides, padding):
    hw = output_hw(x.shape, pool_size, strides, padding)
    xp = padded(x, padding, _lowest(x.dtype))
    inside = padded(np.ones(x.shape, bool), padding, False)
    best = np.zeros((x.shape[0], *hw, x.shape[3]), x.dtype)
    where = np.full(best.shape, -1, np.int32)
    for k, cell in enumerate(cells(pool_size)):
        seen, valid = cell_view(xp, cell, hw, strides), cell_view(inside, cell, hw, strides)
        better = valid & ((where < 0) | (seen > best) | (np.isnan(seen) & ~np.isnan(best)))
        best, where = np.where(better, seen, best), np.where(better, k, where)
    return best, np.maximum(where, 0)


def _max_pool2d_grad_reference(dy, argmax, input_shape, pool_size, strides, padding):
    n, h, w, c = input_shape
    top, bottom, left, right = padding
    dx = np.zeros((n, h + top + bottom, w + left + right, c), dy.dtype)
    for k, cell in enumerate(cells(pool_size)):
        view = cell_view(dx, cell, dy.shape[1:3], strides)
        view += np.where(argmax == k, dy, 0)
    return unpadded(dx, padding)


def _shifted(x, cell, out_hw, strides):
    """What a window cell sees of a padded tensor, by the slice primitive."""
    from nnlite.ops import movement

    n, _, _, c = x.spec.shape
    return movement.slice_(x, starts=(0, *cell, 0), sizes=(n, *out_hw, c), strides=(1, *strides, 1))


def _max_pool2d_grad_gradient(node, g):
    # Reads from g where the maxima were: one masked slice per window cell.
    from nnlite.ops import movement

    dy, argmax = node.inputs
    given = node.attributes
    top, bottom, left, right = given["padding"]
    g = movement.pad(g, low=(0, top, left, 0), high=(0, bottom, right, 0), interior=(0, 0, 0, 0), value=0.0)
    total = None
    for k, cell in enumerate(cells(given["pool_size"])):
        chosen = e.equal(argmax, scalar(k, argmax.spec.dtype))
        part = e.where(chosen, _shifted(g, cell, dy.spec.shape[1:3], given["strides"]), scalar(0.0, g.spec.dtype))
        total = part if total is None else e.add(total, part)
    return total


def _cost(inputs, outputs, attributes):
    return float(math.prod(attributes["pool_size"])) * min(inputs[0].size, outputs[0].size)


@primitive(
    gradients=(
        lambda node, dy, _: None if dy is None else max_pool2d_grad(dy, node.outputs[1], input_shape=node.inputs[0].spec.shape, **_given(node)),
    ),
    reference=_max_pool2d_reference,
    traits=Traits(widen=True, cost=_cost),
)
def max_pool2d(x, *, pool_size, strides, padding):
    """Largest value of every window, and its position in the window (row-major; the first wins; NaN counts as largest)."""
    _check("max_pool2d", x, pool_size, strides, padding, frozenset(ITEM_SIZE) - {"bool"})
    shape = _pooled(x, pool_size, strides, padding)
    return Spec(shape, x.dtype), Spec(shape, _position_dtype(pool_size))


@primitive(gradients=(_max_pool2d_grad_gradient, no_gradient), reference=_max_pool2d_grad_reference, traits=Traits(widen=True, cost=_cost))
def max_pool2d_grad(dy, argmax, *, input_shape, pool_size, strides, padding):
    """Gradient of max_pool2d: every dy goes to where its maximum was."""
    x = Spec(tuple(input_shape), dy.dtype)
    _check("max_pool2d_grad", x, pool_size, strides, padding)
    if not dy.shape == argmax.shape == _pooled(x, pool_size, strides, padding):
        raise ValueError(f"max_pool2d_grad() needs dy and argmax of shape {_pooled(x, pool_size, strides, padding)}; received {dy} and {argmax}.")
    return x


def _counts(input_shape, pool_size, strides, padding, dtype):
    """How many real pixels every window sees."""
    hw = output_hw(input_shape, pool_size, strides, padding)
    ones = padded(np.ones((1, *input_shape[1:3], 1), dtype), padding)
    return np.maximum(sum(cell_view(ones, cell, hw, strides) for cell in cells(pool_size)), 1)


def _average_pool2d_reference(x, pool_size, strides, padding):
    hw = output_hw(x.shape, pool_size, strides, padding)
    xp = padded(x, padding)
    total = np.zeros((x.shape[0], *hw, x.shape[3]), x.dtype)
    for cell in cells(pool_size):
        total += cell_view(xp, cell, hw, strides)
    return total / _counts(x.shape, pool_size, strides, padding, x.dtype)


def _average_pool2d_grad_reference(dy, input_shape, pool_size, strides, padding):
    n, h, w, c = input_shape
    top, bottom, left, right = padding
    share = dy / _counts(input_shape, pool_size, strides, padding, dy.dtype)
    dx = np.zeros((n, h + top + bottom, w + left + right, c), dy.dtype)
    for cell in cells(pool_size):
        view = cell_view(dx, cell, dy.shape[1:3], strides)
        view += share
    return unpadded(dx, padding)


@primitive(
    gradients=(lambda node, dy: average_pool2d_grad(dy, input_shape=node.inputs[0].spec.shape, **_given(node)),),
    reference=_average_pool2d_reference,
    traits=Traits(widen=True, cost=_cost),
)
def average_pool2d(x, *, pool_size, strides, padding):
    """Mean of every window; padding is left out of it."""
    _check("average_pool2d", x, pool_size, strides, padding)
    return Spec(_pooled(x, pool_size, strides, padding), x.dtype)


@primitive(
    gradients=(lambda node, g: average_pool2d(g, **_given(node)),), reference=_average_pool2d_grad_reference, traits=Traits(widen=True, cost=_cost)
)
def average_pool2d_grad(dy, *, input_shape, pool_size, strides, padding):
    """Gradient of average_pool2d: every dy is spread evenly over its window's pixels."""
    x = Spec(tuple(input_shape), dy.dtype)
    _check("average_pool2d_grad", x, pool_size, strides, padding)
    if dy.shape != _pooled(x, pool_size, strides, padding):
        raise ValueError(f"average_pool2d_grad() needs dy of shape {_pooled(x, pool_size, strides, padding)}; received {dy}.")
    return x
