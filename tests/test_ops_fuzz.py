"""Random programs of primitives: compiled (fused, packed, placed in one arena) they give what they give eagerly, and so do their gradients."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite.ops  # noqa: F401  declares the primitives
from nnlite.graph.function import compile_function
from nnlite.graph.grad import GradientTape
from nnlite.graph.op import REGISTRY
from nnlite.graph.spec import Spec
from nnlite.tensor import from_array

_UNARY = ("negative", "abs", "square", "tanh", "sigmoid", "relu", "sin", "cos", "atan", "erf")
_BINARY = ("add", "subtract", "multiply", "maximum", "minimum")


def op(name):
    return REGISTRY[name]


class Program:
    """A random function of tensors, the same for the same seed: each step picks earlier values and an op that fits their shapes."""

    def __init__(self, seed: int):
        self.seed = seed

    def specs(self) -> list[Spec]:
        rng = np.random.default_rng(self.seed)
        n, c = int(rng.integers(1, 9)), int(rng.choice([1, 3, 16, 17, 64, 70]))
        return [Spec((n, c), "float32"), Spec((c,), "float32"), Spec((n, 1), "float32"), Spec((c, int(rng.integers(1, 40))), "float32")]

    def __call__(self, *inputs):
        rng = np.random.default_rng(self.seed + 1)
        values = list(inputs)
        for _ in range(int(rng.integers(4, 18))):
            made = self._step(rng, values)
            if made is not None and made.spec.size <= 20_000:
                values.append(made)
        results = values[len(inputs) :]
        return [results[int(i)] for i in rng.choice(len(results), min(3, len(results)), replace=False)] if results else [op("negative")(inputs[0])]

    def _step(self, rng, values):
        kind = rng.random()
        a, b = (values[int(i)] for i in rng.integers(0, len(values), 2))
        shape = a.spec.shape
        if kind < 0.35:
            return op(str(rng.choice(_UNARY)))(a)
        if kind < 0.65:
            return op(str(rng.choice(_BINARY)))(a, b) if _broadcasts(shape, b.spec.shape) else None
        if kind < 0.75 and shape:
            axes = tuple(sorted(rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False).tolist()))
            return op(str(rng.choice(["sum", "max"])))(a, axes=axes, keepdims=bool(rng.integers(2)))
        if kind < 0.82 and len(shape) == len(b.spec.shape) == 2:
            ta, tb = bool(rng.integers(2)), bool(rng.integers(2))
            fits = shape[0 if ta else 1] == b.spec.shape[1 if tb else 0]
            return op("matmul")(a, b, transpose_a=ta, transpose_b=tb) if fits else None
        return self._move(rng, a, b)

    def _move(self, rng, a, b):
        shape, kind = a.spec.shape, rng.integers(6)
        if kind == 0:
            return op("reshape")(a, shape=(a.spec.size,))
        if kind == 1:
            return op("transpose")(a, axes=tuple(rng.permutation(len(shape)).tolist()))
        if kind == 2 and shape:
            return op("softmax")(a)
        if kind == 3 and shape and shape == b.spec.shape:
            return op("concatenate")(a, b, axis=len(shape) - 1)
        if kind == 4 and shape and min(shape) > 1:
            return op("slice")(a, starts=(1,) * len(shape), sizes=tuple(d - 1 for d in shape), strides=(1,) * len(shape))
        if kind == 5 and shape == b.spec.shape:
            return op("where")(op("greater")(a, b), a, op("tanh")(b))
        return None


def _broadcasts(a, b) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(a[::-1], b[::-1]))


def _close(ours, theirs, what):
    theirs = theirs.numpy()
    assert ours.shape == theirs.shape, what
    # Fusing changes where products and sums are rounded together; values grow when programs square and add.
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-4, atol=1e-4 * max(1.0, np.abs(theirs).max(initial=0.0)), err_msg=what)


@pytest.mark.parametrize("seed", range(120))
def test_compiled_program_equals_eager(seed):
    program = Program(1000 * seed)
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, spec.shape).astype("float32") for spec in program.specs()]

    def with_gradients(*tensors):
        with GradientTape() as tape:
            results = program(*tensors)
        return results, tape.gradient(results, list(tensors), unconnected_gradients="zero")

    eager_results, eager_gradients = with_gradients(*[from_array(a) for a in arrays])
    compiled = compile_function(with_gradients, program.specs())
    for _ in range(2):  # the second run finds what the first left in the arena
        results, gradients = compiled(arrays)
        for i, (ours, theirs) in enumerate(zip(results, eager_results, strict=True)):
            _close(ours, theirs, f"result {i}")
        for i, (ours, theirs) in enumerate(zip(gradients, eager_gradients, strict=True)):
            _close(ours, theirs, f"gradient {i}")
