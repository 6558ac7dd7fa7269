"""Sums, means, extremes and running sums over axes."""

from __future__ import annotations

import math

from nnlite.ops import elementwise as e, movement, reduce
from nnlite.ops._convert import axes_of, axis_of, pair, to_bool, to_float, to_number, to_tensor
from nnlite.ops._dtypes import standardize
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor

# Sums and products of small integers are made in int32.
_SMALL = ("bool", "uint8", "int8")


def _countable(x) -> Tensor:
    x = to_tensor(x)
    return e.cast(x, dtype="int32") if x.spec.dtype in _SMALL else x


@public
def sum(x, axis=None, keepdims=False):
    """Sum over axes (None: all). Booleans and 8-bit integers are summed in int32.

    >>> import nnlite
    >>> nnlite.ops.sum([[1, 2], [3, 4]], axis=0).tolist()
    [4, 6]
    """
    x = _countable(x)
    axes = axes_of("sum", axis, len(x.spec.shape))
    return reduce.sum(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@public
def prod(x, axis=None, keepdims=False, dtype=None):
    """Product over axes (None: all). Booleans and 8-bit integers are multiplied in int32."""
    x = _countable(x) if dtype is None else to_tensor(x, standardize(dtype))
    return reduce.prod(x, axes=axes_of("prod", axis, len(x.spec.shape)), keepdims=bool(keepdims))


def count_of(x: Tensor, axes) -> int:
    """Number of elements reduced over `axes`."""
    return math.prod(x.spec.shape[axis] for axis in axes)


@public
def mean(x, axis=None, keepdims=False):
    """Mean over axes (None: all); integers become `config.floatx()`. The mean of nothing is NaN.

    >>> import nnlite
    >>> nnlite.ops.mean([1.0, 2.0, 6.0]).item()
    3.0
    """
    x = to_float(x)
    axes = axes_of("mean", axis, len(x.spec.shape))
    if not axes:
        return x
    total = reduce.sum(x, axes=axes, keepdims=bool(keepdims))
    count = count_of(x, axes)
    return e.multiply(total, scalar(1.0 / count if count else math.nan, x.spec.dtype))


@public
def var(x, axis=None, keepdims=False):
    """Biased variance over axes (None: all)."""
    x = to_float(x)
    centred = e.subtract(x, mean(x, axis, True))
    return mean(e.square(centred), axis, keepdims)


@public
def std(x, axis=None, keepdims=False):
    """Biased standard deviation over axes (None: all)."""
    return e.sqrt(var(x, axis, keepdims))


def _extreme(name: str, op, join, x, axis, keepdims, initial):
    x = to_tensor(x)
    axes = axes_of(name, axis, len(x.spec.shape))
    if initial is None:
        return op(x, axes=axes, keepdims=bool(keepdims)) if axes else x
    initial = to_tensor(initial, x.spec.dtype)
    if axes and count_of(x, axes) == 0:
        return movement.broadcast_to(initial, shape=reduce.reduced_shape(name, x.spec, axes, bool(keepdims)))
    return join(op(x, axes=axes, keepdims=bool(keepdims)), initial)


@public
def max(x, axis=None, keepdims=False, initial=None):
    """Largest element over axes (None: all); `initial` is one more candidate and allows empty axes. Equal elements share the gradient."""
    return _extreme("max", reduce.max, e.maximum, x, axis, keepdims, initial)


@public
def min(x, axis=None, keepdims=False, initial=None):
    """Smallest element over axes (None: all); `initial` is one more candidate and allows empty axes. Equal elements share the gradient."""
    return _extreme("min", reduce.min, e.minimum, x, axis, keepdims, initial)


@public
def amax(x, axis=None, keepdims=False):
    """The same as `max`."""
    return _extreme("amax", reduce.max, e.maximum, x, axis, keepdims, None)


@public
def amin(x, axis=None, keepdims=False):
    """The same as `min`."""
    return _extreme("amin", reduce.min, e.minimum, x, axis, keepdims, None)


@public
def ptp(x, axis=None, keepdims=False):
    """Largest minus smallest element over axes."""
    x = to_number(x)
    return e.subtract(max(x, axis, keepdims), min(x, axis, keepdims))


def _quantified(name: str, op, x, axis, keepdims, of_nothing: bool):
    x = to_bool(x)
    axes = axes_of(name, axis, len(x.spec.shape))
    if not axes:
        return x
    if count_of(x, axes) == 0:
        return movement.broadcast_to(to_tensor(of_nothing), shape=reduce.reduced_shape(name, x.spec, axes, bool(keepdims)))
    return op(x, axes=axes, keepdims=bool(keepdims))


@public
def all(x, axis=None, keepdims=False):
    """Whether all elements over axes are true (not 0)."""
    return _quantified("all", reduce.min, x, axis, keepdims, True)


@public
def any(x, axis=None, keepdims=False):
    """Whether any element over axes is true (not 0)."""
    return _quantified("any", reduce.max, x, axis, keepdims, False)


@public
def count_nonzero(x, axis=None):
    """Number of elements that are not 0, int32."""
    return sum(to_bool(x), axis)


def _position(name: str, op, x, axis, keepdims):
    x = to_number(x)
    shape = x.spec.shape
    if axis is None:
        found = op(movement.reshape(x, shape=(x.spec.size,)), axis=0)
        return movement.reshape(found, shape=(1,) * len(shape)) if keepdims else found
    axis = axis_of(name, axis, len(shape))
    found = op(x, axis=axis)
    return movement.reshape(found, shape=(*shape[:axis], 1, *shape[axis + 1 :])) if keepdims else found


@public
def argmax(x, axis=None, keepdims=False):
    """Position of the largest element along an axis (None: of the flattened tensor), int32; the first wins."""
    return _position("argmax", reduce.argmax, x, axis, keepdims)


@public
def argmin(x, axis=None, keepdims=False):
    """Position of the smallest element along an axis (None: of the flattened tensor), int32; the first wins."""
    return _position("argmin", reduce.argmin, x, axis, keepdims)


def _running(name: str, x, axis, dtype) -> tuple[Tensor, int]:
    x = to_number(x) if dtype is None else to_tensor(x, standardize(dtype))
    if axis is None:
        return movement.reshape(x, shape=(x.spec.size,)), 0
    return x, axis_of(name, axis, len(x.spec.shape))


@public
def cumsum(x, axis=None, dtype=None):
    """Running sum along an axis (None: of the flattened tensor).

    >>> import nnlite
    >>> nnlite.ops.cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    x, axis = _running("cumsum", x, axis, dtype)
    return reduce.cumsum(x, axis=axis, reverse=False)


@public
def cumprod(x, axis=None, dtype=None):
    """Running product along an axis (None: of the flattened tensor)."""
    x, axis = _running("cumprod", x, axis, dtype)
    # Doubling: after step s every element holds the product of the 2**s elements up to itself.
    size, offset = x.spec.shape[axis], 1
    while offset < size:
        x = e.multiply(x, _shifted_with_ones(x, axis, offset))
        offset *= 2
    return x


def _shifted_with_ones(x: Tensor, axis: int, offset: int) -> Tensor:
    shape = x.spec.shape
    zeros = (0,) * len(shape)
    sizes = tuple(dim - offset if i == axis else dim for i, dim in enumerate(shape))
    kept = movement.slice_(x, starts=zeros, sizes=sizes, strides=(1,) * len(shape))
    return movement.pad(kept, low=tuple(offset if i == axis else 0 for i in range(len(shape))), high=zeros, interior=zeros, value=1.0)


@public
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over axes without overflow."""
    x = to_float(x)
    top = reduce.max(x, axes=axes_of("logsumexp", axis, len(x.spec.shape)), keepdims=True)
    # Infinite tops would make inf - inf.
    top = e.where(e.isfinite(top), top, scalar(0.0, x.spec.dtype))
    from nnlite.ops.core import stop_gradient

    top = stop_gradient(top)
    result = e.add(e.log(sum(e.exp(e.subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return movement.reshape(result, shape=reduce.reduced_shape("logsumexp", x.spec, axes_of("logsumexp", axis, len(x.spec.shape)), False))


@public
def average(x, axis=None, weights=None):
    """Mean over axes, weighted."""
    x = to_float(x)
    if weights is None:
        return mean(x, axis)
    x, weights = pair(x, to_float(weights))
    if len(weights.spec.shape) == 1 and len(x.spec.shape) > 1:
        if axis is None or isinstance(axis, (tuple, list)):
            raise ValueError(f"average() with 1-D weights needs one axis; received axis={axis} for shape {x.spec.shape}.")
        axis = axis_of("average", axis, len(x.spec.shape))
        weights = movement.reshape(weights, shape=tuple(weights.spec.size if i == axis else 1 for i in range(len(x.spec.shape))))
    weighted = e.multiply(x, weights)
    weights = movement.broadcast_to(weights, shape=weighted.spec.shape)
    return e.divide(sum(weighted, axis), sum(weights, axis))
