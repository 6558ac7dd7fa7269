"""Hinge losses: margins between classes. Labels are -1 and 1; 0 and 1 are converted."""

from __future__ import annotations

from nnlite import ops
from nnlite.losses.loss import FunctionLoss, as_dtype


def _signed_labels(y_true, dtype: str):
    """-1/1 labels as they are; 0/1 labels, when there are no others, become -1/1."""
    y_true = as_dtype(y_true, dtype)
    is_binary = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(is_binary, y_true * 2.0 - 1.0, y_true)


def _margins(y_true, y_pred):
    y_pred = ops.convert_to_tensor(y_pred)
    return ops.maximum(1.0 - _signed_labels(y_true, y_pred.dtype) * y_pred, 0.0)


def hinge(y_true, y_pred):
    """Mean over the last axis of `max(1 - y_true * y_pred, 0)`.

    >>> hinge([[1.0, -1.0]], [[0.5, -2.0]]).tolist()
    [0.25]
    """
    return ops.mean(_margins(y_true, y_pred), axis=-1)


def squared_hinge(y_true, y_pred):
    """Mean over the last axis of `square(max(1 - y_true * y_pred, 0))`.

    >>> squared_hinge([[1.0, -1.0]], [[0.0, -2.0]]).tolist()
    [0.5]
    """
    return ops.mean(ops.square(_margins(y_true, y_pred)), axis=-1)


def categorical_hinge(y_true, y_pred):
    """`max(1 + best wrong score - right score, 0)` for one-hot `y_true`.

    >>> categorical_hinge([[0.0, 1.0]], [[0.5, 1.0]]).tolist()
    [0.5]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_dtype(y_true, y_pred.dtype)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


class Hinge(FunctionLoss):
    """Hinge loss for -1/1 (or 0/1) labels.

    >>> float(Hinge()([[1.0], [-1.0]], [[0.5], [-2.0]]))
    0.25
    """

    function = staticmethod(hinge)

    def __init__(self, reduction="sum_over_batch_size", name="hinge", dtype=None):
        super().__init__(name, reduction, dtype)


class SquaredHinge(FunctionLoss):
    """Squared hinge loss for -1/1 (or 0/1) labels.

    >>> float(SquaredHinge()([[1.0], [-1.0]], [[0.0], [-2.0]]))
    0.5
    """

    function = staticmethod(squared_hinge)

    def __init__(self, reduction="sum_over_batch_size", name="squared_hinge", dtype=None):
        super().__init__(name, reduction, dtype)


class CategoricalHinge(FunctionLoss):
    """Hinge loss between one-hot classes.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]]))
    0.5
    """

    function = staticmethod(categorical_hinge)

    def __init__(self, reduction="sum_over_batch_size", name="categorical_hinge", dtype=None):
        super().__init__(name, reduction, dtype)
