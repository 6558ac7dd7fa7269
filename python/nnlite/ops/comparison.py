"""Comparisons, logic, and tests of numbers."""

from __future__ import annotations

from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e, reduce
from nnlite.ops._convert import float_pair, pair, to_bool, to_number, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar


def _comparison(name: str, op, sign: str):
    def function(x1, x2):
        return op(*pair(x1, x2))

    function.__name__ = name
    function.__doc__ = f"x1 {sign} x2, elementwise with broadcasting; bool."
    return public(function)


equal = _comparison("equal", e.equal, "==")
not_equal = _comparison("not_equal", e.not_equal, "!=")
less = _comparison("less", e.less, "<")
less_equal = _comparison("less_equal", e.less_equal, "<=")
greater = _comparison("greater", e.greater, ">")
greater_equal = _comparison("greater_equal", e.greater_equal, ">=")


def _logical(name: str, op):
    def function(x1, x2):
        return op(to_bool(x1), to_bool(x2))

    function.__name__ = f"logical_{name}"
    function.__doc__ = f"Elementwise logical {name}; numbers count as true unless 0."
    return public(function)


logical_and = _logical("and", e.logical_and)
logical_or = _logical("or", e.logical_or)
logical_xor = _logical("xor", e.logical_xor)


@public
def logical_not(x):
    """Elementwise logical not; numbers count as true unless 0."""
    return e.logical_not(to_bool(x))


def _never(x):
    return e.not_equal(x, x)


def _always(x):
    return e.equal(x, x)


@public
def isnan(x):
    """Whether each element is NaN."""
    x = to_tensor(x)
    return e.isnan(x) if x.spec.dtype in FLOATS else _never(x)


@public
def isinf(x):
    """Whether each element is infinite."""
    x = to_tensor(x)
    return e.isinf(x) if x.spec.dtype in FLOATS else _never(x)


@public
def isfinite(x):
    """Whether each element is neither infinite nor NaN."""
    x = to_tensor(x)
    return e.isfinite(x) if x.spec.dtype in FLOATS else _always(x)


@public
def isposinf(x):
    """Whether each element is +infinity."""
    x = to_tensor(x)
    return e.equal(x, scalar(float("inf"), x.spec.dtype)) if x.spec.dtype in FLOATS else _never(x)


@public
def isneginf(x):
    """Whether each element is -infinity."""
    x = to_tensor(x)
    return e.equal(x, scalar(float("-inf"), x.spec.dtype)) if x.spec.dtype in FLOATS else _never(x)


@public
def isreal(x):
    """Whether each element is real: always, as there are no complex tensors."""
    x = to_tensor(x)
    return e.logical_or(_always(x), _never(x))


@public
def isclose(x1, x2, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether |x1 - x2| <= atol + rtol * |x2|, elementwise."""
    a, b = float_pair(to_number(x1), to_number(x2))
    limit = e.add(scalar(float(atol), a.spec.dtype), e.multiply(scalar(float(rtol), a.spec.dtype), e.abs(b)))
    near = e.logical_and(e.less_equal(e.abs(e.subtract(a, b)), limit), e.isfinite(b))
    near = e.logical_or(near, e.equal(a, b))
    return e.logical_or(near, e.logical_and(e.isnan(a), e.isnan(b))) if equal_nan else near


@public
def allclose(x1, x2, rtol=1e-05, atol=1e-08, equal_nan=False):
    """Whether all elements are close (see `isclose`)."""
    near = isclose(x1, x2, rtol, atol, equal_nan)
    return reduce.min(near, axes=tuple(range(len(near.spec.shape))), keepdims=False)
