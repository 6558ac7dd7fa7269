"""Counts of true and false positives and negatives, and precision and recall."""

from __future__ import annotations

from nnlite import ops
from nnlite.losses.loss import as_dtype, squeeze_or_expand_to_same_rank
from nnlite.metrics.metric import Metric

# Scores that `top_k` leaves out: below every threshold.
_NEVER = -1e10


def parse_thresholds(name: str, thresholds, default: float) -> list[float]:
    """A list of thresholds in [0, 1] from None, a number or a list."""
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    wrong = [t for t in values if t is None or t < 0 or t > 1]
    if wrong:
        raise ValueError(
            f"{name}: thresholds must be in [0, 1]; received {wrong}. Predictions are compared as probabilities: apply a sigmoid to logits first."
        )
    return values


def count_outcomes(
    y_true, y_pred, thresholds, dtype: str, sample_weight=None, top_k=None, class_id=None, multi_label=False, label_weights=None
) -> dict:
    """Weighted numbers of outcomes at each threshold.

    Returns:
        {"tp", "fp", "tn", "fn"}: tensors [thresholds], or [thresholds, labels] with `multi_label`.
    """
    y_true, y_pred = as_dtype(y_true, dtype), as_dtype(y_pred, dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"Counting positives and negatives needs targets of the predictions' shape; received targets of shape {tuple(y_true.shape)} and "
            "predictions of shape "
            f"{tuple(y_pred.shape)}. One-hot encode class labels with to_categorical()."
        )
    if top_k is not None:
        y_pred = _only_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) < 2:
            raise ValueError(f"`class_id` needs predictions of shape (samples, classes); received shape {tuple(y_pred.shape)}.")
        y_true, y_pred = y_true[..., class_id : class_id + 1], y_pred[..., class_id : class_id + 1]
    weight = _weights(y_pred, dtype, sample_weight, None if multi_label else label_weights)
    truth = ops.cast(ops.not_equal(y_true, 0.0), dtype)
    right = truth if weight is None else truth * weight
    wrong = 1.0 - truth if weight is None else (1.0 - truth) * weight
    if not multi_label:
        y_pred, right, wrong = (ops.reshape(t, (-1,)) for t in (y_pred, right, wrong))
    limits = ops.reshape(ops.convert_to_tensor(list(map(float, thresholds)), dtype=dtype), (-1, *[1] * len(y_pred.shape)))
    positive = ops.cast(ops.greater(ops.expand_dims(y_pred, 0), limits), dtype)
    if multi_label:
        tp, fp = ops.sum(positive * ops.expand_dims(right, 0), axis=1), ops.sum(positive * ops.expand_dims(wrong, 0), axis=1)
    else:
        found = ops.matmul(positive, ops.stack([right, wrong], axis=1))
        tp, fp = found[:, 0], found[:, 1]
    return {"tp": tp, "fp": fp, "fn": ops.sum(right, axis=0) - tp, "tn": ops.sum(wrong, axis=0) - fp}


def _weights(y_pred, dtype: str, sample_weight, label_weights):
    """Sample weights times label weights, broadcast to the predictions; None without any."""
    weight = None
    if sample_weight is not None:
        weight = as_dtype(sample_weight, dtype)
        while len(weight.shape) < len(y_pred.shape):
            weight = ops.expand_dims(weight, -1)
        weight = ops.broadcast_to(weight, y_pred.shape)
    if label_weights is not None:
        labels = ops.broadcast_to(ops.expand_dims(as_dtype(label_weights, dtype), 0), y_pred.shape)
        weight = labels if weight is None else weight * labels
    return weight


def _only_top_k(scores, k: int):
    _, indices = ops.top_k(scores, k)
    chosen = ops.sum(ops.one_hot(indices, scores.shape[-1], dtype=scores.dtype), axis=-2)
    return scores * chosen + (1.0 - chosen) * _NEVER


class _Count(Metric):
    """The number of one kind of outcome."""

    _outcome = ""

    def __init__(self, thresholds=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5)
        self.accumulator = self.add_variable(shape=(len(self.thresholds),), initializer="zeros", name="accumulator")

    def update_state(self, y_true, y_pred, sample_weight=None):
        counts = count_outcomes(y_true, y_pred, self.thresholds, self.dtype, sample_weight)
        self.accumulator.assign_add(counts[self._outcome])

    def result(self):
        return self.accumulator.value[0] if len(self.thresholds) == 1 else self.accumulator.value

    def result_reader(self):
        single = len(self.thresholds) == 1 and type(self).result is _Count.result and self.dtype == "float32"
        return self.accumulator._buffer.item if single else None

    def get_config(self) -> dict:
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_Count):
    """Number of positives predicted as such.

    >>> metric = TruePositives()
    >>> metric.update_state([1, 1, 0], [0.9, 0.2, 0.8])
    >>> float(metric.result())
    1.0
    """

    _outcome = "tp"


class FalsePositives(_Count):
    """Number of negatives predicted as positive."""

    _outcome = "fp"


class TrueNegatives(_Count):
    """Number of negatives predicted as such."""

    _outcome = "tn"


class FalseNegatives(_Count):
    """Number of positives predicted as negative."""

    _outcome = "fn"


class _Ratio(Metric):
    """True positives over true positives and one kind of mistake."""

    _direction = "up"
    _mistake = ("", "")

    def __init__(self, thresholds=None, top_k=None, class_id=None, name=None, dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = parse_thresholds(type(self).__name__, thresholds, 0.5 if top_k is None else _NEVER)
        shape = (len(self.thresholds),)
        self.true_positives = self.add_variable(shape=shape, initializer="zeros", name="true_positives")
        setattr(self, self._mistake[1], self.add_variable(shape=shape, initializer="zeros", name=self._mistake[1]))

    def update_state(self, y_true, y_pred, sample_weight=None):
        counts = count_outcomes(y_true, y_pred, self.thresholds, self.dtype, sample_weight, self.top_k, self.class_id)
        self.true_positives.assign_add(counts["tp"])
        getattr(self, self._mistake[1]).assign_add(counts[self._mistake[0]])

    def result(self):
        right = self.true_positives.value
        ratio = ops.divide_no_nan(right, right + getattr(self, self._mistake[1]).value)
        return ratio[0] if len(self.thresholds) == 1 else ratio

    def get_config(self) -> dict:
        return {**super().get_config(), "thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}


class Precision(_Ratio):
    """Share of the predicted positives that are right.

    Args:
        thresholds: A number or list in [0, 1]; 0.5 by default.
        top_k: Only the k largest predictions of each row count as positive.
        class_id: Only this class counts.

    >>> metric = Precision()
    >>> metric.update_state([1, 1, 0], [0.9, 0.2, 0.8])
    >>> float(metric.result())
    0.5
    """

    _mistake = ("fp", "false_positives")


class Recall(_Ratio):
    """Share of the positives that were found.

    >>> metric = Recall()
    >>> metric.update_state([1, 1, 0], [0.9, 0.2, 0.8])
    >>> float(metric.result())
    0.5
    """

    _mistake = ("fn", "false_negatives")
