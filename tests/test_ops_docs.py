"""docs/add-an-op.md: its example works as written."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from op_cases.case import Case, floats

import nnlite.graph.apply
from nnlite import ops
from nnlite.backends import numpy as numpy_backend
from nnlite.graph.grad import GradientTape
from nnlite.graph.op import REGISTRY
from nnlite.ops._public import PUBLIC
from nnlite.tensor import from_array

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "add-an-op.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture
def example(monkeypatch):
    """The names that the page's Python blocks define; the op runs by its reference, as its kernel is not compiled in."""
    monkeypatch.setattr(nnlite.graph.apply, "run_eager", numpy_backend.run_eager)
    names: dict = {"Case": Case, "floats": floats}
    try:
        for block in _blocks("python"):
            exec(block, names)
        yield names
    finally:
        REGISTRY.pop("row_dot", None)
        PUBLIC.pop("row_dot", None)


def test_cases_hold_with_gradients(example):
    for case in example["_cases"]():
        a, b = (from_array(x) for x in case.inputs)
        weights = np.random.default_rng(0).normal(size=case.inputs[0].shape[:-1])
        with GradientTape() as tape:
            y = example["row_dot"](a, b)
        np.testing.assert_allclose(y.numpy(), np.einsum("...i,...i->...", *case.inputs), atol=1e-12)
        for gradient, other in zip(tape.gradient(y, [a, b], from_array(weights)), (b, a), strict=True):
            np.testing.assert_allclose(gradient.numpy(), other.numpy() * weights[..., None])


def test_public_function_converts_and_complains(example):
    assert PUBLIC["row_dot"]([[1, 2]], [[3.0, 4.0]]).tolist() == [11.0]
    with pytest.raises(ValueError, match=r"row_dot\(\) takes two float tensors of one shape"):
        PUBLIC["row_dot"](np.ones((2, 3)), np.ones((2, 4)))


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("isa", ["BASELINE", "AVX2", "AVX512"])
def test_kernel_compiles_without_warnings(tmp_path, isa):
    march = {"BASELINE": "x86-64-v2", "AVX2": "x86-64-v3", "AVX512": "x86-64-v4"}[isa]
    source = tmp_path / "row_dot.isa.cpp"
    source.write_text(_blocks("cpp")[0])
    command = [
        "g++",
        "-std=c++17",
        "-O1",
        f"-march={march}",
        f"-DNN_COMPILE_{isa}",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsyntax-only",
        f"-I{ROOT / 'csrc'}",
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_module_of_ops_has_the_name_of_a_function():
    modules = {path.stem for path in (ROOT / "python" / "nnlite" / "ops").glob("*.py")}
    assert not modules & set(dir(ops)) - {"image", "linalg", "nn", "numpy"}
