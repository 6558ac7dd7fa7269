"""Metrics for real-valued targets that are more than the mean of a loss."""

from __future__ import annotations

import math
import warnings

from nnlite import ops
from nnlite.losses.loss import as_dtype, squeeze_or_expand_to_same_rank
from nnlite.losses.regression import cosine_similarity as cosine_distance
from nnlite.metrics.metric import Metric
from nnlite.metrics.reduction import FunctionMetric, Mean


class RootMeanSquaredError(Mean):
    """Root of the mean squared error.

    >>> metric = RootMeanSquaredError()
    >>> metric.update_state([[0.0], [0.0]], [[3.0], [4.0]])
    >>> round(float(metric.result()), 4)
    3.5355
    """

    _direction = "down"

    def __init__(self, name="root_mean_squared_error", dtype=None):
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = squeeze_or_expand_to_same_rank(as_dtype(y_true, self.dtype), as_dtype(y_pred, self.dtype))
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self):
        return ops.sqrt(super().result())

    def result_reader(self):
        if type(self).result is not RootMeanSquaredError.result or self.dtype != "float32":
            return None
        total, count = self.total._buffer.item, self.count._buffer.item

        def read() -> float:
            n = count()
            return math.sqrt(total() / n) if n else 0.0

        return read


def _cosine_similarity(y_true, y_pred, axis=-1):
    return -cosine_distance(y_true, y_pred, axis=axis)


class CosineSimilarity(FunctionMetric):
    """Cosine of the angle between target and prediction: 1 is best.

    >>> metric = CosineSimilarity()
    >>> metric.update_state([[1.0, 0.0]], [[2.0, 0.0]])
    >>> float(metric.result())
    1.0
    """

    function = staticmethod(_cosine_similarity)
    _direction = "up"

    def __init__(self, name="cosine_similarity", dtype=None, axis=-1):
        super().__init__(name, dtype, axis=axis)


class R2Score(Metric):
    """Coefficient of determination: 1 for perfect predictions, 0 for predicting the mean.

    Args:
        class_aggregation: How outputs are combined: "uniform_average", "variance_weighted_average" or None (one score each).
        num_regressors: Number of inputs of the model, for the adjusted score; 0 for the plain one.

    >>> metric = R2Score()
    >>> metric.update_state([[1.0], [2.0], [3.0]], [[1.0], [2.0], [2.0]])
    >>> round(float(metric.result()), 4)
    0.5
    """

    _direction = "up"

    def __init__(self, class_aggregation="uniform_average", num_regressors=0, name="r2_score", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(
                f"R2Score: `class_aggregation` must be 'uniform_average', 'variance_weighted_average' or None; received {class_aggregation!r}."
            )
        if num_regressors < 0:
            raise ValueError(f"R2Score: `num_regressors` must be at least 0; received {num_regressors}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable(shape=(), initializer="zeros", name="num_samples")
        self._built = False

    def _build(self, y_true, y_pred) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ValueError(
                f"R2Score expects targets and predictions of shape (batch, outputs); received {tuple(y_true.shape)} and {tuple(y_pred.shape)}. "
                "Reshape them to 2 axes."
            )
        outputs = y_pred.shape[-1]
        for attribute, name in (("squared_sum", "squared_sum"), ("sum", "sum"), ("total_mse", "residual"), ("count", "count")):
            setattr(self, attribute, self.add_variable(shape=(outputs,), initializer="zeros", name=name))
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = squeeze_or_expand_to_same_rank(as_dtype(y_true, self.dtype), as_dtype(y_pred, self.dtype))
        if not self._built:
            self._build(y_true, y_pred)
        weight = ops.ones_like(y_true)
        if sample_weight is not None:
            sample_weight = as_dtype(sample_weight, self.dtype)
            weight = weight * (ops.expand_dims(sample_weight, 1) if len(sample_weight.shape) == 1 else sample_weight)
        self.sum.assign_add(ops.sum(y_true * weight, axis=0))
        self.squared_sum.assign_add(ops.sum(ops.square(y_true) * weight, axis=0))
        self.total_mse.assign_add(ops.sum(ops.square(y_true - y_pred) * weight, axis=0))
        self.count.assign_add(ops.sum(weight, axis=0))
        self.num_samples.assign_add(float(y_true.shape[0] * y_true.shape[1]))

    def result(self):
        mean = self.sum.value / self.count.value
        variance = self.squared_sum.value - self.sum.value * mean
        scores = 1.0 - self.total_mse.value / variance
        scores = ops.where(ops.isinf(scores), ops.zeros_like(scores), scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.sum(variance * scores) / ops.sum(variance)
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, score):
        samples, p = self.num_samples.value, float(self.num_regressors)
        if not samples.is_traced and p >= float(samples) - 1:
            warnings.warn(
                f"R2Score: num_regressors={self.num_regressors} leaves nothing of {int(float(samples))} samples; the plain score is given instead.",
                stacklevel=3,
            )
            return score
        adjusted = 1.0 - (1.0 - score) * (samples - 1.0) / (samples - p - 1.0)
        return ops.where(ops.greater(samples - 1.0, p), adjusted, score)

    def get_config(self) -> dict:
        return {**super().get_config(), "class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
