"""CTC: connectionist temporal classification, for sequences without alignment."""

from __future__ import annotations

from nnlite import ops
from nnlite.losses.loss import FunctionLoss


def ctc(y_true, y_pred):
    """CTC loss of scores [batch, time, classes] against labels [batch, labels], where label 0 is the blank and pads.

    >>> ctc([[1]], [[[0.0, 0.0]]]).item() == ctc([[1]], [[[5.0, 5.0]]]).item()
    True
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != 2 or len(y_pred.shape) != 3:
        raise ValueError(
            f"ctc expects targets of shape (batch, labels) and predictions of shape (batch, time, classes); received {tuple(y_true.shape)} and "
            f"{tuple(y_pred.shape)}. "
            "Pad the label sequences with 0, e.g. with pad_sequences(padding='post')."
        )
    lengths = ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)
    return ops.ctc_loss(y_true, y_pred, lengths, ops.full((y_pred.shape[0],), y_pred.shape[1], dtype="int32"))


class CTC(FunctionLoss):
    """CTC loss; label 0 is the blank."""

    function = staticmethod(ctc)

    def __init__(self, reduction="sum_over_batch_size", name="ctc", dtype=None):
        super().__init__(name, reduction, dtype)
