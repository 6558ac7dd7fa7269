"""One-hot codes and cross-entropies."""

from __future__ import annotations

import math

import numpy as np

from nnlite import config
from nnlite.graph.spec import Spec
from nnlite.ops import elementwise as e, movement, reduce, softmaxes
from nnlite.ops._convert import axis_of, float_pair, to_float, to_tensor
from nnlite.ops._dtypes import standardize
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.activations import _along
from nnlite.ops.arithmetic import const
from nnlite.ops.indexing import ids_of
from nnlite.ops.manipulation import moveaxis
from nnlite.tensor import Tensor


@public
def one_hot(x, num_classes, axis=-1, dtype=None, sparse=False):
    """A new axis of zeros with a one at each integer; integers outside 0..num_classes-1 give zeros only.

    >>> import nnlite
    >>> nnlite.ops.one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise ValueError("one_hot() makes dense tensors only; received sparse=True. Leave it out.")
    if num_classes < 1:
        raise ValueError(f"one_hot() needs at least one class; received num_classes={num_classes!r}.")
    x = _labels(x)
    dtype = standardize(dtype)
    axis = axis_of("one_hot", axis, len(x.spec.shape) + 1)
    classes = to_tensor(np.arange(num_classes, dtype=x.spec.dtype))
    classes = movement.reshape(classes, shape=tuple(num_classes if i == axis else 1 for i in range(len(x.spec.shape) + 1)))
    column = movement.reshape(x, shape=x.spec.shape[:axis] + (1,) + x.spec.shape[axis:])
    return e.cast(e.equal(column, classes), dtype=dtype)


def _labels(x) -> Tensor:
    x = to_tensor(x)
    return ids_of("one_hot", x) if x.spec.dtype in ("int32", "int64", "uint8", "int8") else e.cast(x, dtype="int32")


@public
def multi_hot(inputs, num_classes=None, axis=-1, dtype=None, sparse=False, **kwargs):
    """Ones at all the integers of a row: the maximum of their one-hot codes."""
    num_classes = kwargs.pop("num_tokens", num_classes)
    if num_classes is None or kwargs:
        raise ValueError(f"multi_hot() needs num_classes; received num_classes={num_classes}, further arguments {sorted(kwargs)}.")
    x = to_tensor(inputs)
    codes = one_hot(x, num_classes, axis, dtype, sparse)
    return reduce.max(codes, axes=(1 if len(x.spec.shape) > 1 else 0,), keepdims=False)


def _made_by(output: Tensor, op) -> Tensor | None:
    """The input of the primitive `op` when it made `output`: the logits behind probabilities."""
    node = output.node
    return node.inputs[0] if node is not None and node.op is op else None


def _clipped(probabilities: Tensor) -> Tensor:
    low = config.epsilon()
    return e.minimum(e.maximum(probabilities, const(low, probabilities)), const(1.0 - low, probabilities))


def _same_shape(name: str, target: Tensor, output: Tensor) -> None:
    if target.spec.shape != output.spec.shape:
        raise ValueError(
            f"{name}() takes target and output of one shape; received target {target.spec.shape} and output {output.spec.shape}. "
            "Reshape one; integer labels go to sparse_categorical_crossentropy."
        )


@public
def binary_crossentropy(target, output, from_logits=False):
    """-(target * log(output) + (1 - target) * log(1 - output)), elementwise.

    Args:
        output: Probabilities, or scores before the sigmoid with `from_logits`. When `sigmoid` made the probabilities (while recording
            or compiling), its input is used, which is exact for extreme scores.
    """
    target, output = float_pair(target, output)
    _same_shape("binary_crossentropy", target, output)
    logits = output if from_logits else _made_by(output, e.sigmoid)
    if logits is not None:
        smooth = e.log1p(e.exp(e.minimum(e.negative(logits), logits)))
        return e.add(e.subtract(e.maximum(logits, const(0.0, logits)), e.multiply(logits, target)), smooth)
    p, one = _clipped(output), const(1.0, output)
    hit = e.multiply(target, e.log(p))
    miss = e.multiply(e.subtract(one, target), e.log(e.subtract(one, p)))
    return e.negative(e.add(hit, miss))


@public
def categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """-sum(target * log(output)) along an axis.

    Args:
        output: Probabilities, or scores before the softmax with `from_logits`. When `softmax` made the probabilities (while recording
            or compiling), its input is used, which is exact for extreme scores.
    """
    target, output = float_pair(target, output)
    _same_shape("categorical_crossentropy", target, output)
    if not output.spec.shape:
        raise ValueError(f"categorical_crossentropy() takes tensors with at least one axis; received shape {output.spec.shape}.")
    axis = axis_of("categorical_crossentropy", axis, len(output.spec.shape))
    last = axis == len(output.spec.shape) - 1
    logits = output if from_logits else _made_by(output, softmaxes.softmax) if last else None
    if logits is not None:
        log_p = _along("categorical_crossentropy", softmaxes.log_softmax, logits, axis)
    else:
        share = e.divide(output, reduce.sum(output, axes=(axis,), keepdims=True))
        log_p = e.log(_clipped(share))
    return e.negative(reduce.sum(e.multiply(target, log_p), axes=(axis,), keepdims=False))


@public
def sparse_categorical_crossentropy(target, output, from_logits=False, axis=-1):
    """-log(output[target]) along an axis, for integer targets without that axis (or with size 1 there).

    Args:
        output: Probabilities, or scores before the softmax with `from_logits`. When `softmax` made the probabilities (while recording
            or compiling), its input is used, which is exact for extreme scores.
    """
    target, output = to_tensor(target), to_float(output)
    if target.spec.dtype not in ("int32", "int64"):
        target = e.cast(target, dtype="int32")
    rank = len(output.spec.shape)
    if not rank:
        raise ValueError(f"sparse_categorical_crossentropy() takes an output with at least one axis; received shape {output.spec.shape}.")
    axis = axis_of("sparse_categorical_crossentropy", axis, rank)
    logits = output if from_logits else _made_by(output, softmaxes.softmax) if axis == rank - 1 else None
    scores = output if logits is None else logits
    scores = scores if axis == rank - 1 else moveaxis(scores, axis, -1)
    target = _without_class_axis(target, scores.spec, output.spec.shape, axis)
    if logits is None:
        return e.negative(_picked(e.log(_clipped(scores)), target))
    return softmaxes.sparse_softmax_cross_entropy(scores, target)[0]


def _without_class_axis(target: Tensor, scores: Spec, shape, axis: int) -> Tensor:
    kept = scores.shape[:-1]
    squeezable = len(target.spec.shape) == len(shape) and target.spec.shape[axis] == 1
    if squeezable:
        target = movement.reshape(target, shape=target.spec.shape[:axis] + target.spec.shape[axis + 1 :])
    if target.spec.shape != kept:
        raise ValueError(
            f"sparse_categorical_crossentropy() takes one integer per position: output of shape {shape} needs target of shape "
            f"{kept}, received {target.spec.shape}. "
            "One-hot targets go to categorical_crossentropy."
        )
    return target


def _picked(log_p: Tensor, target: Tensor) -> Tensor:
    """log_p[..., target]; NaN for a target outside the classes."""
    from nnlite.ops.indexing import _take_flat

    column = movement.reshape(target, shape=(*target.spec.shape, 1))
    return movement.reshape(_take_flat(log_p, column, len(log_p.spec.shape) - 1), shape=target.spec.shape)


@public
def in_top_k(targets, predictions, k):
    """Whether each target class is among the k largest predictions of its row. Not for scores that are NaN or infinite."""
    predictions = to_float(predictions)
    targets = _labels(targets)
    if len(predictions.spec.shape) < 1 or targets.spec.shape != predictions.spec.shape[:-1]:
        raise ValueError(
            f"in_top_k() takes targets [...] and predictions [..., classes]; received shapes {targets.spec.shape} and {predictions.spec.shape}."
        )
    score = _picked(predictions, targets)
    column = movement.reshape(score, shape=(*score.spec.shape, 1))
    better = e.cast(e.greater(predictions, column), dtype="int32")
    count = reduce.sum(better, axes=(len(predictions.spec.shape) - 1,), keepdims=False)
    return e.logical_and(e.less(count, scalar(int(k), "int32")), e.isfinite(score))


@public
def psnr(x1, x2, max_val):
    """Peak signal-to-noise ratio in decibels: 20 log10(max_val) - 10 log10(mean squared difference)."""
    a, b = float_pair(x1, x2)
    if a.spec.shape != b.spec.shape:
        raise ValueError(f"psnr() takes two tensors of one shape; received {a.spec.shape} and {b.spec.shape}.")
    axes = tuple(range(len(a.spec.shape)))
    error = e.multiply(reduce.sum(e.square(e.subtract(a, b)), axes=axes, keepdims=False), const(1.0 / max(a.spec.size, 1), a))
    ratio = e.divide(e.square(to_tensor(max_val, a.spec.dtype)), error)
    return e.multiply(e.log(ratio), const(10.0 / math.log(10.0), a))
