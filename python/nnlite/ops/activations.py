"""Activation functions."""

from __future__ import annotations

import math

from nnlite.ops import elementwise as e, reduce, softmaxes
from nnlite.ops._convert import axis_of, to_float, to_number, to_tensor
from nnlite.ops._public import public
from nnlite.ops.arithmetic import const
from nnlite.ops.joining import split
from nnlite.ops.manipulation import moveaxis, reshape, transpose

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


@public
def relu(x):
    """max(x, 0); the gradient at 0 is 0.

    >>> import nnlite
    >>> nnlite.ops.relu([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """
    return e.relu(to_number(x))


@public
def relu6(x):
    """min(max(x, 0), 6)."""
    y = e.relu(to_number(x))
    six = const(6, y)
    return e.where(e.less(y, six), y, six)


@public
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return e.sigmoid(to_float(x))


@public
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along an axis (or several, or None: all).

    >>> import nnlite
    >>> nnlite.ops.softmax([0.0, 0.0]).tolist()
    [0.5, 0.5]
    """
    return _along("softmax", softmaxes.softmax, to_float(x), axis)


@public
def log_softmax(x, axis=-1):
    """Logarithm of `softmax`, exact for small probabilities."""
    return _along("log_softmax", softmaxes.log_softmax, to_float(x), axis)


def _along(name: str, op, x, axis):
    """Applies an op of the last axis along another axis or several."""
    rank = len(x.spec.shape)
    if axis is None:
        return reshape(op(reshape(x, (-1,))), x.spec.shape)
    if isinstance(axis, (tuple, list)):
        axes = [axis_of(name, a, rank) for a in axis]
        order = [a for a in range(rank) if a not in axes] + axes
        moved = transpose(x, order)
        flat = reshape(moved, (*moved.spec.shape[: rank - len(axes)], -1))
        back = [order.index(a) for a in range(rank)]
        return transpose(reshape(op(flat), moved.spec.shape), back)
    axis = axis_of(name, axis, rank)
    return op(x) if axis == rank - 1 else moveaxis(op(moveaxis(x, axis, -1)), -1, axis)


@public
def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return smooth_plus(to_float(x))


def smooth_plus(x):
    """softplus written so that its gradient is exactly sigmoid, also at 0: `minimum` gives ties to its first input."""
    return e.add(e.maximum(x, const(0.0, x)), e.log1p(e.exp(e.minimum(e.negative(x), x))))


@public
def log_sigmoid(x):
    """log(sigmoid(x)) without overflow."""
    return e.negative(smooth_plus(e.negative(to_float(x))))


@public
def softsign(x):
    """x / (1 + |x|)."""
    x = to_float(x)
    return e.divide(x, e.add(e.abs(x), const(1.0, x)))


@public(aliases=("swish",))
def silu(x):
    """x * sigmoid(x)."""
    x = to_float(x)
    return e.multiply(x, e.sigmoid(x))


@public
def gelu(x, approximate=True):
    """x times the normal distribution function of x: exact, or by tanh when `approximate`."""
    x = to_float(x)
    if approximate:
        inner = e.multiply(const(math.sqrt(2 / math.pi), x), e.add(x, e.multiply(const(0.044715, x), e.multiply(e.square(x), x))))
        return e.multiply(e.multiply(const(0.5, x), x), e.add(e.tanh(inner), const(1.0, x)))
    return e.gelu(x)


@public
def leaky_relu(x, negative_slope=0.2):
    """x where x > 0, else negative_slope * x."""
    x = to_float(x)
    return e.where(e.greater(x, const(0.0, x)), x, e.multiply(x, const(float(negative_slope), x)))


def _negative_exponential(x):
    """exp(x) - 1 below 0; 0 above, where exp could overflow."""
    return e.expm1(e.minimum(x, const(0.0, x)))


@public
def elu(x, alpha=1.0):
    """x where x > 0, else alpha * (exp(x) - 1)."""
    x = to_float(x)
    return e.where(e.greater(x, const(0.0, x)), x, e.multiply(_negative_exponential(x), const(float(alpha), x)))


@public
def selu(x):
    """`elu` scaled so that mean 0 and variance 1 are kept from layer to layer."""
    x = to_float(x)
    low = e.multiply(_negative_exponential(x), const(_SELU_ALPHA, x))
    return e.multiply(e.where(e.greater(x, const(0.0, x)), x, low), const(_SELU_SCALE, x))


@public
def celu(x, alpha=1.0):
    """x where x > 0, else alpha * (exp(x / alpha) - 1)."""
    x = to_float(x)
    low = e.multiply(_negative_exponential(e.multiply(x, const(1.0 / alpha, x))), const(float(alpha), x))
    return e.where(e.greater(x, const(0.0, x)), x, low)


def _gate(x):
    """relu6(x + 3) / 6."""
    low = e.maximum(e.add(x, const(3.0, x)), const(0.0, x))
    return e.multiply(e.minimum(low, const(6.0, x)), const(1 / 6, x))


@public
def hard_sigmoid(x):
    """relu6(x + 3) / 6."""
    return _gate(to_float(x))


@public(aliases=("hard_swish",))
def hard_silu(x):
    """x * hard_sigmoid(x)."""
    x = to_float(x)
    return e.multiply(x, _gate(x))


@public
def hard_tanh(x):
    """x limited to -1..1."""
    x = to_float(x)
    return e.minimum(e.maximum(x, const(-1.0, x)), const(1.0, x))


@public
def tanh_shrink(x):
    """x - tanh(x)."""
    x = to_float(x)
    return e.subtract(x, e.tanh(x))


@public
def soft_shrink(x, threshold=0.5):
    """x moved towards 0 by `threshold`, 0 within."""
    x = to_float(x)
    return e.multiply(e.sign(x), e.relu(e.subtract(e.abs(x), const(float(threshold), x))))


@public
def hard_shrink(x, threshold=0.5):
    """x where |x| > threshold, else 0."""
    x = to_float(x)
    return e.where(e.greater(e.abs(x), const(float(threshold), x)), x, const(0.0, x))


@public
def threshold(x, threshold, default_value):
    """x where x > threshold, else `default_value`."""
    x = to_number(x)
    return e.where(e.greater(x, to_tensor(threshold, x.spec.dtype)), x, to_tensor(default_value, x.spec.dtype))


@public
def squareplus(x, b=4):
    """(x + sqrt(x**2 + b)) / 2."""
    x = to_float(x)
    return e.multiply(e.add(x, e.sqrt(e.add(e.square(x), const(float(b), x)))), const(0.5, x))


@public
def sparse_plus(x):
    """0 up to -1, ((x + 1) / 2)**2 up to 1, then x."""
    x = to_float(x)
    one = const(1.0, x)
    middle = e.square(e.multiply(e.add(x, one), const(0.5, x)))
    return e.where(e.less_equal(x, const(-1.0, x)), const(0.0, x), e.where(e.less(x, one), middle, x))


@public
def sparse_sigmoid(x):
    """0 up to -1, (x + 1) / 2 up to 1, then 1."""
    x = to_float(x)
    middle = e.multiply(e.add(x, const(1.0, x)), const(0.5, x))
    return e.minimum(e.maximum(middle, const(0.0, x)), const(1.0, x))


@public
def sparsemax(x, axis=-1):
    """The point of the probability simplex nearest to x: like softmax, with true zeros."""
    return _along("sparsemax", _sparsemax_last, to_float(x), axis)


def _sparsemax_last(x):
    from nnlite.ops.creation import arange
    from nnlite.ops.sorting import sort

    axes = (len(x.spec.shape) - 1,)
    one = const(1.0, x)
    ordered = e.negative(sort(e.negative(x), -1))
    ranks = arange(1, x.spec.shape[-1] + 1, dtype=x.spec.dtype)
    sums = reduce.cumsum(ordered, axis=axes[0], reverse=False)
    support = e.greater(e.add(e.multiply(ordered, ranks), one), sums)
    count = reduce.sum(e.cast(support, dtype=x.spec.dtype), axes=axes, keepdims=True)
    total = reduce.sum(e.where(support, ordered, const(0.0, x)), axes=axes, keepdims=True)
    return e.maximum(e.subtract(x, e.divide(e.subtract(total, one), count)), const(0.0, x))


@public
def glu(x, axis=-1):
    """The first half along an axis times the sigmoid of the second half."""
    x = to_float(x)
    if x.spec.shape[axis_of("glu", axis, len(x.spec.shape))] % 2:
        raise ValueError(f"glu() halves an axis of even size; axis {axis} of shape {x.spec.shape} is odd.")
    first, second = split(x, 2, axis)
    return e.multiply(first, e.sigmoid(second))
