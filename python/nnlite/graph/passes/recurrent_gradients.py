"""join_recurrent_gradients: the gradient of a recurrent layer makes those of its kernels and inputs as it goes.

The gradients of the gates are the largest array of a recurrent layer's backward pass: it is written once, and read for the gradients of the recurrent
kernel, the kernel, the biases and the inputs. The kernels lstm_grad, gru_grad and simple_rnn_grad can make these products of every block of steps
while it is in a cache, and then need neither the array nor a copy of the states moved on by one step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import END, producers, use_positions

# Kernels and their gradients must stay in a core's cache, and working copies are padded to whole vectors of units.
_MOST_BYTES = 3 << 19
_UNITS_MULTIPLE = 16
# Smaller batches are cut into fewer parts than the products would be, and shorter sequences make blocks that are too small to gain.
_LEAST_BATCH = 32
_LEAST_STEPS = 4
# Op -> where it takes all states and the state before the first step (None where the products need them as inputs of their own), last states.
_PLACES = {"lstm_grad": (None, None, 2), "gru_grad": (2, 4, 1), "simple_rnn_grad": (0, None, 1)}


def join_recurrent_gradients(graph: Graph) -> Graph:
    """Moves products of the gates' gradients into the steps that make them."""
    if not any(step.op.name in _PLACES for step in graph.nodes):
        return graph
    return _Joiner(graph).joined()


@dataclass
class _Readers:
    """Who reads the gates' gradients, looking through reshapes: positions by what they make of them."""

    kernels: list[int] = field(default_factory=list)  # rows' products
    inputs: list[int] = field(default_factory=list)  # products with a transposed kernel
    sums: list[int] = field(default_factory=list)
    others: bool = False


class _Joiner:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.made_by = producers(graph)
        self.uses = use_positions(graph)
        self.replaced: dict[int, list[Step]] = {}

    def joined(self) -> Graph:
        for position, step in enumerate(self.graph.nodes):
            if step.op.name in _PLACES and self._fits(step):
                self._join(position, step)
        self.graph.nodes = [new for k, step in enumerate(self.graph.nodes) for new in self.replaced.get(k, [step])]
        return remove_dead(self.graph)

    def _fits(self, step: Step) -> bool:
        batch, steps, _ = self.graph.specs[step.outputs[0]].shape
        units = self.units(step)
        whole = batch >= _LEAST_BATCH and steps >= _LEAST_STEPS and units % _UNITS_MULTIPLE == 0
        return whole and bool(step.attributes.get("reset_after", 1)) and self.cached(step, units)

    def units(self, step: Step) -> int:
        return self.graph.specs[step.outputs[-1]].shape[-1]

    def cached(self, step: Step, features: int) -> bool:
        """Whether two kernels of so many rows, packed, and their gradients stay in a cache."""
        gates = self.graph.specs[step.outputs[0]]
        return 2 * features * gates.shape[-1] * np.dtype(gates.dtype).itemsize <= _MOST_BYTES

    # What reads the gradients

    def _readers(self, value: int) -> _Readers:
        found = _Readers()
        self._collect(value, value, found)
        return found

    def _collect(self, value: int, gates: int, found: _Readers) -> None:
        specs = self.graph.specs
        width = specs[gates].shape[-1]
        for use in self.uses[value]:
            step = None if use == END else self.graph.nodes[use]
            if step is None or specs[value].shape[-1] != width:
                found.others = True
            elif step.op.name == "reshape":
                self._collect(step.outputs[0], gates, found)
            elif step.op.name == "sum" and _over_rows(step, specs[value].rank):
                found.sums.append(use)
            elif _is_plain(step, transpose_a=True) and specs[value].rank == 2 and step.inputs[0] != value:
                found.kernels.append(use)
            elif _is_plain(step, transpose_b=True) and specs[value].rank == 2 and step.inputs[1] != value:
                found.inputs.append(use)
            else:
                found.others = True

    def _source(self, value: int) -> int:
        """The value that `value` is a reshape of."""
        while value in self.made_by and self.graph.nodes[self.made_by[value]].op.name == "reshape":
            value = self.graph.nodes[self.made_by[value]].inputs[0]
        return value

    def _previous(self, value: int, step: Step) -> tuple[int, int] | None:
        """(states, state before the first step), where `value` is the states moved on by one step; None where it is something else."""
        specs, reverse = self.graph.specs, bool(step.attributes["reverse"])
        batch, steps, _ = specs[step.outputs[0]].shape
        join = self._maker(self._source(value), "concatenate")
        if join is None or join.attributes["axis"] != 1 or len(join.inputs) != 2:
            return None
        rest, first = join.inputs if reverse else join.inputs[::-1]
        cut = self._maker(rest, "slice")
        units = self.units(step)
        if cut is None or specs[first].shape != (batch, 1, units) or specs[cut.inputs[0]].shape != (batch, steps, units):
            return None
        a = cut.attributes
        moved = tuple(a["starts"]) == (0, int(reverse), 0) and tuple(a["sizes"]) == (batch, steps - 1, units) and set(a["strides"]) == {1}
        return (cut.inputs[0], self._source(first)) if moved else None

    def _maker(self, value: int, name: str) -> Step | None:
        position = self.made_by.get(value)
        return None if position is None or self.graph.nodes[position].op.name != name else self.graph.nodes[position]

    def ready(self, value: int, position: int) -> bool:
        """Whether a value is there when the step at `position` runs."""
        return self.made_by.get(value, -1) < position

    # Rewriting

    def _join(self, position: int, step: Step) -> None:
        gru = step.op.name == "gru_grad"
        dx, inner = step.outputs[0], step.outputs[int(gru)]
        readers = self._readers(inner)
        found = [(use, self._previous(self.graph.nodes[use].inputs[0], step)) for use in readers.kernels]
        found = [(use, previous) for use, previous in found if previous is not None]
        if len(found) != 1 or not self._known(step, *found[0][1]):
            return
        (product, (states, first)) = found[0]
        if not self.ready(states, position) or not self.ready(first, position):
            return
        if gru and (readers.others or readers.inputs or len(readers.kernels) != 1 or len(readers.sums) > 1):
            return
        writer = _Writer(self, position, step)
        writer.recurrent(product, states, first, readers.sums if gru else [])
        if gru:
            readers = self._readers(dx)
        else:
            readers.kernels.remove(product)
        writer.projection(readers)
        self.replaced[position] = writer.steps()
        for use in writer.gone:
            self.replaced[use] = writer.late.get(use, [])

    def _known(self, step: Step, states: int, first: int) -> bool:
        """Whether the states are those that the step takes anyway, if it does."""
        at_states, at_first, _ = _PLACES[step.op.name]
        same_states = at_states is None or states == step.inputs[at_states]
        return same_states and (at_first is None or self._same(first, step.inputs[at_first]))

    def _same(self, a: int, b: int) -> bool:
        b = self._source(b)
        constants = self.graph.constants
        return a == b or (a in constants and b in constants and np.array_equal(constants[a].ravel(), constants[b].ravel()))


class _Writer:
    """The step that takes the place of a gradient step and of what read its results."""

    def __init__(self, joiner: _Joiner, position: int, step: Step):
        self.joiner, self.graph, self.position, self.step = joiner, joiner.graph, position, step
        last = _PLACES[step.op.name][2]
        self.gates, self.last = step.outputs[0], step.outputs[-last:]
        self.before: list[Step] = []
        self.inputs = list(step.inputs)
        self.kernels: list[int] = []  # outputs behind the gates' gradients and the last states
        self.attributes = {**step.attributes, "u_grad": 1}
        self.gone: list[int] = []
        self.late: dict[int, list[Step]] = {}

    def steps(self) -> list[Step]:
        gates = () if "products" in self.attributes else (self.gates,)
        return [*self.before, Step(self.step.op, tuple(self.inputs), (*gates, *self.last, *self.kernels), self.attributes, self.step.scope)]

    def recurrent(self, product: int, states: int, first: int, sums: list[int]) -> None:
        """The gradient of the recurrent kernel, and of the recurrent bias where there is one."""
        at_states, at_first, _ = _PLACES[self.step.op.name]
        if at_states is None:
            self.inputs.append(states)
        if at_first is None:
            self.inputs.append(self._state(first))
        self._take(product)
        if self.step.op.name == "gru_grad":
            self._take(*sums) if sums else self.kernels.append(self._width_value())

    def projection(self, readers: _Readers) -> None:
        """The gradients of the projection before the layer, where they are all that is left to be made of the gates' gradients."""
        nodes, specs = self.graph.nodes, self.graph.specs
        if readers.others or len(readers.kernels) != 1 or len(readers.sums) > 1 or len(readers.inputs) > 1:
            return
        product = nodes[readers.kernels[0]]
        x, features = product.inputs[0], specs[product.inputs[0]].shape[1]
        if features < 1 or not self.joiner.ready(x, self.position) or not self.joiner.cached(self.step, self.joiner.units(self.step) + features):
            return
        kernel = [nodes[use].inputs[1] for use in readers.inputs]
        if any(not self.joiner.ready(value, self.position) or specs[value] != specs[product.outputs[0]] for value in kernel):
            return
        batch, steps, _ = specs[self.gates].shape
        shape = (batch, steps, features)
        self.inputs += [self._reshaped(x, shape), *kernel]
        self.attributes["products"] = 1
        self._take(readers.kernels[0])
        for use in readers.sums:
            self.attributes["bias_grad"] = 1
            self._take(use)
        for use in readers.inputs:
            self.attributes["input_grad"] = 1
            self._take_reshaped(use, shape)

    def _take(self, use: int) -> None:
        """Makes the result of the step at `use` an output."""
        self.kernels.append(self.graph.nodes[use].outputs[0])
        self.gone.append(use)

    def _take_reshaped(self, use: int, shape) -> None:
        old = self.graph.nodes[use]
        value = self.graph.new_value(self.graph.specs[old.outputs[0]].with_shape(shape))
        self.kernels.append(value)
        self.gone.append(use)
        self.late[use] = [Step(REGISTRY["reshape"], (value,), old.outputs, {"shape": self.graph.specs[old.outputs[0]].shape}, old.scope)]

    def _reshaped(self, value: int, shape) -> int:
        new = self.graph.new_value(self.graph.specs[value].with_shape(shape))
        self.before.append(Step(REGISTRY["reshape"], (value,), (new,), {"shape": tuple(shape)}, self.step.scope))
        return new

    def _state(self, first: int) -> int:
        shape = self.graph.specs[self.last[0]].shape
        return first if self.graph.specs[first].shape == shape else self._reshaped(first, shape)

    def _width_value(self) -> int:
        spec = self.graph.specs[self.gates]
        return self.graph.new_value(spec.with_shape(spec.shape[-1:]))


def _over_rows(step: Step, rank: int) -> bool:
    """Whether a sum leaves the last axis alone."""
    return not step.attributes["keepdims"] and tuple(step.attributes["axes"]) == tuple(range(rank - 1))


def _is_plain(step: Step, transpose_a: bool = False, transpose_b: bool = False) -> bool:
    """Whether a step is a product of two matrices, transposed just so, and nothing besides."""
    a = step.attributes
    plain = step.op.name == "matmul" and len(step.inputs) == 2 and len(step.outputs) == 1 and "activation" not in a and "packed" not in a
    return plain and bool(a.get("transpose_a")) == transpose_a and bool(a.get("transpose_b")) == transpose_b
