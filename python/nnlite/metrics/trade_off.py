"""The best of one rate while another stays above a limit, over all thresholds."""

from __future__ import annotations

from nnlite import ops
from nnlite.metrics.confusion import count_outcomes
from nnlite.metrics.metric import Metric

_COUNTS = {"tp": "true_positives", "fp": "false_positives", "tn": "true_negatives", "fn": "false_negatives"}


class _TradeOff(Metric):
    """Keeps all four counts at `num_thresholds` thresholds."""

    _direction = "up"
    _argument = ""

    def __init__(self, value, num_thresholds, class_id, name, dtype):
        super().__init__(name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ValueError(f"{type(self).__name__}: `{self._argument}` must be in [0, 1]; received {self._argument}={value}.")
        if num_thresholds <= 0:
            raise ValueError(f"{type(self).__name__}: `num_thresholds` must be an integer greater than 0; received num_thresholds={num_thresholds}.")
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        self.thresholds = [0.5] if num_thresholds == 1 else [i / (num_thresholds - 1) for i in range(num_thresholds)]
        for attribute in _COUNTS.values():
            setattr(self, attribute, self.add_variable(shape=(len(self.thresholds),), initializer="zeros", name=attribute))

    def update_state(self, y_true, y_pred, sample_weight=None):
        counts = count_outcomes(y_true, y_pred, self.thresholds, self.dtype, sample_weight, class_id=self.class_id)
        for outcome, attribute in _COUNTS.items():
            getattr(self, attribute).assign_add(counts[outcome])

    def _rate(self, of: str, and_: str):
        of = getattr(self, of).value
        return ops.divide_no_nan(of, of + getattr(self, and_).value)

    def _best(self, limited, wanted):
        return ops.max(ops.where(ops.greater_equal(limited, self.value), wanted, ops.zeros_like(wanted)))

    def get_config(self) -> dict:
        return {**super().get_config(), "class_id": self.class_id, "num_thresholds": self.num_thresholds, self._argument: self.value}


class SensitivityAtSpecificity(_TradeOff):
    """Best sensitivity among thresholds whose specificity is at least `specificity`.

    >>> metric = SensitivityAtSpecificity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> float(metric.result())
    0.5
    """

    _argument = "specificity"

    def __init__(self, specificity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def result(self):
        return self._best(self._rate("true_negatives", "false_positives"), self._rate("true_positives", "false_negatives"))


class SpecificityAtSensitivity(_TradeOff):
    """Best specificity among thresholds whose sensitivity is at least `sensitivity`."""

    _argument = "sensitivity"

    def __init__(self, sensitivity, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def result(self):
        return self._best(self._rate("true_positives", "false_negatives"), self._rate("true_negatives", "false_positives"))


class PrecisionAtRecall(_TradeOff):
    """Best precision among thresholds whose recall is at least `recall`."""

    _argument = "recall"

    def __init__(self, recall, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    def result(self):
        return self._best(self._rate("true_positives", "false_negatives"), self._rate("true_positives", "false_positives"))


class RecallAtPrecision(_TradeOff):
    """Best recall among thresholds whose precision is at least `precision`."""

    _argument = "precision"

    def __init__(self, precision, num_thresholds=200, class_id=None, name=None, dtype=None):
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    def result(self):
        return self._best(self._rate("true_positives", "false_positives"), self._rate("true_positives", "false_negatives"))
