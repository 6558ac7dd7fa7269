"""open_control: loops and branches get graphs of their bodies, without what nobody needs, optimized as graphs are."""

from __future__ import annotations

from nnlite.graph.control import LOOP
from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.pack import packed_step
from nnlite.graph.passes.simplify import remove_dead

# Fewer rounds than this do not pay for packing weights.
_FEW_ROUNDS = 4
# Results larger than this come from memory anyway.
_WIDE_BYTES = 128 << 10


class Inner:
    """The graph of a body, as an attribute of its step."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph):
        self.graph = graph

    def __repr__(self) -> str:
        return "\n    " + self.graph.dump().replace("\n", "\n    ") + "\n   "


def open_control(graph: Graph, optimize_body) -> Graph:
    """Replaces bodies by graphs. `optimize_body`: Graph -> Graph."""
    if not any(step.op.traits.control for step in graph.nodes):
        return graph
    needed = {*graph.outputs, *(i for _, i in graph.updates)}
    nodes: list[Step] = []
    for step in reversed(graph.nodes):
        if needed.isdisjoint(step.outputs):
            continue
        before: list[Step] = []
        if step.op is LOOP:
            step = _open_loop(graph, step, needed, optimize_body, before)
        elif step.op.traits.control:
            bodies = tuple([Inner(optimize_body(body.graph())) for body in step.attributes["bodies"]])
            step = Step(step.op, step.inputs, step.outputs, {**step.attributes, "bodies": bodies}, step.scope)
        nodes += [step, *before]
        for each in (step, *before):
            needed.update(each.inputs)
    graph.nodes = nodes[::-1]
    return graph


def _open_loop(graph: Graph, step: Step, needed, optimize_body, before: list[Step]) -> Step:
    a = step.attributes
    n, m = a["carries"], a["xs"]
    body = a["body"].graph()
    condition = None if a["condition"] is None else optimize_body(a["condition"].graph())
    asked = set() if condition is None else _used_inputs(condition)
    keep = _needed_outputs(body, n, [value in needed for value in step.outputs], asked)
    body.outputs = [body.outputs[k] for k in keep]
    body = optimize_body(body)
    carries = [k for k in keep if k < n]
    first = int(a["counted"])
    end = first + len(body.inputs)
    given = step.inputs[first:end]
    used = _used_inputs(body)
    xs = [k for k in range(n, n + m) if k in used]
    outside = [k for k in range(n + m, len(given)) if k in used]
    inputs = [given[k] for k in (*carries, *xs, *outside)]
    body.inputs = [body.inputs[k] for k in (*carries, *xs, *outside)]
    if a["length"] < 0 or a["length"] >= _FEW_ROUNDS:
        _pack_outside(graph, body, len(carries) + len(xs), inputs, before)
        _widen_outside(graph, body, len(carries) + len(xs), inputs, before)
    if condition is not None:
        condition.inputs = [condition.inputs[k] for k in carries] + condition.inputs[n:]
    attributes = {
        **a,
        "body": Inner(body),
        "condition": None if condition is None else Inner(condition),
        "carries": len(carries),
        "xs": len(xs),
    }
    return Step(step.op, (*step.inputs[:first], *inputs, *step.inputs[end:]), tuple([step.outputs[k] for k in keep]), attributes, step.scope)


def _used_inputs(graph: Graph) -> set[int]:
    """Positions of the inputs that something depends on."""
    used = set(graph.outputs)
    for step in graph.nodes:
        used.update(step.inputs)
    return {k for k, value in enumerate(graph.inputs) if value in used}


def _needed_outputs(body: Graph, carries: int, wanted: list[bool], asked: set[int]) -> list[int]:
    """Positions of the outputs that are wanted, and of carries on which those, the condition or other needed carries depend."""
    keep = {k for k, is_wanted in enumerate(wanted) if is_wanted} | {k for k in asked if k < carries}
    made_by = {value: step for step in body.nodes for value in step.outputs}
    places = {value: k for k, value in enumerate(body.inputs)}
    seen: set[int] = set()
    stack = [body.outputs[k] for k in keep]
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        if value in made_by:
            stack.extend(made_by[value].inputs)
        elif places.get(value, carries) < carries and places[value] not in keep:
            keep.add(places[value])
            stack.append(body.outputs[places[value]])
    return sorted(keep)


def _outside(graph: Graph, body: Graph, first: int, inputs: list[int]) -> dict[int, int]:
    """Values of the body that are the same in all rounds -> values of the graph; constants become constants of the graph, too."""
    outside = dict(zip(body.inputs[first:], inputs[first:]))
    for value, array in body.constants.items():
        if array.size > 1:
            outside[value] = graph.new_value(body.specs[value])
            graph.constants[outside[value]] = array
    return outside


def _pack_outside(graph: Graph, body: Graph, first: int, inputs: list[int], before: list[Step]) -> None:
    """Weights from outside, and constant ones, are packed once, before the loop. Adds to `inputs`, and the packing steps to `before`."""
    outside = _outside(graph, body, first, inputs)
    packed: dict = {}
    for position, step in enumerate(body.nodes):
        if "packed" not in step.op.traits.epilogue or "packed" in step.attributes:
            continue
        if step.inputs[1] not in outside or step.inputs[0] in outside:
            continue
        steps = packed_step(body, step)
        if len(steps) == 1:
            continue
        pack, consumer = steps
        key = (pack.op.name, pack.inputs, tuple(pack.attributes.items()))
        if key not in packed:
            packed[key] = pack.outputs[0]
            value = graph.new_value(body.specs[pack.outputs[0]])
            before.append(Step(pack.op, (outside[pack.inputs[0]],), (value,), pack.attributes, step.scope))
            inputs.append(value)
            body.inputs.append(pack.outputs[0])
        taken = (consumer.inputs[0], packed[key], *consumer.inputs[2:])
        body.nodes[position] = Step(consumer.op, taken, consumer.outputs, consumer.attributes, step.scope)


def _widen_outside(graph: Graph, body: Graph, first: int, inputs: list[int], before: list[Step]) -> None:
    """Programs on small tensors run through without a break for each row when what they repeat over rows is repeated before the loop."""
    outside = _outside(graph, body, first, inputs)
    wide: dict = {}
    for position, step in enumerate(body.nodes):
        if step.op.traits.elementwise != "program" or step.attributes.get("reduce"):
            continue
        spec = body.specs[step.outputs[0]]
        narrow = [v for v in step.inputs if v in outside and 1 < body.specs[v].size < spec.size]
        if not narrow or spec.nbytes > _WIDE_BYTES:
            continue
        for value in narrow:
            key = value, spec.shape
            if key not in wide:
                wide[key] = body.new_value(body.specs[value].with_shape(spec.shape))
                inputs.append(graph.new_value(body.specs[wide[key]]))
                body.inputs.append(wide[key])
                before.append(Step(REGISTRY["broadcast_to"], (outside[value],), (inputs[-1],), {"shape": spec.shape}, step.scope))
        taken = tuple([wide[v, spec.shape] if v in narrow else v for v in step.inputs])
        body.nodes[position] = Step(step.op, taken, step.outputs, step.attributes, step.scope)


def join_pads(graph: Graph) -> Graph:
    """Sums of parts that zeros fill up to one shape, as the gradients of a split are, are concatenations."""
    made_by = {value: step for step in graph.nodes for value in step.outputs}
    nodes: list[Step] = []
    for step in graph.nodes:
        parts = _padded_parts(made_by, step) if step.op.name == "add" else None
        if parts is not None:
            joined = _concatenation(graph, parts, step)
            step = made_by[step.outputs[0]] = joined or step
        nodes.append(step)
    graph.nodes = nodes
    return remove_dead(graph)


def _padded_parts(made_by, step: Step):
    """The pads whose results `step` adds up, or None where it adds something else."""
    parts = []
    for value in step.inputs:
        source = made_by.get(value)
        if source is None:
            return None
        if source.op.name == "pad":
            parts.append(source)
        elif source.op.name == "add":
            more = _padded_parts(made_by, source)
            if more is None:
                return None
            parts += more
        else:
            return None
    return parts


def _concatenation(graph: Graph, parts, step: Step) -> Step | None:
    """The concatenation of padded parts that fill the shape along one axis without gaps."""
    shape = graph.specs[step.outputs[0]].shape
    if any(p.op.name != "pad" or p.attributes["value"] != 0 or any(p.attributes["interior"]) for p in parts):
        return None
    axes = {axis for p in parts for axis in range(len(shape)) if p.attributes["low"][axis] or p.attributes["high"][axis]}
    if len(axes) != 1:
        return None
    (axis,) = axes
    parts = sorted(parts, key=lambda p: p.attributes["low"][axis])
    position = 0
    for p in parts:
        if p.attributes["low"][axis] != position:
            return None
        position += graph.specs[p.inputs[0]].shape[axis]
    if position != shape[axis]:
        return None
    return Step(REGISTRY["concatenate"], tuple([p.inputs[0] for p in parts]), step.outputs, {"axis": axis}, step.scope)
