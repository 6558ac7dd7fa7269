"""move_products: products change places with the sums after them and the repetitions before them.

A linear map of a mean is the mean of the linear map, and rows that repeat give results that repeat. So the last Dense layer before a mean over
positions multiplies one row an example instead of one row a position; and so do its gradients, which get the same row for every position.
"""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.simplify import simplify
from nnlite.graph.passes.uses import producers, use_positions
from nnlite.graph.spec import Spec

# Operations that a row of the result must save: with fewer the sum costs as much. The batch does not count, for a row alone has the bits of a
# row in a batch.
_LEAST_FLOPS = 1 << 18
_LEAST_COLUMNS = 16
_LEAST_SUM = 1 << 12  # numbers that repeat, from which on a sum becomes that of what is repeated, times a number


def move_products(graph: Graph) -> Graph:
    """Rewrites sums of products into products of sums, and products of repeated rows into repeated products."""
    mover = _Mover(graph)
    graph.nodes = [new for step in graph.nodes for new in mover.rewrite(step)]
    if not mover.changed:
        return graph
    _skip_reshapes(graph)
    return simplify(graph)


class _Mover:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.made_by = producers(graph)
        self.uses = use_positions(graph)
        self.repeats: dict[int, tuple[int, tuple[int, ...]]] = {}  # value -> what it repeats, and the shape before axes were merged
        self.changed = False

    def rewrite(self, step: Step) -> list[Step]:
        """What stands for `step`."""
        writer = _Writer(self.graph, self.made_by, step.scope)
        result = None
        if step.op.name == "broadcast_to":
            self.repeats[step.outputs[0]] = step.inputs[0], tuple(step.attributes["shape"])
        elif step.op.name == "reshape":
            self._pass_repeat_on(step)
        elif step.op.name == "sum":
            result = self._sum(writer, step)
        elif self._is_product(step):
            result = self._product_of_repeated(writer, step)
        if result is None:
            return [step]
        self.changed = True
        writer.apply("reshape", (result,), step.outputs[0], shape=self.graph.specs[step.outputs[0]].shape)
        return writer.steps

    def _pass_repeat_on(self, step: Step) -> None:
        found, shape = self.repeats.get(step.inputs[0]), self.graph.specs[step.outputs[0]].shape
        if found is not None and shape[-1:] == found[1][-1:]:
            self.repeats[step.outputs[0]] = found

    def _is_product(self, step: Step) -> bool:
        """Whether `step` multiplies two float matrices and does nothing else."""
        if step.op.name != "matmul" or not {"transpose_a", "transpose_b"}.issuperset(step.attributes):
            return False
        a, b = (self.graph.specs[value] for value in step.inputs)
        return a.rank == 2 and b.rank == 2 and a.dtype in ("float32", "float64")

    def _pays(self, step: Step, shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
        """Whether a product of rows that lie as in `shape` takes long enough for each of those that `axes` leave."""
        row_length = self.graph.specs[step.inputs[0]].shape[1]
        columns = self.graph.specs[step.outputs[0]].shape[1]
        return columns >= _LEAST_COLUMNS and 2 * row_length * columns * _count(shape, axes) >= _LEAST_FLOPS

    def _repeated(self, value: int):
        """(what the rows of `value` repeat, its shape [..., columns] with ones where it repeats, the shape of the repetition), or None."""
        found = self.repeats.get(value)
        if found is None:
            return None
        small, shape = found
        ones = (1,) * (len(shape) - self.graph.specs[small].rank) + self.graph.specs[small].shape
        return (small, ones, shape) if ones[-1:] == shape[-1:] and ones != shape else None

    def _product_of_repeated(self, writer: _Writer, step: Step) -> int | None:
        if not step.attributes.get("transpose_a"):
            return self._repeat_product(writer, step)
        if step.attributes.get("transpose_b"):
            return None
        for side in (1, 0):
            found = self._repeated(step.inputs[side])
            if found is not None and self._pays(step, found[2], _repeated_axes(*found[1:])):
                small, ones, shape = found
                added = writer.sum_rows(step.inputs[1 - side], shape, _repeated_axes(ones, shape))
                rows = writer.reshaped(small, (math.prod(ones[:-1]), ones[-1]))
                return writer.apply("matmul", (added, rows) if side else (rows, added), **step.attributes)
        return None

    def _repeat_product(self, writer: _Writer, step: Step) -> int | None:
        found = self._repeated(step.inputs[0])
        if found is None or not self._pays(step, found[2], _repeated_axes(*found[1:])):
            return None
        small, ones, shape = found
        product = writer.apply("matmul", (writer.reshaped(small, (math.prod(ones[:-1]), ones[-1])), step.inputs[1]), **step.attributes)
        columns = self.graph.specs[product].shape[-1:]
        product = writer.reshaped(product, ones[:-1] + columns)
        result = writer.apply("broadcast_to", (product,), shape=shape[:-1] + columns)
        self.repeats[step.outputs[0]] = product, shape[:-1] + columns
        return result

    def _sum(self, writer: _Writer, step: Step) -> int | None:
        value, axes = step.inputs[0], tuple(step.attributes["axes"])
        spec = self.graph.specs[value]
        if not axes or axes[-1] == spec.rank - 1 or spec.dtype not in ("float32", "float64"):
            return None
        found = self._repeated(value)
        if found is not None and found[2] == spec.shape and self._sums_repeats(*found[1:], axes):
            small, ones, shape = found
            count = writer.constant(_count(shape, _repeated_axes(ones, shape)), spec.dtype)
            return writer.apply("multiply", (writer.apply("sum", (writer.reshaped(small, ones),), axes=axes, keepdims=False), count))
        return self._sum_terms(writer, value, axes) if self._has_product(value, axes) else None

    def _sums_repeats(self, ones: tuple[int, ...], shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
        """Whether a sum over `axes` adds up all that repeats, which is much."""
        repeated = _repeated_axes(ones, shape)
        return set(axes).issuperset(repeated) and _count(shape, repeated) * shape[-1] >= _LEAST_SUM

    def _product(self, value: int, axes: tuple[int, ...]) -> Step | None:
        """The product, long enough to be moved, whose rows, in the same order, are those of `value`, if nobody else reads it."""
        shape = self.graph.specs[value].shape
        while (step := self._only_for_reader(value)) is not None:
            if step.op.name != "reshape":
                plain = self._is_product(step) and not step.attributes.get("transpose_a")
                return step if plain and self._pays(step, shape, axes) else None
            value = step.inputs[0]
            if self.graph.specs[value].shape[-1:] != shape[-1:]:
                return None
        return None

    def _only_for_reader(self, value: int) -> Step | None:
        """The step that makes `value`, if that has a single reader."""
        return self.graph.nodes[self.made_by[value]] if value in self.made_by and len(self.uses[value]) == 1 else None

    def _terms(self, value: int) -> tuple[int, ...]:
        """What `value` is the sum of, if only one step reads it: one term may be a number for each column."""
        step = self._only_for_reader(value)
        if step is None or step.op.traits.elementwise != "add":
            return ()
        spec = self.graph.specs[value]
        full = [i for i in step.inputs if self.graph.specs[i] == spec]
        fits = all(self.graph.specs[i] == spec or self._is_row(i, spec) for i in step.inputs)
        return step.inputs if full and fits else ()

    def _is_row(self, value: int, spec) -> bool:
        own = self.graph.specs[value]
        return own.size == spec.shape[-1] and own.shape[-1:] == spec.shape[-1:]

    def _has_product(self, value: int, axes: tuple[int, ...]) -> bool:
        return self._product(value, axes) is not None or any(self._has_product(term, axes) for term in self._terms(value) if term != value)

    def _sum_terms(self, writer: _Writer, value: int, axes: tuple[int, ...]) -> int:
        """The sum of `value` over `axes`, which it drops."""
        spec = self.graph.specs[value]
        kept = tuple([dim for axis, dim in enumerate(spec.shape) if axis not in axes])
        product = self._product(value, axes)
        if product is not None:
            rows = writer.sum_rows(product.inputs[0], spec.shape[:-1] + self.graph.specs[product.inputs[0]].shape[-1:], axes)
            return writer.reshaped(writer.apply("matmul", (rows, product.inputs[1]), **product.attributes), kept)
        if not self._has_product(value, axes):
            return writer.apply("sum", (value,), axes=axes, keepdims=False)
        sums = []
        for term in self._terms(value):
            if self.graph.specs[term] == spec:
                sums.append(self._sum_terms(writer, term, axes))
            else:
                count = writer.constant(_count(spec.shape, axes), spec.dtype)
                sums.append(writer.apply("multiply", (writer.reshaped(term, spec.shape[-1:]), count)))
        return writer.apply("add", tuple(sums))


class _Writer:
    """Appends steps, whose specs it finds by their ops' rules."""

    def __init__(self, graph: Graph, made_by: dict[int, int], scope: str):
        self.graph = graph
        self.made_by = made_by
        self.scope = scope
        self.steps: list[Step] = []

    def apply(self, name: str, inputs: tuple[int, ...], output: int | None = None, **attributes) -> int:
        op = REGISTRY[name]
        if output is None:
            output = self.graph.new_value(op.specs([self.graph.specs[value] for value in inputs], attributes)[0])
        self.steps.append(Step(op, inputs, (output,), attributes, self.scope))
        return output

    def constant(self, number: float, dtype: str) -> int:
        value = self.graph.new_value(Spec((), dtype))
        self.graph.constants[value] = np.asarray(number, dtype)
        return value

    def reshaped(self, value: int, shape: tuple[int, ...]) -> int:
        """`value` in that shape, which it may have had before."""
        root = value
        while self.graph.specs[root].shape != shape:
            step = self.graph.nodes[self.made_by[root]] if root in self.made_by else None
            if step is None or step.op.name != "reshape":
                return self.apply("reshape", (value,), shape=shape)
            root = step.inputs[0]
        return root

    def sum_rows(self, rows: int, shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
        """The matrix of sums over `axes` of rows that lie as in `shape`, but for their own length."""
        columns = self.graph.specs[rows].shape[-1]
        whole = self.reshaped(rows, (*shape[:-1], columns))
        total = self.apply("sum", (whole,), axes=axes, keepdims=False)
        return self.reshaped(total, (self.graph.specs[total].size // columns, columns))


def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    return math.prod(shape[axis] for axis in axes)


def _repeated_axes(ones: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([axis for axis, (one, dim) in enumerate(zip(ones, shape)) if one != dim])


def _skip_reshapes(graph: Graph) -> None:
    """Reshapes that lead back to an earlier shape give way to the value that has it."""
    source: dict[int, int] = {}
    replaced: dict[int, int] = {}
    for step in graph.nodes:
        step.inputs = tuple([replaced.get(value, value) for value in step.inputs])
        if step.op.name != "reshape":
            continue
        value, spec = step.inputs[0], graph.specs[step.outputs[0]]
        while graph.specs[value] != spec and value in source:
            value = source[value]
        source[step.outputs[0]] = step.inputs[0]
        if graph.specs[value] == spec:
            replaced[step.outputs[0]] = value
    graph.outputs = [replaced.get(value, value) for value in graph.outputs]
    graph.updates = [(variable, replaced.get(value, value)) for variable, value in graph.updates]
