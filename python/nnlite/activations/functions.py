"""Activation functions: thin names over `nnlite.ops`."""

from __future__ import annotations

from nnlite import ops


def linear(x):
    """x itself."""
    return x


def relu(x, negative_slope=0.0, max_value=None, threshold=0.0):
    """max(x, 0), or in general: max_value above it, x between threshold and max_value, negative_slope * (x - threshold) below.

    >>> relu([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """
    x = x if hasattr(x, "dtype") else ops.convert_to_tensor(x)
    if negative_slope == 0.0 and threshold == 0.0:
        if max_value is None:
            return ops.relu(x)
        if max_value == 6:
            return ops.relu6(x)
    below = None if negative_slope == 0.0 else negative_slope * (x - threshold)
    kept = ops.relu(x) if threshold == 0.0 else x * ops.cast(x > threshold, x.dtype)
    if max_value is not None:
        kept = ops.minimum(kept, max_value)
    return kept if below is None else ops.where(x >= threshold, kept, below)


def leaky_relu(x, negative_slope=0.2):
    """x where positive, negative_slope * x elsewhere."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


def relu6(x):
    """min(max(x, 0), 6)."""
    return ops.relu6(x)


def softmax(x, axis=-1):
    """Positive values that sum to 1 along `axis` (or several axes).

    >>> softmax([[0.0, 0.0]]).numpy().tolist()
    [[0.5, 0.5]]
    """
    return ops.softmax(x, axis=axis)


def log_softmax(x, axis=-1):
    """Logarithm of the softmax."""
    return ops.log_softmax(x, axis=axis)


def elu(x, alpha=1.0):
    """x where positive, alpha * (exp(x) - 1) elsewhere."""
    return ops.elu(x, alpha=alpha)


def celu(x, alpha=1.0):
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)."""
    return ops.celu(x, alpha=alpha)


def selu(x):
    """The scaled ELU of self-normalizing networks."""
    return ops.selu(x)


def softplus(x):
    """log(exp(x) + 1)."""
    return ops.softplus(x)


def softsign(x):
    """x / (abs(x) + 1)."""
    return ops.softsign(x)


def silu(x):
    """x * sigmoid(x)."""
    return ops.silu(x)


def gelu(x, approximate=False):
    """x times the normal distribution function of x; the exact erf form, or the tanh approximation."""
    return ops.gelu(x, approximate=approximate)


def tanh(x):
    """Hyperbolic tangent."""
    return ops.tanh(x)


def tanh_shrink(x):
    """x - tanh(x)."""
    return ops.tanh_shrink(x)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(x)


def hard_sigmoid(x):
    """relu6(x + 3) / 6."""
    return ops.hard_sigmoid(x)


def hard_silu(x):
    """x * hard_sigmoid(x)."""
    return ops.hard_silu(x)


def hard_tanh(x):
    """x clipped to [-1, 1]."""
    return ops.hard_tanh(x)


def hard_shrink(x, threshold=0.5):
    """x where abs(x) > threshold, else 0."""
    return ops.hard_shrink(x, threshold=threshold)


def soft_shrink(x, threshold=0.5):
    """x moved towards 0 by threshold."""
    return ops.soft_shrink(x, threshold=threshold)


def threshold(x, threshold, default_value):
    """x where x > threshold, else default_value."""
    return ops.threshold(x, threshold, default_value)


def exponential(x):
    """exp(x)."""
    return ops.exp(x)


def mish(x):
    """x * tanh(softplus(x))."""
    return x * ops.tanh(ops.softplus(x))


def glu(x, axis=-1):
    """The first half along `axis` times the sigmoid of the second."""
    return ops.glu(x, axis=axis)


def log_sigmoid(x):
    """log(sigmoid(x))."""
    return ops.log_sigmoid(x)


def squareplus(x, b=4):
    """(x + sqrt(x^2 + b)) / 2."""
    return ops.squareplus(x, b=b)


def sparse_plus(x):
    """0 below -1, x above 1, (x + 1)^2 / 4 between."""
    return ops.sparse_plus(x)


def sparse_sigmoid(x):
    """(x + 1) / 2 clipped to [0, 1]."""
    return ops.sparse_sigmoid(x)


def sparsemax(x, axis=-1):
    """The point of the probability simplex that is nearest to x along `axis`."""
    return ops.sparsemax(x, axis=axis)


hard_swish, swish = hard_silu, silu
