"""Every primitive: forward against its reference, gradients against finite differences, eager against compiled.

The oracle of one element is the reference in float64 on the same inputs. Run it once per `NNLITE_ISA` and with `NNLITE_BACKEND=numpy`.
"""

from __future__ import annotations

import collections

import nnlite.ops  # noqa: F401  declares the primitives
import numpy as np
import pytest
from nnlite import config
from nnlite.graph.bfloat16 import bfloat16_bits
from nnlite.graph.function import compile_function
from nnlite.graph.grad import GradientTape, backprop
from nnlite.graph.op import REGISTRY, Op, Variadic, no_gradient
from nnlite.graph.spec import FLOATS, NUMPY_DTYPE, Spec
from nnlite.tensor import Tensor, _bfloat16_to_float32, from_array
from op_cases import all_cases
from op_cases.case import Case

CASES: dict[str, list[Case]] = collections.defaultdict(list)
for _case in all_cases():
    CASES[_case.op].append(_case)
OPS = sorted(CASES)
STEP = 1e-6


def _failures(op: str, check, wanted=lambda case: True) -> str:
    """Texts of the cases of `op` that fail `check`, the first few of them."""
    texts = []
    for case in CASES[op]:
        if wanted(case):
            texts += [f"{case.label} {case.attributes}: {text}" for text in check(case)]
    return "\n".join(texts[:8]) + (f"\n... {len(texts)} failures in all" if len(texts) > 8 else "")


def _call(op: Op, tensors, attributes) -> tuple[Tensor, ...]:
    outputs = op(*tensors, **attributes)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _reference(case: Case, dtype: str) -> tuple[np.ndarray, ...]:
    """The reference in float64 on inputs rounded to `dtype`."""
    arrays = [a.astype("float64") if a.dtype.kind == "f" else a for a in case.arrays(dtype)]
    with np.errstate(all="ignore"):
        results = REGISTRY[case.op].reference(*arrays, **case.attributes)
    return results if isinstance(results, tuple) else (results,)


def _eager(case: Case, dtype: str) -> tuple[Tensor, ...]:
    return _call(REGISTRY[case.op], [from_array(a) for a in case.arrays(dtype)], case.attributes)


def _difference(actual: Tensor, reference: np.ndarray, case: Case) -> str | None:
    """Where a result and its reference differ by more than the case allows."""
    reference = np.asarray(reference)
    if actual.shape != reference.shape or actual.data.shape != reference.shape or actual.data.dtype != NUMPY_DTYPE[actual.dtype]:
        return f"shape {actual.data.shape}, dtype {actual.data.dtype}; expected {reference.shape}, {actual.dtype}"
    if actual.dtype not in FLOATS:
        wrong = actual.data != reference.astype(actual.data.dtype)
        return _first(wrong, actual.data, reference)
    got = actual.data if actual.dtype != "bfloat16" else _bfloat16_to_float32(actual.data)
    with np.errstate(all="ignore"):
        rounded = reference.astype(got.dtype)
        wrong = np.isnan(got) != np.isnan(rounded)
        infinite = np.isinf(got) | np.isinf(rounded)
        wrong |= infinite & (got != rounded)
        finite = np.isfinite(got) & np.isfinite(rounded)
        scale = np.abs(reference[np.isfinite(reference)]).max(initial=0.0) if case.scale is None else case.scale
        epsilon = 2.0**-8 if actual.dtype == "bfloat16" else np.finfo(got.dtype).eps
        limit = case.tolerance * epsilon * (np.abs(reference) + scale) + np.finfo(got.dtype).tiny
        wrong |= finite & (np.abs(got.astype("float64") - reference) > limit)
    return _first(wrong, got, reference)


def _first(wrong: np.ndarray, got, reference) -> str | None:
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} elements differ, first at {where}: got {got[where]!r}, expected {reference[where]!r}"


@pytest.mark.parametrize("op", OPS)
def test_forward(op):
    def check(case):
        for dtype in case.dtypes:
            for i, (actual, reference) in enumerate(zip(_eager(case, dtype), _reference(case, dtype), strict=True)):
                if text := _difference(actual, reference, case):
                    yield f"{dtype} output {i}: {text}"

    failures = _failures(op, check)
    assert not failures, failures


@pytest.mark.parametrize("op", OPS)
def test_spec_rule_agrees_with_reference(op):
    def check(case):
        for dtype in case.dtypes:
            arrays = case.arrays(dtype)
            specs = REGISTRY[op].specs([from_array(a).spec for a in arrays], case.attributes)
            with np.errstate(all="ignore"):
                results = REGISTRY[op].reference(*arrays, **case.attributes)
            results = results if isinstance(results, tuple) else (results,)
            for i, (spec, result) in enumerate(zip(specs, results, strict=True)):
                if spec.shape != np.shape(result):
                    yield f"output {i}: the rule says {spec.shape}, the reference gives {np.shape(result)}"
                if (spec.dtype in FLOATS) != (np.asarray(result).dtype.kind == "f"):
                    yield f"output {i}: the rule says {spec.dtype}, the reference gives {np.asarray(result).dtype}"
                if spec.dtype in ("float32", "float64") and np.asarray(result).dtype != spec.dtype and not REGISTRY[op].traits.random:
                    yield f"output {i}: the rule says {spec.dtype}, the reference computes in {np.asarray(result).dtype}"

    failures = _failures(op, check)
    assert not failures, failures


@pytest.mark.parametrize("op", OPS)
def test_compiled_equals_eager(op):
    def check(case):
        for dtype in case.dtypes:
            arrays = [from_array(a).data for a in case.arrays(dtype)]
            compiled = compile_function(lambda *tensors: _call(REGISTRY[op], tensors, case.attributes), [from_array(a).spec for a in arrays])
            for i, (ours, eager) in enumerate(zip(compiled(arrays), _eager(case, dtype), strict=True)):
                if ours.spec != eager.spec or not np.array_equal(ours.data, eager.data, equal_nan=ours.data.dtype.kind == "f"):
                    yield f"{dtype} output {i}: {_first(~((ours.data == eager.data) | (ours.data != ours.data)), ours.data, eager.data)}"

    failures = _failures(op, check)
    assert not failures, failures


def _differentiable(case: Case) -> list[int]:
    return [i for i, x in enumerate(case.inputs) if x.dtype == np.float64]


def _seeds(outputs) -> list[np.ndarray | None]:
    """Random output gradients; None for outputs that are no floats."""
    return [np.random.default_rng(7 + i).normal(size=t.shape) if t.dtype in FLOATS else None for i, t in enumerate(outputs)]


def _loss(outputs, seeds) -> float:
    return sum(float((s * np.asarray(t, "float64")).sum()) for t, s in zip(outputs, seeds) if s is not None)


def _gradients(case: Case, arrays, dtype: str = "float64") -> list[np.ndarray]:
    """Gradients of the weighted sum of outputs with respect to the float inputs; zeros where there is none."""
    tensors = [from_array(a) for a in arrays]
    with GradientTape() as tape:
        outputs = _call(REGISTRY[case.op], tensors, case.attributes)
    known = [(t, from_array(s.astype(dtype))) for t, s in zip(outputs, _seeds(outputs)) if s is not None]
    found = tape.gradient([t for t, _ in known], [tensors[i] for i in _differentiable(case)], [s for _, s in known])
    return [np.zeros(arrays[i].shape) if g is None else g.numpy() for i, g in zip(_differentiable(case), found)]


def _directions(case: Case) -> list[np.ndarray]:
    return [np.random.default_rng(70 + i).normal(size=case.inputs[i].shape) for i in _differentiable(case)]


def _moved(case: Case, arrays, directions, step: float):
    moved = list(arrays)
    for i, d in zip(_differentiable(case), directions):
        moved[i] = arrays[i] + step * d
    return moved


def _slope(function, case, arrays, directions) -> tuple[float, float]:
    """Central difference of a scalar function along the directions, and the size of its values."""
    up, down = (function(_moved(case, arrays, directions, s)) for s in (STEP, -STEP))
    return (up - down) / (2 * STEP), abs(up) + abs(down)


def _agree(expected: float, found: float, size: float, what: str) -> str | None:
    if abs(expected - found) <= 1e-5 * (abs(expected) + abs(found)) + 1e-8 * size + 1e-7:
        return None
    return f"{what}: the gradient says {found!r}, finite differences {expected!r}"


@pytest.mark.parametrize("op", OPS)
def test_gradient(op):
    def check(case):
        arrays = case.arrays("float64")
        outputs = _eager(case, "float64")
        seeds = _seeds(outputs)

        def loss(moved):
            return _loss(_call(REGISTRY[op], [from_array(a) for a in moved], case.attributes), seeds)

        gradients = _gradients(case, arrays)
        for k, direction in enumerate(_directions(case)):
            alone = [d if j == k else np.zeros_like(d) for j, d in enumerate(_directions(case))]
            expected, size = _slope(loss, case, arrays, alone)
            if text := _agree(expected, float((gradients[k] * direction).sum()), size, f"input {_differentiable(case)[k]}"):
                yield text

    failures = _failures(op, check, lambda case: case.gradient and "float64" in case.dtypes)
    assert not failures, failures


def _second_gradients(case: Case, arrays, directions):
    """Gradients of the directional derivative."""
    tensors = [from_array(a) for a in arrays]
    sources = [tensors[i] for i in _differentiable(case)]
    with GradientTape() as tape:
        outputs = _call(REGISTRY[case.op], tensors, case.attributes)
        known = [(t, from_array(s)) for t, s in zip(outputs, _seeds(outputs)) if s is not None]
        first = backprop([t for t, _ in known], [s for _, s in known], sources)
        pairs = [(g, from_array(d)) for g, d in zip(first, directions) if g is not None]
    found = tape.gradient([g for g, _ in pairs], sources, [d for _, d in pairs])
    return [np.zeros(t.shape) if g is None else g.numpy() for t, g in zip(sources, found)]


@pytest.mark.parametrize("op", OPS)
def test_second_gradient(op):
    def check(case):
        arrays, directions = case.arrays("float64"), _directions(case)

        def slope(moved):
            return sum(float((g * d).sum()) for g, d in zip(_gradients(case, moved), directions))

        second = _second_gradients(case, arrays, directions)
        others = [np.random.default_rng(700 + k).normal(size=d.shape) for k, d in enumerate(directions)]
        expected, size = _slope(slope, case, arrays, others)
        if text := _agree(expected, sum(float((g * d).sum()) for g, d in zip(second, others)), 10 * size, "second"):
            yield text

    failures = _failures(op, check, lambda case: case.gradient and case.second and "float64" in case.dtypes)
    assert not failures, failures


@pytest.mark.parametrize("op", OPS)
def test_compiled_gradient_equals_eager(op):
    def check(case):
        arrays = [from_array(a).data for a in case.arrays("float64")]

        def traced(*tensors):
            outputs = _call(REGISTRY[op], tensors, case.attributes)
            known = [(t, from_array(s)) for t, s in zip(outputs, _seeds(outputs)) if s is not None]
            return [g for g in backprop([t for t, _ in known], [s for _, s in known], [tensors[i] for i in _differentiable(case)]) if g is not None]

        compiled = compile_function(traced, [from_array(a).spec for a in arrays])(arrays)
        eager = [g for g in _gradients(case, arrays)]
        eager = [g for g, t in zip(eager, _present(case, arrays)) if t]
        for i, (ours, theirs) in enumerate(zip(compiled, eager, strict=True)):
            if not np.allclose(ours.numpy(), theirs, rtol=1e-11, atol=1e-11 * np.abs(theirs).max(initial=1.0)):
                yield f"gradient {i}: compiled and eager differ by {np.abs(ours.numpy() - theirs).max()}"

    failures = _failures(op, check, lambda case: case.gradient and "float64" in case.dtypes)
    assert not failures, failures


def _present(case: Case, arrays) -> list[bool]:
    """Which float inputs have a gradient at all."""
    op = REGISTRY[case.op]
    return [op.gradient(i) is not None for i in _differentiable(case)]


def test_every_primitive_has_cases():
    missing = sorted(set(REGISTRY) - set(CASES))
    assert not missing, f"primitives without cases in tests/op_cases: {missing}"


def test_every_primitive_declares_its_gradients():
    for op in REGISTRY.values():
        assert isinstance(op.gradients, (tuple, Variadic)), f"{op.name}: gradients must be a tuple with one entry per input, or variadic(...)"
        for case in CASES[op.name]:
            if isinstance(op.gradients, tuple):
                assert len(op.gradients) == len(case.inputs), f"{op.name}: {len(op.gradients)} gradients for {len(case.inputs)} inputs"
                assert all(g is no_gradient or callable(g) for g in op.gradients), op.name


def test_every_primitive_has_a_docstring():
    assert not [op.name for op in REGISTRY.values() if not (op.__doc__ or "").strip()]


@pytest.mark.skipif(config.backend() != "native", reason="kernels belong to the native backend")
def test_every_primitive_has_a_kernel():
    from nnlite import _core

    known = set(_core.kernels())
    missing = sorted(op.name for op in REGISTRY.values() if not (op.traits.elementwise or op.traits.view) and op.kernel not in known)
    assert not missing, f"primitives without a kernel: {missing}"


_NOT_BFLOAT16 = frozenset(("matmul_pack", "conv2d_pack", "winograd_pack"))  # passes pack float32 and float64 only


def _bfloat16(x: np.ndarray) -> Tensor:
    return Tensor(Spec(x.shape, "bfloat16"), bfloat16_bits(x)) if x.dtype == np.float64 else from_array(x)


@pytest.mark.parametrize("op", [name for name in OPS if name not in _NOT_BFLOAT16])
def test_bfloat16(op):
    """The reference in float64 on rounded inputs, to about the precision of bfloat16."""

    def check(case):
        tensors = [_bfloat16(x) for x in case.inputs]
        rounded = [t.numpy().astype("float64") if t.dtype == "bfloat16" else t.data for t in tensors]
        with np.errstate(all="ignore"):
            results = REGISTRY[op].reference(*rounded, **case.attributes)
            for actual, reference in zip(
                _call(REGISTRY[op], tensors, case.attributes), results if isinstance(results, tuple) else (results,), strict=True
            ):
                if actual.dtype != "bfloat16":
                    continue
                got, reference = actual.numpy(), np.asarray(reference, "float64")
                finite = np.isfinite(reference) & np.isfinite(got)
                scale = np.abs(reference[finite]).max(initial=0.0)
                wrong = finite & (np.abs(got - reference) > 2.0**-7 * (np.abs(reference) + scale))
                if text := _first(wrong | (np.isnan(got) != np.isnan(reference)), got, reference):
                    yield text

    failures = _failures(op, check, lambda case: any(x.dtype == np.float64 for x in case.inputs) and case.attributes.get("dtype") is None)
    assert not failures, failures
