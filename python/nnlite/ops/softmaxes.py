"""Softmax over the last axis, its logarithm, and the cross-entropy of integer labels."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import elementwise as e, reduce, movement
from nnlite.ops._second_order import by_formula


def _check(name: str, *specs: Spec) -> None:
    first = specs[0]
    if not first.shape or first.dtype not in FLOATS or any(spec != first for spec in specs):
        raise ValueError(f"{name}() takes float tensors of one shape with at least one axis; received {' and '.join(map(str, specs))}.")


def _cost(inputs, outputs, attributes):
    return 25.0 * inputs[0].size


def _sum_last(x):
    return reduce.sum(x, axes=(len(x.spec.shape) - 1,), keepdims=True)


def _softmax_reference(x):
    z = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return z / z.sum(-1, keepdims=True)


def _log_softmax_reference(x):
    z = x - x.max(-1, keepdims=True, initial=-np.inf)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


@primitive(
    gradients=(lambda node, dy: softmax_grad(node.outputs[0], dy),), reference=_softmax_reference, traits=Traits(in_place=((0, 0),), cost=_cost)
)
def softmax(x):
    """exp(x) / sum(exp(x)) over the last axis."""
    _check("softmax", x)
    return x


@primitive(
    gradients=by_formula(lambda y, dy: e.multiply(y, e.subtract(dy, _sum_last(e.multiply(dy, y))))),
    reference=lambda y, dy: y * (dy - (dy * y).sum(-1, keepdims=True)),
    traits=Traits(in_place=((1, 0),)),
)
def softmax_grad(y, dy):
    """Gradient of softmax from its output y."""
    _check("softmax_grad", y, dy)
    return y


@primitive(
    gradients=(lambda node, dy: log_softmax_grad(node.outputs[0], dy),),
    reference=_log_softmax_reference,
    traits=Traits(in_place=((0, 0),), cost=_cost),
)
def log_softmax(x):
    """x - log(sum(exp(x))) over the last axis."""
    _check("log_softmax", x)
    return x


@primitive(
    gradients=by_formula(lambda y, dy: e.subtract(dy, e.multiply(e.exp(y), _sum_last(dy)))),
    reference=lambda y, dy: dy - np.exp(y) * dy.sum(-1, keepdims=True),
    traits=Traits(in_place=((1, 0),), cost=_cost),
)
def log_softmax_grad(y, dy):
    """Gradient of log_softmax from its output y."""
    _check("log_softmax_grad", y, dy)
    return y


def _one_hot(labels, like):
    """Rows of zeros with a one at the label, shaped like `like`."""
    from nnlite.tensor import Tensor

    classes = Tensor(Spec((like.spec.shape[-1],), labels.spec.dtype), np.arange(like.spec.shape[-1], dtype=labels.spec.dtype))
    column = movement.reshape(labels, shape=(*labels.spec.shape, 1))
    return e.cast(e.equal(column, classes), dtype=like.spec.dtype)


def _known(labels, classes):
    return (labels >= 0) & (labels < classes)


def _cross_entropy_reference(logits, labels):
    classes = logits.shape[-1]
    log_p = _log_softmax_reference(logits)
    ids = np.where(_known(labels, classes), labels, 0).astype(np.int64)
    loss = -np.take_along_axis(log_p, ids[..., None], -1)[..., 0]
    return np.where(_known(labels, classes), loss, np.nan), np.exp(log_p)


def _cross_entropy_grad_reference(probabilities, labels, dloss):
    one_hot = labels[..., None] == np.arange(probabilities.shape[-1])
    return (probabilities - one_hot) * dloss[..., None]


def _cross_entropy_gradient(node, dloss, dprobabilities):
    probabilities, labels = node.outputs[1], node.inputs[1]
    parts = []
    if dloss is not None:
        parts.append(sparse_softmax_cross_entropy_grad(probabilities, labels, dloss))
    if dprobabilities is not None:
        parts.append(softmax_grad(probabilities, dprobabilities))
    return parts[0] if len(parts) == 1 else e.add(*parts)


def _check_labels(name: str, logits: Spec, labels: Spec) -> None:
    if logits.dtype not in FLOATS or not logits.shape or labels.shape != logits.shape[:-1] or labels.dtype not in ("int32", "int64"):
        raise ValueError(f"{name}() takes float scores [..., classes] and int32 or int64 labels [...]; received {logits} and labels {labels}.")


@primitive(gradients=(_cross_entropy_gradient, no_gradient), reference=_cross_entropy_reference, traits=Traits(cost=_cost))
def sparse_softmax_cross_entropy(logits, labels):
    """(-log softmax(logits)[label], softmax(logits)). A label outside 0..classes-1 gives a NaN loss."""
    _check_labels("sparse_softmax_cross_entropy", logits, labels)
    return Spec(labels.shape, logits.dtype), logits


@primitive(
    gradients=by_formula(
        lambda p, labels, dloss: e.multiply(e.subtract(p, _one_hot(labels, p)), movement.reshape(dloss, shape=(*dloss.spec.shape, 1)))
    ),
    reference=_cross_entropy_grad_reference,
    traits=Traits(in_place=((0, 0),)),
)
def sparse_softmax_cross_entropy_grad(probabilities, labels, dloss):
    """(probabilities - one_hot(labels)) * dloss."""
    _check_labels("sparse_softmax_cross_entropy_grad", probabilities, labels)
    if dloss.shape != labels.shape or dloss.dtype != probabilities.dtype:
        raise ValueError(f"sparse_softmax_cross_entropy_grad() takes dloss like the labels, {labels.shape}; received {dloss}.")
    return probabilities
