"""Losses on the overlap of masks, for segmentation: Dice and Tversky."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.losses.loss import FunctionLoss, as_dtype


def dice(y_true, y_pred, axis=None):
    """One minus the Dice coefficient, `2 * |A ∩ B| / (|A| + |B|)`, over `axis` (all axes by default).

    >>> round(dice([[1.0, 0.0]], [[1.0, 0.0]]).item(), 4)
    0.0
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_dtype(y_true, y_pred.dtype)
    both = ops.sum(y_true * y_pred, axis=axis)
    total = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - both * 2.0 / (total + config.epsilon())


def tversky(y_true, y_pred, alpha=0.5, beta=0.5, axis=None):
    """One minus the Tversky index: `alpha` and `beta` weigh false negatives and false positives.

    >>> round(tversky([[1.0, 0.0]], [[1.0, 1.0]]).item(), 4)
    0.3333
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_dtype(y_true, y_pred.dtype)
    both = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    invented = ops.sum((1.0 - y_true) * y_pred, axis=axis)
    return 1.0 - both / (both + missed * alpha + invented * beta + config.epsilon())


class Dice(FunctionLoss):
    """One minus the Dice coefficient.

    >>> round(float(Dice()([[1.0, 0.0]], [[0.5, 0.0]])), 4)
    0.3333
    """

    function = staticmethod(dice)

    def __init__(self, reduction="sum_over_batch_size", name="dice", axis=None, dtype=None):
        super().__init__(name, reduction, dtype, axis=axis)


class Tversky(FunctionLoss):
    """One minus the Tversky index.

    >>> round(float(Tversky()([[1.0, 0.0]], [[1.0, 1.0]])), 4)
    0.3333
    """

    function = staticmethod(tversky)

    def __init__(self, alpha=0.5, beta=0.5, reduction="sum_over_batch_size", name="tversky", axis=None, dtype=None):
        super().__init__(name, reduction, dtype, alpha=alpha, beta=beta, axis=axis)
