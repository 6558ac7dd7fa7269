"""inline_control: loops and branches become steps in one flat list, between steps that say where to go on.

Values that lie somewhere else in every round (x of this round, y of this round, the carry) have no place of their own but a register: an
address that `loop_begin` and `loop_end` set. `graph.registers` names the register of each.
"""

from __future__ import annotations

from nnlite import config
from nnlite.graph.control import LOOP
from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import Op, Traits
from nnlite.graph.passes.fuse import PROGRAM, single_program
from nnlite.graph.passes.row_blocks import RowBlocks, count_blocks, find_row_blocks, pays


def _marker(name: str) -> Op:
    return Op(name, lambda *specs, **attributes: (), (), None, name, Traits())


LOOP_BEGIN, LOOP_TEST, LOOP_END = _marker("loop_begin"), _marker("loop_test"), _marker("loop_end")
BRANCH_BEGIN, BRANCH_NEXT, BRANCH_END = _marker("branch_begin"), _marker("branch_next"), _marker("branch_end")
SECTIONS_BEGIN, SECTIONS_NEXT, SECTIONS_END = _marker("sections_begin"), _marker("sections_next"), _marker("sections_end")

# Sections of a loop whose rounds are independent: two for each thread, as other programs may slow one down. Each has steps of its own: with very many
# threads they share the steps instead, and so they do where rounds are too few.
_SECTIONS_PER_THREAD, _MOST_SECTIONS = 2, 32

# What sets a register at the start of a round. csrc/runtime/control.h says what a, b and the stride mean.
_ROW, _CARRY_IN, _CARRY_OUT, _HISTORY_IN, _HISTORY_OUT = range(5)


def inline_control(graph: Graph) -> Graph:
    """The graph with all bodies unfolded; unchanged where there are none."""
    if any(step.op.traits.control for step in graph.nodes):
        graph.nodes = _Inliner(graph).flat(graph.nodes, {value: value for value in range(len(graph.specs))}, config.get_num_threads() > 1)
    return graph


class _Inliner:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.count = 0  # registers so far

    def register(self, value: int) -> int:
        self.graph.registers[value] = self.count
        self.count += 1
        return self.count - 1

    def flat(self, nodes, env: dict[int, int], shared: bool = False) -> list[Step]:
        """The steps of a body; `env`: its values -> those of the whole graph. `shared`: loops over independent rows are cut into sections."""
        result: list[Step] = []
        for step in nodes:
            inputs, outputs = tuple([env[i] for i in step.inputs]), tuple([env[i] for i in step.outputs])
            step = Step(step.op, inputs, outputs, step.attributes, step.scope)
            if not step.op.traits.control:
                result.append(step)
            elif step.op is LOOP:
                result += (shared and self.sections(step)) or _Loop(self, step).steps()
            else:
                result += self.branch(step)
        return result

    def names(self, body: Graph, given: dict[int, int]) -> dict[int, int]:
        """Values of a body -> values of the whole graph: those given, and new ones for all others."""
        env = {}
        for value, spec in enumerate(body.specs):
            env[value] = given[value] if value in given else self.graph.new_value(spec)
            if value in body.constants:
                self.graph.constants[env[value]] = body.constants[value]
        return env

    def copy(self, source: int, target: int) -> Step:
        return Step(PROGRAM, (source,), (target,), single_program("cast", 1, self.graph.specs[target].dtype))

    def sections(self, step: Step) -> list[Step]:
        """A loop as sections of some rounds or rows each, or nothing where that cannot be."""
        a = step.attributes
        if a.get("independent"):
            return self.sections_of_rounds(step)
        body = a["body"].graph
        if a["condition"] is not None or a["counted"] or _kept_carries(body, a["carries"]):
            return []
        blocks = find_row_blocks(body, a["carries"], a["carries"] + a["xs"])
        if blocks is None or not pays(body, blocks.rows, config.get_num_threads()):
            return []
        count, buffers, steps = count_blocks(blocks.rows), {}, []
        for k in range(count):
            steps += [Step(SECTIONS_NEXT, (), (), {}, step.scope)] if k else []
            steps += _Loop(self, step, (blocks, blocks.rows * k // count, blocks.rows * (k + 1) // count), buffers).steps()
        made = (*step.outputs, *buffers.values())
        begin = Step(SECTIONS_BEGIN, step.inputs, made, {"sections": count}, step.scope)
        return [begin, *steps, Step(SECTIONS_END, (*step.inputs, *made), (), {}, step.scope)]

    def sections_of_rounds(self, step: Step) -> list[Step]:
        """A loop without carries as sections of some rounds each, or nothing where threads do better together."""
        length, steps = step.attributes["length"], []
        count = _SECTIONS_PER_THREAD * config.get_num_threads()
        if count > min(length, _MOST_SECTIONS):
            return []
        for k in range(count):
            steps += [Step(SECTIONS_NEXT, (), (), {}, step.scope)] if k else []
            steps += _Loop(self, step, rounds=(length * k // count, length * (k + 1) // count)).steps()
        begin = Step(SECTIONS_BEGIN, step.inputs, step.outputs, {"sections": count}, step.scope)
        return [begin, *steps, Step(SECTIONS_END, (*step.inputs, *step.outputs), (), {}, step.scope)]

    def branch(self, step: Step) -> list[Step]:
        bodies = [inner.graph for inner in step.attributes["bodies"]]
        steps = [Step(BRANCH_BEGIN, step.inputs[:1], step.outputs, {"branches": len(bodies)}, step.scope)]
        first = 1
        for k, (body, count) in enumerate(zip(bodies, step.attributes["outside"])):
            if k:
                steps.append(Step(BRANCH_NEXT, (), (), {}, step.scope))
            given = dict(zip(body.inputs, step.inputs[first : first + count]))
            first += count
            made = {value for inner in body.nodes if not inner.op.traits.view for value in inner.outputs}
            direct: dict[int, int] = {}
            for value, output in zip(body.outputs, step.outputs):
                if value in made:
                    direct.setdefault(value, output)
            env = self.names(body, {**given, **direct})
            steps += self.flat(body.nodes, env)
            steps += [self.copy(env[v], output) for v, output in zip(body.outputs, step.outputs) if direct.get(v) != output]
        steps.append(Step(BRANCH_END, (*step.inputs, *step.outputs), (), {}, step.scope))
        return steps


class _Loop:
    """Unfolds one loop, or a section of it: (blocks, first row, end), or `rounds` (first, end). `buffers`: second ones of carries, which sections share."""

    def __init__(
        self,
        inliner: _Inliner,
        step: Step,
        section: tuple[RowBlocks, int, int] | None = None,
        buffers: dict[int, int] | None = None,
        rounds: tuple[int, int] | None = None,
    ):
        a = step.attributes
        self.first_round, self.length = (0, a["length"]) if rounds is None else (rounds[0], rounds[1] - rounds[0])
        self.inliner, self.graph, self.step = inliner, inliner.graph, step
        self.all_rows: Graph = a["body"].graph
        self.body = self.all_rows if section is None else section[0].body(self.all_rows, *section[1:])
        self.first_row = 0 if section is None else section[1]
        self.blocked = set() if section is None else section[0].blocked
        self.condition: Graph | None = None if a["condition"] is None else a["condition"].graph
        self.n, self.m = a["carries"], a["xs"]
        self.first = int(a["counted"])
        self.whole = self.condition is None and not a["counted"]  # all rounds run
        self.end = self.first + len(self.body.inputs)
        given = step.inputs[self.first : self.end]
        moving = self.n + self.m
        # What is cut comes by registers, as what moves does.
        self.cut = [(value, source) for value, source in zip(self.body.inputs[moving:], given[moving:]) if value in self.blocked]
        outside = zip(self.body.inputs[moving:], given[moving:])
        self.env = inliner.names(self.body, {value: source for value, source in outside if value not in self.blocked})
        self.registers = [inliner.register(self.env[value]) for value in self.body.inputs[:moving]]
        self.roots = _roots(self.body)
        self.claimed: dict[int, int] = {}  # root in the body -> register
        self.moves: list[int] = []
        self.copies: list[Step] = []
        self.buffers = {} if buffers is None else buffers  # carry -> second one

    def steps(self) -> list[Step]:
        step, n = self.step, self.n
        begin_inputs = (*step.inputs[: self.first + n + self.m], *[source for _, source in self.cut])
        self.base = len(begin_inputs)
        for k in range(self.m):
            value = self.body.inputs[n + k]
            self.move(self.registers[n + k], _ROW, self.first + n + k, 0, self.row_bytes(value), self.row_offset(value))
        for k, (value, _) in enumerate(self.cut):
            self.move(self.inliner.register(self.env[value]), _ROW, self.first + n + self.m + k, 0, 0, self.offset(value))
        histories = self.histories()
        for k in range(n, len(self.body.outputs)):
            if k not in histories.values():
                value = self.body.outputs[k]
                self.move(self.target(value), _ROW, self.base + k, 0, self.row_bytes(value), self.row_offset(value))
        finals: list[int] = []
        for k in range(n):
            value = self.body.outputs[k]
            places = [self.base + k, self.registers[k], self.carry(k, histories.get(k)), self.first + k]
            finals += [*places, self.offset(value), self.body.specs[value].nbytes]
        a = step.attributes
        attributes = {
            "length": self.length,
            "reverse": int(a["reverse"]),
            "counted": int(a["counted"]),
            "moves": tuple(self.moves),
            "finals": tuple(finals),
            "clear": () if self.whole else tuple(range(self.base + n, self.base + len(step.outputs))),
        }
        begin = Step(LOOP_BEGIN, begin_inputs, (*step.outputs, *self.buffers.values()), attributes, step.scope)
        end = Step(LOOP_END, (*step.inputs, *step.outputs, *self.buffers.values()), (), {}, step.scope)
        return [begin, *self.test(), *self.inliner.flat(self.body.nodes, self.env), *self.copies, end]

    def test(self) -> list[Step]:
        if self.condition is None:
            return []
        inputs = [*[self.env[value] for value in self.body.inputs[: self.n]], *self.step.inputs[self.end :]]
        env = self.inliner.names(self.condition, dict(zip(self.condition.inputs, inputs)))
        steps = self.inliner.flat(self.condition.nodes, env)
        return [*steps, Step(LOOP_TEST, (env[self.condition.outputs[0]],), (), {}, self.step.scope)]

    def move(self, register: int, kind: int, a: int, b: int, stride: int, offset: int = 0) -> None:
        self.moves += [register, kind, a, b, stride, offset]

    def row_bytes(self, value: int) -> int:
        """Bytes from one round's value to the next one's."""
        return self.all_rows.specs[value].nbytes

    def offset(self, value: int) -> int:
        """Where the section's rows start in a value of all rows."""
        spec = self.all_rows.specs[value]
        return self.first_row * (spec.nbytes // spec.shape[0]) if value in self.blocked else 0

    def row_offset(self, value: int) -> int:
        """Where the section's rounds and rows start in a stack."""
        return self.first_round * self.row_bytes(value) + self.offset(value)

    def histories(self) -> dict[int, int]:
        """Carry -> the output that keeps what it was at the start of each round."""
        return _kept_carries(self.body, self.n) if self.whole else {}

    def target(self, value: int) -> int:
        """A register for an output: of the value itself, or of a copy of it where it has another one or is not made in the loop."""
        root = self.roots.get(value)
        if root is not None and root not in self.claimed:
            self.claimed[root] = self.inliner.register(self.env[root])
            return self.claimed[root]
        copy = self.graph.new_value(self.body.specs[value])
        self.copies.append(self.inliner.copy(self.env[value], copy))
        return self.inliner.register(copy)

    def carry(self, k: int, history: int | None) -> int:
        """Sets the registers of a carry; returns that of its new value."""
        value, register = self.body.outputs[k], self.registers[k]
        if history is not None:
            out = self.target(value)
            self.move(register, _HISTORY_IN, self.base + history, self.first + k, self.row_bytes(value))
            self.move(out, _HISTORY_OUT, self.base + k, self.base + history, self.row_bytes(value))
            return out
        known = self.claimed.get(self.roots.get(value, -1))
        if known is not None:  # it is kept as a y anyway
            self.move(register, _CARRY_IN, self.first + k, known, 0, self.offset(value))
            return known
        out = self.target(value)
        self.move(register, _CARRY_IN, self.first + k, out, 0, self.offset(value))
        if k not in self.buffers:
            self.buffers[k] = self.graph.new_value(self.all_rows.specs[value])
        place = self.base + len(self.step.outputs) + list(self.buffers).index(k)
        self.move(out, _CARRY_OUT, self.base + k, place, 0, self.offset(value))
        return out


def _kept_carries(body: Graph, carries: int) -> dict[int, int]:
    """Carry -> the output that returns it as it was."""
    found: dict[int, int] = {}
    for k in range(carries, len(body.outputs)):
        if body.outputs[k] in body.inputs[:carries]:
            found.setdefault(body.inputs.index(body.outputs[k]), k)
    return found


def _roots(body: Graph) -> dict[int, int]:
    """Values made in a body -> the value whose bytes they are."""
    roots: dict[int, int] = {}
    for step in body.nodes:
        if not step.op.traits.view:
            roots.update((value, value) for value in step.outputs)
        elif step.inputs[0] in roots:
            roots[step.outputs[0]] = roots[step.inputs[0]]
    return roots
