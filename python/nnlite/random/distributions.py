"""Random tensors. With an integer seed a function gives the same values on every call; with a SeedGenerator or None, new ones."""

from __future__ import annotations

import math

import numpy as np

from nnlite import config
from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e, movement, random_ops, reduce
from nnlite.ops._convert import axis_of, static_ints, to_float, to_tensor
from nnlite.ops._dtypes import standardize
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.random.seed_generator import key_of
from nnlite.tensor import Tensor

# erf(2 / sqrt(2)): the share of a normal distribution within two deviations.
_WITHIN_TWO = math.erf(math.sqrt(2.0))


def _float_dtype(name: str, dtype) -> str:
    dtype = config.floatx() if dtype is None else standardize(dtype)
    if dtype not in FLOATS:
        raise ValueError(f"{name}() draws floating-point numbers; received dtype={dtype!r}. Use randint for integers.")
    return dtype


def _drawn(dtype: str) -> str:
    """The dtype in which numbers of `dtype` are drawn: bfloat16 is rounded at the end."""
    return "float32" if dtype == "bfloat16" else dtype


def _uniform01(shape, dtype: str, seed) -> Tensor:
    return random_ops.random_uniform(key_of(seed), shape=shape, dtype=_drawn(dtype))


def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Normal numbers of the given mean and standard deviation.

    >>> import nnlite
    >>> nnlite.random.normal((2, 3), seed=1).shape
    (2, 3)
    """
    dtype = _float_dtype("normal", dtype)
    x = random_ops.random_normal(key_of(seed), shape=static_ints("normal", "shape", shape), dtype=_drawn(dtype))
    return to_tensor(_scaled(x, stddev, mean), dtype)


def _scaled(x: Tensor, factor, shift) -> Tensor:
    """x * factor + shift, leaving out what changes nothing."""
    if not (isinstance(factor, (int, float)) and factor == 1):
        x = e.multiply(x, to_tensor(factor, x.spec.dtype))
    return x if isinstance(shift, (int, float)) and shift == 0 else e.add(x, to_tensor(shift, x.spec.dtype))


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    """Numbers evenly distributed in [minval, maxval); integers with an integer dtype.

    >>> import nnlite
    >>> bool(nnlite.ops.all(nnlite.random.uniform((100,), 2.0, 3.0) >= 2.0))
    True
    """
    if dtype is not None and standardize(dtype) not in FLOATS:
        return randint(shape, int(minval), int(maxval), dtype, seed)
    dtype = _float_dtype("uniform", dtype)
    x = _uniform01(static_ints("uniform", "shape", shape), dtype, seed)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)):
        return to_tensor(_scaled(x, maxval - minval, minval), dtype)
    low, high = to_tensor(minval, x.spec.dtype), to_tensor(maxval, x.spec.dtype)
    return to_tensor(e.add(e.multiply(x, e.subtract(high, low)), low), dtype)


def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
    """Normal numbers within two standard deviations of the mean."""
    from nnlite.ops.special import erfinv

    dtype = _float_dtype("truncated_normal", dtype)
    u = _uniform01(static_ints("truncated_normal", "shape", shape), dtype, seed)
    drawn = u.spec.dtype
    # The inverse of the distribution function, between its values at -2 and 2.
    centred = e.multiply(e.add(u, scalar(2.0**-25 - 0.5, drawn)), scalar(_WITHIN_TWO * 2, drawn))
    x = e.multiply(erfinv(centred), scalar(math.sqrt(2.0), drawn))
    limit = scalar(2.0, drawn)
    return to_tensor(_scaled(e.maximum(e.minimum(x, limit), e.negative(limit)), stddev, mean), dtype)


def randint(shape, minval, maxval, dtype="int32", seed=None):
    """Integers evenly distributed in [minval, maxval).

    >>> import nnlite
    >>> sorted(set(nnlite.random.randint((100,), 0, 3, seed=1).tolist()))
    [0, 1, 2]
    """
    dtype = standardize(dtype)
    if dtype in FLOATS or dtype == "bool":
        raise ValueError(f"randint() draws integers; received dtype={dtype!r}. Use uniform for floating-point numbers.")
    low, high = to_tensor(minval, "int64"), to_tensor(maxval, "int64")
    bits = random_ops.random_bits(key_of(seed), shape=static_ints("randint", "shape", shape), dtype="int64")
    return e.cast(e.add(e.mod(bits, e.subtract(high, low)), low), dtype=dtype)


def categorical(logits, num_samples, dtype="int32", seed=None):
    """Classes drawn with probabilities softmax(logits): [batch, num_samples] from [batch, classes]."""
    logits = to_float(logits)
    if len(logits.spec.shape) != 2:
        raise ValueError(f"categorical() takes logits [batch, classes]; received shape {logits.spec.shape}.")
    batch, classes = logits.spec.shape
    u = _uniform01((batch, int(num_samples), classes), logits.spec.dtype, seed)
    # The largest of logits + Gumbel noise falls on each class with its probability.
    u = e.add(u, scalar(2.0**-25, u.spec.dtype))
    noise = e.negative(e.log(e.negative(e.log(u))))
    scores = e.add(to_tensor(movement.reshape(logits, shape=(batch, 1, classes)), u.spec.dtype), noise)
    return e.cast(reduce.argmax(scores, axis=2), dtype=standardize(dtype))


@public(home={})
def dropout(inputs, rate, noise_shape=None, seed=None):
    """Zeroes elements with probability `rate` and scales the others by 1 / (1 - rate).

    Args:
        noise_shape: Shape of the mask, which broadcasts to that of `inputs`; None stands for a size of `inputs`.
    """
    x = to_float(inputs)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout() takes a rate between 0 and 1; received rate={rate}.")
    if rate == 0:
        return x
    if rate == 1:
        return e.multiply(x, scalar(0.0, x.spec.dtype))
    if noise_shape is None:
        return random_ops.dropout(x, key_of(seed), rate=float(rate))
    shape = tuple(dim if wanted is None else int(wanted) for wanted, dim in zip(noise_shape, x.spec.shape, strict=True))
    mask = random_ops.dropout(movement.broadcast_to(scalar(1.0, x.spec.dtype), shape=shape), key_of(seed), rate=float(rate))
    return e.multiply(x, mask)


def shuffle(x, axis=0, seed=None):
    """The slices of an axis in random order."""
    from nnlite.ops.indexing import take_along

    x = to_tensor(x)
    axis = axis_of("shuffle", axis, len(x.spec.shape))
    bits = random_ops.random_bits(key_of(seed), shape=(x.spec.shape[axis],), dtype="int64")
    return take_along(x, reduce.argsort(bits), axis)


def _numpy_generator(name: str, seed) -> np.random.Generator:
    key = key_of(seed)
    if key.data is None:
        raise RuntimeError(f"{name}() draws by rejection, so it cannot be compiled: call it outside of compiled functions and pass the result in.")
    return np.random.default_rng([int(v) for v in key.data])


def gamma(shape, alpha, dtype=None, seed=None):
    """Gamma distributed numbers of shape parameter `alpha` and scale 1. Not available in compiled functions."""
    dtype = _float_dtype("gamma", dtype)
    draw = _numpy_generator("gamma", seed).gamma(np.asarray(to_float(alpha), "float64"), size=static_ints("gamma", "shape", shape))
    return to_tensor(draw, dtype)


def beta(shape, alpha, beta, dtype=None, seed=None):
    """Beta distributed numbers. Not available in compiled functions."""
    dtype = _float_dtype("beta", dtype)
    generator = _numpy_generator("beta", seed)
    first, second = (np.asarray(to_float(v), "float64") for v in (alpha, beta))
    return to_tensor(generator.beta(first, second, size=static_ints("beta", "shape", shape)), dtype)


def binomial(shape, counts, probabilities, dtype=None, seed=None):
    """Numbers of successes in `counts` trials. Not available in compiled functions."""
    dtype = _float_dtype("binomial", dtype)
    generator = _numpy_generator("binomial", seed)
    n, p = np.asarray(to_tensor(counts)).astype("int64"), np.asarray(to_float(probabilities), "float64")
    return to_tensor(generator.binomial(n, p, size=static_ints("binomial", "shape", shape)), dtype)
