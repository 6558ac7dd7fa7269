"""simplify: common subexpressions, identities and dead steps go."""

from __future__ import annotations

import numpy as np

from nnlite.graph.ir import Graph, Step


def simplify(graph: Graph) -> Graph:
    """Removes steps that repeat others, change nothing, or are needed by nobody."""
    constants = {value: _scalar_if_uniform(array) for value, array in graph.constants.items()}
    replaced: dict[int, int] = {}
    seen: dict = {}
    turned: dict[int, Step] = {}  # what a reverse or transpose gave -> that step
    nodes: list[Step] = []
    for step in graph.nodes:
        inputs = tuple([replaced.get(i, i) for i in step.inputs])
        same = _identity(graph, constants, step, inputs)
        if step.op.name in ("reverse", "transpose"):
            same = _turned_back(turned, step, inputs) if same is None else same
            turned[step.outputs[0]] = Step(step.op, inputs, step.outputs, step.attributes, step.scope)
        if same is not None:
            replaced[step.outputs[0]] = same
            continue
        key = (step.op.name, inputs, tuple(step.attributes.items()))
        found = seen.get(key)
        if found is None:
            seen[key] = step.outputs
            nodes.append(Step(step.op, inputs, step.outputs, step.attributes, step.scope))
        else:
            replaced.update(zip(step.outputs, found))
    graph.nodes = nodes
    graph.outputs = [replaced.get(i, i) for i in graph.outputs]
    graph.updates = [(variable, replaced.get(i, i)) for variable, i in graph.updates]
    return remove_dead(graph)


def remove_dead(graph: Graph) -> Graph:
    """Drops steps whose results reach neither an output nor a variable."""
    needed = {*graph.outputs, *(i for _, i in graph.updates)}
    kept: list[Step] = []
    for step in reversed(graph.nodes):
        if not needed.isdisjoint(step.outputs):
            needed.update(step.inputs)
            kept.append(step)
    graph.nodes = kept[::-1]
    return graph


def read_before_broadcast(graph: Graph) -> Graph:
    """Elementwise steps read the small tensor behind a broadcast_to: the gradient of a mean over positions is never written out."""
    small: dict[int, int] = {}  # broadcast value -> what it repeats
    nodes: list[Step] = []
    for step in graph.nodes:
        if step.op.name == "broadcast_to":
            small[step.outputs[0]] = step.inputs[0]
        elif step.op.traits.elementwise and not small.keys().isdisjoint(step.inputs):
            inputs = tuple([small.get(i, i) for i in step.inputs])
            if np.broadcast_shapes(*[graph.specs[i].shape for i in inputs]) == graph.specs[step.outputs[0]].shape:
                step = Step(step.op, inputs, step.outputs, step.attributes, step.scope)
        nodes.append(step)
    graph.nodes = nodes
    return remove_dead(graph) if small else graph


def _turned_back(turned: dict[int, Step], step: Step, inputs) -> int | None:
    """What went into the step before, if this one undoes it."""
    before = turned.get(inputs[0])
    if before is None or before.op is not step.op:
        return None
    if step.op.name == "reverse":
        undone = sorted(before.attributes["axes"]) == sorted(step.attributes["axes"])
    else:
        undone = all(before.attributes["axes"][axis] == i for i, axis in enumerate(step.attributes["axes"]))
    return before.inputs[0] if undone else None


def _identity(graph: Graph, constants, step: Step, inputs) -> int | None:
    """The input that `step` returns unchanged, if it does."""
    if len(step.outputs) != 1 or not inputs:
        return None
    spec = graph.specs[step.outputs[0]]
    for position, (source, other) in enumerate(_candidates(step, inputs)):
        if graph.specs[source] != spec:
            continue
        if other is None or _is_neutral(step.op.traits.elementwise, position, constants.get(other)):
            return source
    return None


def _candidates(step: Step, inputs):
    """(input that may pass unchanged, the input that must then be neutral or None)."""
    traits = step.op.traits
    if traits.view or traits.elementwise == "cast":
        return ((inputs[0], None),)
    if traits.elementwise in ("add", "subtract", "multiply", "divide", "power"):
        return ((inputs[0], inputs[1]), (inputs[1], inputs[0]))
    return ()


def _is_neutral(opcode: str, position: int, constant) -> bool:
    """Whether op(x, constant) (position 0) or op(constant, x) (position 1) is x for every x, signed zeros and NaN included."""
    if constant is None or constant.size != 1:
        return False
    value = constant.item()
    if opcode == "multiply":
        return value == 1
    if opcode == "divide" or opcode == "power":
        return position == 0 and value == 1
    # x + (-0.0) and x - 0.0 keep every x; x + 0.0 turns -0.0 into 0.0.
    if opcode == "subtract":
        return position == 0 and value == 0 and not np.signbit(value)
    return opcode == "add" and value == 0 and (constant.dtype.kind != "f" or bool(np.signbit(value)))


def _scalar_if_uniform(array: np.ndarray) -> np.ndarray:
    if array.size > 1 and array.size <= 1 << 16 and array.dtype.kind in "fiub":
        first = array.reshape(-1)[:1]
        if (array.reshape(-1).view(_BITS[array.dtype.itemsize]) == first.view(_BITS[array.dtype.itemsize])[0]).all():
            return first
    return array


_BITS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
