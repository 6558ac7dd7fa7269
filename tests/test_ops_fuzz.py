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
from nnlite.variable import Variable

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


@pytest.mark.parametrize("seed", range(60))
def test_compiled_program_on_variables_equals_eager(seed):
    """Weights are read, packed and (every second time) assigned; what was packed must follow."""
    program = Program(1000 * seed + 7)
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, spec.shape).astype("float32") for spec in program.specs()]
    inputs, weights = arrays[::2], arrays[1::2]

    compiled_variables, eager_variables = [Variable(w) for w in weights], [Variable(w) for w in weights]
    compiled = compile_function(_reading(program, compiled_variables, seed), [from_array(a).spec for a in inputs])
    eager = _reading(program, eager_variables, seed)
    for turn in range(3):
        results, expected = compiled(inputs), eager(*[from_array(a) for a in inputs])
        for i, (ours, theirs) in enumerate(zip(results, expected, strict=True)):
            _close(ours, theirs, f"turn {turn}, result {i}")
        for ours, theirs in zip(compiled_variables, eager_variables, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy())
        if seed % 3 == 0:  # assigned from outside, between two runs
            for variable in (*compiled_variables, *eager_variables):
                variable.assign(variable.numpy() + np.float32(0.25))


def _reading(program, variables, seed: int):
    """The program on two inputs and two variables, which it halves afterwards when the seed is odd."""

    def step(x, y):
        results = program(x, variables[0].value, y, variables[1].value)
        if seed % 2:
            for variable in variables:
                variable.assign(op("multiply")(variable.value, from_array(np.array(0.5, "float32"))))
        return results

    return step


@pytest.mark.parametrize("order", ["bias bias", "relu bias", "bias relu", "bias relu bias", "relu relu"])
def test_epilogues_take_one_bias_and_one_activation(order):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=s).astype("float32") for s in ((3, 4), (4, 5), (5,))]

    def run(x, w, b):
        y = op("matmul")(x, w, transpose_a=False, transpose_b=False)
        for part in order.split():
            y = op("add")(y, b) if part == "bias" else op("relu")(y)
        return [y]

    expected = run(*[from_array(a) for a in arrays])[0]
    _close(compile_function(run, [from_array(a).spec for a in arrays])(arrays)[0], expected, order)


def test_old_values_of_assigned_variables_can_be_returned():
    a, b = Variable(np.array([1.0, 2.0], "float32")), Variable(np.array([3.0, 4.0], "float32"))

    def swap(x):
        old = a.value, op("reshape")(b.value, shape=(2, 1)), x
        first = a.value
        a.assign(b.value)
        b.assign(op("add")(first, x))
        return (*old, a.value, b.value)

    compiled = compile_function(swap, [Spec((2,), "float32")])
    results = [t.numpy().tolist() for t in compiled([np.array([10.0, 20.0], "float32")])]
    assert results == [[1, 2], [[3], [4]], [10, 20], [3, 4], [11, 22]]
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([3, 4], [11, 22])
