"""Who uses a value."""

from __future__ import annotations

from nnlite.graph.ir import Graph

# Position of a use at the end of the graph: as an output or a variable's new value.
END = 1 << 60


def use_positions(graph: Graph) -> list[list[int]]:
    """For every value, the positions in `graph.nodes` of the steps that read it, then END once per output or update."""
    uses: list[list[int]] = [[] for _ in graph.specs]
    for position, step in enumerate(graph.nodes):
        for value in step.inputs:
            uses[value].append(position)
    for value in graph.outputs:
        uses[value].append(END)
    for _, value in graph.updates:
        uses[value].append(END)
    return uses


def producers(graph: Graph) -> dict[int, int]:
    """Value -> position of the step that makes it."""
    return {value: position for position, step in enumerate(graph.nodes) for value in step.outputs}
