"""Circle loss: metric learning on embeddings."""

from __future__ import annotations

from nnlite import ops
from nnlite.losses.loss import FunctionLoss


def circle(y_true, y_pred, ref_labels=None, ref_embeddings=None, remove_diagonal=True, gamma=80, margin=0.4):
    """Circle loss of normalised embeddings [N, D] with integer labels [N]: pulls equal labels together, pushes others apart.

    Args:
        ref_labels, ref_embeddings: What to compare with; by default the batch itself.
        remove_diagonal: Whether a sample is not compared with itself.
        gamma: Scale of the similarities.
        margin: Relaxation of the decision boundary.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.reshape(ops.cast(y_true, "int32"), (-1, 1))
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    other_labels = labels if ref_labels is None else ops.reshape(ops.cast(ref_labels, "int32"), (-1, 1))
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(others)), 0.0)
    same = ops.equal(labels, ops.transpose(other_labels))
    different = ops.logical_not(same)
    if remove_diagonal:
        rows, columns = distance.shape
        diagonal = ops.equal(ops.reshape(ops.arange(rows), (-1, 1)), ops.reshape(ops.arange(columns), (1, -1)))
        same = ops.logical_and(same, ops.logical_not(diagonal))
    pull = ops.maximum(margin + distance, 0.0) * (margin - distance) * -gamma
    push = ops.maximum(1.0 + margin - distance, 0.0) * (1.0 - margin - distance) * gamma
    loss = ops.softplus(_log_sum(pull, same) + _log_sum(push, different))
    loss._keras_mask = ops.greater(loss, 0.0)
    return loss


def _log_sum(values, mask):
    return ops.logsumexp(ops.where(mask, values, float("-inf")), axis=1)


class Circle(FunctionLoss):
    """Circle loss of a batch of normalised embeddings.

    >>> round(float(Circle()([0, 0], [[1.0, 0.0], [1.0, 0.0]])), 4)
    0.0
    """

    function = staticmethod(circle)

    def __init__(self, gamma=80.0, margin=0.4, remove_diagonal=True, reduction="sum_over_batch_size", name="circle", dtype=None):
        super().__init__(name, reduction, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)

    def call(self, y_true, y_pred):
        return self.fn(y_true, y_pred, **self._fn_kwargs)
