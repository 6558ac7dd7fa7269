"""Random primitives: element i depends on (key, i) only, so results never depend on threads, chunks or the order of calls."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import FLOATS, Spec

_KEY = Spec((2,), "int64")
_DTYPES = ("float32", "float64")
_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint32(0x9E3779B9), np.uint32(0xBB67AE85))
_ROUNDS = 10


def philox_words(key: np.ndarray, count: int) -> np.ndarray:
    """The first `count` words (uint32) of the Philox4x32-10 stream of a key (seed, call)."""
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    seed, call = (int(k) & (2**64 - 1) for k in key)
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    c0, c1 = (blocks & low).astype(np.uint32), (blocks >> shift).astype(np.uint32)
    c2, c3 = np.full_like(c0, call & 0xFFFFFFFF), np.full_like(c0, call >> 32)
    k0, k1 = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
    with np.errstate(over="ignore"):
        for _ in range(_ROUNDS):
            p0, p1 = _MULTIPLIERS[0] * c0.astype(np.uint64), _MULTIPLIERS[1] * c2.astype(np.uint64)
            c0, c1, c2, c3 = (
                (p1 >> shift).astype(np.uint32) ^ c1 ^ k0,
                p1.astype(np.uint32),
                (p0 >> shift).astype(np.uint32) ^ c3 ^ k1,
                p0.astype(np.uint32),
            )
            k0, k1 = k0 + _WEYL[0], k1 + _WEYL[1]
    return np.stack([c0, c1, c2, c3], axis=-1).reshape(-1)[:count]


def _long_words(key: np.ndarray, count: int) -> np.ndarray:
    """64-bit words: element i joins words 2 i (low half) and 2 i + 1."""
    return philox_words(key, 2 * count).view(np.uint64)


def uniform_values(key: np.ndarray, count: int) -> np.ndarray:
    """Uniform float32 numbers in [0, 1): the upper 24 bits of each word."""
    return (philox_words(key, count) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def _uniform_reference(key, shape, dtype):
    count = math.prod(shape)
    if dtype == "float32":
        return uniform_values(key, count).reshape(shape)
    return ((_long_words(key, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def _normal_reference(key, shape, dtype):
    # Box-Muller on pairs of draws (a, b): r cos(t) and r sin(t). u is never 0, so the logarithm is finite.
    count = math.prod(shape)
    if dtype == "float32":
        a, b = philox_words(key, count + count % 2).reshape(-1, 2).T
        u = (a >> np.uint32(1)).astype(np.float32).astype(np.float64) * 2.0**-31 + 2.0**-32
        angle = b.astype(np.float64) * (2 * math.pi * 2.0**-32)
    else:
        a, b = _long_words(key, count + count % 2).reshape(-1, 2).T
        u = (a >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
        angle = b.astype(np.float64) * (2 * math.pi * 2.0**-64)
    radius = np.sqrt(-2 * np.log(u))
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return pairs.reshape(-1)[:count].reshape(shape).astype(dtype)


def _check(name: str, key: Spec, shape, dtype, dtypes) -> Spec:
    if key != _KEY:
        raise ValueError(f"{name}() takes a key of int64[2], (seed, call); received {key}. Use nnlite.random.SeedGenerator().next().")
    if dtype not in dtypes or min(shape, default=0) < 0:
        raise ValueError(f"{name}() takes sizes >= 0 and a dtype of {', '.join(sorted(dtypes))}; received shape={tuple(shape)}, dtype={dtype!r}.")
    return Spec(tuple(shape), dtype)


_RANDOM = Traits(random=True, cost=lambda inputs, outputs, attributes: 30.0 * outputs[0].size)


@primitive(gradients=(no_gradient,), reference=_uniform_reference, traits=_RANDOM)
def random_uniform(key, *, shape, dtype):
    """Uniform numbers in [0, 1): multiples of 2**-24, in float64 of 2**-53."""
    return _check("random_uniform", key, shape, dtype, _DTYPES)


@primitive(gradients=(no_gradient,), reference=_normal_reference, traits=_RANDOM)
def random_normal(key, *, shape, dtype):
    """Normal numbers of mean 0 and deviation 1."""
    return _check("random_normal", key, shape, dtype, _DTYPES)


def _bits_reference(key, shape, dtype):
    count = math.prod(shape)
    words = philox_words(key, count).view(np.int32) if dtype == "int32" else _long_words(key, count).view(np.int64)
    return words.reshape(shape)


@primitive(gradients=(no_gradient,), reference=_bits_reference, traits=_RANDOM)
def random_bits(key, *, shape, dtype):
    """Random words of all values of int32 or int64."""
    return _check("random_bits", key, shape, dtype, ("int32", "int64"))


def _dropout_reference(x, key, rate):
    keep = uniform_values(key, x.size).reshape(x.shape) >= np.float32(rate)
    return np.where(keep, x * x.dtype.type(1.0 / (1.0 - rate)), x.dtype.type(0))


@primitive(
    gradients=(lambda node, dy: dropout(dy, node.inputs[1], rate=node.attributes["rate"]), no_gradient),
    reference=_dropout_reference,
    traits=Traits(random=True, widen=True, in_place=((0, 0),), cost=lambda inputs, outputs, attributes: 30.0 * outputs[0].size),
)
def dropout(x, key, *, rate):
    """Zeroes elements with probability `rate` and scales the others by 1 / (1 - rate). The mask is drawn again in the gradient, never stored."""
    _check("dropout", key, x.shape, x.dtype, FLOATS)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout() takes a rate with 0 <= rate < 1; received {rate}.")
    return x
