"""Special functions by composites."""

from __future__ import annotations

import math

from nnlite.ops import elementwise as e
from nnlite.ops._convert import to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops.arithmetic import const

# Coefficients of M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2011): single precision, for w = -log(1 - x**2).
_CENTRE = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
_TAIL = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682)


def _polynomial(coefficients, w):
    y = const(coefficients[0], w)
    for c in coefficients[1:]:
        y = e.add(e.multiply(y, w), const(c, w))
    return y


@public
def erfinv(x):
    """The inverse of `erf` on -1..1."""
    x = to_float(x)
    w = e.negative(e.log1p(e.negative(e.square(x))))
    centre = _polynomial(_CENTRE, e.subtract(w, const(2.5, w)))
    far = e.maximum(w, const(5.0, w))
    finite = e.where(e.isfinite(far), far, const(5.0, w))
    tail = _polynomial(_TAIL, e.subtract(e.sqrt(finite), const(3.0, w)))
    y = e.multiply(e.where(e.less(w, const(5.0, w)), centre, tail), x)
    # Newton's step makes the approximation exact to the precision of the dtype.
    slope = e.multiply(e.exp(e.negative(e.square(y))), const(2 / math.sqrt(math.pi), y))
    y = e.subtract(y, e.divide(e.subtract(e.erf(y), x), e.maximum(slope, const(1e-30, y))))
    infinite = e.multiply(e.sign(x), const(math.inf, x))
    return e.where(e.equal(e.abs(x), const(1.0, x)), infinite, y)


# Chebyshev-like coefficients of Abramowitz and Stegun 9.8.1 and 9.8.2 (error below 2e-7).
_I0_SMALL = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
_I0_LARGE = (0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319, 0.01328592, 0.39894228)


@public
def i0(x):
    """Modified Bessel function of the first kind of order 0, to single precision."""
    x = e.abs(to_float(x))
    edge = const(3.75, x)
    small = _polynomial(_I0_SMALL, e.square(e.divide(e.minimum(x, edge), edge)))
    far = e.maximum(x, edge)
    large = e.multiply(e.multiply(e.exp(far), e.rsqrt(far)), _polynomial(_I0_LARGE, e.divide(edge, far)))
    return e.where(e.less(x, edge), small, large)


@public
def real(x):
    """x itself: there are no complex tensors."""
    return to_tensor(x)


@public
def imag(x):
    """Zeros: there are no complex tensors."""
    x = to_tensor(x)
    return e.subtract(x, x) if x.spec.dtype != "bool" else e.logical_xor(x, x)


@public(aliases=("conj",))
def conjugate(x):
    """x itself: there are no complex tensors."""
    return to_tensor(x)


@public
def angle(x):
    """pi where x is negative, else 0."""
    x = to_float(x)
    return e.where(e.isnan(x), x, e.where(e.less(x, const(0.0, x)), const(math.pi, x), const(0.0, x)))
