"""What an installed nnlite brings along: few imports, nothing printed, typing information."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

import nnlite

PACKAGE = pathlib.Path(nnlite.__file__).parent
FORBIDDEN = [
    "h5py",
    "matplotlib",
    "scipy",
    "pandas",
    "tensorflow",
    "torch",
    "jax",
    "keras",
    "PIL",
    "sklearn",
    "pytest",
    "asyncio",
    "multiprocessing",
    "urllib.request",
    "zipfile",
]


def fresh(code: str, **environment) -> subprocess.CompletedProcess:
    """Runs code in a new process that sees the same nnlite."""
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment}
    return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)


def new_modules(code: str) -> set[str]:
    done = fresh(f"import numpy, sys, json; before = set(sys.modules)\n{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_brings_in_nothing_heavy():
    assert not new_modules("import nnlite") & set(FORBIDDEN)


def test_import_is_lazy():
    own = {name for name in new_modules("import nnlite") if name.startswith("nnlite")}
    assert own == {"nnlite"}


def test_training_and_predicting_need_only_numpy():
    code = """
import nnlite
model = nnlite.Sequential([nnlite.Input((4,)), nnlite.layers.Dense(3, activation="relu"), nnlite.layers.Dense(1)])
model.compile("adam", "mse", metrics=["mae"])
model.fit(numpy.ones((8, 4)), numpy.ones((8, 1)), verbose=0)
model.predict(numpy.ones((8, 4)), verbose=0)
model.summary(print_fn=lambda text: None)
"""
    third_party = {name.partition(".")[0] for name in new_modules(code)} - set(sys.stdlib_module_names) - {"nnlite", "numpy"}
    third_party = {name for name in third_party if not name.startswith(("_", "cython"))}  # numpy.random's own
    assert third_party == set()


def test_import_prints_nothing():
    done = fresh("import nnlite, nnlite.layers, nnlite.models", PYTHONWARNINGS="error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_public_names_can_be_reached():
    for name in dir(nnlite):
        assert getattr(nnlite, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        nnlite.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["py.typed", "_core.pyi"])
def test_types_are_shipped(name):
    assert (PACKAGE / name).is_file()


def test_the_stub_names_what_the_extension_has():
    from nnlite import _core

    text = (PACKAGE / "_core.pyi").read_text(encoding="utf-8")
    for name in dir(_core):
        if not name.startswith("_"):
            assert f"def {name}(" in text or f"class {name}" in text or f"{name}:" in text, f"_core.pyi lacks {name}"


def test_the_first_snippet(capsys):
    import nnlite

    nnlite.utils.clear_session()  # names count from the start, as in a fresh process
    from nnlite.layers import Conv2D, MaxPooling2D
    from nnlite.models import Sequential

    model = Sequential()
    model.add(Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(64, (3, 3), activation="relu"))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(64, (3, 3), activation="relu"))

    model.summary()
    text = capsys.readouterr().out
    for part in ("conv2d (Conv2D)", "(None, 26, 26, 32)", "max_pooling2d (MaxPooling2D)", "(None, 3, 3, 64)", "36,928", "Total params: 55,744 (217.75 KB)"):
        assert part in text, part
