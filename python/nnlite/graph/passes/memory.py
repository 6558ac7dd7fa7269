"""memory: lifetimes of values, which values share a buffer, and where each buffer lies in the arena."""

from __future__ import annotations

from dataclasses import dataclass, field

from nnlite.graph.ir import Graph, Step
from nnlite.graph.passes.fuse import PROGRAM
from nnlite.graph.passes.uses import END

ALIGNMENT = 64


@dataclass
class Placement:
    """Where the root of a value lives: ("input", i), ("output", i), ("fixed", array or Spec), ("arena", byte offset), ("moving", register)."""

    kind: str
    where: object


@dataclass
class MemoryPlan:
    """Result of `plan_memory`.

    Attributes:
        root: Value -> the value whose buffer it shares (views and in-place results).
        placements: Root -> Placement.
        copies: (source value, kind, target) copies to make after all steps: kind "update" (target: Variable) or "output" (target: index).
        arena_bytes: Size of the arena.
    """

    root: list[int]
    placements: dict[int, Placement] = field(default_factory=dict)
    copies: list[tuple[int, str, object]] = field(default_factory=list)
    arena_bytes: int = 0

    def of(self, value: int) -> Placement:
        return self.placements[find(self.root, value)]


def find(root: list[int], value: int) -> int:
    while root[value] != value:
        value = root[value]
    return value


def is_view(step: Step) -> bool:
    return step.op.traits.view


def plan_memory(graph: Graph) -> MemoryPlan:
    """Assigns every value a place. Views share their source's buffer; updates write into their variable; dying inputs are reused in place."""
    return _Planner(graph).plan()


class _Planner:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.memory = MemoryPlan(list(range(len(graph.specs))))
        self.root = self.memory.root
        self.made_at: dict[int, int] = {}  # root -> position of its step
        self.last_use: dict[int, int] = {}  # root -> last position that reads it
        self.readers: dict[int, list[int]] = {}
        self._facts: dict[int, tuple[set, dict, dict]] = {}  # id of a step -> what _in_place asks about it

    def plan(self) -> MemoryPlan:
        self._place_given()
        self._scan()
        self._place_updates()
        self._place_outputs()
        self._place_arena()
        return self.memory

    def _place_given(self) -> None:
        placements, graph = self.memory.placements, self.graph
        for index, value in enumerate(graph.inputs):
            placements[value] = Placement("input", index)
        for value, array in graph.constants.items():
            placements[value] = Placement("fixed", array)
        for value, variable in graph.variables.items():
            placements[value] = Placement("fixed", variable._buffer)
        for value, register in graph.registers.items():
            placements[value] = Placement("moving", register)
        for step in graph.prologue:
            for value in step.outputs:
                if is_view(step):
                    self.root[value] = find(self.root, step.inputs[0])
                else:
                    placements[value] = Placement("fixed", graph.specs[value])

    def _scan(self) -> None:
        for position, step in enumerate(self.graph.nodes):
            for value in step.inputs:
                root = find(self.root, value)
                if not is_view(step):
                    self.last_use[root] = position
                    self.readers.setdefault(root, []).append(position)
            if is_view(step):
                self.root[step.outputs[0]] = find(self.root, step.inputs[0])
            else:
                for value in step.outputs:
                    self.made_at.setdefault(value, position)  # branches may all write it

    def _place_updates(self) -> None:
        """A variable's new value is written straight into its buffer when nobody reads the old one afterwards."""
        graph, placements = self.graph, self.memory.placements
        read = {variable: value for value, variable in graph.variables.items()}
        # A value that is copied or returned at the very end must still be there then.
        taken = {find(self.root, value) for value in graph.outputs}
        for variable, value in graph.updates:
            root = find(self.root, value)
            old = read.get(variable)
            direct = root in self.made_at and root not in taken and root not in placements and graph.specs[root].dtype == variable.spec.dtype
            if direct and old is not None:
                direct = old not in taken and self._old_value_free(old, root)
            if direct:
                placements[root] = Placement("fixed", variable._buffer)
            else:
                self.memory.copies.append((value, "update", variable))
                taken.add(root)
        self._keep_sources_of_copies(read)

    def _keep_sources_of_copies(self, read) -> None:
        """A copied value must not be a variable that this graph overwrites in place, nor one overwritten by an earlier copy."""
        written = {variable for variable, _ in self.graph.updates}
        for k, (value, kind, target) in enumerate(self.memory.copies):
            source = self.graph.variables.get(find(self.root, value))
            if source is not None and source in written and source is not target:
                self.memory.copies[k] = (value, "update_through_temporary", target)
        self.memory.copies.sort(key=lambda copy: copy[1] != "update_through_temporary")

    def _old_value_free(self, old: int, root: int) -> bool:
        position = self.made_at[root]
        uses = self.readers.get(old, [])
        if any(use > position for use in uses):
            return False
        return position not in uses or self._in_place(self.graph.nodes[position], old, root)

    def _in_place(self, step: Step, source: int, output: int) -> bool:
        """Whether `step` may write `output` over its input `source`."""
        if step.op is PROGRAM:
            return _program_in_place(self.graph, self.root, step, source, output)
        pairs, inputs, outputs = self._in_place_facts(step)
        out = outputs[output]
        matching = inputs.get(source, ())
        return bool(matching) and all((k, out) in pairs for k in matching)

    def _in_place_facts(self, step: Step) -> tuple[set, dict, dict]:
        """Pairs (input, output) that may share, and where values stand in a step. Kept: an optimizer's update is asked about every variable."""
        found = self._facts.get(id(step))
        if found is None:
            pairs = set(step.op.traits.in_place)
            if step.op.traits.updates is not None:
                pairs.update(step.op.traits.updates(step.attributes))
            inputs: dict[int, list[int]] = {}
            for k, value in enumerate(step.inputs):
                inputs.setdefault(find(self.root, value), []).append(k)
            found = self._facts[id(step)] = (pairs, inputs, {value: k for k, value in enumerate(step.outputs)})
        return found

    def _place_outputs(self) -> None:
        placements = self.memory.placements
        for index, value in enumerate(self.graph.outputs):
            root = find(self.root, value)
            if root in placements:
                self.memory.copies.append((value, "output", index))
            else:
                placements[root] = Placement("output", index)
        # A returned old value of a variable must be out before its new value comes in.
        self.memory.copies.sort(key=lambda copy: copy[1] != "output")

    def _place_arena(self) -> None:
        """Walks the steps in order; a dying input's buffer is taken over in place, else the best-fitting gap is used."""
        for value, _, _ in self.memory.copies:
            self.last_use[find(self.root, value)] = END
        arena = _Arena()
        blocks: dict[int, tuple[int, int]] = {}
        deaths: dict[int, list[int]] = {}
        for root, position in self.last_use.items():
            deaths.setdefault(position, []).append(root)
        for position, step in enumerate(self.graph.nodes):
            if is_view(step):
                continue
            if step.op.name == "sections_end":
                arena.end_sections()
            taken_over = set()
            for value in step.outputs:
                if value in self.memory.placements:  # given, or written again
                    continue
                source = self._dying_input(step, position, value, blocks, taken_over)
                if source is not None:
                    taken_over.add(source)
                    blocks[value] = blocks[source]
                else:
                    blocks[value] = arena.take(_aligned(self.graph.specs[value].nbytes))
                self.memory.placements[value] = Placement("arena", blocks[value][0])
            dead = [r for r in deaths.get(position, ()) if r in blocks and r not in taken_over]
            dead += [v for v in step.outputs if v in blocks and v not in self.last_use]  # results nobody reads
            for root in dead:
                arena.give_back(*blocks[root])
            if step.op.name in ("sections_begin", "sections_next"):
                arena.begin_section()
        self.memory.arena_bytes = arena.size

    def _dying_input(self, step: Step, position: int, output: int, blocks, taken_over) -> int | None:
        for value in step.inputs:
            root = find(self.root, value)
            fits = root in blocks and root not in taken_over and self.last_use.get(root) == position
            if fits and _aligned(self.graph.specs[output].nbytes) == blocks[root][1] and self._in_place(step, root, output):
                return root
        return None


def _program_in_place(graph: Graph, root: list[int], step: Step, source: int, output: int) -> bool:
    """A program may overwrite a full-shape input once its last instruction that reads it is at or before the one that writes."""
    attributes = step.attributes
    if attributes.get("reduce"):
        return False
    registers = {k for k, value in enumerate(step.inputs) if find(root, value) == source}
    spec = graph.specs[output]
    if any(graph.specs[step.inputs[k]].shape != spec.shape or graph.specs[step.inputs[k]].nbytes != spec.nbytes for k in registers):
        return False
    first = len(step.inputs)
    result = attributes["results"][step.outputs.index(output)]
    args = attributes["args"]
    last_read = max((k // 3 for k, register in enumerate(args) if register in registers), default=-1)
    return result >= first and last_read <= result - first


def _aligned(size: int) -> int:
    return max(ALIGNMENT, (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT)


class _FreeList:
    """Byte ranges of a growing arena; best fit, neighbours merged."""

    def __init__(self):
        self.size = 0
        self.free: list[tuple[int, int]] = []  # (offset, size), by offset

    def fit(self, size: int) -> tuple[int, int] | None:
        """The part that is used of the smallest gap that is large enough."""
        best = min((gap for gap in self.free if gap[1] >= size), key=lambda gap: gap[1], default=None)
        if best is None:
            return None
        self.free.remove(best)
        if best[1] > size:
            self._insert(best[0] + size, best[1] - size)
        return best[0], size

    def take(self, size: int) -> tuple[int, int]:
        found = self.fit(size)
        if found is not None:
            return found
        offset = self.size
        if self.free and sum(self.free[-1]) == self.size:  # grow the gap at the end
            offset = self.free.pop()[0]
        self.size = offset + size
        return offset, size

    def give_back(self, offset: int, size: int) -> None:
        self._insert(offset, size)

    def _insert(self, offset: int, size: int) -> None:
        self.free.append((offset, size))
        self.free.sort()
        merged: list[tuple[int, int]] = []
        for start, length in self.free:
            if merged and sum(merged[-1]) == start:
                merged[-1] = (merged[-1][0], merged[-1][1] + length)
            else:
                merged.append((start, length))
        self.free = merged


class _Arena(_FreeList):
    """Sections may run at the same time: what dies in one is taken again only there, until all of them are over."""

    def __init__(self):
        super().__init__()
        self.own: _FreeList | None = None  # of the section at hand
        self.held: list[tuple[int, int]] = []  # all that sections took

    def begin_section(self) -> None:
        self.own = _FreeList()

    def end_sections(self) -> None:
        self.own = None
        for block in self.held:
            super().give_back(*block)
        self.held = []

    def take(self, size: int) -> tuple[int, int]:
        if self.own is None:
            return super().take(size)
        block = self.own.fit(size)
        if block is None:
            block = super().take(size)
            self.held.append(block)
        return block

    def give_back(self, offset: int, size: int) -> None:
        (super() if self.own is None else self.own).give_back(offset, size)
