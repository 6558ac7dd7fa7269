"""custom_gradient: a node whose gradient is a Python function."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.apply import state
from nnlite.graph.op import Op, Traits, variadic
from nnlite.ops._convert import to_tensor
from nnlite.tensor import Tensor


def with_custom_gradient(f):
    """Wraps `f(*args) -> (output, grad_fn)`."""

    def call(*args, **kwargs):
        tensors = [to_tensor(a) for a in args]
        outer, state.recording = state.recording, 0  # the gradient is the given one, not that of the steps inside
        try:
            result, grad_fn = f(*tensors, **kwargs)
        finally:
            state.recording = outer
        flat = [to_tensor(y) for y in tree.flatten(result)]
        return tree.pack_sequence_as(result, [_output(i, flat, tensors, grad_fn) for i in range(len(flat))])

    call.__name__, call.__doc__ = getattr(f, "__name__", "custom_gradient"), f.__doc__
    return call


def _output(i: int, results: list[Tensor], inputs: list[Tensor], grad_fn) -> Tensor:
    def gradient(node, k, dy):
        if k == 0:
            return None
        # Several results: gradients are linear, so each result's share is asked for alone.
        upstream = [dy if j == i else _zeros(results[j]) for j in range(len(results))]
        found = grad_fn(*upstream)
        found = found if isinstance(found, (tuple, list)) else (found,)
        return None if found[k - 1] is None else to_tensor(found[k - 1], node.inputs[k].spec.dtype)

    op = Op("custom_gradient", lambda y, *rest: y, variadic(gradient), lambda y, *rest: y, "custom_gradient", Traits(view=True))
    return op(results[i], *inputs)


def _zeros(like: Tensor) -> Tensor:
    from nnlite.ops.creation import filled

    return filled(like.spec.shape, 0, like.spec.dtype)
