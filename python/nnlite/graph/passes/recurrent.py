"""Recurrent layers on embeddings, and without gradients.

project_tables: a product of gathered rows is the product of their table, gathered; with few rows in the table and many ids that is far less
work. A product's rows have the same bits wherever they stand, so results keep theirs. Gradients: rows with the same id are added up first.

trim_recurrent: kernels read gathered rows from the table where they need them, and write nothing that nobody reads.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import REGISTRY
from nnlite.graph.passes.epilogue import only_reader
from nnlite.graph.passes.pack import stable_values
from nnlite.graph.passes.simplify import remove_dead
from nnlite.graph.passes.uses import producers, use_positions
from nnlite.graph.spec import Spec

# A product of less depth costs no more than moving its results.
_LEAST_DEPTH = 16
# Tables of weights alone are multiplied again only when a weight changes: up to so many rows for each id of a batch, and so many bytes.
_STABLE_ROWS = 4
_STABLE_BYTES = 64 << 20
_RECURRENT = {"lstm": 2, "gru": 1, "simple_rnn": 1}  # op -> how many last states it returns


def project_tables(graph: Graph) -> Graph:
    """Multiplies tables instead of the rows gathered from them, and adds up gradients of rows of one id before they are multiplied."""
    if not any(step.op.name in ("take_rows", "scatter_add_rows") for step in graph.nodes):
        return graph
    return _Tables(graph).rewritten()


class _Tables:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.stable = stable_values(graph)
        self.made_by = producers(graph)
        self.uses = use_positions(graph)
        self.gathered: dict[int, tuple[int, int]] = {}  # rows [ids, features] -> (table, ids)
        self.flat: dict[int, int] = {}  # reshaped value -> what it was before
        self.sums: dict[tuple, int] = {}  # (ids, rows of gradients, rows of the table) -> their sums by id
        self.nodes: list[Step] = []

    def rewritten(self) -> Graph:
        wanted = self._wanted_sums()
        for step in self.graph.nodes:
            self._note(step)
            self.nodes += self._product(step) or self._kernel_gradient(step) or self._bias_gradient(step, wanted) or self._table_gradient(step) or [step]
        self.graph.nodes = self.nodes
        return remove_dead(self.graph)

    def _note(self, step: Step) -> None:
        specs = self.graph.specs
        if step.op.name == "take_rows" and specs[step.inputs[0]].rank == 2 and specs[step.inputs[0]].dtype in ("float32", "float64"):
            self.gathered[step.outputs[0]] = step.inputs
        elif step.op.name == "reshape":
            source, result = step.inputs[0], step.outputs[0]
            if specs[source].shape[-1:] == specs[result].shape[-1:] and specs[source].size:
                self.flat[result] = self.flat.get(source, source)
                if source in self.gathered:
                    self.gathered[result] = self.gathered[source]

    def _step(self, name: str, inputs, spec, attributes: dict, scope: str) -> Step:
        return Step(REGISTRY[name], tuple(inputs), (self.graph.new_value(spec),), attributes, scope)

    # Forward

    def _product(self, step: Step) -> list[Step]:
        """product(table[ids]) as product(table)[ids]."""
        if step.op.name != "matmul" or step.attributes.get("transpose_a") or step.inputs[0] not in self.gathered or "activation" in step.attributes:
            return []
        table, ids = self.gathered[step.inputs[0]]
        specs, result = self.graph.specs, step.outputs[0]
        rows, depth = specs[table].shape
        if specs[result].rank != 2 or depth < _LEAST_DEPTH or not self._pays(step, table, ids):
            return []
        width = specs[result].shape[1]
        product = self._step("matmul", (table, *step.inputs[1:]), specs[result].with_shape((rows, width)), step.attributes, step.scope)
        taken = self._step("take_rows", (product.outputs[0], ids), specs[result].with_shape((*specs[ids].shape, width)), {}, step.scope)
        return [product, taken, Step(REGISTRY["reshape"], taken.outputs, step.outputs, {"shape": specs[result].shape}, step.scope)]

    def _pays(self, step: Step, table: int, ids: int) -> bool:
        specs = self.graph.specs
        rows, count = specs[table].shape[0], specs[ids].size
        if self._few(rows, ids):
            return True
        stable = self.stable.issuperset((table, *step.inputs[1:]))
        bytes_needed = rows * specs[step.outputs[0]].nbytes // max(count, 1)
        return stable and rows <= _STABLE_ROWS * count and bytes_needed <= _STABLE_BYTES

    def _few(self, rows: int, ids: int) -> bool:
        return 0 < 2 * rows <= self.graph.specs[ids].size

    # Backward

    def _wanted_sums(self) -> dict[int, tuple[int, int]]:
        """Gradients of gathered products -> (ids, rows of the table): those whose sums by id are made anyway."""
        wanted: dict[int, tuple[int, int]] = {}
        gathered: dict[int, tuple[int, int]] = {}
        for step in self.graph.nodes:
            self._note(step)
            found = self._gradient_of_kernel(step)
            if found is not None:
                table, ids, dy = found
                wanted[self.flat.get(dy, dy)] = ids, self.graph.specs[table].shape[0]
        self.gathered, self.flat = gathered, {}
        return wanted

    def _gradient_of_kernel(self, step: Step):
        """(table, ids, dy) of the product of gathered rows, transposed, and dy."""
        a = step.attributes
        if step.op.name != "matmul" or not a.get("transpose_a") or a.get("transpose_b") or step.inputs[0] not in self.gathered or len(step.inputs) > 2:
            return None
        table, ids = self.gathered[step.inputs[0]]
        specs = self.graph.specs
        if len(step.outputs) > 1 or specs[step.inputs[0]].rank != 2 or specs[table].shape[1] < _LEAST_DEPTH or not self._few(specs[table].shape[0], ids):
            return None
        return table, ids, step.inputs[1]

    def _kernel_gradient(self, step: Step) -> list[Step]:
        """table[ids]' dy as table' (sums of dy by id)."""
        found = self._gradient_of_kernel(step)
        if found is None:
            return []
        table, ids, dy = found
        steps, total = self._sums_by_id(ids, dy, self.graph.specs[table].shape[0], step.scope)
        return [*steps, Step(step.op, (table, total), step.outputs, step.attributes, step.scope)]

    def _bias_gradient(self, step: Step, wanted) -> list[Step]:
        """The sum of all rows of dy as the sum of their sums by id."""
        if step.op.name != "sum" or step.attributes["keepdims"]:
            return []
        dy = step.inputs[0]
        key = self.flat.get(dy, dy)
        if key not in wanted or tuple(step.attributes["axes"]) != tuple(range(self.graph.specs[dy].rank - 1)):
            return []
        steps, total = self._sums_by_id(wanted[key][0], dy, wanted[key][1], step.scope)
        return [*steps, Step(step.op, (total,), step.outputs, {**step.attributes, "axes": (0,)}, step.scope)]

    def _sums_by_id(self, ids: int, dy: int, rows: int, scope: str) -> tuple[list[Step], int]:
        specs = self.graph.specs
        key = ids, self.flat.get(dy, dy), rows
        if key in self.sums:
            return [], self.sums[key]
        width = specs[dy].shape[-1]
        shape = (*specs[ids].shape, width)
        shaped = self._step("reshape", (dy,), specs[dy].with_shape(shape), {"shape": shape}, scope)
        total = self._step("scatter_add_rows", (ids, shaped.outputs[0]), specs[dy].with_shape((rows, width)), {"rows": rows}, scope)
        self.sums[key] = total.outputs[0]
        return [shaped, total], total.outputs[0]

    def _table_gradient(self, step: Step) -> list[Step]:
        """The sums by id of dy w' as (sums of dy by id) w'; a sum of such products term by term."""
        if step.op.name != "scatter_add_rows" or not self._few(step.attributes["rows"], step.inputs[0]):
            return []
        terms = self._terms(step.inputs[1])
        if not terms:
            return []
        specs, rows = self.graph.specs, step.attributes["rows"]
        steps: list[Step] = []
        total = None
        for k, term in enumerate(terms):
            more, sums = self._sums_by_id(step.inputs[0], term.inputs[0], rows, step.scope)
            result = step.outputs[0] if len(terms) == 1 else self.graph.new_value(specs[step.outputs[0]])
            steps += [*more, Step(term.op, (sums, term.inputs[1]), (result,), term.attributes, term.scope)]
            if k:
                into = step.outputs[0] if k == len(terms) - 1 else self.graph.new_value(specs[step.outputs[0]])
                steps.append(Step(REGISTRY["add"], (total, result), (into,), {}, step.scope))
                result = into
            total = result
        return steps

    def _terms(self, value: int) -> list[Step]:
        """Products of rows with two-dimensional kernels whose sum is `value`, which nobody else reads; none where it is something else."""
        position = self.made_by.get(value)
        if position is None or only_reader(self.uses, value) is None:
            return []
        step, specs = self.graph.nodes[position], self.graph.specs
        if step.op.name == "reshape" and specs[value].shape[-1:] == specs[step.inputs[0]].shape[-1:]:
            return self._terms(step.inputs[0])
        if step.op.name == "add" and len({specs[i].shape for i in (*step.inputs, value)}) == 1:
            parts = [self._terms(i) for i in step.inputs]
            return [*parts[0], *parts[1]] if all(parts) else []
        plain = step.op.name == "matmul" and len(step.inputs) == 2 and not step.attributes.get("transpose_a") and specs[step.inputs[1]].rank == 2
        return [step] if plain and specs[value].dtype in ("float32", "float64") and specs[step.inputs[0]].shape[-1] >= _LEAST_DEPTH else []


def trim_recurrent(graph: Graph) -> Graph:
    """Recurrent kernels read rows from tables, and write only what somebody reads."""
    uses = use_positions(graph)
    made_by = producers(graph)
    for position, step in enumerate(graph.nodes):
        if step.op.name in _RECURRENT:
            graph.nodes[position] = _on_table(graph, made_by, uses, _without_unread(uses, step))
    return remove_dead(graph)


def _without_unread(uses, step: Step) -> Step:
    last = step.outputs[-_RECURRENT[step.op.name] :]
    states, kept = step.outputs[:1], step.outputs[1 : -len(last)]
    attributes = dict(step.attributes)
    if kept and not any(uses[value] for value in kept):
        kept, attributes["keep"] = (), 0
    if not uses[states[0]]:
        states, attributes["sequence"] = (), 0
    return Step(step.op, step.inputs, (*states, *kept, *last), attributes, step.scope)


def _on_table(graph: Graph, made_by, uses, step: Step) -> Step:
    value = step.inputs[0]
    while value in made_by and only_reader(uses, value) is not None:
        source = graph.nodes[made_by[value]]
        if source.op.name == "take_rows":
            return _reading_rows(graph, step, *source.inputs)
        if source.op.name != "reshape" or graph.specs[value].shape[-1:] != graph.specs[source.inputs[0]].shape[-1:]:
            break
        value = source.inputs[0]
    return step


def _reading_rows(graph: Graph, step: Step, table: int, ids: int) -> Step:
    batch, steps, _ = graph.specs[step.inputs[0]].shape
    rows = graph.specs[table]
    # A table of just the size of the gates could be taken for a buffer to write them to.
    if rows.rank != 2 or graph.specs[ids] != Spec((batch, steps), "int32") or rows.shape[0] == batch * steps:
        return step
    return Step(step.op, (table, *step.inputs[1:], ids), step.outputs, {**step.attributes, "table": 1}, step.scope)
