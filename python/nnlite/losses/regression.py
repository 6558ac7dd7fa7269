"""Losses for real-valued targets."""

from __future__ import annotations

import math

from nnlite import config, ops
from nnlite.losses.loss import FunctionLoss, as_dtype, squeeze_or_expand_to_same_rank


def _pair(y_true, y_pred):
    """Both as tensors of the prediction's dtype and rank."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true, y_pred = squeeze_or_expand_to_same_rank(as_dtype(y_true, y_pred.dtype), y_pred)
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    if (
        true_shape != pred_shape
        and (len(true_shape) != len(pred_shape) or any(t != p and 1 not in (t, p) for t, p in zip(true_shape, pred_shape)))
        and true_shape
    ):
        raise ValueError(
            f"The targets' shape must be that of the predictions; received targets of shape {true_shape} and predictions of shape {pred_shape}. "
            "Reshape the targets, or give the last layer one unit per target."
        )
    return y_true, y_pred


def mean_squared_error(y_true, y_pred):
    """Mean over the last axis of `square(y_true - y_pred)`.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def mean_absolute_error(y_true, y_pred):
    """Mean over the last axis of `abs(y_true - y_pred)`.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(ops.absolute(y_true - y_pred), axis=-1)


def mean_absolute_percentage_error(y_true, y_pred):
    """100 times the mean over the last axis of `abs((y_true - y_pred) / y_true)`; |y_true| is at least `config.epsilon()`.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 4.0]]).tolist()
    [25.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    relative = ops.absolute((y_true - y_pred) / ops.maximum(ops.absolute(y_true), config.epsilon()))
    return ops.mean(relative, axis=-1) * 100.0


def mean_squared_logarithmic_error(y_true, y_pred):
    """Mean over the last axis of `square(log(y_true + 1) - log(y_pred + 1))`; values are at least `config.epsilon()`.

    >>> round(mean_squared_logarithmic_error([[1.0]], [[3.0]]).item(), 4)
    0.4805
    """
    y_true, y_pred = _pair(y_true, y_pred)
    logs = [ops.log(ops.maximum(y, config.epsilon()) + 1.0) for y in (y_pred, y_true)]
    return ops.mean(ops.square(logs[0] - logs[1]), axis=-1)


def cosine_similarity(y_true, y_pred, axis=-1):
    """Minus the cosine of the angle between target and prediction along `axis`: -1 is best.

    >>> cosine_similarity([[1.0, 0.0]], [[2.0, 0.0]]).tolist()
    [-1.0]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return -ops.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x, axis):
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, 1e-12))


def huber(y_true, y_pred, delta=1.0):
    """Quadratic for errors up to `delta`, linear beyond; mean over the last axis.

    >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = ops.absolute(y_pred - y_true)
    # min(error, delta) gives both branches: q²/2 + delta·(error - q).
    quadratic = ops.minimum(error, delta)
    return ops.mean(ops.square(quadratic) * 0.5 + (error - quadratic) * delta, axis=-1)


def log_cosh(y_true, y_pred):
    """Mean over the last axis of `log(cosh(y_pred - y_true))`, stable for large errors.

    >>> round(log_cosh([[0.0]], [[1.0]]).item(), 4)
    0.4338
    """
    y_true, y_pred = _pair(y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(error + ops.softplus(error * -2.0) - math.log(2.0), axis=-1)


def poisson(y_true, y_pred):
    """Mean over the last axis of `y_pred - y_true * log(y_pred)`.

    >>> round(poisson([[1.0]], [[1.0]]).item(), 4)
    1.0
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


class MeanSquaredError(FunctionLoss):
    """Mean of squares of errors.

    >>> float(MeanSquaredError()([[0.0], [1.0]], [[2.0], [1.0]]))
    2.0
    """

    function = staticmethod(mean_squared_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanAbsoluteError(FunctionLoss):
    """Mean of absolute errors.

    >>> float(MeanAbsoluteError()([[0.0], [1.0]], [[2.0], [1.0]]))
    1.0
    """

    function = staticmethod(mean_absolute_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanAbsolutePercentageError(FunctionLoss):
    """Mean of absolute errors in percent of the target.

    >>> float(MeanAbsolutePercentageError()([[2.0]], [[1.0]]))
    50.0
    """

    function = staticmethod(mean_absolute_percentage_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_percentage_error", dtype=None):
        super().__init__(name, reduction, dtype)


class MeanSquaredLogarithmicError(FunctionLoss):
    """Mean of squared differences of logarithms.

    >>> round(float(MeanSquaredLogarithmicError()([[1.0]], [[3.0]])), 4)
    0.4805
    """

    function = staticmethod(mean_squared_logarithmic_error)

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_logarithmic_error", dtype=None):
        super().__init__(name, reduction, dtype)


class CosineSimilarity(FunctionLoss):
    """Minus the cosine similarity along `axis`.

    >>> float(CosineSimilarity()([[0.0, 1.0]], [[0.0, 5.0]]))
    -1.0
    """

    function = staticmethod(cosine_similarity)

    def __init__(self, axis=-1, reduction="sum_over_batch_size", name="cosine_similarity", dtype=None):
        super().__init__(name, reduction, dtype, axis=axis)


class Huber(FunctionLoss):
    """Quadratic for errors up to `delta`, linear beyond.

    >>> float(Huber()([[0.0]], [[3.0]]))
    2.5
    """

    function = staticmethod(huber)

    def __init__(self, delta=1.0, reduction="sum_over_batch_size", name="huber_loss", dtype=None):
        super().__init__(name, reduction, dtype, delta=delta)


class LogCosh(FunctionLoss):
    """Mean of `log(cosh(error))`.

    >>> round(float(LogCosh()([[0.0]], [[1.0]])), 4)
    0.4338
    """

    function = staticmethod(log_cosh)

    def __init__(self, reduction="sum_over_batch_size", name="log_cosh", dtype=None):
        super().__init__(name, reduction, dtype)


class Poisson(FunctionLoss):
    """Poisson loss for counts.

    >>> round(float(Poisson()([[1.0]], [[1.0]])), 4)
    1.0
    """

    function = staticmethod(poisson)

    def __init__(self, reduction="sum_over_batch_size", name="poisson", dtype=None):
        super().__init__(name, reduction, dtype)
