"""backprop: reverse-mode differentiation of traced and recorded graphs, and the eager GradientTape."""

from __future__ import annotations

import heapq

from nnlite import tree
from nnlite.graph.apply import state
from nnlite.graph.node import Node
from nnlite.graph.operators import table
from nnlite.graph.spec import FLOATS
from nnlite.tensor import Tensor


def backprop(outputs, output_gradients, sources) -> list[Tensor | None]:
    """Gradients of `sum(outputs * output_gradients)` with respect to `sources`.

    Args:
        outputs: Tensors to differentiate.
        output_gradients: One tensor per output, or None for ones.
        sources: Tensors or Variables.

    Returns:
        One tensor per source; None where no path leads from it to an output.
    """
    keys = [_source_key(source) for source in sources]
    wanted = set(keys)
    useful = _nodes_between(outputs, wanted)
    gradients: dict = {}
    heap: list[int] = []
    nodes: dict[int, Node] = {}

    def accumulate(tensor: Tensor, gradient: Tensor) -> None:
        node = tensor.node
        key = _key(tensor)
        if key not in wanted and (node is None or node not in useful):
            return
        if key in gradients:
            gradient = table["add"](gradients[key], gradient)
        gradients[key] = gradient
        if node is not None and node in useful and node.serial not in nodes:
            nodes[node.serial] = node
            heapq.heappush(heap, -node.serial)

    for output, gradient in zip(outputs, output_gradients):
        accumulate(output, table["ones_like"](output) if gradient is None else gradient)
    while heap:
        node = nodes.pop(-heapq.heappop(heap))
        keep = [gradients.get((node, i)) for i in range(len(node.output_specs))]
        _through(node, keep, useful, wanted, accumulate)
        for i in range(len(node.output_specs)):
            if (node, i) not in wanted:
                gradients.pop((node, i), None)
    return [gradients.get(key) for key in keys]


def _through(node: Node, output_gradients, useful, wanted, accumulate) -> None:
    """Sends the output gradients of one node to its inputs."""
    outer = state.memo, state.scope
    state.memo = None if state.trace is not None else {}
    state.scope = node.scope and f"{node.scope} gradient"
    try:
        for i, tensor in enumerate(node.inputs):
            if tensor.spec.dtype not in FLOATS or not (_key(tensor) in wanted or tensor.node in useful):
                continue
            function = node.op.gradient(i)
            gradient = None if function is None else function(node, *output_gradients)
            if gradient is not None:
                accumulate(tensor, gradient)
    finally:
        state.memo, state.scope = outer


def _nodes_between(outputs, wanted) -> set[Node]:
    """Nodes on a path from a source to an output."""
    seen: set[Node] = set()
    stack = [t.node for t in outputs if t.node is not None]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(t.node for t in node.inputs if t.node is not None)
    useful: set[Node] = set()
    for node in sorted(seen, key=lambda n: n.serial):
        if any(_key(t) in wanted or t.node in useful for t in node.inputs) or any((node, i) in wanted for i in range(len(node.output_specs))):
            useful.add(node)
    return useful


def _key(tensor: Tensor):
    if tensor.node is not None:
        return (tensor.node, tensor.index)
    return id(tensor) if tensor.variable is None else ("variable", id(tensor.variable))


def _source_key(source):
    return _key(source) if isinstance(source, Tensor) else ("variable", id(source))


class GradientTape:
    """Records eager ops so that they can be differentiated. Inside a compiled function it differentiates the trace.

    Args:
        persistent: Accepted for familiarity; a tape may always be asked several times.

    >>> import nnlite
    >>> v = nnlite.Variable(3.0)
    >>> with nnlite.GradientTape() as tape:
    ...     y = v * v
    >>> float(tape.gradient(y, v))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        self.persistent = persistent
        self._open = False

    def __enter__(self) -> "GradientTape":
        state.recording += 1
        self._open = True
        return self

    def __exit__(self, *exc) -> None:
        if self._open:
            state.recording -= 1
            self._open = False

    def watch(self, tensor) -> None:
        """Nothing to do: every tensor used inside the tape can be a source."""

    def gradient(self, target, sources, output_gradients=None, unconnected_gradients: str = "none"):
        """Gradients of the sum of `target` (a tensor or structure of tensors) with respect to a structure of sources.

        Args:
            unconnected_gradients: "none" gives None for sources without a path, "zero" gives zeros.
        """
        targets = tree.flatten(target)
        flat = tree.flatten(sources)
        seeds = [None] * len(targets) if output_gradients is None else tree.flatten(output_gradients)
        found = backprop(targets, seeds, flat)
        if unconnected_gradients == "zero":
            found = [table["zeros_like"](s) if g is None else g for s, g in zip(flat, found)]
        return tree.pack_sequence_as(sources, found)

    def stop_recording(self):
        """A context in which ops are not recorded."""
        return _StopRecording()


class _StopRecording:
    def __enter__(self):
        self._outer, state.recording = state.recording, 0

    def __exit__(self, *exc):
        state.recording = self._outer
