"""fuse_column_sums: the gradient of a bias comes out of the product that makes the gradient of the weights.

That product, `x^T dy`, reads all of dy; the sums of dy's columns are one more row of it. Each is one sum in order of the rows, as the product's own.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.uses import producers, use_positions

# Smaller gradients stay in a cache, where a sum of its own costs as little.
_LEAST_BYTES = 1 << 20


def fuse_column_sums(graph: Graph) -> Graph:
    """Makes a sum over leading axes the second output of matmul(x, dy; transpose_a) on the same dy, whose columns it leaves."""
    uses, made_by = use_positions(graph), producers(graph)
    nodes: list[list[Step]] = [[step] for step in graph.nodes]
    sums = _sums_by_source(graph, made_by)
    for position, step in enumerate(graph.nodes):
        if not sums or step.op.name != "matmul" or not _is_weight_gradient(graph, step):
            continue
        dy = step.inputs[1]
        source = _source(graph, made_by, dy), graph.specs[dy].shape[1]
        found = sums.get(source)
        early = None if found is None else _early_views(graph, uses, graph.nodes[found].outputs[0], position)
        if early is None:
            continue
        outputs = (*step.outputs, graph.nodes[found].outputs[0])
        nodes[position] = [Step(step.op, step.inputs, outputs, {**step.attributes, "column_sums": 1}, step.scope), *[graph.nodes[view] for view in early]]
        for moved in (found, *early):
            nodes[moved] = []
        del sums[source]
    graph.nodes = [step for steps in nodes for step in steps]
    return graph


def _early_views(graph: Graph, uses, value: int, position: int) -> list[int] | None:
    """Positions of the reshapes of `value` before `position`, which can move behind it; None where something else reads it before that."""
    early = [use for use in uses[value] if use < position]
    movable = all(graph.nodes[use].op.name == "reshape" and min(uses[graph.nodes[use].outputs[0]]) > position for use in early)
    return early if movable else None


def _is_weight_gradient(graph: Graph, step: Step) -> bool:
    x, dy = graph.specs[step.inputs[0]], graph.specs[step.inputs[1]]
    a = step.attributes
    plain = a.get("transpose_a") and not a.get("transpose_b") and "bias" not in a and "activation" not in a and "packed" not in a
    floats = x.rank == dy.rank == 2 and dy.dtype in ("float32", "float64")
    return bool(plain) and floats and x.shape[1] > 1 and dy.shape[1] > 1 and dy.nbytes >= _LEAST_BYTES


def _sums_by_source(graph: Graph, made_by) -> dict[tuple[int, int], int]:
    """(what is summed, before reshapes; how many sums are left) -> position of a sum over leading axes."""
    found = {}
    for position, step in enumerate(graph.nodes):
        if step.op.name == "sum":
            axes, rank = tuple(step.attributes["axes"]), graph.specs[step.inputs[0]].rank
            if 0 < len(axes) < rank and axes == tuple(range(len(axes))):
                found[_source(graph, made_by, step.inputs[0]), graph.specs[step.outputs[0]].size] = position
    return found


def _source(graph: Graph, made_by, value: int) -> int:
    """The value that `value` is a reshape of."""
    while value in made_by and graph.nodes[made_by[value]].op.name == "reshape":
        value = graph.nodes[made_by[value]].inputs[0]
    return value
