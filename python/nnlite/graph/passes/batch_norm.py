"""fold_scales: in inference the scale and shift of a normalization move into the weights before it; fuse_sum_and_relu: in training the sum of a
residual block and relu join batch_norm.

Folding: `product(x, w) * factor + shift`, all of w, factor and shift weights, is `product(x, w * factor) + shift`, and what depends on weights
alone leaves the hot path. In training batch_norm with a residual and relu reads its map twice and writes once (statistics; normalize, add and relu),
and the gradient finds relu's mask from x, with the very scale and shift of the forward pass: it reads two maps twice and writes one.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.pack import stable_values
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import END, producers, use_positions


def fold_scales(graph: Graph) -> Graph:
    """Multiplies weights by a following scale per channel when neither changes in this graph."""
    stable = stable_values(graph)
    uses = use_positions(graph)
    nodes = list(graph.nodes)
    made: dict[int, list[Step]] = {}  # position of a product -> the steps of its new weights, which stand before it
    for position, step in enumerate(nodes):
        if "bias" not in step.op.traits.epilogue or step.attributes.get("transpose_b"):
            continue
        if step.inputs[0] in stable or step.inputs[1] not in stable or graph.specs[step.inputs[1]].dtype not in ("float32", "float64"):
            continue
        chain = _scale_after(graph, nodes, uses, stable, position)
        if chain is not None:
            made[position] = _fold(graph, nodes, position, *chain)
    if not made:
        return graph
    weights = {id(step) for steps in made.values() for step in steps}
    # Everything that depends on weights alone moves to the front, in its order: the new weights of an early product may need a late scale.
    ordered = [new for position, step in enumerate(nodes) for new in (*made.get(position, ()), step)]
    early = _ready_first(graph, [step for step in ordered if id(step) in weights or stable.issuperset(step.outputs)], stable)
    taken = {id(step) for step in early}
    graph.nodes = early + [step for step in ordered if id(step) not in taken]
    return remove_dead(graph)


def _ready_first(graph: Graph, steps: list[Step], stable: set[int]) -> list[Step]:
    """Steps on weights in an order that makes every input before its use."""
    waiting = {value: step for step in steps for value in step.outputs}
    ordered: list[Step] = []
    for root in steps:
        stack = [root]
        while stack:
            step = stack[-1]
            needed = next((waiting[i] for i in step.inputs if i in waiting), None)
            if needed is not None:
                stack.append(needed)
                continue
            stack.pop()
            if step.outputs[0] in waiting:
                ordered.append(step)
                for value in step.outputs:
                    del waiting[value]
    return ordered


def _only_reader(nodes, uses, value: int, opcode: str) -> int | None:
    """Position of the only reader of `value`, if it is an elementwise `opcode` of two different values."""
    readers = uses[value]
    if len(readers) != 1 or readers[0] == END:
        return None
    reader = nodes[readers[0]]
    return readers[0] if reader.op.traits.elementwise == opcode and reader.inputs[0] != reader.inputs[1] else None


def _per_channel(graph: Graph, step: Step, value: int, stable) -> int | None:
    """The other input of `step`, when it is a stable value per channel and the result has the shape of `value`."""
    other = step.inputs[1] if step.inputs[0] == value else step.inputs[0]
    spec, whole = graph.specs[other], graph.specs[value]
    fits = spec.size == whole.shape[-1] and spec.shape[-1:] == whole.shape[-1:] and graph.specs[step.outputs[0]] == whole
    return other if fits and other in stable else None


def _scale_after(graph: Graph, nodes, uses, stable, position: int):
    """(positions, bias, factor, shift) of product [+ bias] * factor [+ shift]; None without a scale."""
    value, positions = nodes[position].outputs[0], []

    def follow(opcode: str) -> int | None:
        nonlocal value
        reader = _only_reader(nodes, uses, value, opcode)
        other = None if reader is None else _per_channel(graph, nodes[reader], value, stable)
        if other is not None:
            positions.append(reader)
            value = nodes[reader].outputs[0]
        return other

    bias = follow("add")
    factor = follow("multiply")
    if factor is None:
        return None
    return positions, bias, factor, follow("add")


def _fold(graph: Graph, nodes, position: int, positions, bias, factor, shift) -> list[Step]:
    """Puts the product with new weights where the chain ended; returns the steps that make these weights."""
    step = nodes[position]
    weights = graph.specs[step.inputs[1]]
    steps: list[Step] = []

    def emit(name: str, inputs, spec, **attributes) -> int:
        if name == "reshape" and graph.specs[inputs[0]] == spec:
            return inputs[0]
        value = graph.new_value(spec)
        steps.append(Step(REGISTRY[name], tuple(inputs), (value,), attributes, step.scope))
        return value

    channels = graph.specs[step.outputs[0]].shape[-1]
    flat = graph.specs[factor].with_shape((channels,))
    factor = emit("reshape", (factor,), flat, shape=flat.shape)
    per_weight = factor
    if weights.shape[-1] != channels:  # depthwise: [kh, kw, channels, multiplier]
        per_weight = emit("reshape", (factor,), flat.with_shape(weights.shape[-2:]), shape=weights.shape[-2:])
    scaled = emit("multiply", (step.inputs[1], per_weight), weights)
    offset = None
    if bias is not None:
        offset = emit("multiply", (emit("reshape", (bias,), flat, shape=flat.shape), factor), flat)
    if shift is not None:
        shift = emit("reshape", (shift,), flat, shape=flat.shape)
        offset = shift if offset is None else emit("add", (offset, shift), flat)
    last = nodes[positions[-1]]
    product = Step(step.op, (step.inputs[0], scaled), last.outputs, step.attributes, step.scope)
    if offset is not None:
        before = graph.new_value(graph.specs[last.outputs[0]])
        product.outputs = (before,)
        nodes[positions[-1]] = Step(REGISTRY["add"], (before, offset), last.outputs, {}, last.scope)
    nodes[position] = product
    return steps


def fuse_sum_and_relu(graph: Graph) -> Graph:
    """A sum and relu after batch_norm become its `residual` and `activation`; relu's mask before batch_norm_grad, its inputs scale and shift."""
    uses = use_positions(graph)
    made_by = producers(graph)
    nodes = list(graph.nodes)
    cut: dict[int, int] = {}  # relu of a normalized map -> position of its batch_norm
    for position, step in enumerate(graph.nodes):
        if step.op.name == "batch_norm":
            _fuse_forward(graph, nodes, uses, made_by, cut, position)
        elif step.op.name == "batch_norm_grad" and graph.specs[step.inputs[0]].dtype == "float32":
            _fuse_backward(graph, nodes, uses, made_by, cut, position)
    graph.nodes = [step for step in nodes if step is not None]
    return remove_dead(graph)


def _sole_reader(nodes, uses, value: int, opcode: str) -> int | None:
    """Position of the only step that reads `value`, if it is an elementwise `opcode`."""
    readers = uses[value]
    if len(readers) != 1 or readers[0] == END or nodes[readers[0]].op.traits.elementwise != opcode:
        return None
    return readers[0]


def _fuse_forward(graph: Graph, nodes, uses, made_by, cut, position: int) -> None:
    step = graph.nodes[position]
    inputs, attributes, normalized = step.inputs, dict(step.attributes), step.outputs[0]
    reader = _sole_reader(graph.nodes, uses, normalized, "add")
    other = None if reader is None else _residual(graph, made_by, graph.nodes[reader], normalized, position)
    if other is not None:
        nodes[reader] = None
        inputs, attributes["residual"] = (*inputs, other), 1
        normalized = graph.nodes[reader].outputs[0]
    reader = _sole_reader(graph.nodes, uses, normalized, "relu")
    if reader is not None:
        nodes[reader] = None
        attributes["activation"] = "relu"
        normalized = graph.nodes[reader].outputs[0]
        if other is None:
            cut[normalized] = position
    nodes[position] = Step(step.op, inputs, (normalized, *step.outputs[1:]), attributes, step.scope)


def _residual(graph: Graph, made_by, add: Step, normalized: int, position: int) -> int | None:
    """What is added to a normalized map of the same shape, if it is ready when that map is made."""
    other = add.inputs[1] if add.inputs[0] == normalized else add.inputs[0]
    spec = graph.specs[normalized]
    return other if spec.dtype == "float32" and graph.specs[other] == spec and made_by.get(other, -1) < position else None


def _fuse_backward(graph: Graph, nodes, uses, made_by, cut, position: int) -> None:
    step = graph.nodes[position]
    if step.inputs[1] not in made_by or len(uses[step.inputs[1]]) != 1:  # read elsewhere too, the masked gradient is made anyway
        return
    where = graph.nodes[made_by[step.inputs[1]]]
    if where.op.traits.elementwise != "where" or where.inputs[0] not in made_by or not _is_zero(graph, where.inputs[2]):
        return
    positive = graph.nodes[made_by[where.inputs[0]]]
    if positive.op.traits.elementwise != "greater" or positive.inputs[0] not in cut or not _is_zero(graph, positive.inputs[1]):
        return
    forward = nodes[cut[positive.inputs[0]]]
    if forward.inputs[0] != step.inputs[0] or forward.outputs[1:3] != step.inputs[3:5] or graph.specs[where.inputs[1]] != graph.specs[step.inputs[0]]:
        return
    if len(forward.outputs) == 3:
        channels = graph.specs[forward.outputs[1]]
        forward.outputs = (*forward.outputs, graph.new_value(channels), graph.new_value(channels))
    inputs = (step.inputs[0], where.inputs[1], *step.inputs[2:], *forward.outputs[3:])
    nodes[position] = Step(step.op, inputs, step.outputs, step.attributes, step.scope)


def _is_zero(graph: Graph, value: int) -> bool:
    array = graph.constants.get(value)
    return array is not None and array.size == 1 and array.item() == 0
