"""scale_in_update: gradients that are all multiplied by one scalar, as clipping by the global norm does, are scaled inside the optimizer's update."""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import producers


def scale_in_update(graph: Graph) -> Graph:
    """Rewrites update(..., g * scale for every g, ...) to update(..., g, ..., scale): the gradients are not written once more."""
    made_by = producers(graph)
    changed = False
    for position, step in enumerate(graph.nodes):
        if step.op.traits.updates is None or "n" not in step.attributes:
            continue
        found = _scaled_gradients(graph, made_by, step)
        if found is None:
            continue
        first, gradients, scale = found
        inputs = list(step.inputs)
        inputs[first : first + len(gradients)] = gradients
        graph.nodes[position] = Step(step.op, (*inputs, scale), step.outputs, {**step.attributes, "scaled": 1}, step.scope)
        changed = True
    return remove_dead(graph) if changed else graph


def _scaled_gradients(graph: Graph, made_by, step: Step):
    """(number of the first gradient among the inputs, the gradients before scaling, the scale), or None."""
    n = step.attributes["n"]
    first = step.op.traits.updates(step.attributes)[0][0] + n  # gradients follow the parameters
    pairs = [_product(graph, made_by, value) for value in step.inputs[first : first + n]]
    if None in pairs or len({scale for _, scale in pairs}) != 1:
        return None
    scale = pairs[0][1]
    dtype = graph.specs[scale].dtype
    same = dtype in ("float32", "float64") and all(graph.specs[i].dtype == dtype for i in (step.inputs[0], *step.inputs[first : first + n]))
    return (first, [gradient for gradient, _ in pairs], scale) if same else None


def _product(graph: Graph, made_by, value: int):
    """(gradient, scalar) of gradient * scalar."""
    step = graph.nodes[made_by[value]] if value in made_by else None
    if step is None or step.op.traits.elementwise != "multiply":
        return None
    for gradient, scale in (step.inputs, step.inputs[::-1]):
        if graph.specs[scale].shape == () and graph.specs[gradient] == graph.specs[value]:
            return gradient, scale
    return None
