"""Lowering: a graph becomes slots and steps of a compiled `_core.Plan`."""

from __future__ import annotations

import gc
from dataclasses import replace

import numpy as np

from nnlite import _core, config
from nnlite.graph.ir import Graph, Step
from nnlite.graph.looks import looks
from nnlite.graph.passes import optimize
from nnlite.graph.passes.inline import inline_control
from nnlite.graph.passes.fuse import PROGRAM, single_program
from nnlite.graph.passes.memory import MemoryPlan, find, is_view, plan_memory
from nnlite.graph.spec import Spec


# What may come on top of twice what the last collection left before the next one is due: engine memory, and plans, which take 0.1 MB or more.
_SPARE_BYTES = 64 << 20
_SPARE_PLANS = 12


# Their kernels choose between Winograd and the direct way, unless the attribute `exact` forbids or packed weights decide.
_WINOGRAD_OPS = frozenset(("conv2d", "conv2d_input_grad", "conv2d_kernel_grad"))


class _Garbage:
    """Frees dropped models in time. They are reference cycles, which Python collects by their number and without knowing the memory that they hold."""

    kept_bytes = 0  # what was in use after the last collection
    kept_plans = 0
    plans = 0  # alive

    @classmethod
    def collect(cls) -> None:
        if _core.memory_stats()["in_use"] > 2 * cls.kept_bytes + _SPARE_BYTES or cls.plans > 2 * cls.kept_plans + _SPARE_PLANS:
            gc.collect()
            cls.kept_bytes = _core.memory_stats()["in_use"]
            cls.kept_plans = cls.plans


class Plan:
    """A compiled graph: `run`, `run_steps`, `run_batches`, `profile`, `dump`.

    Variables that the graph updates change in place; values read from them earlier keep their numbers.
    """

    def __init__(self, graph: Graph, label: str = "", arena=None):
        _Garbage.collect()
        _Garbage.plans += 1
        self.label = label
        self.graph = graph = optimize(graph)
        graph = inline_control(replace(graph, specs=list(graph.specs), constants=dict(graph.constants), registers={}))  # `self.graph` stays readable
        memory = plan_memory(graph)
        lowered = _Lowering(graph, memory)
        self._core = _core.Plan(lowered.slots, lowered.steps, lowered.prologue, arena or _core.Arena(), memory.arena_bytes)
        self._updated = [variable for variable, _ in graph.updates]
        updated = {id(v) for v in self._updated}  # == on variables compares values
        self._watched = [v for v in graph.variables.values() if id(v) not in updated] if graph.prologue else []
        self._prologue_versions: list[int] | None = None
        self._seen_look: object = None
        self.arena_bytes = memory.arena_bytes

    def __del__(self, garbage=_Garbage):  # bound here: at the interpreter's end the module's names may be gone
        garbage.plans -= 1

    def _prepare(self) -> None:
        if self._seen_look is not looks.last:
            self._seen_look = looks.last
            for variable in self._updated:
                variable.detach()
        if self._watched or (self.graph.prologue and self._prologue_versions is None):
            looks.look()
            versions = [v._version for v in self._watched]
            if versions != self._prologue_versions:
                self._core.run_prologue()
                self._prologue_versions = versions

    def run(self, inputs) -> list[np.ndarray]:
        """Runs once on arrays of the input specs; returns fresh arrays."""
        self._prepare()
        return self._core.run(inputs)

    def run_steps(self, sources, order: np.ndarray, first: int, count: int) -> None:
        """Runs `count` steps; step s takes the rows order[s*batch : (s+1)*batch] of every source."""
        self._prepare()
        self._core.run_steps(sources, order, first, count)

    def run_batches(self, sources, results, first_row: int, count: int) -> None:
        """Runs on `count` consecutive batches of rows from `first_row` and writes the outputs to the same rows of `results`."""
        self._prepare()
        self._core.run_batches(sources, results, first_row, count)

    def profile(self, inputs, repeat: int = 10) -> list[tuple[str, float]]:
        """(step label, seconds) per step, the mean of `repeat` runs."""
        self._prepare()
        return self._core.profile(inputs, repeat)

    def dump(self) -> str:
        """Readable listing: the optimized graph, then the steps with their buffers."""
        return f"{self.graph.dump()}\n{self._core.dump()}"


def kernel_call(op, attributes: dict, input_specs, output_specs) -> tuple[str, dict]:
    """Kernel name and attributes of a primitive on its own."""
    opcode = op.traits.elementwise
    if opcode and op is not PROGRAM:
        return "elementwise", single_program(opcode, len(input_specs), output_specs[0].dtype)
    if op.name in _WINOGRAD_OPS and "packed" not in attributes and config.exact_convolution():
        attributes = {**attributes, "exact": 1}
    return op.kernel, attributes


class _Lowering:
    """Fills `slots`, `steps` and `prologue` as `_core.Plan` takes them."""

    def __init__(self, graph: Graph, memory: MemoryPlan):
        self.graph = graph
        self.memory = memory
        self.slots: list[tuple] = []
        self._numbers: dict = {}
        self._arrays: dict[int, np.ndarray] = {}
        self._declare_arguments()
        self.prologue = [self._step(step) for step in graph.prologue if not is_view(step)]
        self.steps = [self._step(step) for step in graph.nodes if not is_view(step)]
        self._swaps: list[tuple[int, object, Spec]] = []
        for value, kind, target in memory.copies:
            self._copy(value, kind, target)
        for source, variable, spec in self._swaps:
            self._append_copy(source, self._add(spec, "fixed", variable._buffer), spec)

    def _declare_arguments(self) -> None:
        """Inputs and outputs come first and in order, with the shapes callers see: other slots on the same bytes may be views of them."""
        for index, value in enumerate(self.graph.inputs):
            spec = self.graph.specs[value]
            self._numbers[value] = self._add(spec, "input", index)
        for value in self.graph.outputs:
            if self.memory.of(value).kind == "output":
                self._slot(value)

    def _add(self, spec: Spec, kind: str, where) -> int:
        self.slots.append((spec.dtype, spec.shape, kind, where))
        return len(self.slots) - 1

    def _slot(self, value: int) -> int:
        number = self._numbers.get(value)
        if number is None:
            placement = self.memory.of(value)
            where = placement.where
            if isinstance(where, Spec):
                where = self._fixed_array(find(self.memory.root, value), where)
            number = self._numbers[value] = self._add(self.graph.specs[value], placement.kind, where)
        return number

    def _fixed_array(self, root: int, spec: Spec) -> np.ndarray:
        """Memory for a result of the prologue; it lives as long as the plan."""
        if root not in self._arrays:
            self._arrays[root] = _core.empty(spec.shape, spec.dtype)
        return self._arrays[root]

    def _step(self, step: Step) -> tuple:
        specs = [self.graph.specs[i] for i in step.inputs]
        outputs = [self.graph.specs[i] for i in step.outputs]
        kernel, attributes = kernel_call(step.op, step.attributes, specs, outputs)
        return (kernel, [self._slot(i) for i in step.inputs], [self._slot(i) for i in step.outputs], attributes, f"{step.scope}: {step.op.name}" if step.scope else step.op.name)

    def _copy(self, value: int, kind: str, target) -> None:
        spec = self.graph.specs[value]
        source = self._slot(value)
        if kind == "output":
            self._append_copy(source, self._add(spec, "output", target), spec)
            return
        if kind == "update_through_temporary":
            temporary = self._add(spec, "fixed", _core.empty(spec.shape, spec.dtype))
            self._append_copy(source, temporary, spec)
            self._swaps.append((temporary, target, spec))
            return
        self._append_copy(source, self._add(spec, "fixed", target._buffer), spec)

    def _append_copy(self, source: int, target: int, spec: Spec) -> None:
        attributes = single_program("cast", 1, spec.dtype)
        self.steps.append(("elementwise", [source], [target], attributes, "copy"))
