"""Elementwise functions of numbers: arithmetic, powers, trigonometry, rounding."""

from __future__ import annotations

import math

from nnlite import config
from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e
from nnlite.ops._convert import float_pair, pair, to_float, to_number, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor


def const(value, like: Tensor) -> Tensor:
    """A scalar of the dtype of `like`."""
    return scalar(value, like.spec.dtype)


@public
def add(x1, x2):
    """x1 + x2, elementwise with broadcasting; booleans: or.

    >>> import nnlite
    >>> nnlite.ops.add([1, 2], 1.5).tolist()
    [2.5, 3.5]
    """
    a, b = pair(x1, x2)
    return e.add(a, b) if a.spec.dtype != "bool" else e.logical_or(a, b)


@public
def subtract(x1, x2):
    """x1 - x2, elementwise with broadcasting. Booleans count as int32."""
    return e.subtract(*pair(x1, x2, "int"))


@public
def multiply(x1, x2):
    """x1 * x2, elementwise with broadcasting; booleans: and."""
    a, b = pair(x1, x2)
    return e.multiply(a, b) if a.spec.dtype != "bool" else e.logical_and(a, b)


@public
def divide(x1, x2):
    """x1 / x2 as floats, elementwise with broadcasting; integers become `config.floatx()`.

    >>> import nnlite
    >>> nnlite.ops.divide(3, 2).item()
    1.5
    """
    return e.divide(*float_pair(x1, x2))


@public
def true_divide(x1, x2):
    """The same as `divide`."""
    return e.divide(*float_pair(x1, x2))


@public
def divide_no_nan(x1, x2):
    """x1 / x2, and 0 where x2 is 0."""
    a, b = float_pair(x1, x2)
    zero = e.equal(b, const(0.0, b))
    return e.where(zero, const(0.0, b), e.divide(a, e.where(zero, const(1.0, b), b)))


@public
def floor_divide(x1, x2):
    """floor(x1 / x2), elementwise with broadcasting."""
    return e.floor_divide(*pair(x1, x2, "int"))


@public
def mod(x1, x2):
    """Remainder with the sign of x2, elementwise with broadcasting."""
    return e.mod(*pair(x1, x2, "int"))


@public
def fmod(x1, x2):
    """Remainder with the sign of x1, elementwise with broadcasting."""
    a, b = pair(x1, x2, "int")
    return e.multiply(e.sign(a), e.mod(e.abs(a), e.abs(b)))


@public
def power(x1, x2):
    """x1 ** x2, elementwise with broadcasting.

    The gradient of the exponent is 0 where x1 <= 0. Small constant integer exponents become products and roots.
    """
    if isinstance(x2, (int, float)) and not isinstance(x2, bool):
        special = _small_power(x1, x2)
        if special is not None:
            return special
    return e.power(*pair(x1, x2, "int"))


def _small_power(x, exponent):
    x = to_tensor(x)
    if x.spec.dtype in FLOATS:
        if exponent in _POWERS:
            return _POWERS[exponent](x)
    elif exponent == 2 and type(exponent) is int and x.spec.dtype != "bool":
        return e.square(x)
    return None


_POWERS = {
    2: e.square,
    3: lambda x: e.multiply(e.square(x), x),
    0.5: e.sqrt,
    -0.5: e.rsqrt,
    -1: e.reciprocal,
    1: lambda x: x,
}


@public
def maximum(x1, x2):
    """The larger of x1 and x2, elementwise with broadcasting; NaN passes on. At ties x1 takes the gradient."""
    a, b = pair(x1, x2)
    return e.maximum(a, b) if a.spec.dtype != "bool" else e.logical_or(a, b)


@public
def minimum(x1, x2):
    """The smaller of x1 and x2, elementwise with broadcasting; NaN passes on. At ties x1 takes the gradient."""
    a, b = pair(x1, x2)
    return e.minimum(a, b) if a.spec.dtype != "bool" else e.logical_and(a, b)


def _ignoring_nan(op, a, b):
    if a.spec.dtype not in FLOATS:
        return op(a, b)
    return e.where(e.isnan(a), b, e.where(e.isnan(b), a, op(a, b)))


@public
def fmax(x1, x2):
    """The larger of x1 and x2; where one is NaN, the other."""
    return _ignoring_nan(e.maximum, *pair(x1, x2))


@public
def fmin(x1, x2):
    """The smaller of x1 and x2; where one is NaN, the other."""
    return _ignoring_nan(e.minimum, *pair(x1, x2))


@public
def negative(x):
    """-x, elementwise."""
    return e.negative(to_number(x))


@public(aliases=("abs",))
def absolute(x):
    """|x|, elementwise; the gradient at 0 is 0."""
    x = to_tensor(x)
    return x if x.spec.dtype == "bool" else e.abs(x)


@public
def fabs(x):
    """|x| as a float."""
    return e.abs(to_float(x))


@public
def sign(x):
    """-1, 0 or 1 by the sign of x; NaN stays NaN."""
    return e.sign(to_number(x))


@public
def signbit(x):
    """Whether the sign is negative; true for -0.0 as well."""
    x = to_number(x)
    zero = const(0, x)
    if x.spec.dtype not in FLOATS:
        return e.less(x, zero)
    # 1 / -0.0 is -inf: it tells the two zeros apart.
    return e.logical_or(e.less(x, zero), e.less(e.where(e.equal(x, zero), e.reciprocal(x), zero), zero))


@public
def square(x):
    """x * x, elementwise."""
    return e.square(to_number(x))


def _float_function(name: str, op, text: str):
    def function(x):
        return op(to_float(x))

    function.__name__ = name
    function.__doc__ = f"{text}, elementwise; integers become `config.floatx()`."
    return public(function)


exp = _float_function("exp", e.exp, "e ** x")
expm1 = _float_function("expm1", e.expm1, "e ** x - 1, exact near 0")
log = _float_function("log", e.log, "Natural logarithm")
log1p = _float_function("log1p", e.log1p, "log(1 + x), exact near 0")
sqrt = _float_function("sqrt", e.sqrt, "Square root")
rsqrt = _float_function("rsqrt", e.rsqrt, "1 / sqrt(x)")
reciprocal = _float_function("reciprocal", e.reciprocal, "1 / x")
sin = _float_function("sin", e.sin, "Sine")
cos = _float_function("cos", e.cos, "Cosine")
tan = _float_function("tan", e.tan, "Tangent")
sinh = _float_function("sinh", e.sinh, "Hyperbolic sine")
cosh = _float_function("cosh", e.cosh, "Hyperbolic cosine")
tanh = _float_function("tanh", e.tanh, "Hyperbolic tangent")
arcsin = _float_function("arcsin", e.asin, "Inverse sine")
arccos = _float_function("arccos", e.acos, "Inverse cosine")
arctan = _float_function("arctan", e.atan, "Inverse tangent")
erf = _float_function("erf", e.erf, "Gauss error function")
erfc = _float_function("erfc", lambda x: e.subtract(const(1.0, x), e.erf(x)), "1 - erf(x)")
log2 = _float_function("log2", lambda x: e.multiply(e.log(x), const(1 / math.log(2), x)), "Logarithm to base 2")
log10 = _float_function("log10", lambda x: e.multiply(e.log(x), const(1 / math.log(10), x)), "Logarithm to base 10")
exp2 = _float_function("exp2", lambda x: e.exp(e.multiply(x, const(math.log(2), x))), "2 ** x")
cbrt = _float_function("cbrt", lambda x: e.multiply(e.sign(x), e.power(e.abs(x), const(1 / 3, x))), "Cube root")
deg2rad = _float_function("deg2rad", lambda x: e.multiply(x, const(math.pi / 180, x)), "Degrees to radians")
rad2deg = _float_function("rad2deg", lambda x: e.multiply(x, const(180 / math.pi, x)), "Radians to degrees")


def _asinh(x):
    size = e.abs(x)
    return e.multiply(e.sign(x), e.log(e.add(size, e.sqrt(e.add(e.square(size), const(1.0, x))))))


def _acosh(x):
    return e.log(e.add(x, e.sqrt(e.subtract(e.square(x), const(1.0, x)))))


def _atanh(x):
    return e.multiply(e.subtract(e.log1p(x), e.log1p(e.negative(x))), const(0.5, x))


def _sinc(x):
    x = e.multiply(x, const(math.pi, x))
    zero = e.equal(x, const(0.0, x))
    safe = e.where(zero, const(1.0, x), x)
    return e.where(zero, const(1.0, x), e.divide(e.sin(safe), safe))


arcsinh = _float_function("arcsinh", _asinh, "Inverse hyperbolic sine")
arccosh = _float_function("arccosh", _acosh, "Inverse hyperbolic cosine")
arctanh = _float_function("arctanh", _atanh, "Inverse hyperbolic tangent")
sinc = _float_function("sinc", _sinc, "sin(pi x) / (pi x), 1 at 0")


@public
def arctan2(x1, x2):
    """The angle of the point (x2, x1), in -pi..pi."""
    return e.atan2(*float_pair(x1, x2))


@public
def hypot(x1, x2):
    """sqrt(x1**2 + x2**2) without overflow."""
    a, b = (e.abs(t) for t in float_pair(x1, x2))
    large, small = e.maximum(a, b), e.minimum(a, b)
    ratio = divide_no_nan(small, large)
    return e.multiply(large, e.sqrt(e.add(e.square(ratio), const(1.0, ratio))))


@public
def logaddexp(x1, x2):
    """log(exp(x1) + exp(x2)) without overflow."""
    a, b = float_pair(x1, x2)
    top = e.maximum(a, b)
    gap = e.negative(e.abs(e.subtract(a, b)))
    return e.where(e.equal(a, b), e.add(a, const(math.log(2), a)), e.add(top, e.log1p(e.exp(gap))))


@public
def logaddexp2(x1, x2):
    """log2(2**x1 + 2**x2) without overflow."""
    a, b = float_pair(x1, x2)
    scale = const(math.log(2), a)
    return e.divide(logaddexp(e.multiply(a, scale), e.multiply(b, scale)), scale)


@public
def ldexp(x1, x2):
    """x1 * 2**x2."""
    a, b = float_pair(x1, x2)
    return e.multiply(a, e.exp(e.multiply(b, const(math.log(2), b))))


@public
def heaviside(x1, x2):
    """0 where x1 < 0, 1 where x1 > 0, x2 where x1 is 0."""
    a, b = float_pair(x1, x2)
    zero = const(0.0, a)
    return e.where(e.isnan(a), a, e.where(e.less(a, zero), zero, e.where(e.greater(a, zero), const(1.0, a), b)))


def _whole(op, x):
    x = to_tensor(x)
    return op(x) if x.spec.dtype in FLOATS else e.cast(x, dtype=config.floatx())


@public
def floor(x):
    """Largest whole number <= x; integers become `config.floatx()`."""
    return _whole(e.floor, x)


@public
def ceil(x):
    """Smallest whole number >= x; integers become `config.floatx()`."""
    return _whole(e.ceil, x)


@public
def round(x, decimals=0):
    """Nearest number with `decimals` decimals; halves go to the even neighbour. Integers stay."""
    x = to_number(x)
    if x.spec.dtype not in FLOATS:
        return x
    if decimals == 0:
        return e.round(x)
    scale = const(10.0**decimals, x)
    return e.divide(e.round(e.multiply(x, scale)), scale)


@public
def trunc(x):
    """x without its fraction."""
    x = to_number(x)
    if x.spec.dtype not in FLOATS:
        return x
    return e.where(e.less(x, const(0.0, x)), e.ceil(x), e.floor(x))


@public
def clip(x, x_min, x_max):
    """x limited to x_min..x_max. The gradient is 0 outside.

    >>> import nnlite
    >>> nnlite.ops.clip([-1.0, 0.5, 2.0], 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    x = to_number(x)
    if x_min is not None:
        x = e.maximum(*pair(x, x_min))
    return x if x_max is None else e.minimum(*pair(x, x_max))


@public
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """Replaces NaN by `nan` and infinities by the largest finite numbers (or `posinf`, `neginf`)."""
    x = to_tensor(x)
    if x.spec.dtype not in FLOATS:
        return x
    largest = {"float64": 1.7976931348623157e308, "float32": 3.4028234663852886e38, "bfloat16": 3.3895313892515355e38}[x.spec.dtype]
    high = to_tensor(largest if posinf is None else posinf, x.spec.dtype)
    low = to_tensor(-largest if neginf is None else neginf, x.spec.dtype)
    infinite, positive = e.isinf(x), e.greater(x, const(0.0, x))
    x = e.where(infinite, e.where(positive, high, low), x)
    return e.where(e.isnan(x), to_tensor(nan, x.spec.dtype), x)
