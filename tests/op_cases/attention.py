"""Cases of attention and its gradient."""

import math

import nnlite.ops.attention  # noqa: F401  declares the primitives: the module is loaded only when asked for
import numpy as np

from .case import Case, bools, floats

# (targets, sources, heads, key heads, size, value size), causal, shape of the bias, shape of the mask
_FORMS = [
    ((3, 4, 1, 1, 5, 5), 0, None, None),
    ((1, 1, 1, 1, 1, 1), 0, None, None),
    ((5, 17, 2, 2, 3, 6), 1, None, None),
    ((7, 7, 4, 2, 2, 3), 1, (1, 4, 7, 7), (2, 1, 1, 7)),
    ((3, 6, 4, 1, 2, 2), 0, (2, 1, 3, 6), (1, 1, 3, 6)),
    ((2, 20, 2, 1, 4, 3), 0, None, (2, 2, 2, 20)),
    ((70, 66, 1, 1, 3, 2), 1, (1, 1, 1, 66), None),
]


def _looking(shape):
    """A mask that lets every target look at the first source."""
    mask = bools(*shape)
    mask[..., 0] = True
    return mask


def _forward(q, k, v, scale, causal, bias, mask):
    """y, largest and total by the formula."""
    group = q.shape[2] // k.shape[2]
    scores = np.einsum("btnd,bsnd->bnts", q, np.repeat(k, group, 2)) * scale
    scores = scores if bias is None else scores + bias
    looks = np.tri(q.shape[1], k.shape[1], dtype=bool) if causal else np.True_
    looks = looks if mask is None else looks & mask
    scores = np.where(looks, scores, -np.inf) / math.log(2)
    largest = scores.max(-1)
    p = np.exp2(scores - largest[..., None])
    y = np.einsum("bnts,bsnd->btnd", p / p.sum(-1, keepdims=True), np.repeat(v, group, 2))
    return y, largest, p.sum(-1)


def _cases():
    for (targets, sources, heads, key_heads, size, value_size), causal, bias_shape, mask_shape in _FORMS:
        q, k = floats(2, targets, heads, size), floats(2, sources, key_heads, size, seed=1)
        v, dy = floats(2, sources, key_heads, value_size, seed=2), floats(2, targets, heads, value_size, seed=3)
        bias = None if bias_shape is None else floats(*bias_shape, seed=4)
        mask = None if mask_shape is None else _looking(mask_shape)
        extras = tuple(x for x in (bias, mask) if x is not None)
        attributes = {"scale": 0.5, "causal": causal, "bias": int(bias is not None), "mask": int(mask is not None)}
        exact = {"tolerance": 64, "scale": None, "second": targets < 20}
        yield Case("attention", (q, k, v, *extras), attributes, **exact)
        kept = _forward(q, k, v, 0.5, causal, bias, mask)
        yield Case("attention_grad", (q, k, v, *kept, dy, *extras), attributes, **{**exact, "second": False, "gradient": targets < 20})


CASES = list(_cases())
