"""Batch, layer and root mean square normalization in their training form, with their gradients."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, primitive
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import elementwise as e, reduce, movement
from nnlite.ops._scalars import scalar
from nnlite.ops._second_order import by_formula


def _check(name: str, x: Spec, *others: Spec) -> None:
    channels = x.shape[-1:] if x.shape else None
    if x.dtype not in FLOATS or channels is None or any(s != Spec(channels, x.dtype) for s in others):
        raise ValueError(
            f"{name}() takes a float tensor [..., C] and scale and offset [C] of its dtype; received {x} with {', '.join(map(str, others))}."
        )


def _cost(inputs, outputs, attributes):
    return 8.0 * inputs[0].size


def _leading(shape) -> tuple[int, ...]:
    return tuple(range(len(shape) - 1))


def _batch_norm_reference(x, gamma, beta, epsilon):
    axes = _leading(x.shape)
    mean, variance = x.mean(axes), x.var(axes)
    return (x - mean) / np.sqrt(variance + x.dtype.type(epsilon)) * gamma + beta, mean, variance


def _batch_norm_grad_reference(x, dy, gamma, mean, variance, epsilon):
    axes = _leading(x.shape)
    rstd = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    normed = (x - mean) * rstd
    dbeta, dgamma = dy.sum(axes), (dy * normed).sum(axes)
    count = x.dtype.type(max(x.size // x.shape[-1], 1))
    return gamma * rstd * (dy - dbeta / count - normed * dgamma / count), dgamma, dbeta


def _rows(x) -> float:
    """Number of elements per channel."""
    return float(x.spec.size // max(x.spec.shape[-1], 1))


def _batch_norm_grad_formula(x, dy, gamma, mean, variance, *, epsilon):
    axes = _leading(x.spec.shape)
    dtype = x.spec.dtype
    rstd = e.rsqrt(e.add(variance, scalar(epsilon, dtype)))
    normed = e.multiply(e.subtract(x, mean), rstd)
    dbeta, dgamma = reduce.sum(dy, axes=axes, keepdims=False), reduce.sum(e.multiply(dy, normed), axes=axes, keepdims=False)
    share = scalar(1.0 / _rows(x), dtype)
    inner = e.subtract(dy, e.multiply(e.add(dbeta, e.multiply(normed, dgamma)), share))
    return e.multiply(e.multiply(gamma, rstd), inner), dgamma, dbeta


def _batch_norm_gradient(i: int):
    def gradient(node, dy, dmean, dvariance):
        x, gamma, _ = node.inputs
        _, mean, variance = node.outputs
        result = None if dy is None else batch_norm_grad(x, dy, gamma, mean, variance, epsilon=node.attributes["epsilon"])[i]
        if i > 0:
            return result
        for part in _statistics_gradients(x, mean, dmean, dvariance):
            result = part if result is None else e.add(result, part)
        return result

    return gradient


def _statistics_gradients(x, mean, dmean, dvariance):
    """What flows back when the mean or the variance itself was used."""
    share = scalar(1.0 / _rows(x), x.spec.dtype)
    if dmean is not None:
        yield movement.broadcast_to(e.multiply(dmean, share), shape=x.spec.shape)
    if dvariance is not None:
        yield e.multiply(e.subtract(x, mean), e.multiply(dvariance, e.multiply(share, scalar(2.0, x.spec.dtype))))


@primitive(gradients=tuple(_batch_norm_gradient(i) for i in range(3)), reference=_batch_norm_reference, traits=Traits(widen=True, cost=_cost))
def batch_norm(x, gamma, beta, *, epsilon):
    """(y, mean [C], biased variance [C]): x normalized over all axes but the last, scaled by gamma, shifted by beta."""
    _check("batch_norm", x, gamma, beta)
    channels = Spec(x.shape[-1:], x.dtype)
    return x, channels, channels


@primitive(gradients=by_formula(_batch_norm_grad_formula), reference=_batch_norm_grad_reference, traits=Traits(widen=True, cost=_cost))
def batch_norm_grad(x, dy, gamma, mean, variance, *, epsilon):
    """(dx, dgamma, dbeta) of batch_norm; the mean and variance are those of x."""
    _check("batch_norm_grad", x, gamma, mean, variance)
    if dy != x:
        raise ValueError(f"batch_norm_grad() takes dy like x, {x}; received {dy}.")
    return x, gamma, gamma


def _layer_norm_reference(x, gamma, beta, epsilon):
    mean = x.mean(-1)
    rstd = 1 / np.sqrt(x.var(-1) + x.dtype.type(epsilon))
    return (x - mean[..., None]) * rstd[..., None] * gamma + beta, mean, rstd


def _layer_norm_grad_reference(x, dy, gamma, mean, rstd):
    axes = _leading(x.shape)
    normed = (x - mean[..., None]) * rstd[..., None]
    g = dy * gamma
    dx = rstd[..., None] * (g - g.mean(-1, keepdims=True) - normed * (g * normed).mean(-1, keepdims=True))
    return dx, (dy * normed).sum(axes), dy.sum(axes)


def _column(t):
    return movement.reshape(t, shape=(*t.spec.shape, 1))


def _last_mean(t):
    total = reduce.sum(t, axes=(len(t.spec.shape) - 1,), keepdims=True)
    return e.multiply(total, scalar(1.0 / t.spec.shape[-1], t.spec.dtype))


def _layer_norm_grad_formula(x, dy, gamma, mean, rstd):
    axes = _leading(x.spec.shape)
    normed = e.multiply(e.subtract(x, _column(mean)), _column(rstd))
    g = e.multiply(dy, gamma)
    inner = e.subtract(e.subtract(g, _last_mean(g)), e.multiply(normed, _last_mean(e.multiply(g, normed))))
    dgamma = reduce.sum(e.multiply(dy, normed), axes=axes, keepdims=False)
    return e.multiply(_column(rstd), inner), dgamma, reduce.sum(dy, axes=axes, keepdims=False)


def _layer_norm_gradient(i: int):
    def gradient(node, dy, dmean, drstd):
        x, gamma, _ = node.inputs
        _, mean, rstd = node.outputs
        result = None if dy is None else layer_norm_grad(x, dy, gamma, mean, rstd)[i]
        if i > 0:
            return result
        for part in _row_statistics_gradients(x, mean, rstd, dmean, drstd):
            result = part if result is None else e.add(result, part)
        return result

    return gradient


def _row_statistics_gradients(x, mean, rstd, dmean, drstd):
    """What flows back when the mean or the reciprocal deviation itself was used."""
    share = scalar(1.0 / x.spec.shape[-1], x.spec.dtype)
    if dmean is not None:
        yield movement.broadcast_to(_column(e.multiply(dmean, share)), shape=x.spec.shape)
    if drstd is not None:
        slope = e.negative(e.multiply(e.multiply(drstd, share), e.multiply(e.square(rstd), rstd)))
        yield e.multiply(e.subtract(x, _column(mean)), _column(slope))


@primitive(gradients=tuple(_layer_norm_gradient(i) for i in range(3)), reference=_layer_norm_reference, traits=Traits(widen=True, cost=_cost))
def layer_norm(x, gamma, beta, *, epsilon):
    """(y, mean [...], 1 / sqrt(variance + epsilon) [...]): x normalized over the last axis, scaled by gamma, shifted by beta."""
    _check("layer_norm", x, gamma, beta)
    rows = Spec(x.shape[:-1], x.dtype)
    return x, rows, rows


@primitive(gradients=by_formula(_layer_norm_grad_formula), reference=_layer_norm_grad_reference, traits=Traits(widen=True, cost=_cost))
def layer_norm_grad(x, dy, gamma, mean, rstd):
    """(dx, dgamma, dbeta) of layer_norm; mean and rstd are those of x."""
    _check("layer_norm_grad", x, gamma)
    if dy != x or not mean == rstd == Spec(x.shape[:-1], x.dtype):
        raise ValueError(f"layer_norm_grad() takes dy like x, {x}, and mean and rstd of shape {x.shape[:-1]}; received {dy}, {mean} and {rstd}.")
    return x, gamma, gamma


def _rms_norm_reference(x, gamma, epsilon, unit):
    squares = np.square(x).sum(-1) if unit else np.square(x).mean(-1)
    rstd = 1 / np.sqrt(np.maximum(squares, x.dtype.type(epsilon)) if unit else squares + x.dtype.type(epsilon))
    return x * rstd[..., None] * gamma, rstd


def _rms_norm_grad_reference(x, dy, gamma, rstd, epsilon, unit):
    normed, g = x * rstd[..., None], dy * gamma
    share = (g * normed).sum(-1, keepdims=True) if unit else (g * normed).mean(-1, keepdims=True)
    if unit:
        share = share * (rstd < 1 / np.sqrt(x.dtype.type(epsilon)))[..., None]
    return rstd[..., None] * (g - normed * share), (dy * normed).sum(_leading(x.shape))


def _where_not_cut(rstd, value, epsilon):
    """`value` where the norm was above what it is cut at, else 0."""
    dtype = rstd.spec.dtype
    most = scalar(epsilon**-0.5 * (1 - 1e-6) if epsilon > 0 else np.inf, dtype)
    return e.where(e.less(rstd, most), value, scalar(0.0, dtype))


def _rms_norm_grad_formula(x, dy, gamma, rstd, *, epsilon, unit):
    normed, g = e.multiply(x, _column(rstd)), e.multiply(dy, gamma)
    product = e.multiply(g, normed)
    if unit:
        share = _where_not_cut(_column(rstd), reduce.sum(product, axes=(len(x.spec.shape) - 1,), keepdims=True), epsilon)
    else:
        share = _last_mean(product)
    dx = e.multiply(_column(rstd), e.subtract(g, e.multiply(normed, share)))
    return dx, reduce.sum(e.multiply(dy, normed), axes=_leading(x.spec.shape), keepdims=False)


def _rms_norm_gradient(i: int):
    def gradient(node, dy, drstd):
        x, gamma = node.inputs
        rstd, given = node.outputs[1], node.attributes
        result = None if dy is None else rms_norm_grad(x, dy, gamma, rstd, **given)[i]
        if i > 0 or drstd is None:
            return result
        share = scalar(-1.0 if given["unit"] else -1.0 / x.spec.shape[-1], x.spec.dtype)
        slope = e.multiply(e.multiply(drstd, share), e.multiply(e.square(rstd), rstd))
        if given["unit"]:
            slope = _where_not_cut(rstd, slope, given["epsilon"])
        part = e.multiply(x, _column(slope))
        return part if result is None else e.add(result, part)

    return gradient


@primitive(gradients=tuple(_rms_norm_gradient(i) for i in range(2)), reference=_rms_norm_reference, traits=Traits(widen=True, cost=_cost))
def rms_norm(x, gamma, *, epsilon, unit):
    """(y, rstd [...]): x times rstd = 1 / sqrt(mean of x**2 + epsilon) over the last axis, scaled by gamma.

    With `unit` it is 1 / sqrt(max(sum of x**2, epsilon)).
    """
    _check("rms_norm", x, gamma)
    return x, Spec(x.shape[:-1], x.dtype)


@primitive(gradients=by_formula(_rms_norm_grad_formula), reference=_rms_norm_grad_reference, traits=Traits(widen=True, cost=_cost))
def rms_norm_grad(x, dy, gamma, rstd, *, epsilon, unit):
    """(dx, dgamma) of rms_norm; rstd is that of x."""
    _check("rms_norm_grad", x, gamma)
    if dy != x or rstd != Spec(x.shape[:-1], x.dtype):
        raise ValueError(f"rms_norm_grad() takes dy like x, {x}, and rstd of shape {x.shape[:-1]}; received {dy} and {rstd}.")
    return x, gamma
