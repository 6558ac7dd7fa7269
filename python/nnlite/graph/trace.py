"""Trace: records the primitives a Python function applies to placeholder tensors."""

from __future__ import annotations

from nnlite.graph.apply import state
from nnlite.graph.node import Node
from nnlite.graph.spec import Spec
from nnlite.tensor import Tensor


class Trace:
    """Use as a context manager; tensors made inside must not leave it, except through `graph()`.

    Attributes:
        inputs: Placeholder tensors, in the order they were made.
        nodes: Every node, in order of execution.
        reads: Variable -> the placeholder that stands for its value at the start.
        updates: Variable -> the tensor last assigned to it.
    """

    def __init__(self):
        self.inputs: list[Tensor] = []
        self.nodes: list[Node] = []
        self.reads: dict = {}
        self.updates: dict = {}

    def __enter__(self) -> "Trace":
        self._outer = (state.trace, state.recording, state.memo)
        state.trace, state.recording, state.memo = self, 0, None
        return self

    def __exit__(self, *exc) -> None:
        state.trace, state.recording, state.memo = self._outer

    def input(self, spec: Spec) -> Tensor:
        tensor = Tensor(spec)
        self.inputs.append(tensor)
        return tensor

    def read(self, variable) -> Tensor:
        """The traced value of a variable: what was last assigned to it here, else its value when the plan runs."""
        tensor = self.updates.get(variable)
        if tensor is None:
            tensor = self.reads.get(variable)
            if tensor is None:
                tensor = self.reads[variable] = Tensor(variable.spec, variable=variable)
        return tensor

    def assign(self, variable, tensor: Tensor) -> None:
        self.updates[variable] = tensor

    def add(self, op, inputs, attributes) -> tuple[Tensor, ...]:
        node = Node(op, inputs, attributes, op.specs([t.spec for t in inputs], attributes), None, state.scope)
        self.nodes.append(node)
        return node.outputs


def current_trace() -> Trace | None:
    return state.trace
