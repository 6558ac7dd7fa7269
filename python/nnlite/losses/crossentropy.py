"""Crossentropies and the Kullback-Leibler divergence: losses between class distributions."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.graph.spec import FLOATS
from nnlite.losses.loss import FunctionLoss, as_dtype


def _logits(y_pred, from_logits: bool, activation: str):
    """(scores, from_logits): when `y_pred` is the direct result of softmax or sigmoid, the loss starts from that op's input.

    That is the same function, only exact for confident predictions, where probabilities round to 0 and 1.
    """
    node = getattr(y_pred, "node", None)
    if not from_logits and node is not None and node.op.name == activation:
        return node.inputs[0], True
    return y_pred, from_logits


def _check_axis(name: str, axis) -> None:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ValueError(
            f"{name}: `axis` must be an integer; received axis={axis!r} of type {type(axis).__name__}. Did the arguments shift? Pass them by keyword."
        )


def _check_one_hot(name: str, y_true, y_pred) -> None:
    if len(y_true.shape) == len(y_pred.shape) and tuple(y_true.shape) == tuple(y_pred.shape):
        return
    hint = ""
    if len(y_true.shape) < len(y_pred.shape) or (y_true.shape and y_true.shape[-1] == 1):
        sparse = "sparse_" + name if name == "categorical_crossentropy" else "sparse_categorical_crossentropy"
        hint = f" Integer class labels need loss='{sparse}', or convert them with nnlite.utils.to_categorical()."
    raise ValueError(
        f"{name} expects targets of the predictions' shape (one-hot or probabilities); received targets of shape {tuple(y_true.shape)} and "
        f"predictions of shape {tuple(y_pred.shape)}.{hint}"
    )


def _smooth(y_true, label_smoothing, classes: int):
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true


def categorical_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Crossentropy of predictions against one-hot targets (or class probabilities) of the same shape.

    Args:
        from_logits: Whether `y_pred` holds scores before softmax.
        label_smoothing: In [0, 1]: moves that share of the target evenly to all classes.
        axis: The class axis.

    >>> round(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.6931
    """
    _check_axis("categorical_crossentropy", axis)
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_dtype(y_true, y_pred.dtype)
    _check_one_hot("categorical_crossentropy", y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, y_true.shape[-1])
    scores, from_logits = _logits(y_pred, from_logits, "softmax") if axis in (-1, len(y_pred.shape) - 1) else (y_pred, from_logits)
    return ops.categorical_crossentropy(y_true, scores, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False, ignore_class=None, axis=-1):
    """Crossentropy of predictions [..., classes] against integer class labels [...].

    Args:
        from_logits: Whether `y_pred` holds scores before softmax.
        ignore_class: Positions with this label count nothing.
        axis: The class axis.

    >>> round(sparse_categorical_crossentropy([1], [[0.5, 0.5]]).item(), 4)
    0.6931
    """
    _check_axis("sparse_categorical_crossentropy", axis)
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis)
    _check_sparse(y_true, y_pred, axis)
    if y_true.dtype in FLOATS or y_true.dtype == "bool":
        y_true = ops.cast(y_true, "int32")
    scores, from_logits = _logits(y_pred, from_logits, "softmax") if axis in (-1, len(y_pred.shape) - 1) else (y_pred, from_logits)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, scores, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    scores = ops.where(ops.expand_dims(valid, axis), scores, 0.0)
    loss = ops.sparse_categorical_crossentropy(ops.where(valid, y_true, 0), scores, from_logits=from_logits, axis=axis)
    loss = ops.where(valid, loss, 0.0)
    loss._keras_mask = valid
    return loss


def _check_sparse(y_true, y_pred, axis) -> None:
    labels = list(y_pred.shape)
    classes = labels.pop(axis) if labels else None
    if list(y_true.shape) == labels:
        return
    hint = ""
    if tuple(y_true.shape) == tuple(y_pred.shape):
        hint = " One-hot targets need loss='categorical_crossentropy', or take their argmax(axis=-1)."
    raise ValueError(
        f"sparse_categorical_crossentropy expects integer labels of shape {tuple(labels)} for predictions of shape {tuple(y_pred.shape)} "
        f"({classes} classes); "
        f"received targets of shape {tuple(y_true.shape)}.{hint}"
    )


def binary_crossentropy(y_true, y_pred, from_logits=False, label_smoothing=0.0, axis=-1):
    """Crossentropy of yes/no predictions, mean over `axis`.

    Args:
        from_logits: Whether `y_pred` holds scores before the sigmoid.
        label_smoothing: In [0, 1]: moves targets towards 0.5.

    >>> round(binary_crossentropy([[1.0]], [[0.5]]).item(), 4)
    0.6931
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = _smooth(as_dtype(y_true, y_pred.dtype), label_smoothing, 2)
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"binary_crossentropy expects targets of the predictions' shape; received targets of shape {tuple(y_true.shape)} and predictions of "
            "shape "
            f"{tuple(y_pred.shape)}. Give one target per output unit (or use a categorical crossentropy)."
        )
    scores, from_logits = _logits(y_pred, from_logits, "sigmoid")
    return ops.mean(ops.binary_crossentropy(y_true, scores, from_logits=from_logits), axis=axis)


def binary_focal_crossentropy(y_true, y_pred, apply_class_balancing=False, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1):
    """Binary crossentropy times `(1 - p)**gamma`, where p is the probability given to the right answer: easy samples count less.

    Args:
        apply_class_balancing: Whether class 1 is weighed by `alpha` and class 0 by `1 - alpha`.

    >>> round(binary_focal_crossentropy([[1.0]], [[0.5]]).item(), 4)
    0.1733
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = _smooth(as_dtype(y_true, y_pred.dtype), label_smoothing, 2)
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    right = y_true * y_pred + (1.0 - y_true) * (1.0 - y_pred)
    loss = ops.power(1.0 - right, gamma) * ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    if apply_class_balancing:
        loss = loss * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(loss, axis=axis)


def categorical_focal_crossentropy(y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1):
    """Categorical crossentropy times `alpha * (1 - p)**gamma` per class.

    >>> round(categorical_focal_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.0433
    """
    _check_axis("categorical_focal_crossentropy", axis)
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = as_dtype(y_true, y_pred.dtype)
    _check_one_hot("categorical_focal_crossentropy", y_true, y_pred)
    y_true = _smooth(y_true, label_smoothing, y_true.shape[-1])
    p = ops.softmax(y_pred, axis=axis) if from_logits else y_pred
    p = ops.clip(p / ops.sum(p, axis=axis, keepdims=True), config.epsilon(), 1.0 - config.epsilon())
    return ops.sum(ops.power(1.0 - p, gamma) * alpha * (-y_true * ops.log(p)), axis=axis)


def categorical_generalized_cross_entropy(y_true, y_pred, q):
    """`(1 - p**q) / q` with p the probability of the right class (integer labels): between crossentropy (q near 0) and absolute error (q = 1).

    >>> round(categorical_generalized_cross_entropy([1], [[0.75, 0.25]], 0.5).item(), 4)
    1.0
    """
    y_pred = ops.convert_to_tensor(y_pred)
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
    right = ops.sum(y_pred * one_hot, axis=-1)
    return (1.0 - ops.power(right, q)) / q


def kl_divergence(y_true, y_pred):
    """Sum over the last axis of `y_true * log(y_true / y_pred)`.

    >>> round(kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).item(), 4)
    0.1438
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.clip(as_dtype(y_true, y_pred.dtype), config.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, config.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


class CategoricalCrossentropy(FunctionLoss):
    """Crossentropy against one-hot targets.

    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(categorical_crossentropy)

    def __init__(self, from_logits=False, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size", name="categorical_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class SparseCategoricalCrossentropy(FunctionLoss):
    """Crossentropy against integer class labels.

    >>> round(float(SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.5, 0.5]])), 4)
    0.6931
    """

    function = staticmethod(sparse_categorical_crossentropy)

    def __init__(
        self, from_logits=False, ignore_class=None, reduction="sum_over_batch_size", axis=-1, name="sparse_categorical_crossentropy", dtype=None
    ):
        super().__init__(name, reduction, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class BinaryCrossentropy(FunctionLoss):
    """Crossentropy of yes/no targets.

    >>> round(float(BinaryCrossentropy()([[1.0], [0.0]], [[0.5], [0.5]])), 4)
    0.6931
    """

    function = staticmethod(binary_crossentropy)

    def __init__(self, from_logits=False, label_smoothing=0.0, axis=-1, reduction="sum_over_batch_size", name="binary_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class BinaryFocalCrossentropy(FunctionLoss):
    """Binary crossentropy in which easy samples count less.

    >>> round(float(BinaryFocalCrossentropy()([[1.0]], [[0.5]])), 4)
    0.1733
    """

    function = staticmethod(binary_focal_crossentropy)

    def __init__(
        self,
        apply_class_balancing=False,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="binary_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(
            name,
            reduction,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalFocalCrossentropy(FunctionLoss):
    """Categorical crossentropy in which easy samples count less.

    >>> round(float(CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.0433
    """

    function = staticmethod(categorical_focal_crossentropy)

    def __init__(
        self,
        alpha=0.25,
        gamma=2.0,
        from_logits=False,
        label_smoothing=0.0,
        axis=-1,
        reduction="sum_over_batch_size",
        name="categorical_focal_crossentropy",
        dtype=None,
    ):
        super().__init__(name, reduction, dtype, alpha=alpha, gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class CategoricalGeneralizedCrossEntropy(FunctionLoss):
    """Crossentropy made robust to wrong labels, for integer labels; `q` in (0, 1).

    >>> round(float(CategoricalGeneralizedCrossEntropy()([1], [[0.75, 0.25]])), 4)
    1.0
    """

    function = staticmethod(categorical_generalized_cross_entropy)

    def __init__(self, q=0.5, reduction="sum_over_batch_size", name="categorical_generalized_cross_entropy", dtype=None):
        if not 0 < q < 1:
            raise ValueError(f"CategoricalGeneralizedCrossEntropy: `q` must be between 0 and 1; received q={q}. Use the default 0.5.")
        super().__init__(name, reduction, dtype, q=q)


class KLDivergence(FunctionLoss):
    """Kullback-Leibler divergence between distributions.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    function = staticmethod(kl_divergence)

    def __init__(self, reduction="sum_over_batch_size", name="kl_divergence", dtype=None):
        super().__init__(name, reduction, dtype)
