"""Quantiles, statistics that leave out NaN, correlation, differences."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e, matrix, movement, reduce
from nnlite.ops._convert import axes_of, axis_of, float_pair, to_float, to_number, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.arithmetic import const
from nnlite.ops.joining import part_along
from nnlite.ops.manipulation import transpose
from nnlite.ops.reductions import argmax, argmin, cumprod, cumsum, max, mean, min, prod, sum
from nnlite.ops.sorting import sort
from nnlite.tensor import Tensor

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _gathered(name: str, x, axis) -> tuple[Tensor, tuple[int, ...]]:
    """x with the given axes joined into the last one, and its shape with those axes kept as 1."""
    x = to_float(x)
    rank = len(x.spec.shape)
    axes = axes_of(name, axis, rank)
    rest = [a for a in range(rank) if a not in axes]
    kept = tuple(1 if a in axes else dim for a, dim in enumerate(x.spec.shape))
    moved = transpose(x, [*rest, *axes])
    return movement.reshape(moved, shape=tuple(x.spec.shape[a] for a in rest) + (math.prod(x.spec.shape[a] for a in axes),)), kept


def _at(ordered: Tensor, position: Tensor) -> Tensor:
    """Elements of the last axis at one float position per row (whole numbers)."""
    from nnlite.ops.indexing import _take_flat

    ids = movement.reshape(e.cast(position, dtype="int32"), shape=(*ordered.spec.shape[:-1], 1))
    return movement.reshape(_take_flat(ordered, ids, len(ordered.spec.shape) - 1), shape=ordered.spec.shape[:-1])


def _interpolated(ordered: Tensor, last: Tensor, q: float, method: str) -> Tensor:
    """The quantile q of sorted rows whose last valid position is `last`."""
    place = e.multiply(last, const(q, last))
    low = e.floor(place)
    high = e.minimum(e.ceil(place), last)
    if method == "lower":
        return _at(ordered, low)
    if method == "higher":
        return _at(ordered, high)
    if method == "nearest":
        return _at(ordered, e.round(place))
    share = e.subtract(place, low) if method == "linear" else e.multiply(e.subtract(high, low), const(0.5, low))
    a, b = _at(ordered, low), _at(ordered, high)
    return e.add(a, e.multiply(e.subtract(b, a), share))


def _quantile(name: str, x, q, axis, method: str, keepdims: bool, ignore_nan: bool) -> Tensor:
    if method not in _METHODS:
        raise ValueError(f"{name}() takes a method of {', '.join(_METHODS)}; received {method!r}.")
    qs = np.asarray(q, "float64")
    if np.any((qs < 0) | (qs > 1)) or np.any(np.isnan(qs)):
        raise ValueError(f"{name}() takes quantiles between 0 and 1 (percentiles 0 to 100); received {q!r}.")
    rows, kept = _gathered(name, x, axis)
    shape = kept if keepdims else tuple(dim for i, dim in enumerate(kept) if i not in axes_of(name, axis, len(kept)))
    missing = e.cast(e.isnan(rows), dtype=rows.spec.dtype)
    count = reduce.sum(missing, axes=(len(rows.spec.shape) - 1,), keepdims=False)
    full = const(float(rows.spec.shape[-1] - 1), rows)
    last = e.maximum(e.subtract(full, count), const(0.0, rows)) if ignore_nan else movement.broadcast_to(full, shape=count.spec.shape)
    ordered = sort(rows, -1)  # NaN comes last
    bad = e.greater(count, full) if ignore_nan else e.greater(count, const(0.0, rows))
    results = [e.where(bad, const(math.nan, rows), _interpolated(ordered, last, float(one), method)) for one in qs.reshape(-1)]
    results = [movement.reshape(y, shape=shape) for y in results]
    if not qs.shape:
        return results[0]
    joined = movement.concatenate(*[movement.reshape(y, shape=(1, *shape)) for y in results], axis=0)
    return movement.reshape(joined, shape=(*qs.shape, *shape))


@public
def quantile(x, q, axis=None, method="linear", keepdims=False):
    """The value below which the share q (0..1) of the elements lies.

    Args:
        method: Between two elements: "linear", "lower", "higher", "midpoint" or "nearest".

    >>> import nnlite
    >>> nnlite.ops.quantile([1.0, 2.0, 4.0], 0.5).item()
    2.0
    """
    return _quantile("quantile", x, q, axis, method, keepdims, False)


@public
def nanquantile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile` of the elements that are not NaN."""
    return _quantile("nanquantile", x, q, axis, method, keepdims, True)


@public
def percentile(x, q, axis=None, method="linear", keepdims=False):
    """`quantile` with q in 0..100."""
    return _quantile("percentile", x, np.asarray(q, "float64") / 100, axis, method, keepdims, False)


@public
def nanpercentile(x, q, axis=None, method="linear", keepdims=False):
    """`nanquantile` with q in 0..100."""
    return _quantile("nanpercentile", x, np.asarray(q, "float64") / 100, axis, method, keepdims, True)


@public
def median(x, axis=None, keepdims=False):
    """The middle value, or the mean of the two middle ones."""
    return _quantile("median", x, 0.5, axis, "linear", keepdims, False)


@public
def nanmedian(x, axis=None, keepdims=False):
    """`median` of the elements that are not NaN."""
    return _quantile("nanmedian", x, 0.5, axis, "linear", keepdims, True)


def _without_nan(x, filler) -> Tensor:
    """NaN replaced by a number that does not change the result."""
    x = to_number(x)
    return e.where(e.isnan(x), const(filler, x), x) if x.spec.dtype in FLOATS else x


def _all_nan(x, axis, keepdims) -> Tensor | None:
    x = to_number(x)
    if x.spec.dtype not in FLOATS:
        return None
    return reduce.min(e.isnan(x), axes=axes_of("nan", axis, len(x.spec.shape)), keepdims=bool(keepdims))


def _or_nan(y: Tensor, x, axis, keepdims) -> Tensor:
    missing = _all_nan(x, axis, keepdims)
    return y if missing is None else e.where(missing, const(math.nan, y), y)


@public
def nansum(x, axis=None, keepdims=False):
    """Sum of the elements that are not NaN."""
    return sum(_without_nan(x, 0.0), axis, keepdims)


@public
def nanprod(x, axis=None, keepdims=False):
    """Product of the elements that are not NaN."""
    return prod(_without_nan(x, 1.0), axis, keepdims)


@public
def nanmax(x, axis=None, keepdims=False):
    """Largest of the elements that are not NaN; NaN where there is none."""
    return _or_nan(max(_without_nan(x, -math.inf), axis, keepdims), x, axis, keepdims)


@public
def nanmin(x, axis=None, keepdims=False):
    """Smallest of the elements that are not NaN; NaN where there is none."""
    return _or_nan(min(_without_nan(x, math.inf), axis, keepdims), x, axis, keepdims)


@public
def nanargmax(x, axis=None, keepdims=False):
    """Position of the largest element that is not NaN; -1 where there is none."""
    return _known_position(argmax(_without_nan(x, -math.inf), axis, keepdims), x, axis, keepdims)


@public
def nanargmin(x, axis=None, keepdims=False):
    """Position of the smallest element that is not NaN; -1 where there is none."""
    return _known_position(argmin(_without_nan(x, math.inf), axis, keepdims), x, axis, keepdims)


def _known_position(found: Tensor, x, axis, keepdims) -> Tensor:
    missing = _all_nan(x, axis, keepdims)
    return found if missing is None else e.where(missing, scalar(-1, "int32"), found)


@public
def nancumsum(x, axis=None, dtype=None):
    """Running sum that leaves out NaN."""
    return cumsum(_without_nan(x, 0.0), axis, dtype)


@public
def nancumprod(x, axis=None, dtype=None):
    """Running product that leaves out NaN."""
    return cumprod(_without_nan(x, 1.0), axis, dtype)


def _valid_count(x: Tensor, axis, keepdims) -> Tensor:
    return sum(e.cast(e.logical_not(e.isnan(x)), dtype=x.spec.dtype), axis, keepdims)


@public
def nanmean(x, axis=None, keepdims=False):
    """Mean of the elements that are not NaN."""
    x = to_float(x)
    return e.divide(nansum(x, axis, keepdims), _valid_count(x, axis, keepdims))


@public
def nanvar(x, axis=None, keepdims=False):
    """Biased variance of the elements that are not NaN."""
    x = to_float(x)
    centred = e.subtract(x, nanmean(x, axis, True))
    return nanmean(e.square(centred), axis, keepdims)


@public
def nanstd(x, axis=None, keepdims=False):
    """Biased standard deviation of the elements that are not NaN."""
    return e.sqrt(nanvar(x, axis, keepdims))


@public
def corrcoef(x):
    """Correlation coefficients of the rows of a matrix."""
    x = to_float(x)
    rows = movement.reshape(x, shape=(1, x.spec.size)) if len(x.spec.shape) == 1 else x
    centred = e.subtract(rows, mean(rows, 1, True))
    covariance = matrix.matmul(centred, centred, transpose_a=False, transpose_b=True)
    root = e.sqrt(sum(e.square(centred), 1, True))
    y = e.divide(e.divide(covariance, root), movement.reshape(root, shape=(1, root.spec.size)))
    return movement.reshape(y, shape=()) if len(x.spec.shape) == 1 else y


@public
def correlate(x1, x2, mode="valid"):
    """Cross-correlation of two vectors; `mode` is "valid", "same" or "full"."""
    from nnlite.ops.convolution import conv

    if mode not in ("valid", "same", "full"):
        raise ValueError(f'correlate() takes mode "valid", "same" or "full"; received {mode!r}.')
    a, b = float_pair(x1, x2)
    if len(a.spec.shape) != 1 or len(b.spec.shape) != 1:
        raise ValueError(f"correlate() takes two vectors; received shapes {a.spec.shape} and {b.spec.shape}.")
    n, m = a.spec.size, b.spec.size
    turned = movement.pad(a, low=(m - 1,), high=(m - 1,), interior=(0,), value=0.0)
    line, kernel = movement.reshape(turned, shape=(1, turned.spec.size, 1)), movement.reshape(b, shape=(m, 1, 1))
    full = movement.reshape(conv(line, kernel, data_format="channels_last"), shape=(n + m - 1,))
    if mode == "full":
        return full
    short, long = (m, n) if m <= n else (n, m)
    if mode == "valid":
        return part_along(full, 0, short - 1, long - short + 1)
    return part_along(full, 0, (n + m - 1 - long) // 2 + (0 if (n + m - 1 - long) % 2 == 0 else int(n < m)), long)


@public
def diff(a, n=1, axis=-1):
    """Differences of neighbours along an axis, n times over."""
    x = to_tensor(a)
    axis = axis_of("diff", axis, len(x.spec.shape))
    for _ in range(int(n)):
        size = x.spec.shape[axis]
        if not size:
            break
        later, earlier = part_along(x, axis, 1, size - 1), part_along(x, axis, 0, size - 1)
        x = e.logical_xor(later, earlier) if x.spec.dtype == "bool" else e.subtract(later, earlier)
    return x


@public
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """Integral along an axis by the trapezoidal rule, at points x or dx apart."""
    y = to_float(y)
    axis = axis_of("trapezoid", axis, len(y.spec.shape))
    size = y.spec.shape[axis]
    means = e.multiply(e.add(part_along(y, axis, 1, size - 1), part_along(y, axis, 0, size - 1)), const(0.5, y))
    if x is None:
        return sum(e.multiply(means, to_tensor(dx, y.spec.dtype)), axis)
    x = to_tensor(x, y.spec.dtype)
    steps = diff(x, axis=-1 if len(x.spec.shape) == 1 else axis)
    if len(steps.spec.shape) == 1:
        steps = movement.reshape(steps, shape=tuple(size - 1 if i == axis else 1 for i in range(len(y.spec.shape))))
    return sum(e.multiply(means, steps), axis)


@public
def cdist(x, y):
    """Distances between all rows of x [..., n, d] and of y [..., m, d]: [..., n, m]."""
    a, b = float_pair(x, y)
    a = movement.reshape(a, shape=(*a.spec.shape[:-1], 1, a.spec.shape[-1]))
    b = movement.reshape(b, shape=(*b.spec.shape[:-2], 1, *b.spec.shape[-2:]))
    return e.sqrt(sum(e.square(e.subtract(a, b)), -1))
