"""F-scores."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.losses.loss import as_dtype
from nnlite.metrics.metric import Metric


class FBetaScore(Metric):
    """Weighted harmonic mean of precision and recall, per class or averaged.

    Args:
        average: None (one score per class), "micro", "macro" or "weighted".
        beta: Weight of recall.
        threshold: Predictions above it count as yes; None takes the largest of each row.

    >>> metric = FBetaScore(beta=2.0, average="micro")
    >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])
    >>> round(float(metric.result()), 4)
    0.5
    """

    _direction = "up"

    def __init__(self, average=None, beta=1.0, threshold=None, name="fbeta_score", dtype=None):
        super().__init__(name=name, dtype=dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{type(self).__name__}: `average` must be None, 'micro', 'macro' or 'weighted'; received average={average!r}.")
        if not isinstance(beta, float) or beta <= 0:
            raise ValueError(f"{type(self).__name__}: `beta` must be a float greater than 0; received beta={beta!r}.")
        if threshold is not None and (not isinstance(threshold, float) or not 0 < threshold <= 1):
            raise ValueError(f"{type(self).__name__}: `threshold` must be a float in (0, 1], or None; received threshold={threshold!r}.")
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._built = False

    def _build(self, y_true, y_pred) -> None:
        if len(y_pred.shape) != 2 or len(y_true.shape) != 2:
            raise ValueError(
                f"{type(self).__name__} expects targets and predictions of shape (batch, classes); received {tuple(y_true.shape)} and "
                f"{tuple(y_pred.shape)}. One-hot encode labels with to_categorical()."
            )
        shape = () if self.average == "micro" else (y_pred.shape[-1],)
        for name in ("true_positives", "false_positives", "false_negatives", "intermediate_weights"):
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true, y_pred = as_dtype(y_true, self.dtype), as_dtype(y_pred, self.dtype)
        if not self._built:
            self._build(y_true, y_pred)
        if self.threshold is None:
            largest = ops.max(y_pred, axis=-1, keepdims=True)
            yes = ops.logical_and(ops.greater_equal(y_pred, largest), ops.greater(ops.absolute(y_pred), 1e-9))
        else:
            yes = ops.greater(y_pred, self.threshold)
        yes = ops.cast(yes, self.dtype)
        weight = None if sample_weight is None else ops.expand_dims(as_dtype(sample_weight, self.dtype), 1)

        def count(values):
            return ops.sum(values if weight is None else values * weight, axis=None if self.average == "micro" else 0)

        self.true_positives.assign_add(count(yes * y_true))
        self.false_positives.assign_add(count(yes * (1.0 - y_true)))
        self.false_negatives.assign_add(count((1.0 - yes) * y_true))
        self.intermediate_weights.assign_add(count(y_true))

    def result(self):
        if not self._built:
            raise ValueError(f"{type(self).__name__}: result() needs at least one update_state() before it.")
        tiny, squared = config.epsilon(), self.beta**2
        right = self.true_positives.value
        precision = right / (right + self.false_positives.value + tiny)
        recall = right / (right + self.false_negatives.value + tiny)
        score = precision * recall / (precision * squared + recall + tiny) * (1 + squared)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return ops.sum(score * (weights / (ops.sum(weights) + tiny)))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict:
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall.

    >>> metric = F1Score(average="micro")
    >>> metric.update_state([[1, 0], [0, 1]], [[0.9, 0.1], [0.8, 0.2]])
    >>> round(float(metric.result()), 4)
    0.5
    """

    def __init__(self, average=None, threshold=None, name="f1_score", dtype=None):
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["beta"]
        return config
