"""fuse_pools: max pooling of 2 x 2 windows becomes the last step of the convolution before it, so that the full map is never written.

In training the convolution also gives the winning cells. After relu they say 255 where relu lets no gradient through, which is no cell of a
window: then `max_pool2d_grad` needs no mask of its own.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.epilogue import only_reader
from nnlite.graph.passes.pooling import is_zero
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import END, producers, use_positions

# Convolutions with fewer filters have tiles of their own.
_FEWEST_FILTERS = 9


def fuse_pools(graph: Graph) -> Graph:
    """Rewrites conv2d -> max_pool2d, with no other reader of the map, into one step."""
    uses, made_by = use_positions(graph), producers(graph)
    nodes: list[Step | None] = list(graph.nodes)
    for position, step in enumerate(graph.nodes):
        if step.op.name != "conv2d" or not _takes_pooling(graph, step):
            continue
        reader = only_reader(uses, step.outputs[0])
        if reader is None or not _is_by_twos(graph.nodes[reader]):
            continue
        pooled, cells = graph.nodes[reader].outputs[:2]
        attributes = {**step.attributes, "pool": 1}
        if uses[cells] and step.attributes.get("activation") == "relu":
            masked = _masked_gradients(graph, uses, made_by, pooled, cells)
            if masked:
                attributes["cut"] = 1
            for gradient, dy in masked:
                nodes[gradient] = Step(nodes[gradient].op, (dy, cells), nodes[gradient].outputs, nodes[gradient].attributes, nodes[gradient].scope)
        nodes[position] = Step(step.op, step.inputs, (pooled, cells) if uses[cells] else (pooled,), attributes, step.scope)
        nodes[reader] = None
    if None not in nodes:
        return graph
    graph.nodes = [step for step in nodes if step is not None]
    return remove_dead(graph)


def _takes_pooling(graph: Graph, step: Step) -> bool:
    _, rows, columns, filters = graph.specs[step.outputs[0]].shape
    kernel = step.attributes.get("kernel_shape") or graph.specs[step.inputs[1]].shape
    return (
        graph.specs[step.outputs[0]].dtype == "float32"
        and graph.specs[step.inputs[0]].dtype == "float32"
        and filters >= _FEWEST_FILTERS
        and kernel[0] == kernel[1]
        and step.attributes["groups"] == 1
        and rows > 1
        and columns > 1
    )


def _is_by_twos(step: Step) -> bool:
    a = step.attributes
    return step.op.name == "max_pool2d" and tuple(a["pool_size"]) == tuple(a["strides"]) == (2, 2) and not any(a["padding"])


def _masked_gradients(graph: Graph, uses, made_by, pooled: int, cells: int) -> list[tuple[int, int]]:
    """(position, dy) of every max_pool2d_grad(where(pooled > 0, dy, 0), cells), if nothing else reads the cells; else none."""
    found = []
    for position in uses[cells]:
        step = None if position == END else graph.nodes[position]
        if step is None or step.op.name != "max_pool2d_grad" or step.inputs[0] not in made_by:
            return []
        where = graph.nodes[made_by[step.inputs[0]]]
        if where.op.traits.elementwise != "where" or not is_zero(graph, where.inputs[2]) or where.inputs[0] not in made_by:
            return []
        positive = graph.nodes[made_by[where.inputs[0]]]
        if positive.op.traits.elementwise != "greater" or positive.inputs[0] != pooled or not is_zero(graph, positive.inputs[1]):
            return []
        if graph.specs[where.inputs[1]] != graph.specs[pooled]:
            return []
        found.append((position, where.inputs[1]))
    return found
