"""Accuracies: how often predictions are right."""

from __future__ import annotations

import numpy as np

from nnlite import config, ops
from nnlite.graph.spec import FLOATS
from nnlite.losses.loss import as_dtype, squeeze_or_expand_to_same_rank
from nnlite.metrics.reduction import FunctionMetric


def _pair(y_true, y_pred):
    return squeeze_or_expand_to_same_rank(ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred))


def _matches(labels, predicted):
    """1.0 where equal. Labels may be floats; predicted classes are integers."""
    predicted = ops.cast(predicted, labels.dtype)
    return ops.cast(ops.equal(labels, predicted), config.floatx())


def _largest(scores):
    """The class with the largest score. Softmax keeps the order, so its input does as well and the op may become unneeded in training."""
    node = scores.node
    return ops.argmax(node.inputs[0] if node is not None and node.op.name == "softmax" else scores, axis=-1)


def accuracy(y_true, y_pred):
    """1 where target and prediction are equal, else 0.

    >>> accuracy([[1.0], [2.0]], [[1.0], [3.0]]).tolist()
    [[1.0], [0.0]]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return ops.cast(ops.equal(as_dtype(y_true, y_pred.dtype), y_pred), config.floatx())


def binary_accuracy(y_true, y_pred, threshold=0.5):
    """1 where `y_pred > threshold` agrees with the target.

    >>> binary_accuracy([[1.0], [1.0]], [[0.9], [0.2]]).tolist()
    [[1.0], [0.0]]
    """
    y_true, y_pred = _pair(y_true, y_pred)
    return _matches(y_true, ops.greater(y_pred, threshold))


def categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is that of the one-hot target's class.

    >>> categorical_accuracy([[0.0, 1.0]], [[0.2, 0.8]]).tolist()
    [1.0]
    """
    return _matches(ops.argmax(ops.convert_to_tensor(y_true), axis=-1), _largest(ops.convert_to_tensor(y_pred)))


def sparse_categorical_accuracy(y_true, y_pred):
    """1 where the largest prediction is that of the integer label.

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.2, 0.8]]).tolist()
    [1.0, 0.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    predicted = _largest(y_pred)
    if tuple(y_true.shape) != tuple(predicted.shape):
        raise ValueError(
            f"sparse_categorical_accuracy expects integer labels of shape {tuple(predicted.shape)} for predictions of shape {tuple(y_pred.shape)}; "
            f"received labels of shape {tuple(y_true.shape)}. One-hot labels need the metric 'categorical_accuracy'."
        )
    return _matches(y_true, predicted)


def top_k_categorical_accuracy(y_true, y_pred, k=5):
    """1 where the one-hot target's class is among the k largest predictions.

    >>> top_k_categorical_accuracy([[1.0, 0.0, 0.0]], [[0.3, 0.5, 0.2]], k=2).tolist()
    [1.0]
    """
    return sparse_top_k_categorical_accuracy(ops.argmax(ops.convert_to_tensor(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k=5, from_sorted_ids=False):
    """1 where the integer label is among the k largest predictions.

    Args:
        from_sorted_ids: Whether `y_pred` holds class numbers, best first, instead of scores.

    >>> sparse_top_k_categorical_accuracy([0], [[0.3, 0.5, 0.2]], k=2).tolist()
    [1.0]
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    scores = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    labels = ops.reshape(y_true, (-1,))
    if from_sorted_ids:
        found = ops.any(ops.equal(ops.expand_dims(as_dtype(labels, scores.dtype), 1), scores[:, :k]), axis=1)
    else:
        # The label is in the top k when fewer than k classes score higher: no sorting.
        if labels.dtype in FLOATS:
            labels = ops.cast(labels, "int32")
        label_score = ops.take_along_axis(scores, ops.expand_dims(labels, 1), axis=1)
        found = ops.less(ops.sum(ops.cast(ops.greater(scores, label_score), "int32"), axis=1), k)
    return ops.reshape(ops.cast(found, config.floatx()), y_true.shape)


class _Accuracy(FunctionMetric):
    _direction = "up"


class Accuracy(_Accuracy):
    """How often predictions equal targets.

    >>> metric = Accuracy()
    >>> metric.update_state([[1], [2]], [[1], [3]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(accuracy)

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(name, dtype)


class BinaryAccuracy(_Accuracy):
    """How often yes/no predictions are right.

    >>> metric = BinaryAccuracy()
    >>> metric.update_state([[1], [0]], [[0.9], [0.8]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(binary_accuracy)

    def __init__(self, name="binary_accuracy", dtype=None, threshold=0.5):
        if not 0 <= threshold <= 1:
            raise ValueError(
                f"BinaryAccuracy: `threshold` must be between 0 and 1; received threshold={threshold}. For logits give the threshold through a "
                "wrapper, or apply a sigmoid."
            )
        super().__init__(name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(_Accuracy):
    """How often the largest prediction is that of the one-hot target.

    >>> metric = CategoricalAccuracy()
    >>> metric.update_state([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(categorical_accuracy)

    def __init__(self, name="categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(_Accuracy):
    """How often the largest prediction is that of the integer label.

    >>> metric = SparseCategoricalAccuracy()
    >>> metric.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(sparse_categorical_accuracy)

    def __init__(self, name="sparse_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)


def _check_k(k) -> None:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"`k` of a top-k metric must be an integer of at least 1; received k={k!r}.")


class TopKCategoricalAccuracy(_Accuracy):
    """How often the one-hot target is among the k largest predictions.

    >>> metric = TopKCategoricalAccuracy(k=1)
    >>> metric.update_state([[0, 1], [1, 0]], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(top_k_categorical_accuracy)

    def __init__(self, k=5, name="top_k_categorical_accuracy", dtype=None):
        _check_k(k)
        super().__init__(name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(_Accuracy):
    """How often the integer label is among the k largest predictions.

    >>> metric = SparseTopKCategoricalAccuracy(k=1)
    >>> metric.update_state([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    >>> float(metric.result())
    0.5
    """

    function = staticmethod(sparse_top_k_categorical_accuracy)

    def __init__(self, k=5, name="sparse_top_k_categorical_accuracy", dtype=None, from_sorted_ids=False):
        _check_k(k)
        super().__init__(name, dtype, k=k, from_sorted_ids=from_sorted_ids)
        self.k = k
        self.from_sorted_ids = from_sorted_ids
