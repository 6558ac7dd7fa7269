"""Group normalization and its gradient."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, primitive
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import elementwise as e, movement, reduce
from nnlite.ops._scalars import scalar
from nnlite.ops._second_order import by_formula


def _check(name: str, x: Spec, groups: int, *others: Spec) -> None:
    channels = x.shape[-1:]
    if x.dtype not in FLOATS or len(x.shape) < 2 or any(s != Spec(channels, x.dtype) for s in others):
        raise ValueError(
            f"{name}() takes a float tensor [N, ..., C] and scale and offset [C] of its dtype; received {x} with {', '.join(map(str, others))}."
        )
    if groups < 1 or channels[0] % groups:
        raise ValueError(f"{name}() takes channels that are a multiple of `groups`; received {channels[0]} channels and groups={groups}.")


def _cost(inputs, outputs, attributes):
    return 8.0 * inputs[0].size


def _cut(shape, groups: int) -> tuple[int, int, int, int]:
    """(samples, positions, groups, channels of a group)."""
    return shape[0], math.prod(shape[1:-1]), groups, shape[-1] // groups


def _reference(x, gamma, beta, groups, epsilon):
    cut = x.reshape(_cut(x.shape, groups))
    mean = cut.mean((1, 3))
    rstd = 1 / np.sqrt(cut.var((1, 3)) + x.dtype.type(epsilon))
    normed = (cut - mean[:, None, :, None]) * rstd[:, None, :, None]
    return normed.reshape(x.shape) * gamma + beta, mean, rstd


def _grad_reference(x, dy, gamma, mean, rstd, groups):
    shape = _cut(x.shape, groups)
    factor = rstd[:, None, :, None]
    normed, g = (x.reshape(shape) - mean[:, None, :, None]) * factor, (dy * gamma).reshape(shape)
    dx = factor * (g - g.mean((1, 3), keepdims=True) - normed * (g * normed).mean((1, 3), keepdims=True))
    leading = tuple(range(x.ndim - 1))
    return dx.reshape(x.shape), (dy * normed.reshape(x.shape)).sum(leading), dy.sum(leading)


def _spread(statistic):
    """[N, G] as [N, 1, G, 1]."""
    samples, groups = statistic.spec.shape
    return movement.reshape(statistic, shape=(samples, 1, groups, 1))


def _group_mean(t):
    share = scalar(1.0 / max(t.spec.shape[1] * t.spec.shape[3], 1), t.spec.dtype)
    return e.multiply(reduce.sum(t, axes=(1, 3), keepdims=True), share)


def _grad_formula(x, dy, gamma, mean, rstd, *, groups):
    shape, cut = x.spec.shape, _cut(x.spec.shape, groups)
    leading = tuple(range(len(shape) - 1))
    normed = e.multiply(e.subtract(movement.reshape(x, shape=cut), _spread(mean)), _spread(rstd))
    g = movement.reshape(e.multiply(dy, gamma), shape=cut)
    inner = e.subtract(e.subtract(g, _group_mean(g)), e.multiply(normed, _group_mean(e.multiply(g, normed))))
    dgamma = reduce.sum(e.multiply(dy, movement.reshape(normed, shape=shape)), axes=leading, keepdims=False)
    return movement.reshape(e.multiply(_spread(rstd), inner), shape=shape), dgamma, reduce.sum(dy, axes=leading, keepdims=False)


def _statistics_gradients(x, mean, rstd, dmean, drstd, groups: int):
    """What flows back when the mean or the reciprocal deviation itself was used."""
    shape, cut = x.spec.shape, _cut(x.spec.shape, groups)
    share = scalar(1.0 / max(cut[1] * cut[3], 1), x.spec.dtype)
    if dmean is not None:
        yield movement.reshape(movement.broadcast_to(_spread(e.multiply(dmean, share)), shape=cut), shape=shape)
    if drstd is not None:
        slope = e.negative(e.multiply(e.multiply(drstd, share), e.multiply(e.square(rstd), rstd)))
        yield movement.reshape(e.multiply(e.subtract(movement.reshape(x, shape=cut), _spread(mean)), _spread(slope)), shape=shape)


def _gradient(i: int):
    def gradient(node, dy, dmean, drstd):
        x, gamma, _ = node.inputs
        _, mean, rstd = node.outputs
        groups = node.attributes["groups"]
        result = None if dy is None else group_norm_grad(x, dy, gamma, mean, rstd, groups=groups)[i]
        if i > 0:
            return result
        for part in _statistics_gradients(x, mean, rstd, dmean, drstd, groups):
            result = part if result is None else e.add(result, part)
        return result

    return gradient


@primitive(gradients=tuple(_gradient(i) for i in range(3)), reference=_reference, traits=Traits(widen=True, cost=_cost))
def group_norm(x, gamma, beta, *, groups, epsilon):
    """(y, mean [N, G], 1 / sqrt(variance + epsilon) [N, G]): x normalized over all positions and the channels of a group.

    Then scaled by gamma and shifted by beta, one value a channel.
    """
    _check("group_norm", x, groups, gamma, beta)
    statistics = Spec((x.shape[0], groups), x.dtype)
    return x, statistics, statistics


@primitive(gradients=by_formula(_grad_formula), reference=_grad_reference, traits=Traits(widen=True, cost=_cost))
def group_norm_grad(x, dy, gamma, mean, rstd, *, groups):
    """(dx, dgamma, dbeta) of group_norm; mean and rstd are those of x."""
    _check("group_norm_grad", x, groups, gamma)
    statistics = Spec((x.shape[0], groups), x.dtype)
    if dy != x or not mean == rstd == statistics:
        raise ValueError(f"group_norm_grad() takes dy like x, {x}, and mean and rstd {statistics}; received {dy}, {mean} and {rstd}.")
    return x, gamma, gamma
