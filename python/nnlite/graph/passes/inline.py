"""inline_control: loops and branches become steps in one flat list, between steps that say where to go on.

Values that lie somewhere else in every round (x of this round, y of this round, the carry) have no place of their own but a register: an
address that `loop_begin` and `loop_end` set. `graph.registers` names the register of each.
"""

from __future__ import annotations

from nnlite.graph.control import LOOP
from nnlite.graph.ir import Graph, Step
from nnlite.graph.op import Op, Traits
from nnlite.graph.passes.fuse import PROGRAM, single_program


def _marker(name: str) -> Op:
    return Op(name, lambda *specs, **attributes: (), (), None, name, Traits())


LOOP_BEGIN, LOOP_TEST, LOOP_END = _marker("loop_begin"), _marker("loop_test"), _marker("loop_end")
BRANCH_BEGIN, BRANCH_NEXT, BRANCH_END = _marker("branch_begin"), _marker("branch_next"), _marker("branch_end")

# What sets a register at the start of a round. csrc/runtime/control.h says what a, b and the stride mean.
_ROW, _CARRY_IN, _CARRY_OUT, _HISTORY_IN, _HISTORY_OUT = range(5)


def inline_control(graph: Graph) -> Graph:
    """The graph with all bodies unfolded; unchanged where there are none."""
    if any(step.op.traits.control for step in graph.nodes):
        graph.nodes = _Inliner(graph).flat(graph.nodes, {value: value for value in range(len(graph.specs))})
    return graph


class _Inliner:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.count = 0  # registers so far

    def register(self, value: int) -> int:
        self.graph.registers[value] = self.count
        self.count += 1
        return self.count - 1

    def flat(self, nodes, env: dict[int, int]) -> list[Step]:
        """The steps of a body; `env`: its values -> those of the whole graph."""
        result: list[Step] = []
        for step in nodes:
            inputs, outputs = tuple([env[i] for i in step.inputs]), tuple([env[i] for i in step.outputs])
            step = Step(step.op, inputs, outputs, step.attributes, step.scope)
            if not step.op.traits.control:
                result.append(step)
            elif step.op is LOOP:
                result += _Loop(self, step).steps()
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
    """Unfolds one loop."""

    def __init__(self, inliner: _Inliner, step: Step):
        a = step.attributes
        self.inliner, self.graph, self.step = inliner, inliner.graph, step
        self.body: Graph = a["body"].graph
        self.condition: Graph | None = None if a["condition"] is None else a["condition"].graph
        self.n, self.m = a["carries"], a["xs"]
        self.first = int(a["counted"])
        self.whole = self.condition is None and not a["counted"]  # all rounds run
        self.end = self.first + len(self.body.inputs)
        given = step.inputs[self.first : self.end]
        moving = self.n + self.m
        self.env = inliner.names(self.body, dict(zip(self.body.inputs[moving:], given[moving:])))
        self.registers = [inliner.register(self.env[value]) for value in self.body.inputs[:moving]]
        self.roots = _roots(self.body)
        self.claimed: dict[int, int] = {}  # root in the body -> register
        self.moves: list[int] = []
        self.copies: list[Step] = []
        self.buffers: list[int] = []  # second ones of carries

    def steps(self) -> list[Step]:
        step, n = self.step, self.n
        begin_inputs = step.inputs[: self.first + n + self.m]
        self.base = len(begin_inputs)
        for k in range(self.m):
            self.move(self.registers[n + k], _ROW, self.first + n + k, 0, self.row_bytes(self.body.inputs[n + k]))
        histories = self.histories()
        for k in range(n, len(self.body.outputs)):
            if k not in histories.values():
                self.move(self.target(self.body.outputs[k]), _ROW, self.base + k, 0, self.row_bytes(self.body.outputs[k]))
        finals: list[int] = []
        for k in range(n):
            finals += [self.base + k, self.registers[k], self.carry(k, histories.get(k)), self.first + k]
        a = step.attributes
        attributes = {
            "length": a["length"],
            "reverse": int(a["reverse"]),
            "counted": int(a["counted"]),
            "moves": tuple(self.moves),
            "finals": tuple(finals),
            "clear": () if self.whole else tuple(range(self.base + n, self.base + len(step.outputs))),
        }
        begin = Step(LOOP_BEGIN, begin_inputs, (*step.outputs, *self.buffers), attributes, step.scope)
        end = Step(LOOP_END, (*step.inputs, *step.outputs, *self.buffers), (), {}, step.scope)
        return [begin, *self.test(), *self.inliner.flat(self.body.nodes, self.env), *self.copies, end]

    def test(self) -> list[Step]:
        if self.condition is None:
            return []
        inputs = [*[self.env[value] for value in self.body.inputs[: self.n]], *self.step.inputs[self.end :]]
        env = self.inliner.names(self.condition, dict(zip(self.condition.inputs, inputs)))
        steps = self.inliner.flat(self.condition.nodes, env)
        return [*steps, Step(LOOP_TEST, (env[self.condition.outputs[0]],), (), {}, self.step.scope)]

    def move(self, register: int, kind: int, a: int, b: int, stride: int) -> None:
        self.moves += [register, kind, a, b, stride]

    def row_bytes(self, value: int) -> int:
        return self.body.specs[value].nbytes

    def histories(self) -> dict[int, int]:
        """Carry -> the output that keeps what it was at the start of each round."""
        if not self.whole:
            return {}
        found: dict[int, int] = {}
        for k in range(self.n, len(self.body.outputs)):
            if self.body.outputs[k] in self.body.inputs[: self.n]:
                found.setdefault(self.body.inputs.index(self.body.outputs[k]), k)
        return found

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
            self.move(register, _CARRY_IN, self.first + k, known, 0)
            return known
        out = self.target(value)
        self.move(register, _CARRY_IN, self.first + k, out, 0)
        buffer = self.graph.new_value(self.body.specs[value])
        self.buffers.append(buffer)
        self.move(out, _CARRY_OUT, self.base + k, self.base + len(self.step.outputs) + len(self.buffers) - 1, 0)
        return out


def _roots(body: Graph) -> dict[int, int]:
    """Values made in a body -> the value whose bytes they are."""
    roots: dict[int, int] = {}
    for step in body.nodes:
        if not step.op.traits.view:
            roots.update((value, value) for value in step.outputs)
        elif step.inputs[0] in roots:
            roots[step.outputs[0]] = roots[step.inputs[0]]
    return roots
