"""The rules of the house: imports point one way, files stay small, names agree in Python and C++, nothing speaks of the workshop."""

from __future__ import annotations

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PYTHON = ROOT / "python" / "nnlite"
CSRC = ROOT / "csrc"

# Lower numbers must not import higher ones (imports inside functions count too, except through the lazy `_LAZY` doors).
_LEVELS = {
    "_core": 0, "tree": 0, "config": 0, "graph": 1, "tensor": 1, "variable": 1, "backends": 1, "ops": 2, "random": 2, "dtype_policies": 3, "utils": 3, "saving": 3, "activations": 4,
    "initializers": 4, "regularizers": 4, "constraints": 4, "backend": 4, "layers": 5, "losses": 5, "metrics": 5, "optimizers": 5, "callbacks": 5, "datasets": 5, "preprocessing": 5, "training": 6, "models": 7, "demo": 8, "script": 8, "cli": 9, "__main__": 10,
}
_C_LEVELS = {"core": 0, "simd": 1, "kernels": 2, "runtime": 3, "bind": 4}


def _module_level_imports(path: pathlib.Path):
    """Names of nnlite modules imported when `path` is imported; imports inside functions and under TYPE_CHECKING are lazy by design."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nnlite"):
            yield from [node.module] if node.module != "nnlite" else [f"nnlite.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("nnlite."))


def _part(dotted: str) -> str:
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 else ""


@pytest.mark.parametrize("path", sorted(PYTHON.rglob("*.py")), ids=lambda p: str(p.relative_to(PYTHON)))
def test_python_imports_point_one_way(path):
    own = path.relative_to(PYTHON).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    assert own in _LEVELS, f"{own} has no level in tests/test_house.py: say where it belongs"
    for module in _module_level_imports(path):
        part = _part(module)
        assert _LEVELS.get(part, -1) <= _LEVELS[own], f"{path.relative_to(ROOT)} ({own}) imports {module}: imports point from models down to the engine"


@pytest.mark.parametrize("path", sorted([*CSRC.rglob("*.h"), *CSRC.rglob("*.cpp")]), ids=lambda p: str(p.relative_to(CSRC)))
def test_c_includes_point_one_way(path):
    own = path.relative_to(CSRC).parts[0]
    for included in re.findall(r'#include "(\w+)/', path.read_text(encoding="utf-8")):
        assert _C_LEVELS[included] <= _C_LEVELS[own], f"{path.relative_to(ROOT)} includes {included}/: bind → runtime → kernels → simd → core"


@pytest.mark.parametrize("path", sorted(CSRC.rglob("*.isa.cpp")), ids=lambda p: p.name)
def test_isa_files_use_no_standard_templates(path):
    # An inline function of a standard header compiled for AVX-512 may be the copy the linker keeps for every CPU.
    allowed = {"cstddef", "cstdint", "cstring", "cmath", "cfloat", "climits", "immintrin.h", "math.h", "string.h"}
    assert set(re.findall(r"#include <([^>]+)>", path.read_text(encoding="utf-8"))) <= allowed


def test_only_one_file_knows_openmp_and_only_bind_knows_python():
    for path in [*CSRC.rglob("*.h"), *CSRC.rglob("*.cpp")]:
        text = path.read_text(encoding="utf-8")
        if "pybind11" in text or "Python.h" in text:
            assert path.relative_to(CSRC).parts[0] == "bind", f"{path} knows Python"
        if re.search(r"#pragma omp|<omp\.h>", text):
            assert path.name == "parallel.cpp", f"{path} knows OpenMP"


def test_files_stay_small():
    long = [f"{p.relative_to(ROOT)}: {n} lines" for folder, pattern, cap in ((PYTHON, "*.py", 400), (CSRC, "*.cpp", 500), (CSRC, "*.h", 500))
            for p in folder.rglob(pattern) if (n := len(p.read_text(encoding="utf-8").splitlines())) > cap]
    assert not long, f"files past the cap, split them by family: {long}"


def test_every_primitive_has_a_kernel():
    from nnlite import _core, ops  # noqa: F401
    from nnlite.graph.op import REGISTRY

    kernels = set(_core.kernels())
    missing = [op.name for op in REGISTRY.values() if not op.traits.view and not op.traits.elementwise and op.kernel not in kernels]
    assert not missing, f"primitives without a kernel of their name: {missing}"


def test_every_gradient_is_declared():
    import nnlite.ops  # noqa: F401
    from nnlite.graph.op import REGISTRY, Variadic, no_gradient

    for op in REGISTRY.values():
        assert isinstance(op.gradients, Variadic) or all(callable(g) or g is no_gradient for g in op.gradients), op.name


def test_nothing_is_left_for_later():
    words = re.compile(r"\b(TODO|FIXME|XXX)\b", re.IGNORECASE)
    for folder in ("csrc", "python", "tests", "bench", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".cpp", ".h", ".md", ".txt", ".pyi") and path != pathlib.Path(__file__):
                found = words.search(path.read_text(encoding="utf-8"))
                assert not found, f"{path.relative_to(ROOT)} mentions {found.group()!r}"
