"""Scaled dot-product attention."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.spec import FLOATS
from nnlite.ops import elementwise as e, matrix, movement, softmaxes
from nnlite.ops._convert import all_same, to_bool, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor

# Added to masked scores: large enough to vanish in the softmax, small enough not to overflow when a bias is added.
_MASKED = {"float32": -0.7 * 3.4028235e38, "float64": -0.7 * 1.7976931348623157e308, "bfloat16": -0.7 * 3.3895314e38}


@public
def dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None, attn_logits_soft_cap=None):
    """softmax(scale * query . key + bias) . value over the positions that `mask` allows.

    Args:
        query: [batch, targets, heads, size].
        key, value: [batch, sources, key heads, size]; the number of heads is a multiple of that of the keys.
        bias: Added to the scores; broadcasts to [batch, heads, targets, sources].
        mask: Boolean, true where a target may look; broadcasts to [batch, heads, targets, sources].
        scale: Default: 1 / sqrt(size).
        is_causal: Whether a target looks only at sources up to its own position.
        flash_attention: Accepted for familiarity; the result does not depend on it.
        attn_logits_soft_cap: Limits scores smoothly to this absolute value.

    Returns:
        [batch, targets, heads, size of value].
    """
    q, k, v = (x if x.spec.dtype in FLOATS else e.cast(x, dtype="float32") for x in all_same([query, key, value]))
    _check(q, k, v)
    k, v = _per_head(k, q.spec.shape[2]), _per_head(v, q.spec.shape[2])
    q, k, v = (movement.transpose(t, axes=(0, 2, 1, 3)) for t in (q, k, v))
    scale = 1.0 / math.sqrt(q.spec.shape[-1]) if scale is None else float(scale)
    scores = e.multiply(matrix.matmul(q, k, transpose_a=False, transpose_b=True), scalar(scale, q.spec.dtype))
    if attn_logits_soft_cap is not None:
        cap = float(attn_logits_soft_cap)
        scores = e.multiply(e.tanh(e.multiply(scores, scalar(1.0 / cap, q.spec.dtype))), scalar(cap, q.spec.dtype))
    if bias is not None:
        scores = e.add(scores, to_tensor(bias, q.spec.dtype))
    allowed = _allowed(mask, is_causal, scores.spec.shape)
    if allowed is not None:
        scores = e.where(allowed, scores, scalar(_MASKED[q.spec.dtype], q.spec.dtype))
    y = matrix.matmul(softmaxes.softmax(scores), v, transpose_a=False, transpose_b=False)
    return movement.transpose(y, axes=(0, 2, 1, 3))


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    shapes = [t.spec.shape for t in (q, k, v)]
    ranks_fit = all(len(shape) == 4 for shape in shapes)
    if not ranks_fit or shapes[0][3] != shapes[1][3] or shapes[1][:3] != shapes[2][:3] or not shapes[1][2] or shapes[0][2] % shapes[1][2]:
        raise ValueError(
            "dot_product_attention() takes query [batch, targets, heads, size], key and value [batch, sources, key heads, size], "
            "with heads a multiple of "
            f"key heads; received shapes {shapes[0]}, {shapes[1]} and {shapes[2]}."
        )


def _per_head(t: Tensor, heads: int) -> Tensor:
    """Keys or values repeated so that every head has its own."""
    batch, sources, own, size = t.spec.shape
    if own == heads:
        return t
    t = movement.broadcast_to(movement.reshape(t, shape=(batch, sources, own, 1, size)), shape=(batch, sources, own, heads // own, size))
    return movement.reshape(t, shape=(batch, sources, heads, size))


def _allowed(mask, is_causal: bool, shape) -> Tensor | None:
    mask = None if mask is None else to_bool(mask)
    if not is_causal:
        return mask
    causal = to_tensor(np.tri(shape[2], shape[3], dtype=bool))
    return causal if mask is None else e.logical_and(mask, causal)
