"""Graph: the flat form of a trace that passes work on. Values are integers; specs, constants and variables are looked up by them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnlite.graph.spec import Spec


@dataclass(slots=True)
class Step:
    """One op application: value numbers in and out."""

    op: object
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: dict
    scope: str = ""  # path of the layer it belongs to


@dataclass
class Graph:
    """A program in order of execution.

    Attributes:
        specs: Spec of every value.
        inputs: Values given by the caller.
        outputs: Values returned.
        constants: Value -> array.
        variables: Value -> Variable, read at the start.
        updates: (Variable, value) written at the end.
        nodes: Steps in order.
        prologue: Steps that depend on variables alone and are redone only when these change.
        registers: Value -> number of the register that holds its address, where a loop moves it from round to round.
    """

    specs: list[Spec]
    inputs: list[int]
    outputs: list[int]
    constants: dict[int, np.ndarray]
    variables: dict[int, object]
    updates: list[tuple[object, int]]
    nodes: list[Step]
    prologue: list[Step] = field(default_factory=list)
    registers: dict[int, int] = field(default_factory=dict)

    def new_value(self, spec: Spec) -> int:
        self.specs.append(spec)
        return len(self.specs) - 1

    def dump(self) -> str:
        """One line a step: outputs = op(inputs; attributes)."""
        names = self._names()
        lines = [f"graph({', '.join(f'{names[i]}: {self.specs[i]}' for i in self.inputs)})"]
        lines += [f"  {'prologue ' if k < len(self.prologue) else ''}{self._line(step, names)}" for k, step in enumerate(self.prologue + self.nodes)]
        lines += [f"  {variable.path} <- {names[i]}" for variable, i in self.updates]
        lines.append(f"  return {', '.join(names[i] for i in self.outputs)}")
        return "\n".join(lines)

    def _names(self) -> list[str]:
        names = [f"%{i}" for i in range(len(self.specs))]
        for i, variable in self.variables.items():
            names[i] = variable.path
        for i, array in self.constants.items():
            names[i] = repr(array.item()) if array.size == 1 else f"const{i}"
        return names

    def _line(self, step: Step, names: list[str]) -> str:
        left = ", ".join(f"{names[o]}: {self.specs[o]}" for o in step.outputs)
        attributes = "".join(f"; {key}={value}" for key, value in step.attributes.items())
        scope = f"  # {step.scope}" if step.scope else ""
        return f"{left} = {step.op.name}({', '.join(names[i] for i in step.inputs)}{attributes}){scope}"


def graph_of_trace(trace, outputs) -> Graph:
    """The graph of a trace with the given output tensors; steps nobody needs are left out."""
    return _Flattener(trace).flatten(outputs)


class _Flattener:
    def __init__(self, trace):
        self.trace = trace
        self.graph = Graph([], [], [], {}, {}, [], [])
        self.numbers: dict = {}

    def flatten(self, outputs) -> Graph:
        graph, trace = self.graph, self.trace
        for tensor in trace.inputs:
            number = self.numbers[id(tensor)] = graph.new_value(tensor.spec)
            graph.inputs.append(number)
        live = _live_nodes([*outputs, *trace.updates.values()])
        for node in trace.nodes:
            if node in live:
                inputs = tuple([self.number(t) for t in node.inputs])
                numbers = tuple([graph.new_value(spec) for spec in node.output_specs])
                for i, number in enumerate(numbers):
                    self.numbers[(node, i)] = number
                graph.nodes.append(Step(node.op, inputs, numbers, node.attributes, node.scope))
        graph.outputs = [self.number(t) for t in outputs]
        graph.updates = [(v, self.number(t)) for v, t in trace.updates.items() if t is not trace.reads.get(v)]
        return graph

    def number(self, tensor) -> int:
        key = (tensor.node, tensor.index) if tensor.data is None and tensor.node is not None else id(tensor)
        found = self.numbers.get(key)
        if found is not None:
            return found
        if tensor.data is None and tensor.variable is None:
            raise RuntimeError(f"A traced {tensor.spec} tensor of another compiled function, or of the body of a loop or branch, is used here. Pass it as an argument or return it instead of capturing it.")
        number = self.numbers[key] = self.graph.new_value(tensor.spec)
        if tensor.data is None:
            self.graph.variables[number] = tensor.variable
        else:
            self.graph.constants[number] = tensor.data
            self.numbers[("keep", number)] = tensor  # its id must stay its own while we flatten
        return number


def _live_nodes(outputs) -> set:
    live: set = set()
    stack = [t.node for t in outputs if t.data is None and t.node is not None]
    while stack:
        node = stack.pop()
        if node not in live:
            live.add(node)
            stack.extend(t.node for t in node.inputs if t.data is None and t.node is not None)
    return live
