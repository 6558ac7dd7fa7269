"""fuse_elementwise: chains of elementwise steps become one program, run block by block in the L1 cache."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY, Op, Traits
from nnlite.graph.passes.uses import END, producers, use_positions

# A program's blocks must stay in the L1 cache beside each other.
MAX_INSTRUCTIONS = 24
MAX_INPUTS = 12

PROGRAM = Op("elementwise", lambda *specs, **attributes: None, (), None, "elementwise", Traits(elementwise="program"))


@dataclass
class _Group:
    """Elementwise steps of one output shape that will run as one program, at the position of the last."""

    shape: tuple[int, ...]
    members: list[int] = field(default_factory=list)


def fuse_elementwise(graph: Graph) -> Graph:
    """Merges elementwise steps of the same shape, and a following sum, into `elementwise` programs."""
    uses = use_positions(graph)
    groups = _form_groups(graph, uses)
    nodes: list[Step] = []
    skip: set[int] = set()
    for position, step in enumerate(graph.nodes):
        group = groups.get(position)
        if position in skip:
            continue
        if group is None:
            nodes.append(step)
        elif position == group.members[-1]:
            programs, summed = _program(graph, uses, group)
            nodes += programs
            if summed is not None:
                skip.add(summed)
    graph.nodes = nodes
    return graph


def _form_groups(graph: Graph, uses) -> dict[int, _Group]:
    """Position of an elementwise step -> its group."""
    groups: dict[int, _Group] = {}
    made_by = producers(graph)
    for position, step in enumerate(graph.nodes):
        if not step.op.traits.elementwise:
            continue
        groups[position] = group = _Group(graph.specs[step.outputs[0]].shape, [position])
        for value in step.inputs:
            other = groups.get(made_by.get(value, -1))
            if other is not None and other is not group and _may_merge(graph, uses, other, group):
                group.members = sorted(other.members + group.members)
                for member in other.members:
                    groups[member] = group
    return groups


def _may_merge(graph: Graph, uses, early: _Group, late: _Group) -> bool:
    if early.shape != late.shape or len(early.members) + len(late.members) > MAX_INSTRUCTIONS:
        return False
    members = {*early.members, *late.members}
    last = late.members[-1]
    # The merged program runs where `late` ends: nobody outside may need a result of `early` before that.
    for member in early.members:
        for value in graph.nodes[member].outputs:
            if any(use not in members and use < last for use in uses[value]):
                return False
    return len(_external_inputs(graph, sorted(members))) <= MAX_INPUTS


def _external_inputs(graph: Graph, members) -> list[int]:
    made = {value for member in members for value in graph.nodes[member].outputs}
    inputs: list[int] = []
    for member in members:
        for value in graph.nodes[member].inputs:
            if value not in made and value not in inputs:
                inputs.append(value)
    return inputs


def _program(graph: Graph, uses, group: _Group) -> tuple[list[Step], int | None]:
    """The program of a group, with a view of its sum where axes are kept; and the position of the sum it has taken in, or None."""
    members = group.members
    inside = set(members)
    inputs = [v for v in _external_inputs(graph, members) if _immediate(graph, v) is None]
    writer = _ProgramWriter(graph, inputs)
    outputs: list[int] = []
    for member in members:
        step = graph.nodes[member]
        writer.instruction(step)
        if any(use not in inside for use in uses[step.outputs[0]]):
            outputs.append(step.outputs[0])
    # A program that sums takes its shape from its inputs, so one of them must have the whole shape.
    whole = any(graph.specs[value].shape == group.shape for value in inputs)
    summed = _following_sum(graph, uses, outputs) if whole else None
    attributes = writer.attributes(outputs)
    scope = graph.nodes[members[-1]].scope
    views: list[Step] = []
    if summed is not None:
        outputs, views = _sum_outputs(graph, graph.nodes[summed])
        attributes["reduce"] = "sum"
        attributes["reduce_axes"] = graph.nodes[summed].attributes["axes"]
    return [Step(PROGRAM, tuple(inputs), tuple(outputs), attributes, scope), *views], summed


def _sum_outputs(graph: Graph, step: Step) -> tuple[list[int], list[Step]]:
    """Outputs of a program that sums as `step` does, which drops the summed axes, and the view that brings them back where `step` keeps them."""
    if not step.attributes.get("keepdims"):
        return list(step.outputs), []
    kept = graph.specs[step.outputs[0]]
    value = graph.new_value(kept.with_shape([dim for axis, dim in enumerate(kept.shape) if axis not in step.attributes["axes"]]))
    return [value], [Step(REGISTRY["reshape"], (value,), step.outputs, {"shape": kept.shape}, step.scope)]


def _following_sum(graph: Graph, uses, outputs) -> int | None:
    """Position of a sum over all, leading or trailing axes that is the only reader of a program's only result."""
    if len(outputs) != 1 or len(uses[outputs[0]]) != 1 or uses[outputs[0]][0] == END:
        return None
    step = graph.nodes[uses[outputs[0]][0]]
    spec = graph.specs[outputs[0]]
    if step.op.name != "sum" or spec.dtype not in ("float32", "float64") or graph.specs[step.outputs[0]].dtype != spec.dtype:
        return None
    axes, rank = step.attributes["axes"], spec.rank
    leading, trailing = tuple(range(len(axes))), tuple(range(rank - len(axes), rank))
    return uses[outputs[0]][0] if axes and spec.size and tuple(axes) in (leading, trailing) else None


def _immediate(graph: Graph, value: int) -> float | None:
    """The number a scalar constant holds, when a program can carry it as a parameter."""
    array = graph.constants.get(value)
    if array is None:
        return None
    flat = array.reshape(-1)
    uniform = flat.size == 1 or (0 < flat.size <= 4096 and bool((flat == flat[0]).all()))
    return float(flat[0]) if uniform and array.dtype.kind in "fb" and not np.isnan(flat[0]) else None


class _ProgramWriter:
    """Collects instructions; registers are the inputs, then one per instruction."""

    def __init__(self, graph: Graph, inputs: list[int]):
        self.graph = graph
        self.registers = {value: k for k, value in enumerate(inputs)}
        self.first = len(inputs)
        self.codes: list[str] = []
        self.args: list[int] = []
        self.params: list[float] = []
        self.dtypes: list[str] = []

    def _emit(self, code: str, args: list[int], dtype: str, parameter: float = 0.0) -> int:
        self.codes.append(code)
        self.args += [*args, *[-1] * (3 - len(args))]
        self.params.append(parameter)
        self.dtypes.append(dtype)
        return self.first + len(self.codes) - 1

    def _register(self, value: int) -> int:
        found = self.registers.get(value)
        if found is None:
            spec = self.graph.specs[value]
            found = self.registers[value] = self._emit("constant", [], spec.dtype, _immediate(self.graph, value))
        return found

    def instruction(self, step: Step) -> None:
        args = [self._register(value) for value in step.inputs]
        output = step.outputs[0]
        self.registers[output] = self._emit(step.op.traits.elementwise, args, self.graph.specs[output].dtype)

    def attributes(self, outputs) -> dict:
        return {"codes": tuple(self.codes), "args": tuple(self.args), "params": tuple(self.params), "dtypes": tuple(self.dtypes),
                "results": tuple(self.registers[value] for value in outputs)}


def single_program(opcode: str, number_of_inputs: int, dtype: str) -> dict:
    """The program of one elementwise op on its own."""
    args = (*range(number_of_inputs), *(-1,) * (3 - number_of_inputs))
    return {"codes": (opcode,), "args": args, "params": (0.0,), "dtypes": (dtype,), "results": (number_of_inputs,)}
