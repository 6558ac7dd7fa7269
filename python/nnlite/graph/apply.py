"""apply: the one door through which every primitive runs, now or traced."""

from __future__ import annotations

import threading

from nnlite.graph.node import Node
from nnlite.tensor import Tensor


class _State(threading.local):
    trace = None  # the innermost Trace of this thread
    recording = 0  # number of open tapes
    scope = ""  # path of the layer being called: steps carry it, so that a profile can be read layer by layer
    memo = None  # results of this gradient step, so that gradients of one node share their common parts


state = _State()


def apply(op, inputs: tuple, attributes: dict):
    """Applies a primitive to tensors. Returns a Tensor, or a tuple when the op has several outputs."""
    if state.trace is not None:
        for tensor in inputs:
            if tensor.data is None:
                return _unpack(state.trace.add(op, inputs, attributes))
    else:
        for tensor in inputs:
            if tensor.data is None:
                raise RuntimeError(f"{op.name} received a tensor of a compiled function that is not being traced any more ({tensor.spec}). Return it from the function instead of keeping it.")
    return _unpack(_run_now(op, inputs, attributes))


def _unpack(outputs: tuple):
    return outputs[0] if len(outputs) == 1 else outputs


def _run_now(op, inputs, attributes) -> tuple:
    memo = state.memo
    if memo is not None:
        key = (op.name, tuple(attributes.items()), tuple([id(t.data) for t in inputs]))
        found = memo.get(key)
        if found is not None:
            return found[0]
    arrays = [t.data for t in inputs]
    if op.traits.view and inputs[0].variable is not None:
        arrays[0] = arrays[0].copy()  # a view must not see later assignments
    specs, arrays = run_eager(op, [t.spec for t in inputs], arrays, attributes)
    if state.recording:
        node = Node(op, inputs, attributes, specs, arrays, state.scope)
        outputs = tuple([Tensor(s, a, node, i) for i, (s, a) in enumerate(zip(specs, arrays))])
    else:
        outputs = tuple([Tensor(s, a) for s, a in zip(specs, arrays)])
    if memo is not None:
        memo[key] = (outputs, inputs)  # the inputs stay alive, so their ids stay theirs
    return outputs


def run_eager(op, specs, arrays, attributes):
    """Runs one primitive on numpy arrays with the active backend: (output specs, output arrays)."""
    from nnlite.backends import active

    globals()["run_eager"] = active().run_eager  # resolved once; the import would cost every call
    return active().run_eager(op, specs, arrays, attributes)
