"""fuse_residuals: in inference a convolution adds the other branch of a residual block to its result and takes relu, before it leaves the registers.

In training the branch comes from memory: reading it in short pieces between products costs what a step of its own does.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.epilogue import only_reader
from nnlite.graph.passes.uses import use_positions

# Convolutions with fewer filters have tiles of their own.
_FEWEST_FILTERS = 9


def fuse_residuals(graph: Graph) -> Graph:
    """Rewrites conv2d with packed weights -> add -> relu, with or without relu, into one step where the last of these stood."""
    uses = use_positions(graph)
    nodes: list[Step | None] = list(graph.nodes)
    for position in range(len(nodes) - 1, -1, -1):  # of two convolutions that are added, the last one takes the sum
        step = nodes[position]
        if step is None or not _takes_residual(graph, step):
            continue
        added = _reader(nodes, uses, step.outputs[0], "add")
        if added is None:
            continue
        value, add = step.outputs[0], nodes[added]
        other = add.inputs[1] if add.inputs[0] == value else add.inputs[0]
        if other == value or graph.specs[other] != graph.specs[value]:
            continue
        attributes, last = {**step.attributes, "residual": 1}, added
        relu = _reader(nodes, uses, add.outputs[0], "relu")
        if relu is not None:
            attributes["activation"], last = "relu", relu
        outputs = nodes[last].outputs
        nodes[position] = nodes[added] = None
        nodes[last] = Step(step.op, (*step.inputs, other), outputs, attributes, step.scope)
    graph.nodes = [step for step in nodes if step is not None]
    return graph


def _takes_residual(graph: Graph, step: Step) -> bool:
    a = step.attributes
    if step.op.name != "conv2d" or "packed" not in a or a["groups"] != 1 or "activation" in a or "residual" in a:
        return False
    return graph.specs[step.outputs[0]].shape[-1] >= _FEWEST_FILTERS


def _reader(nodes, uses, value: int, opcode: str) -> int | None:
    """Position of the only reader of a value, if it is an elementwise `opcode`."""
    reader = only_reader(uses, value)
    return reader if reader is not None and nodes[reader] is not None and nodes[reader].op.traits.elementwise == opcode else None
