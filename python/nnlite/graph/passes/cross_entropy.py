"""fuse_cross_entropy: a training step makes the loss of integer labels and its gradient by the scores in one step; probabilities are never written.

The gradient needs dloss, which comes from the sample weights and the count of rows, seldom from the loss itself: then it can be had before.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.epilogue import only_reader
from nnlite.graph.passes.uses import producers, use_positions


def fuse_cross_entropy(graph: Graph) -> Graph:
    """Rewrites sparse_softmax_cross_entropy whose probabilities only sparse_softmax_cross_entropy_grad reads into one step with dloss as third input.

    That step's outputs are the loss and the gradient. Both have the bits that the two steps give.
    """
    position = 0
    while position < len(graph.nodes):
        if graph.nodes[position].op.name == "sparse_softmax_cross_entropy":
            _fuse(graph, position)
        position += 1
    return graph


def _fuse(graph: Graph, position: int) -> None:
    step = graph.nodes[position]
    if len(step.inputs) != 2 or graph.specs[step.inputs[0]].dtype != "float32":
        return
    loss, probabilities = step.outputs
    reader = only_reader(use_positions(graph), probabilities)
    gradient = None if reader is None else graph.nodes[reader]
    if gradient is None or gradient.op.name != "sparse_softmax_cross_entropy_grad" or gradient.inputs[:2] != (probabilities, step.inputs[1]):
        return
    dloss = gradient.inputs[2]
    early = _made_between(graph, dloss, position, reader)
    if graph.specs[dloss] != graph.specs[loss] or position in early:
        return
    fused = Step(step.op, (*step.inputs, dloss), (loss, gradient.outputs[0]), step.attributes, step.scope)
    late = [node for k, node in enumerate(graph.nodes[position + 1 : reader], position + 1) if k not in early]
    graph.nodes[position : reader + 1] = [*[graph.nodes[k] for k in sorted(early)], fused, *late]


def _made_between(graph: Graph, value: int, first: int, last: int) -> set[int]:
    """Positions in first..last-1 of the steps that `value` comes from."""
    made_by, found, open_values = producers(graph), set(), [value]
    while open_values:
        position = made_by.get(open_values.pop(), -1)
        if first <= position < last and position not in found:
            found.add(position)
            open_values.extend(graph.nodes[position].inputs)
    return found
