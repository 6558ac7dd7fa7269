"""The native backend: compiled plans and one-op steps of `nnlite._core`."""

from __future__ import annotations

from nnlite import _core, config
from nnlite.graph.plan import Plan, kernel_call

# (op, attributes, input specs) -> (output specs, callable on arrays). A step takes about 8 KiB; data of ever new shapes must not pile them up.
_steps: dict = {}
_MOST_STEPS = 2048
config.on_change(_steps.clear)


def empty(spec):
    return _core.empty(spec.shape, spec.dtype)


def run_eager(op, specs, arrays, attributes):
    key = (op.name, tuple(attributes.items()), tuple(specs))
    found = _steps.get(key)
    if found is None:
        if len(_steps) >= _MOST_STEPS:
            _steps.clear()
        found = _steps[key] = _prepare(op, specs, attributes)
    output_specs, step = found
    return output_specs, step(*arrays)


def _prepare(op, specs, attributes):
    output_specs = op.specs(specs, attributes)
    if op.traits.view:
        shape = output_specs[0].shape
        return output_specs, lambda array, *others: (array.reshape(shape),)
    kernel, attributes = kernel_call(op, attributes, specs, output_specs)
    return output_specs, _core.EagerStep(kernel, list(specs), list(output_specs), attributes)


def new_arena() -> _core.Arena:
    return _core.Arena()


def compile_graph(graph, label: str = "", arena=None) -> Plan:
    return Plan(graph, label, arena)
