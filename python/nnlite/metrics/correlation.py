"""Correlations between targets and predictions."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.losses.loss import as_dtype, squeeze_or_expand_to_same_rank
from nnlite.metrics.reduction import FunctionMetric


def _pair(y_true, y_pred):
    y_pred = ops.convert_to_tensor(y_pred)
    return squeeze_or_expand_to_same_rank(as_dtype(y_true, y_pred.dtype), y_pred)


def pearson_correlation(y_true, y_pred, axis=-1):
    """Pearson's correlation along `axis`.

    >>> round(pearson_correlation([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]]).item(), 4)
    1.0
    """

    def standardized(x):
        x = x - ops.mean(x, axis=axis, keepdims=True)
        return x / ops.sqrt(ops.mean(ops.square(x), axis=axis, keepdims=True))

    y_true, y_pred = _pair(y_true, y_pred)
    return ops.mean(standardized(y_true) * standardized(y_pred), axis=axis)


def concordance_correlation(y_true, y_pred, axis=-1):
    """Lin's concordance: correlation that also counts differences of mean and scale.

    >>> round(concordance_correlation([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]]).item(), 4)
    1.0
    """
    y_true, y_pred = _pair(y_true, y_pred)
    true_mean, pred_mean = ops.mean(y_true, axis=axis, keepdims=True), ops.mean(y_pred, axis=axis, keepdims=True)
    true_variance = ops.mean(ops.square(y_true - true_mean), axis=axis, keepdims=True)
    pred_variance = ops.mean(ops.square(y_pred - pred_mean), axis=axis, keepdims=True)
    spread = true_variance + pred_variance + ops.square(true_mean - pred_mean) + config.epsilon()
    return ops.mean((y_true - pred_mean) * (y_pred - pred_mean) * 2.0 / spread, axis=axis)


class PearsonCorrelation(FunctionMetric):
    """Mean Pearson correlation.

    >>> metric = PearsonCorrelation()
    >>> metric.update_state([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]])
    >>> round(float(metric.result()), 4)
    1.0
    """

    function = staticmethod(pearson_correlation)
    _direction = "up"

    def __init__(self, name="pearson_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(FunctionMetric):
    """Mean concordance correlation.

    >>> metric = ConcordanceCorrelation()
    >>> metric.update_state([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]])
    >>> round(float(metric.result()), 4)
    1.0
    """

    function = staticmethod(concordance_correlation)
    _direction = "up"

    def __init__(self, name="concordance_correlation", dtype=None, axis=-1):
        super().__init__(name, dtype, axis=axis)
        self.axis = axis
