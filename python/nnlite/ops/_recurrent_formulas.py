"""Recurrent cells and their gradients, step by step: in numpy the references of the primitives, in ops the formulas behind second derivatives."""

from __future__ import annotations

import types

import numpy as np

from nnlite.ops import elementwise as e, matrix, movement
from nnlite.ops._scalars import scalar


def _numpy_sigmoid(x):
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, x.dtype.type(1)) / (1 + t)


def _cells(mask, t):
    """Column `t` of a mask [batch, steps], to be broadcast over units."""
    return mask[:, t : t + 1]


NUMPY = types.SimpleNamespace(
    tanh=np.tanh,
    sigmoid=_numpy_sigmoid,
    relu=lambda x: np.maximum(x, 0),
    hard_sigmoid=lambda x: np.clip(x / 6 + x.dtype.type(0.5), 0, 1),
    positive=lambda x: (x > 0).astype(x.dtype),
    between=lambda x: ((x > 0) & (x < 1)).astype(x.dtype),
    matmul=lambda a, b, transposed=False: a @ (b.T if transposed else b),
    where=np.where,
    zeros=np.zeros_like,
    stack=lambda items, like: np.stack(items, axis=1) if items else like,
    concatenate=lambda items: np.concatenate(items, axis=-1),
)


def _zeros(t):
    return movement.broadcast_to(scalar(0.0, t.spec.dtype), shape=t.spec.shape)


def _constant(value, like):
    return scalar(value, like.spec.dtype)


def _hard_sigmoid(x):
    return e.minimum(e.maximum(e.add(e.multiply(x, _constant(1 / 6, x)), _constant(0.5, x)), _constant(0.0, x)), _constant(1.0, x))


def _positive(x):
    return e.cast(e.greater(x, _constant(0.0, x)), dtype=x.spec.dtype)


def _stack(items, like):
    if not items:
        return like
    batch, units = items[0].spec.shape
    return movement.concatenate(*[movement.reshape(t, shape=(batch, 1, units)) for t in items], axis=1)


TENSORS = types.SimpleNamespace(
    tanh=e.tanh,
    sigmoid=e.sigmoid,
    relu=e.relu,
    hard_sigmoid=_hard_sigmoid,
    positive=_positive,
    between=lambda x: e.multiply(_positive(x), e.cast(e.less(x, _constant(1.0, x)), dtype=x.spec.dtype)),
    matmul=lambda a, b, transposed=False: matrix.matmul(a, b, transpose_a=False, transpose_b=transposed),
    where=e.where,
    zeros=_zeros,
    stack=_stack,
    concatenate=lambda items: movement.concatenate(*items, axis=len(items[0].spec.shape) - 1),
)


def _activate(n, kind, x):
    return x if kind == "linear" else getattr(n, kind)(x)


def _slope(n, kind, y):
    """The derivative of an activation, from its result."""
    if kind == "tanh":
        return 1 - y * y
    if kind == "sigmoid":
        return y - y * y
    if kind == "relu":
        return n.positive(y)
    return n.between(y) * (1 / 6) if kind == "hard_sigmoid" else n.zeros(y) + 1


def _order(steps: int, reverse):
    return range(steps - 1, -1, -1) if reverse else range(steps)


def _split(t, units: int):
    return [t[:, i : i + units] for i in range(0, t.shape[1], units)]


def _keep(n, mask, t, new, old):
    """The new values where step t counts, else the old ones (zeros for None)."""
    if mask is None:
        return new
    return n.where(_cells(mask, t), new, n.zeros(new) if old is None else old)


def _in_time(n, found: dict, like):
    """Values by step, stacked along axis 1."""
    return n.stack([found[t] for t in sorted(found)], like)


def simple_rnn(n, x, u, h, *extras, activation, reverse, mask):
    mask, states, first = extras[-1] if mask else None, {}, h
    for t in _order(x.shape[1], reverse):
        h = _keep(n, mask, t, _activate(n, activation, x[:, t] + n.matmul(h, u)), h)
        states[t] = h
    return _in_time(n, states, x), h if states else first + 0


def simple_rnn_grad(n, states, u, dh, *extras, activation, reverse, mask, sequence):
    mask, dstates, sums = extras[-1] if mask else None, extras[0] if sequence else None, {}
    for t in reversed(_order(states.shape[1], reverse)):
        dh = dh if dstates is None else dh + dstates[:, t]
        sums[t] = _keep(n, mask, t, dh * _slope(n, activation, states[:, t]), None)
        dh = _keep(n, mask, t, n.matmul(sums[t], u, True), dh)
    return _in_time(n, sums, states), dh


def lstm(n, x, u, h, c, *extras, activation, recurrent_activation, reverse, mask):
    mask, units = extras[-1] if mask else None, h.shape[1]
    states, gates, cells = {}, {}, {}
    for t in _order(x.shape[1], reverse):
        sums = _split(x[:, t] + n.matmul(h, u), units)
        i, f, o = (_activate(n, recurrent_activation, sums[k]) for k in (0, 1, 3))
        g = _activate(n, activation, sums[2])
        c_new = f * c + i * g
        h_new = o * _activate(n, activation, c_new)
        gates[t] = _keep(n, mask, t, n.concatenate([i, f, g, o]), None)
        h, c = _keep(n, mask, t, h_new, h), _keep(n, mask, t, c_new, c)
        states[t], cells[t] = h, c
    empty = x[:, :, :units]
    return _in_time(n, states, empty), _in_time(n, gates, x), _in_time(n, cells, empty), h, c


def lstm_grad(n, gates, cells, u, first, dh, dc, *extras, activation, recurrent_activation, reverse, mask, sequence):
    mask, dstates, units, sums = extras[-1] if mask else None, extras[0] if sequence else None, first.shape[1], {}
    order = list(_order(gates.shape[1], reverse))
    for s in reversed(range(len(order))):
        t = order[s]
        i, f, g, o = _split(gates[:, t], units)
        previous = first if s == 0 else cells[:, order[s - 1]]
        out = _activate(n, activation, cells[:, t])
        dh = dh if dstates is None else dh + dstates[:, t]
        total = dc + dh * o * _slope(n, activation, out)
        parts = [
            total * g * _slope(n, recurrent_activation, i),
            total * previous * _slope(n, recurrent_activation, f),
            total * i * _slope(n, activation, g),
            dh * out * _slope(n, recurrent_activation, o),
        ]
        sums[t] = _keep(n, mask, t, n.concatenate(parts), None)
        dc = _keep(n, mask, t, total * f, dc)
        dh = _keep(n, mask, t, n.matmul(sums[t], u, True), dh)
    return _in_time(n, sums, gates), dh, dc


def gru(n, x, u, h, *extras, activation, recurrent_activation, reset_after, reverse, mask):
    mask, units = extras[-1] if mask else None, h.shape[1]
    states, gates, kept = {}, {}, {}
    for t in _order(x.shape[1], reverse):
        xz, xr, xc = _split(x[:, t], units)
        if reset_after:
            inner = _split(n.matmul(h, u) + extras[0], units)
            z, r = (_activate(n, recurrent_activation, a + b) for a, b in ((xz, inner[0]), (xr, inner[1])))
            keeps, added = inner[2], r * inner[2]
        else:
            inner = _split(n.matmul(h, u[:, : 2 * units]), units)
            z, r = (_activate(n, recurrent_activation, a + b) for a, b in ((xz, inner[0]), (xr, inner[1])))
            keeps = r * h
            added = n.matmul(keeps, u[:, 2 * units :])
        candidate = _activate(n, activation, xc + added)
        gates[t] = _keep(n, mask, t, n.concatenate([z, r, candidate]), None)
        kept[t] = _keep(n, mask, t, keeps, None)
        h = _keep(n, mask, t, z * h + (1 - z) * candidate, h)
        states[t] = h
    empty = x[:, :, :units]
    return _in_time(n, states, empty), _in_time(n, gates, x), _in_time(n, kept, empty), h


def gru_grad(n, gates, kept, states, u, first, dh, *extras, activation, recurrent_activation, reset_after, reverse, mask, sequence):
    mask, dstates, units = extras[-1] if mask else None, extras[0] if sequence else None, first.shape[1]
    order, sums, inner = list(_order(gates.shape[1], reverse)), {}, {}
    for s in reversed(range(len(order))):
        t = order[s]
        z, r, candidate = _split(gates[:, t], units)
        previous = first if s == 0 else states[:, order[s - 1]]
        dh = dh if dstates is None else dh + dstates[:, t]
        dz = dh * (previous - candidate) * _slope(n, recurrent_activation, z)
        dc = dh * (1 - z) * _slope(n, activation, candidate)
        if reset_after:
            dr = dc * kept[:, t] * _slope(n, recurrent_activation, r)
            inner[t] = _keep(n, mask, t, n.concatenate([dz, dr, dc * r]), None)
            back = dh * z + n.matmul(inner[t], u, True)
        else:
            dreset = n.matmul(dc, u[:, 2 * units :], True)
            dr = dreset * previous * _slope(n, recurrent_activation, r)
            back = dh * z + dreset * r + n.matmul(n.concatenate([dz, dr]), u[:, : 2 * units], True)
        sums[t] = _keep(n, mask, t, n.concatenate([dz, dr, dc]), None)
        dh = _keep(n, mask, t, back, dh)
    dx = _in_time(n, sums, gates)
    return (dx, _in_time(n, inner, gates), dh) if reset_after else (dx, dh)
