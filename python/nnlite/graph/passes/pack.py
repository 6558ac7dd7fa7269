"""pack_weights: packing as a step of its own; hoist: steps that depend on weights alone leave the hot path."""

from __future__ import annotations

from nnlite import _core, config
from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY


def stable_values(graph: Graph) -> set[int]:
    """Values that change only when a variable is assigned outside this graph."""
    updated = {variable for variable, _ in graph.updates}
    stable = {i for i, variable in graph.variables.items() if variable not in updated} | set(graph.constants)
    for step in graph.nodes:
        if stable.issuperset(step.inputs) and step.inputs and not step.op.traits.random and not step.op.traits.control:
            stable.update(step.outputs)
    return stable


def pack_weights(graph: Graph) -> Graph:
    """Weights that this graph does not update are packed by a step of their own, which `hoist` then moves out."""
    stable = stable_values(graph)
    nodes: list[Step] = []
    for step in graph.nodes:
        if "packed" in step.op.traits.epilogue and step.inputs[1] in stable and step.inputs[0] not in stable:
            nodes += packed_step(graph, step)
        else:
            nodes.append(step)
    graph.nodes = nodes
    return graph


def packed_step(graph: Graph, step: Step) -> list[Step]:
    """A packing step and `step` on packed weights, or `step` alone where its weights cannot be packed."""
    name = f"{step.op.name}_pack"
    spec = graph.specs[step.inputs[1]]
    if step.op.name == "matmul":
        if spec.rank != 2 or spec.dtype not in ("float32", "float64"):
            return [step]
        transposed = step.attributes.get("transpose_b", False)
        pack_attributes = {"transpose_b": transposed}
        extra = {"packed": 1, "n": spec.shape[0 if transposed else 1], "transpose_b": False}
    elif _uses_winograd(graph, step):
        name, pack_attributes = "winograd_pack", {}
        extra = {"packed": 1, "winograd": 1, "kernel_shape": spec.shape}
    else:
        pack_attributes = {"groups": step.attributes["groups"]}
        extra = {"packed": 1, "kernel_shape": spec.shape}
    pack = REGISTRY[name]
    value = graph.new_value(pack.specs([spec], pack_attributes)[0])
    inputs = (step.inputs[0], value, *step.inputs[2:])
    return [Step(pack, (step.inputs[1],), (value,), pack_attributes, step.scope), Step(step.op, inputs, step.outputs, {**step.attributes, **extra}, step.scope)]


def _uses_winograd(graph: Graph, step: Step) -> bool:
    image, kernel = [graph.specs[i] for i in step.inputs[:2]]
    if config.exact_convolution() or image.dtype != "float32":
        return False
    a = step.attributes
    return _core.winograd_pays(image.shape, kernel.shape, graph.specs[step.outputs[0]].shape, a["strides"], a["dilation"], a["padding"], a["groups"])


def hoist(graph: Graph) -> Graph:
    """Moves steps that depend only on weights and constants into the prologue, which runs when a weight has changed."""
    stable = stable_values(graph)
    prologue: list[Step] = []
    nodes: list[Step] = []
    for step in graph.nodes:
        hoisted = stable.issuperset(step.inputs) and step.inputs and not step.op.traits.random and not step.op.traits.control
        (prologue if hoisted else nodes).append(step)
    graph.prologue, graph.nodes = prologue, nodes
    return graph
