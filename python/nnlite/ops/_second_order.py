"""Gradients of gradient ops: differentiate the same formula written with simpler primitives."""

from __future__ import annotations

from nnlite.graph.apply import state
from nnlite.graph.op import Variadic, variadic


def by_formula(formula) -> Variadic:
    """The gradient of an op whose outputs are also `formula(*inputs, **attributes)`, a composite over primitives.

    Slower than a gradient kernel: meant for second derivatives, which few programs ask for.
    """

    def gradient(node, i, *dys):
        from nnlite.graph.grad import backprop

        outer = state.recording
        state.recording = 1 if state.trace is None else 0
        try:
            # Views of the inputs cut the graph: only the formula is differentiated, not what came before it.
            leaves = [_view(t, any(t is other for other in node.inputs[:k])) for k, t in enumerate(node.inputs)]
            outputs = formula(*leaves, **node.attributes)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            known = [(y, dy) for y, dy in zip(outputs, dys) if dy is not None]
            return backprop([y for y, _ in known], [dy for _, dy in known], [leaves[i]])[0]
        finally:
            state.recording = outer

    return variadic(gradient)


def _view(t, repeated: bool):
    """The same values as a tensor of its own; an input that is given twice needs two, not one remembered result."""
    from nnlite.ops import movement

    memo = state.memo
    try:
        state.memo = None if repeated else memo
        return movement.reshape(t, shape=t.spec.shape)
    finally:
        state.memo = memo
