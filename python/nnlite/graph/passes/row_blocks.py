"""row_blocks: loops whose rounds treat every row of a batch alone, so that threads can run them for some of the rows each.

Results keep their bits: no kernel's row depends on how many rows there are.
"""

from __future__ import annotations

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.fuse import PROGRAM

# Fewer rows make products slow.
_LEAST_ROWS = 4
_BLOCK_ROWS = 16
_MOST_BLOCKS = 8
# Flops of a round whose steps are too short to be shared.
_SHORT_ROUND = 5e5


def count_blocks(rows: int) -> int:
    """How many blocks `rows` rows are cut into, whatever the number of threads."""
    return 1 if rows < 2 * _LEAST_ROWS else min(max(2, rows // _BLOCK_ROWS), _MOST_BLOCKS)


def pays(body: Graph, rows: int, threads: int) -> bool:
    """Whether blocks of rows keep the threads busier than sharing the steps of each round would."""
    return count_blocks(rows) >= threads > 1 or (threads > 1 and _work(body) < _SHORT_ROUND)


def _work(body: Graph) -> float:
    """Flops of a round, roughly."""
    total = 0.0
    for step in body.nodes:
        inputs, outputs = [body.specs[v] for v in step.inputs], [body.specs[v] for v in step.outputs]
        cost = step.op.traits.cost
        total += sum(spec.size for spec in outputs) if cost is None else cost(inputs, outputs, step.attributes)
    return total


class RowBlocks:
    """A body whose rows are independent.

    Attributes:
        rows: How many.
        blocked: Values with one row for each of them; inputs of the body among them, and constants.
    """

    def __init__(self, rows: int, blocked: set[int]):
        self.rows = rows
        self.blocked = blocked

    def body(self, body: Graph, first: int, end: int) -> Graph:
        """The body for rows [first, end)."""
        count = end - first
        specs = [spec.with_shape((count, *spec.shape[1:])) if value in self.blocked else spec for value, spec in enumerate(body.specs)]
        constants = {v: array[first:end] if v in self.blocked else array for v, array in body.constants.items()}
        nodes = []
        for step in body.nodes:
            attributes = step.attributes
            name = _ROW_ATTRIBUTES.get(step.op.name)
            if name is not None and step.outputs[0] in self.blocked:
                attributes = {**attributes, name: (count, *attributes[name][1:])}
            nodes.append(Step(step.op, step.inputs, step.outputs, attributes, step.scope))
        return Graph(specs, body.inputs, body.outputs, constants, {}, [], nodes)


# Attributes that start with the number of rows.
_ROW_ATTRIBUTES = {"reshape": "shape", "broadcast_to": "shape", "slice": "sizes"}


def find_row_blocks(body: Graph, carries: int, moving: int) -> RowBlocks | None:
    """How the body can be cut; `moving`: how many of its inputs are carries and xs. None where rows depend on each other."""
    shapes = [body.specs[value].shape for value in body.inputs[:carries]]
    if not shapes or not all(shape and shape[0] == shapes[0][0] for shape in shapes):
        return None
    rows = shapes[0][0]
    if count_blocks(rows) < 2:
        return None
    marks = _Marks(body, rows, moving)
    if not all(marks.step(step) for step in body.nodes):
        return None
    if not marks.blocked.isdisjoint(marks.whole) or not marks.blocked.issuperset((*body.inputs[:carries], *body.outputs)):
        return None
    return RowBlocks(rows, marks.blocked)


class _Marks:
    """Finds which values have a row for each row of the batch, and checks that each row is made of its own row alone."""

    def __init__(self, body: Graph, rows: int, moving: int):
        self.specs, self.rows = body.specs, rows
        self.blocked = {value for value in body.inputs[:moving] if self.specs[value].shape[:1] == (rows,)}
        self.given = {*body.inputs[moving:], *body.constants}  # may be cut, if that is what their readers want
        self.whole: set[int] = set()  # read as they are

    def step(self, step: Step) -> bool:
        if self.blocked.isdisjoint(step.inputs):  # the same for all rows
            self.whole.update(step.inputs)
            return not step.op.traits.random and not step.op.traits.control
        rule = _RULES.get("program" if step.op is PROGRAM else step.op.name)
        if rule is None or any(self.specs[value].shape[:1] != (self.rows,) for value in step.outputs) or not rule(self, step):
            return False
        self.blocked.update(step.outputs)
        return True

    def aligned(self, value: int, rank: int) -> bool:
        """An operand of an elementwise step with a result of this rank."""
        shape = self.specs[value].shape
        if len(shape) < rank or shape[0] != self.rows:
            self.whole.add(value)
            return value not in self.blocked
        if value in self.given:
            self.blocked.add(value)
        return value in self.blocked

    def program(self, step: Step) -> bool:
        rank = self.specs[step.outputs[0]].rank
        return not step.attributes.get("reduce") and all([self.aligned(value, rank) for value in step.inputs])

    def first_only(self, step: Step) -> bool:
        """The first input has the rows; the others are weights."""
        self.whole.update(step.inputs[1:])
        return step.inputs[0] in self.blocked

    def product(self, step: Step) -> bool:
        return self.specs[step.inputs[0]].rank == 2 and not step.attributes.get("transpose_a") and self.first_only(step)

    def joined(self, step: Step) -> bool:
        rank = self.specs[step.outputs[0]].rank
        return step.attributes["axis"] != 0 and all([self.aligned(value, rank) for value in step.inputs])

    def sliced(self, step: Step) -> bool:
        a = step.attributes
        return a["starts"][0] == 0 and a["strides"][0] == 1 and self.first_only(step)

    def reshaped(self, step: Step) -> bool:
        return self.specs[step.inputs[0]].shape[:1] == (self.rows,) and self.first_only(step)

    def transposed(self, step: Step) -> bool:
        return step.attributes["axes"][0] == 0 and self.first_only(step)

    def reduced(self, step: Step) -> bool:
        return 0 not in step.attributes["axes"] and self.first_only(step)

    def spread(self, step: Step) -> bool:
        return self.aligned(step.inputs[0], self.specs[step.outputs[0]].rank)

    def normalized(self, step: Step) -> bool:
        return self.specs[step.inputs[0]].rank > 1 and self.first_only(step)


_RULES = {
    "program": _Marks.program,
    "matmul": _Marks.product,
    "concatenate": _Marks.joined,
    "slice": _Marks.sliced,
    "reshape": _Marks.reshaped,
    "transpose": _Marks.transposed,
    "sum": _Marks.reduced,
    "max": _Marks.reduced,
    "min": _Marks.reduced,
    "broadcast_to": _Marks.spread,
    "softmax": _Marks.normalized,
    "log_softmax": _Marks.normalized,
    "stop_gradient": _Marks.first_only,
}
