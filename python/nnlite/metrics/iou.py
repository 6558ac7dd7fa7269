"""Intersection over union of predicted and true classes, from a confusion matrix."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.metrics.metric import Metric


class IoU(Metric):
    """Mean over `target_class_ids` of true positives / (true positives + false positives + false negatives).

    Args:
        num_classes: Number of classes.
        target_class_ids: The classes averaged.
        ignore_class: Positions with this label do not count.
        sparse_y_true, sparse_y_pred: Whether labels and predictions are class numbers (else one value per class along `axis`).
        axis: The class axis.

    >>> metric = IoU(num_classes=2, target_class_ids=[0])
    >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(metric.result()), 4)
    0.3333
    """

    _direction = "up"

    def __init__(self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_true=True, sparse_y_pred=True, axis=-1):
        super().__init__(name=name, dtype=dtype or "int32")
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"{type(self).__name__}: class ids must be in [0, {num_classes}); received target_class_ids={list(target_class_ids)} with "
                f"num_classes={num_classes}."
            )
        self.num_classes = num_classes
        self.target_class_ids = list(target_class_ids)
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        self.total_cm = self.add_variable(shape=(num_classes, num_classes), initializer="zeros", name="total_confusion_matrix", dtype=self.dtype)

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = self._classes(y_true, self.sparse_y_true)
        y_pred = self._classes(y_pred, self.sparse_y_pred)
        inside = ops.logical_and(_inside(y_true, self.num_classes), _inside(y_pred, self.num_classes))
        if self.ignore_class is not None:
            inside = ops.logical_and(inside, ops.not_equal(y_true, self.ignore_class))
        weight = ops.cast(inside, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(ops.convert_to_tensor(sample_weight), self.dtype)  # whole weights, as the matrix is
            weight = weight * ops.broadcast_to(ops.reshape(ops.cast(sample_weight, "float32"), (-1,)), weight.shape)
        classes = ops.reshape(ops.arange(self.num_classes, dtype="int32"), (-1, 1))
        truth = ops.cast(ops.equal(classes, ops.expand_dims(y_true, 0)), "float32") * ops.expand_dims(weight, 0)
        found = ops.cast(ops.equal(ops.expand_dims(y_pred, 1), ops.transpose(classes)), "float32")
        self.total_cm.assign_add(ops.cast(ops.matmul(truth, found), self.dtype))

    def _classes(self, y, sparse: bool):
        y = ops.convert_to_tensor(y)
        if not sparse:
            y = ops.argmax(y, axis=self.axis)
        return ops.reshape(ops.cast(y, "int32"), (-1,))

    def result(self):
        matrix = ops.cast(self.total_cm.value, "float32")
        right = ops.sum(matrix * ops.eye(self.num_classes, dtype="float32"), axis=0)
        union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - right
        chosen = ops.convert_to_tensor([float(i in self.target_class_ids) for i in range(self.num_classes)], dtype="float32")
        valid = ops.cast(ops.greater(union, 1e-9), "float32") * chosen
        return ops.sum(right / (union + config.epsilon()) * valid) / (ops.sum(valid) + config.epsilon())

    def get_config(self) -> dict:
        names = ("num_classes", "target_class_ids", "ignore_class", "sparse_y_true", "sparse_y_pred", "axis")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _inside(classes, count: int):
    return ops.logical_and(ops.greater_equal(classes, 0), ops.less(classes, count))


class BinaryIoU(IoU):
    """IoU of yes/no predictions: at `threshold` or above counts as class 1.

    >>> metric = BinaryIoU(target_class_ids=[0, 1], threshold=0.3)
    >>> metric.update_state([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7])
    >>> round(float(metric.result()), 4)
    0.3333
    """

    def __init__(self, target_class_ids=(0, 1), threshold=0.5, name=None, dtype=None):
        super().__init__(2, target_class_ids, name=name, dtype=dtype)
        self.threshold = threshold

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.cast(ops.greater_equal(ops.cast(ops.convert_to_tensor(y_pred), "float32"), self.threshold), "int32")
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict:
        return {"target_class_ids": self.target_class_ids, "threshold": self.threshold, "name": self.name, "dtype": self.dtype}


class MeanIoU(IoU):
    """IoU averaged over all classes.

    >>> metric = MeanIoU(num_classes=2)
    >>> metric.update_state([0, 0, 1, 1], [0, 1, 0, 1])
    >>> round(float(metric.result()), 4)
    0.3333
    """

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_true=True, sparse_y_pred=True, axis=-1):
        if num_classes < 1:
            raise ValueError(f"{type(self).__name__}: `num_classes` must be at least 1; received num_classes={num_classes!r}.")
        super().__init__(num_classes, range(num_classes), name, dtype, ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["target_class_ids"]
        return config


class OneHotIoU(IoU):
    """IoU for one-hot labels."""

    def __init__(self, num_classes, target_class_ids, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["sparse_y_true"]
        return config


class OneHotMeanIoU(MeanIoU):
    """IoU averaged over all classes, for one-hot labels."""

    def __init__(self, num_classes, name=None, dtype=None, ignore_class=None, sparse_y_pred=False, axis=-1):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["sparse_y_true"]
        return config
