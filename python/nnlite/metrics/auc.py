"""AUC: the area under the ROC or precision-recall curve."""

from __future__ import annotations

from nnlite import config as settings
from nnlite import ops
from nnlite.metrics.confusion import count_outcomes
from nnlite.metrics.metric import Metric

_CURVES = ("ROC", "PR", "PRGAIN")
_SUMMATIONS = ("interpolation", "minoring", "majoring")


class AUC(Metric):
    """Area under a curve, approximated at `num_thresholds` thresholds.

    Args:
        num_thresholds: How many.
        curve: "ROC", "PR" (precision-recall) or "PRGAIN".
        summation_method: "interpolation", "minoring" or "majoring".
        thresholds: A list in [0, 1] instead of evenly spaced ones.
        multi_label: Whether each label gets its own area, and these are averaged.
        num_labels: Number of labels, to build the state early with `multi_label`.
        label_weights: Weights of the labels.
        from_logits: Whether a sigmoid is applied first.

    >>> metric = AUC(num_thresholds=3)
    >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> float(metric.result())
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds=200,
        curve="ROC",
        summation_method="interpolation",
        name=None,
        dtype=None,
        thresholds=None,
        multi_label=False,
        num_labels=None,
        label_weights=None,
        from_logits=False,
    ):
        super().__init__(name=name, dtype=dtype)
        if str(curve).upper() not in _CURVES:
            raise ValueError(f"AUC: `curve` must be one of {', '.join(_CURVES)}; received curve={curve!r}.")
        if str(summation_method).lower() not in _SUMMATIONS:
            raise ValueError(f"AUC: `summation_method` must be one of {', '.join(_SUMMATIONS)}; received summation_method={summation_method!r}.")
        if thresholds is None and num_thresholds <= 1:
            raise ValueError(f"AUC: `num_thresholds` must be an integer greater than 1; received num_thresholds={num_thresholds}.")
        if num_labels and not multi_label:
            raise ValueError(f"AUC: `num_labels` is needed only with multi_label=True; received num_labels={num_labels}.")
        self._init_thresholds = None if thresholds is None else sorted(thresholds)
        inner = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)] if thresholds is None else self._init_thresholds
        # The ends lie just outside of [0, 1], so that every prediction is above the first and none above the last.
        self.thresholds = [-settings.epsilon(), *inner, 1.0 + settings.epsilon()]
        self.num_thresholds = len(self.thresholds)
        self.curve = str(curve).upper()
        self.summation_method = str(summation_method).lower()
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = label_weights
        self._from_logits = from_logits
        self._built = False
        if not multi_label or num_labels:
            self._build(num_labels)

    def _build(self, labels) -> None:
        shape = (self.num_thresholds, labels) if self.multi_label else (self.num_thresholds,)
        for name in ("true_positives", "false_positives", "true_negatives", "false_negatives"):
            setattr(self, name, self.add_variable(shape=shape, initializer="zeros", name=name))
        self._built = True

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.convert_to_tensor(y_pred)
        if not self._built:
            if len(y_pred.shape) != 2:
                raise ValueError(f"AUC with multi_label=True expects predictions of shape (batch, labels); received shape {tuple(y_pred.shape)}.")
            self._build(y_pred.shape[1])
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        weights = None if self.multi_label else self.label_weights
        counts = count_outcomes(y_true, y_pred, self.thresholds, self.dtype, sample_weight, multi_label=self.multi_label, label_weights=weights)
        self.true_positives.assign_add(counts["tp"])
        self.false_positives.assign_add(counts["fp"])
        self.true_negatives.assign_add(counts["tn"])
        self.false_negatives.assign_add(counts["fn"])

    def result(self):
        tp, fp, tn, fn = (v.value for v in (self.true_positives, self.false_positives, self.true_negatives, self.false_negatives))
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._average(_interpolated_pr(tp, fp, fn))
        x, y = self._points(tp, fp, tn, fn)
        left, right = y[:-1], y[1:]
        if self.summation_method == "interpolation":
            heights = (left + right) * 0.5
        else:
            heights = ops.minimum(left, right) if self.summation_method == "minoring" else ops.maximum(left, right)
        return self._average((x[:-1] - x[1:]) * heights)

    def _points(self, tp, fp, tn, fn):
        recall = ops.divide_no_nan(tp, tp + fn)
        if self.curve == "ROC":
            return ops.divide_no_nan(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, ops.divide_no_nan(tp, tp + fp)
        odds = ops.divide_no_nan(tp + fn, tn + fp)
        none = ops.equal(tp, 0.0)
        recall_gain = ops.where(none, ops.zeros_like(tp), 1.0 - odds * ops.divide_no_nan(fn, tp))
        precision_gain = ops.where(none, ops.ones_like(tp), 1.0 - odds * ops.divide_no_nan(fp, tp))
        return ops.maximum(recall_gain, 0.0), precision_gain

    def _average(self, terms):
        if not self.multi_label:
            return ops.sum(terms)
        areas = ops.sum(terms, axis=0)
        if self.label_weights is None:
            return ops.mean(areas)
        weights = ops.convert_to_tensor(self.label_weights, dtype=self.dtype)
        return ops.divide_no_nan(ops.sum(areas * weights), ops.sum(weights))

    def get_config(self) -> dict:
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": self.label_weights,
            "from_logits": self._from_logits,
        }
        if self._init_thresholds is not None:
            config["thresholds"] = self._init_thresholds
        return config


def _interpolated_pr(tp, fp, fn):
    """Pieces of the area under precision-recall where counts, not precision, change linearly between thresholds (Davis and Goadrich, 2006)."""
    positives = tp + fp
    d_tp, d_positives = tp[:-1] - tp[1:], positives[:-1] - positives[1:]
    slope = ops.divide_no_nan(d_tp, ops.maximum(d_positives, 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(ops.greater(positives[:-1], 0.0), ops.greater(positives[1:], 0.0))
    ratio = ops.where(both, ops.divide_no_nan(positives[:-1], ops.maximum(positives[1:], 0.0)), ops.ones_like(slope))
    return ops.divide_no_nan(slope * (d_tp + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0))
