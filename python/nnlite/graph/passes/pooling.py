"""relu_before_pool_grad: after max pooling, the gradient of relu and of the bias are taken on the pooled map.

A window's gradient goes to the one cell that won, and there relu's output is the pooled value itself. So
`where(y > 0, max_pool2d_grad(dy), 0)` is `max_pool2d_grad(where(pooled > 0, dy, 0))`, bit for bit, on a map that is smaller by the size of
the window; and the sum of a pooling gradient over all positions is the sum of what went in.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import producers


def relu_before_pool_grad(graph: Graph) -> Graph:
    """Moves relu's gradient, and sums over positions, to the small side of max_pool2d_grad."""
    made_by = producers(graph)
    nodes: list[Step] = []
    small: dict[int, int] = {}  # pooling gradient -> what it spreads out
    for step in graph.nodes:
        found = _relu_of_pool_grad(graph, made_by, step)
        if found is not None:
            moved = _moved(graph, step, *found)
            nodes += moved
            small[step.outputs[0]] = moved[1].outputs[0]
        else:
            nodes.append(_sum_of_small(graph, small, step))
    graph.nodes = nodes
    return remove_dead(graph) if small else graph


def _relu_of_pool_grad(graph: Graph, made_by, step: Step):
    """(greater step, pooling step, its gradient step) of where(y > 0, max_pool2d_grad(dy, argmax), 0), or None."""
    if step.op.traits.elementwise != "where" or not is_zero(graph, step.inputs[2]):
        return None
    positive, gradient = (made_by.get(value) for value in step.inputs[:2])
    if positive is None or gradient is None:
        return None
    positive, gradient = graph.nodes[positive], graph.nodes[gradient]
    if positive.op.traits.elementwise != "greater" or not is_zero(graph, positive.inputs[1]) or gradient.op.name != "max_pool2d_grad":
        return None
    pooling = graph.nodes[made_by[gradient.inputs[1]]] if gradient.inputs[1] in made_by else None
    if pooling is None or pooling.op.name != "max_pool2d" or pooling.inputs[0] != positive.inputs[0]:
        return None
    return positive, pooling, gradient


def is_zero(graph: Graph, value: int) -> bool:
    array = graph.constants.get(value)
    return array is not None and array.size == 1 and array.item() == 0


def _moved(graph: Graph, where: Step, positive: Step, pooling: Step, gradient: Step) -> list[Step]:
    pooled, dy = pooling.outputs[0], gradient.inputs[0]
    mask = graph.new_value(graph.specs[pooled].with_dtype("bool"))
    masked = graph.new_value(graph.specs[dy])
    return [
        Step(positive.op, (pooled, positive.inputs[1]), (mask,), positive.attributes, where.scope),
        Step(where.op, (mask, dy, where.inputs[2]), (masked,), where.attributes, where.scope),
        Step(gradient.op, (masked, gradient.inputs[1]), where.outputs, gradient.attributes, gradient.scope),
    ]


def _sum_of_small(graph: Graph, small: dict[int, int], step: Step) -> Step:
    """A sum over all positions of a pooling gradient sums its small side."""
    if step.op.name != "sum" or step.inputs[0] not in small or tuple(step.attributes["axes"]) != (0, 1, 2):
        return step
    return Step(step.op, (small[step.inputs[0]],), step.outputs, step.attributes, step.scope)
