"""The numpy backend: every primitive by its reference. Slow and plain; the oracle of the tests."""

from __future__ import annotations

import numpy as np

from nnlite.graph.bfloat16 import bfloat16_bits, float32_of_bits
from nnlite.graph.spec import NUMPY_DTYPE


def empty(spec):
    return np.empty(spec.shape, NUMPY_DTYPE[spec.dtype])


def run_eager(op, specs, arrays, attributes):
    output_specs = op.specs(specs, attributes)
    if op.traits.control:  # its bodies come back here
        return output_specs, op.reference(*arrays, **attributes)
    arrays = [float32_of_bits(a) if s.dtype == "bfloat16" else a for s, a in zip(specs, arrays)]
    with np.errstate(all="ignore"):
        results = op.reference(*arrays, **attributes)
    if type(results) is not tuple:
        results = (results,)
    return output_specs, tuple([_stored(r, s) for r, s in zip(results, output_specs)])


def _stored(result, spec):
    """A reference's result as the array of a tensor: its own memory, in the dtype's numpy form."""
    if spec.dtype == "bfloat16":
        return bfloat16_bits(result).reshape(spec.shape)
    return np.array(result, NUMPY_DTYPE[spec.dtype], order="C").reshape(spec.shape)


class GraphRunner:
    """Interprets a graph, one reference after the other."""

    def __init__(self, graph):
        self.graph = graph

    def run(self, inputs) -> list[np.ndarray]:
        graph = self.graph
        values = {**graph.constants, **dict(zip(graph.inputs, inputs))}
        values.update({i: v._buffer.copy() for i, v in graph.variables.items()})
        for node in graph.nodes:
            specs = [graph.specs[i] for i in node.inputs]
            _, arrays = run_eager(node.op, specs, [values[i] for i in node.inputs], node.attributes)
            values.update(zip(node.outputs, arrays))
        for variable, i in graph.updates:
            variable.detach()
            variable._buffer[...] = values[i]
        return [np.array(values[i]) for i in graph.outputs]

    def run_steps(self, sources, order, first, count) -> None:
        batch = self.graph.specs[self.graph.inputs[0]].shape[0]
        for step in range(first, first + count):
            rows = order[step * batch : (step + 1) * batch]
            self.run([source[rows] for source in sources])

    def run_batches(self, sources, results, first_row, count) -> None:
        batch = self.graph.specs[self.graph.inputs[0]].shape[0]
        for k in range(count):
            rows = slice(first_row + k * batch, first_row + (k + 1) * batch)
            for result, value in zip(results, self.run([source[rows] for source in sources])):
                result[rows] = value


def new_arena() -> None:
    return None


def compile_graph(graph, label: str = "", arena=None) -> GraphRunner:
    return GraphRunner(graph)
