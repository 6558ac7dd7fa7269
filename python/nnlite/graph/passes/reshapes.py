"""sink_reshapes: a product that is reshaped before its bias and activation gets them first, so that they can become its epilogue."""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.epilogue import ACTIVATIONS, is_bias, only_reader
from nnlite.graph.passes.uses import use_positions


def sink_reshapes(graph: Graph) -> Graph:
    """Rewrites matmul -> reshape -> add(bias) -> activation, as of a Dense layer on sequences, into matmul -> add -> activation -> reshape."""
    uses = use_positions(graph)
    rewritten: dict[int, list[Step]] = {}
    for position, step in enumerate(graph.nodes):
        if "bias" not in step.op.traits.epilogue or "bias" in step.attributes:
            continue
        reader = only_reader(uses, step.outputs[0])
        if reader is None or graph.nodes[reader].op.name != "reshape":
            continue
        chain = _chain(graph, uses, step.outputs[0], graph.nodes[reader])
        if chain:
            rewritten[reader] = []
            _sink(graph, step.outputs[0], graph.nodes[reader], chain, rewritten)
    if rewritten:
        graph.nodes = [new for position, step in enumerate(graph.nodes) for new in rewritten.get(position, (step,))]
    return graph


def _chain(graph: Graph, uses, product: int, reshape: Step) -> list[int]:
    """Positions of the bias and the activation that follow a reshape which keeps the last axis."""
    value, chain = reshape.outputs[0], []
    if graph.specs[value].shape[-1:] != graph.specs[product].shape[-1:]:
        return chain
    while (reader := only_reader(uses, value)) is not None:
        step = graph.nodes[reader]
        opcode = step.op.traits.elementwise
        if not (opcode in ACTIVATIONS or (opcode == "add" and not chain and is_bias(graph, step, value))):
            break
        chain.append(reader)
        value = step.outputs[0]
    return chain


def _sink(graph: Graph, product: int, reshape: Step, chain: list[int], rewritten: dict[int, list[Step]]) -> None:
    before, after = reshape.outputs[0], product  # the same elements with and without the reshape
    for position in chain:
        step = graph.nodes[position]
        result = graph.new_value(graph.specs[product])
        inputs = tuple([after if value == before else value for value in step.inputs])
        rewritten[position] = [Step(step.op, inputs, (result,), step.attributes, step.scope)]
        before, after = step.outputs[0], result
    rewritten[chain[-1]].append(Step(reshape.op, (after,), (before,), reshape.attributes, reshape.scope))
