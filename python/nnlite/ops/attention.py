"""Scaled dot-product attention: the primitive, its gradient, and the public function."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, primitive, variadic
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import elementwise as e
from nnlite.ops import matrix, movement, reduce, softmaxes
from nnlite.ops._convert import all_same, to_bool, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops._second_order import by_formula
from nnlite.tensor import Tensor

_LARGEST = {"float32": 3.4028235e38, "float64": 1.7976931348623157e308, "bfloat16": 3.3895314e38}
_LOG2E, _LN2 = math.log2(math.e), math.log(2.0)


def _masked(dtype: str) -> float:
    """The score, in units of log 2, of what is not looked at: it vanishes in the softmax, unless a whole row is so."""
    return -0.5 * _LARGEST[dtype]


def _heads_first(t: Tensor) -> Tensor:
    """[batch, length, heads, size] to [batch, heads, length, size], and back."""
    return movement.transpose(t, axes=(0, 2, 1, 3))


def _per_head(t: Tensor, heads: int) -> Tensor:
    """Keys or values repeated so that every head has its own."""
    batch, sources, own, size = t.spec.shape
    if own == heads:
        return t
    t = movement.broadcast_to(movement.reshape(t, shape=(batch, sources, own, 1, size)), shape=(batch, sources, own, heads // own, size))
    return movement.reshape(t, shape=(batch, sources, heads, size))


def _per_key_head(t: Tensor, key_heads: int) -> Tensor:
    """Sums over the heads that share a key head."""
    batch, sources, heads, size = t.spec.shape
    if heads == key_heads:
        return t
    return reduce.sum(movement.reshape(t, shape=(batch, sources, key_heads, heads // key_heads, size)), axes=(3,), keepdims=False)


def _column(t: Tensor) -> Tensor:
    return movement.reshape(t, shape=(*t.spec.shape, 1))


def _allowed(mask: Tensor | None, causal: bool, targets: int, sources: int) -> Tensor | None:
    if not causal:
        return mask
    tri = to_tensor(np.tri(targets, sources, dtype=bool))
    return tri if mask is None else e.logical_and(mask, tri)


def _scores(q, k, extras, scale, causal, bias, mask):
    """Scores [batch, heads, targets, sources] in units of log 2, and where they count (None: everywhere)."""
    dtype = q.spec.dtype
    scores = matrix.matmul(_heads_first(q), _heads_first(_per_head(k, q.spec.shape[2])), transpose_a=False, transpose_b=True)
    scores = e.multiply(scores, scalar(scale * _LOG2E, dtype))
    if bias:
        # The lowest finite bias stays finite in units of log 2.
        scores = e.maximum(e.add(scores, e.multiply(extras[0], scalar(_LOG2E, dtype))), scalar(2 * _masked(dtype), dtype))
    allowed = _allowed(extras[-1] if mask else None, causal, *scores.spec.shape[2:])
    return (scores if allowed is None else e.where(allowed, scores, scalar(_masked(dtype), dtype))), allowed


def _relative(scores, largest):
    """2 ** (scores - largest)."""
    return e.exp(e.multiply(e.subtract(scores, _column(largest)), scalar(_LN2, scores.spec.dtype)))


def _statistics(q, k, v, *extras, **attributes):
    """The outputs `largest` and `total` of `attention`."""
    scores, _ = _scores(q, k, extras, **attributes)
    largest = reduce.max(scores, axes=(3,), keepdims=False)
    return largest, reduce.sum(_relative(scores, largest), axes=(3,), keepdims=False)


def _weights_and_gradients(q, k, v, y, largest, total, dy, extras, attributes):
    """The weights and the gradients of the scores (in units of e), both [batch, heads, targets, sources]."""
    scores, allowed = _scores(q, k, extras, **attributes)
    p = e.divide(_relative(scores, largest), _column(total))
    dy = _heads_first(dy)
    dp = matrix.matmul(dy, _heads_first(_per_head(v, q.spec.shape[2])), transpose_a=False, transpose_b=True)
    mean = reduce.sum(e.multiply(_heads_first(y), dy), axes=(3,), keepdims=True)
    ds = e.multiply(p, e.subtract(dp, mean))
    return p, ds if allowed is None else e.where(allowed, ds, scalar(0.0, q.spec.dtype))


def _gradient_formula(q, k, v, y, largest, total, dy, *extras, **attributes):
    p, ds = _weights_and_gradients(q, k, v, y, largest, total, dy, extras, attributes)
    scale, heads, key_heads = scalar(attributes["scale"], q.spec.dtype), q.spec.shape[2], k.spec.shape[2]
    dq = matrix.matmul(ds, _heads_first(_per_head(k, heads)), transpose_a=False, transpose_b=False)
    dk = matrix.matmul(ds, _heads_first(q), transpose_a=True, transpose_b=False)
    dv = matrix.matmul(p, _heads_first(dy), transpose_a=True, transpose_b=False)
    dk, dv = (_per_key_head(_heads_first(t), key_heads) for t in (dk, dv))
    return e.multiply(_heads_first(dq), scale), e.multiply(dk, scale), dv


def _gradient(node, i, dy, dlargest, dtotal):
    """Gradient of input i. The largest scores and totals are there for the gradient; what flows back from them comes by formula."""
    parts = []
    if dy is not None and i < 3:
        parts.append(attention_grad(*node.inputs[:3], *node.outputs, dy, *node.inputs[3:], **node.attributes)[i])
    elif dy is not None:
        _, ds = _weights_and_gradients(*node.inputs[:3], *node.outputs, dy, node.inputs[3:], node.attributes)
        parts.append(e.unbroadcast(ds, node.inputs[i].spec.shape))
    if dlargest is not None or dtotal is not None:
        parts.append(by_formula(_statistics).function(node, i, dlargest, dtotal))
    parts = [part for part in parts if part is not None]
    return None if not parts else parts[0] if len(parts) == 1 else e.add(*parts)


def _scores_reference(q, k, extras, scale, causal, bias, mask):
    k = np.repeat(k, q.shape[2] // k.shape[2], axis=2)
    scores = np.einsum("btnd,bsnd->bnts", q, k) * q.dtype.type(scale * _LOG2E)
    if bias:
        with np.errstate(over="ignore"):
            biased = scores + extras[0] * q.dtype.type(_LOG2E)
        scores = np.where(np.isneginf(extras[0]), biased, np.maximum(biased, q.dtype.type(2 * _masked(str(q.dtype)))))
    looks = np.broadcast_to(extras[-1] if mask else np.True_, scores.shape)
    if causal:
        looks = looks & np.tri(*scores.shape[2:], dtype=bool)
    return np.where(looks, scores, q.dtype.type(_masked(str(q.dtype)))), looks


def _reference(q, k, v, *extras, **attributes):
    scores, _ = _scores_reference(q, k, extras, **attributes)
    largest = scores.max(-1)
    p = np.exp2(scores - largest[..., None])
    total = p.sum(-1)
    v = np.repeat(v, q.shape[2] // v.shape[2], axis=2)
    return np.einsum("bnts,bsnd->btnd", p / total[..., None], v), largest, total


def _grad_reference(q, k, v, y, largest, total, dy, *extras, **attributes):
    group = q.shape[2] // k.shape[2]
    scores, looks = _scores_reference(q, k, extras, **attributes)
    p = np.exp2(scores - largest[..., None]) / total[..., None]
    dp = np.einsum("btnd,bsnd->bnts", dy, np.repeat(v, group, axis=2))
    ds = np.where(looks, p * (dp - np.einsum("btnd,btnd->bnt", y, dy)[..., None]), q.dtype.type(0)) * q.dtype.type(attributes["scale"])
    dq = np.einsum("bnts,bsnd->btnd", ds, np.repeat(k, group, axis=2))
    dk, dv = np.einsum("bnts,btnd->bsnd", ds, q), np.einsum("bnts,btnd->bsnd", p, dy)
    return dq, dk.reshape(*k.shape[:3], group, -1).sum(3), dv.reshape(*v.shape[:3], group, -1).sum(3)


def _products(inputs) -> float:
    return 2.0 * inputs[0].size * inputs[1].shape[1]


def _check(name: str, q: Spec, k: Spec, v: Spec, extras, bias: int, mask: int) -> Spec:
    """The spec of the output."""
    shapes = [t.shape for t in (q, k, v)]
    fits = all(len(shape) == 4 for shape in shapes) and q.dtype in FLOATS and q.dtype == k.dtype == v.dtype
    fits = fits and shapes[0][3] == shapes[1][3] and shapes[0][0] == shapes[1][0] and shapes[1][:3] == shapes[2][:3]
    if not fits or not shapes[1][2] or shapes[0][2] % shapes[1][2]:
        raise ValueError(
            f"{name}() takes query [batch, targets, heads, size], key and value [batch, sources, key heads, size], "
            f"with heads a multiple of key heads; received shapes {shapes[0]}, {shapes[1]} and {shapes[2]} of {q.dtype}, {k.dtype} and {v.dtype}."
        )
    whole = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    wanted = [("bias", q.dtype)] * bool(bias) + [("mask", "bool")] * bool(mask)
    if len(wanted) != len(extras):
        raise ValueError(f"{name}() with bias={bias} and mask={mask} takes {len(wanted)} inputs after the others; received {len(extras)}.")
    for (what, dtype), extra in zip(wanted, extras):
        narrow = len(extra.shape) != 4 or extra.shape[3:] != whole[3:] or any(n not in (1, m) for n, m in zip(extra.shape, whole))
        if narrow or extra.dtype != dtype:
            raise ValueError(
                f"{name}() takes a {what} of {dtype} that broadcasts to [batch, heads, targets, sources], here {whole}, and whose last axis is "
                f"{whole[3]}; received {extra}."
            )
    return Spec((*q.shape[:3], v.shape[3]), q.dtype)


@primitive(
    gradients=variadic(_gradient),
    reference=_reference,
    traits=Traits(widen=True, cost=lambda inputs, outputs, attributes: _products(inputs) * 2 + _products(inputs) * 12 / max(inputs[0].shape[3], 1)),
)
def attention(q, k, v, *extras, scale, causal, bias, mask):
    """(softmax(scale * q . k + bias) . v, the largest score of each row in units of log 2, the sum of 2 ** (score - largest))."""
    y = _check("attention", q, k, v, extras, bias, mask)
    rows = Spec((q.shape[0], q.shape[2], q.shape[1]), q.dtype)
    return y, rows, rows


@primitive(
    gradients=by_formula(_gradient_formula),
    reference=_grad_reference,
    traits=Traits(widen=True, cost=lambda inputs, outputs, attributes: _products(inputs) * 5),
)
def attention_grad(q, k, v, y, largest, total, dy, *extras, scale, causal, bias, mask):
    """(dq, dk, dv) of attention, from its outputs."""
    expected = _check("attention_grad", q, k, v, extras, bias, mask)
    rows = Spec((q.shape[0], q.shape[2], q.shape[1]), q.dtype)
    if y != expected or dy != expected or largest != rows or total != rows:
        raise ValueError(
            f"attention_grad() takes y and dy like the output, {expected}, and largest and total {rows}; received {y}, {dy}, {largest} and {total}."
        )
    return q, k, v


@public
def dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None, attn_logits_soft_cap=None):
    """softmax(scale * query . key + bias) . value over the positions that `mask` allows.

    A target that may look nowhere gets the mean of all values. Scores are never held in memory as a whole, unless `attn_logits_soft_cap` is given.

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

    >>> import nnlite, numpy as np
    >>> x = np.ones((2, 5, 4, 8), "float32")
    >>> nnlite.ops.dot_product_attention(x, x, x, is_causal=True).shape
    (2, 5, 4, 8)
    """
    q, k, v = (x if x.spec.dtype in FLOATS else e.cast(x, dtype="float32") for x in all_same([query, key, value]))
    _check("dot_product_attention", q.spec, k.spec, v.spec, (), 0, 0)
    scale = 1.0 / math.sqrt(max(q.spec.shape[-1], 1)) if scale is None else float(scale)
    whole = (q.spec.shape[0], q.spec.shape[2], q.spec.shape[1], k.spec.shape[1])
    bias = None if bias is None else _placed("bias", to_tensor(bias, q.spec.dtype), whole)
    mask = None if mask is None else _placed("mask", to_bool(mask), whole)
    if attn_logits_soft_cap is not None or not all((*k.spec.shape, v.spec.shape[3])):
        return _unfused(q, k, v, bias, mask, scale, bool(is_causal), attn_logits_soft_cap)
    extras = [t for t in (bias, mask) if t is not None]
    return attention(q, k, v, *extras, scale=scale, causal=int(bool(is_causal)), bias=int(bias is not None), mask=int(mask is not None))[0]


def _placed(what: str, t: Tensor, whole) -> Tensor:
    """Bias or mask with four axes, the last of them whole."""
    shape = (1,) * (4 - len(t.spec.shape)) + t.spec.shape
    if len(shape) != 4 or any(n not in (1, m) for n, m in zip(shape, whole)):
        raise ValueError(
            f"The {what} of dot_product_attention() must broadcast to [batch, heads, targets, sources], here {whole}; received shape {t.spec.shape}."
        )
    t = t if shape == t.spec.shape else movement.reshape(t, shape=shape)
    return t if shape[3] == whole[3] else movement.broadcast_to(t, shape=(*shape[:3], whole[3]))


def _unfused(q, k, v, bias, mask, scale, causal, cap) -> Tensor:
    dtype, heads = q.spec.dtype, q.spec.shape[2]
    scores = matrix.matmul(_heads_first(q), _heads_first(_per_head(k, heads)), transpose_a=False, transpose_b=True)
    scores = e.multiply(scores, scalar(scale, dtype))
    if cap is not None:
        scores = e.multiply(e.tanh(e.multiply(scores, scalar(1.0 / float(cap), dtype))), scalar(float(cap), dtype))
    if bias is not None:
        scores = e.add(scores, bias)
    allowed = _allowed(mask, causal, *scores.spec.shape[2:])
    if allowed is not None:
        scores = e.where(allowed, scores, scalar(_masked(dtype), dtype))
    return _heads_first(matrix.matmul(softmaxes.softmax(scores), _heads_first(_per_head(v, heads)), transpose_a=False, transpose_b=False))
