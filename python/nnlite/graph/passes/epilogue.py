"""fuse_epilogues: bias and activation move into the matmul or convolution that feeds them."""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.uses import END, use_positions

ACTIVATIONS = frozenset(("relu", "sigmoid", "tanh"))


def fuse_epilogues(graph: Graph) -> Graph:
    """Rewrites op -> add(bias) -> activation, each with no other reader, into one step."""
    uses = use_positions(graph)
    nodes = list(graph.nodes)
    removed: set[int] = set()
    for position, step in enumerate(nodes):
        accepts = step.op.traits.epilogue
        if "bias" not in accepts or "bias" in step.attributes or "activation" in step.attributes:  # no room for a second one
            continue
        merged, last = _with_bias(graph, nodes, uses, step)
        merged, last = _with_activation(graph, nodes, uses, merged, last, accepts)
        if last is not None:
            removed.add(position)
            removed.update(last[:-1])
            nodes[last[-1]] = merged
    graph.nodes = [step for position, step in enumerate(nodes) if position not in removed]
    return graph


def only_reader(uses, value: int) -> int | None:
    """Position of the single step that reads `value`, or None."""
    readers = uses[value]
    return readers[0] if len(readers) == 1 and readers[0] != END else None


def is_bias(graph: Graph, add: Step, product: int) -> bool:
    """Whether an addition gives each channel, the last axis, of `product` one number of its own."""
    if add.inputs[0] == add.inputs[1]:
        return False
    spec = graph.specs[add.inputs[1] if add.inputs[0] == product else add.inputs[0]]
    channels = graph.specs[product].shape[-1]
    return spec.size == channels and spec.shape[-1:] == (channels,) and graph.specs[add.outputs[0]] == graph.specs[product]


def _with_bias(graph: Graph, nodes, uses, step: Step):
    reader = only_reader(uses, step.outputs[0])
    if reader is None or nodes[reader].op.traits.elementwise != "add":
        return step, None
    add = nodes[reader]
    product = step.outputs[0]
    if not is_bias(graph, add, product):
        return step, None
    bias = add.inputs[1] if add.inputs[0] == product else add.inputs[0]
    if _made_after(nodes, bias, step, reader):
        return step, None
    return Step(step.op, (*step.inputs, bias), add.outputs, {**step.attributes, "bias": 1}, step.scope), [reader]


def _made_after(nodes, value: int, step: Step, reader: int) -> bool:
    """Fused steps stand where their last part stood, so a value made before the reader is always ready."""
    return any(value in other.outputs for other in nodes[reader:])


def _with_activation(graph: Graph, nodes, uses, merged: Step, positions, accepts):
    reader = only_reader(uses, merged.outputs[0])
    if reader is None or "activation" not in accepts:
        return merged, positions
    activation = nodes[reader]
    opcode = activation.op.traits.elementwise
    if opcode not in ACTIVATIONS:
        return merged, positions
    fused = Step(merged.op, merged.inputs, activation.outputs, {**merged.attributes, "activation": opcode}, merged.scope)
    return fused, [*(positions or ()), reader]
