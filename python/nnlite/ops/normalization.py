"""Moments and normalizations."""

from __future__ import annotations

import math

from nnlite import config
from nnlite.ops import elementwise as e, group_norm, movement, norms, reduce
from nnlite.ops._convert import axes_of, to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops.arithmetic import const
from nnlite.ops.creation import filled
from nnlite.ops.reductions import mean, var


@public
def moments(x, axes, keepdims=False, synchronized=False):
    """(mean, biased variance) over axes."""
    x = to_float(x)
    centre = mean(x, axes, True)
    spread = mean(e.square(e.subtract(x, centre)), axes, keepdims)
    if not keepdims:
        shape = reduce.reduced_shape("moments", x.spec, axes_of("moments", axes, len(x.spec.shape)), False)
        centre = movement.reshape(centre, shape=shape)
    return centre, spread


@public
def batch_normalization(x, mean, variance, axis, offset=None, scale=None, epsilon=0.001):
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with statistics of one value per position of `axis` (int or list)."""
    x = to_float(x)
    axes = axes_of("batch_normalization", axis, len(x.spec.shape))
    shape = tuple(dim if i in axes else 1 for i, dim in enumerate(x.spec.shape))

    def placed(value):
        value = to_tensor(value, x.spec.dtype)
        return value if value.spec.shape == shape or axes == (len(shape) - 1,) else movement.reshape(value, shape=shape)

    factor = e.rsqrt(e.add(to_tensor(variance, x.spec.dtype), const(float(epsilon), x)))
    if scale is not None:
        factor = e.multiply(factor, to_tensor(scale, x.spec.dtype))
    shift = e.negative(e.multiply(to_tensor(mean, x.spec.dtype), factor))
    if offset is not None:
        shift = e.add(shift, to_tensor(offset, x.spec.dtype))
    return e.add(e.multiply(x, placed(factor)), placed(shift))


def _centred(x, gamma, beta, axes, epsilon):
    """Layer normalization over any axes."""
    shape = tuple(dim if i in axes else 1 for i, dim in enumerate(x.spec.shape))
    rstd = e.rsqrt(e.add(var(x, axes, True), const(epsilon, x)))
    y = e.multiply(e.subtract(x, mean(x, axes, True)), rstd)
    if gamma is not None:
        y = e.multiply(y, movement.reshape(to_tensor(gamma, x.spec.dtype), shape=shape))
    return y if beta is None else e.add(y, movement.reshape(to_tensor(beta, x.spec.dtype), shape=shape))


def _joined(x, axes):
    """x with its last axes, those normalized together, as one; None when others are normalized."""
    shape = x.spec.shape
    kept = len(shape) - len(axes)
    if axes != tuple(range(kept, len(shape))) or not axes:
        return None
    return x if len(axes) == 1 else movement.reshape(x, shape=(*shape[:kept], math.prod(shape[kept:])))


def _scales(value, rows, default):
    """`value` for the columns of `rows`; `default` where it is None."""
    columns = rows.spec.shape[-1:]
    if value is None:
        return filled(columns, default, rows.spec.dtype)
    value = to_tensor(value, rows.spec.dtype)
    if value.spec.size == 1 and columns != (1,):
        return movement.broadcast_to(movement.reshape(value, shape=(1,)), shape=columns)
    return value if value.spec.shape == columns or value.spec.size != columns[0] else movement.reshape(value, shape=columns)


@public
def layer_normalization(x, gamma=None, beta=None, axis=-1, epsilon=None, **kwargs):
    """x normalized to mean 0 and variance 1 over `axis` (int or list), times gamma, plus beta. `epsilon` defaults to `config.epsilon()`."""
    if kwargs.pop("rms_scaling", False):
        return rms_normalization(x, gamma, axis, epsilon)
    if kwargs:
        raise TypeError(f"layer_normalization() got unknown arguments {sorted(kwargs)}.")
    x = to_float(x)
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    axes = axes_of("layer_normalization", axis, len(x.spec.shape))
    rows = _joined(x, axes)
    if rows is None:
        return _centred(x, gamma, beta, axes, epsilon)
    y = norms.layer_norm(rows, _scales(gamma, rows, 1), _scales(beta, rows, 0), epsilon=epsilon)[0]
    return y if rows is x else movement.reshape(y, shape=x.spec.shape)


@public
def rms_normalization(x, scale=None, axis=-1, epsilon=None):
    """x / sqrt(mean(x**2) + epsilon) * scale over `axis`. `epsilon` defaults to `config.epsilon()`."""
    x = to_float(x)
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    axes = axes_of("rms_normalization", axis, len(x.spec.shape))
    rows = _joined(x, axes)
    if rows is not None:
        y = norms.rms_norm(rows, _scales(scale, rows, 1), epsilon=epsilon, unit=False)[0]
        return y if rows is x else movement.reshape(y, shape=x.spec.shape)
    y = e.multiply(x, e.rsqrt(e.add(mean(e.square(x), axes, True), const(epsilon, x))))
    if scale is None:
        return y
    scale = to_tensor(scale, x.spec.dtype)
    shape = tuple(dim if i in axes else 1 for i, dim in enumerate(x.spec.shape))
    return e.multiply(y, movement.reshape(scale, shape=shape) if scale.spec.size > 1 else scale)


def group_normalization(x, gamma, beta, groups, axis, epsilon):
    """x normalized over all axes but the first, in `groups` groups along `axis`, times gamma, plus beta (one value a channel, or None)."""
    x = to_float(x)
    rank = len(x.spec.shape)
    axis %= rank
    order = (*(i for i in range(rank) if i != axis), axis)
    last = x if axis == rank - 1 else movement.transpose(x, axes=order)
    y = group_norm.group_norm(last, _scales(gamma, last, 1), _scales(beta, last, 0), groups=groups, epsilon=float(epsilon))[0]
    return y if last is x else movement.transpose(y, axes=tuple(order.index(i) for i in range(rank)))


def unit_rows(x, axes, epsilon):
    """x / sqrt(max(sum(x**2), epsilon)) over axes."""
    rows = _joined(x, axes)
    if rows is None:
        squares = reduce.sum(e.square(x), axes=axes, keepdims=True)
        return e.multiply(x, e.rsqrt(e.maximum(squares, const(epsilon, x))))
    y = norms.rms_norm(rows, _scales(None, rows, 1), epsilon=epsilon, unit=True)[0]
    return y if rows is x else movement.reshape(y, shape=x.spec.shape)


@public
def normalize(x, axis=-1, order=2, epsilon=None):
    """x / max(norm(x), epsilon) along an axis, with the norm of the given order. `epsilon` defaults to `config.epsilon()`.

    >>> import nnlite
    >>> [round(v, 4) for v in nnlite.ops.normalize([3.0, 4.0]).tolist()]
    [0.6, 0.8]
    """
    from nnlite.ops.linalg import norm

    if not isinstance(order, int) or order < 1:
        raise ValueError(f"normalize() takes an integer order >= 1; received order={order}.")
    x = to_float(x)
    x = movement.reshape(x, shape=(1,)) if not x.spec.shape else x
    epsilon = config.epsilon() if epsilon is None else float(epsilon)
    if order == 2:
        return unit_rows(x, axes_of("normalize", axis, len(x.spec.shape)), epsilon * epsilon)
    return e.divide(x, e.maximum(norm(x, order, axis, True), const(epsilon, x)))
