"""The graph of a functional model: which operations lie between inputs and outputs, and in which order."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers.input_layer import InputLayer


class LayerGraph:
    """Operations and nodes between KerasTensors.

    Attributes:
        nodes: In an order of execution, inputs left out.
        operations: Each once, from inputs to outputs; among those equally far from the outputs, in the order a walk from the outputs meets them.
        depths: Node -> distance from the outputs.
    """

    def __init__(self, inputs, outputs, model_name: str):
        self.inputs = tree.flatten(inputs)
        self.outputs = tree.flatten(outputs)
        self.model_name = model_name
        self._input_ids = {id(tensor) for tensor in self.inputs}
        self._order: dict = {}
        finished = self._walk()
        self.depths = self._measure(finished)
        self.nodes = [node for node in finished if not isinstance(node.operation, InputLayer)]
        self.operations = self._sorted_operations()
        self._check_names()

    def _walk(self) -> list:
        """Nodes from the inputs on; an explicit stack, because models may be deeper than Python's recursion limit."""
        finished: list = []
        done: set = set()
        for output in self.outputs:
            stack = [(output, False)]
            while stack:
                tensor, children_done = stack.pop()
                node = node_of(tensor)
                if node in done:
                    continue
                if children_done:
                    done.add(node)
                    finished.append(node)
                    continue
                self._order.setdefault(node.operation, len(self._order))
                stack.append((tensor, True))
                if id(tensor) in self._input_ids:
                    continue
                if not node.input_tensors:
                    self._disconnected(tensor, node, output)
                stack.extend((t, False) for t in reversed(node.input_tensors))
        return finished

    def _disconnected(self, tensor, node, output) -> None:
        names = [t.history[0].name for t in self.inputs if t.history is not None]
        raise ValueError(
            f"The graph of model {self.model_name!r} is disconnected: output {node_of(output).operation.name!r} (shape {output.shape}) is not "
            "connected to `inputs`: it needs "
            f"{node.operation.name!r} (shape {tensor.shape}), which is not among them. The model's inputs are {names}. Add the missing Input to "
            "`inputs`."
        )

    def _measure(self, finished: list) -> dict:
        depths: dict = {}
        operation_depths: dict = {}
        for node in reversed(finished):
            depth = max(depths.get(node, 0), operation_depths.get(node.operation, 0))
            operation_depths[node.operation] = depths[node] = depth
            if all(id(t) in self._input_ids for t in node.output_tensors) and isinstance(node.operation, InputLayer):
                continue
            for parent in node.parents:
                depths[parent] = max(depth + 1, depths.get(parent, 0))
        for tensor in self.inputs:
            operation = tensor.history[0]
            if operation not in operation_depths:  # an input that no output uses
                operation_depths[operation] = depths[node_of(tensor)] = 0
                self._order[operation] = -1
        self._operation_depths = operation_depths
        return depths

    def _sorted_operations(self) -> list:
        return sorted(self._operation_depths, key=lambda operation: (-self._operation_depths[operation], self._order[operation]))

    def _check_names(self) -> None:
        seen: dict = {}
        for operation in self.operations:
            seen.setdefault(operation.name, []).append(operation)
        for name, operations in seen.items():
            if len(operations) > 1:
                raise ValueError(
                    f"The name {name!r} is used {len(operations)} times in the model {self.model_name!r}. All operation names should be unique. Pass "
                    "other names."
                )

    @property
    def is_chain(self) -> bool:
        """Whether every operation has one input and feeds one other."""
        per_depth: dict = {}
        per_operation: dict = {}
        for node, depth in self.depths.items():
            per_depth.setdefault(depth, []).append(node)
            per_operation[node.operation] = per_operation.get(node.operation, 0) + 1
        return all(len(nodes) == 1 and len(nodes[0].input_tensors) <= 1 for nodes in per_depth.values()) and max(per_operation.values()) == 1


def node_of(tensor):
    operation, index, _ = tensor.history
    return operation.inbound_nodes[index]


def check_tensors(what: str, tensors) -> None:
    """Only KerasTensors that an operation made can be inputs and outputs of a model."""
    flat = tree.flatten(tensors)
    if not flat:
        raise ValueError(f"A functional model needs at least one tensor in `{what}`; received {what}={tensors!r}.")
    for tensor in flat:
        if not isinstance(tensor, KerasTensor):
            raise ValueError(
                f"All `{what}` values must be KerasTensors. Received: {what}={tensors!r} including invalid value {tensor!r} of type {type(tensor)}. "
                "Start from Input()."
            )
        if tensor.history is None:
            raise ValueError(
                f"The tensor {tensor!r} in `{what}` was not made by Input(), a layer or a function of nnlite.ops, so a model cannot follow it."
            )
