"""Public functions against the results of Keras: values, shapes and dtypes."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import pytest

from nnlite import ops, tree
from nnlite.graph.function import function
from nnlite.graph.symbolic import KerasTensor

GOLDEN = pathlib.Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
from op_calls import CALLS  # noqa: E402

STORED = dict(np.load(GOLDEN / "ops.npz"))
_NAMES = sorted({call.name for call in CALLS})
# Keras's integers may be wider or unsigned where ours are int32, and its x64-free backends know no float64.
_INTEGER_LIKE = {"int64": "int32", "uint32": "int32"}
# Results whose shape depends on values, or functions of bits and factorizations: they run outside of compiled functions only.
_EAGER = frozenset("nonzero unique histogram det inv cholesky slogdet logdet pinv matrix_rank solve solve_triangular svd".split())


def _function(name: str):
    found = ops
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _results(result) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in tree.flatten(result)]


def _difference(call, results) -> str | None:
    for k, ours in enumerate(results):
        theirs = STORED[f"{call.key}/{k}"]
        if ours.shape != theirs.shape:
            return f"{call.key}/{k}: shape {ours.shape}, Keras gives {theirs.shape}"
        if _INTEGER_LIKE.get(str(ours.dtype), str(ours.dtype)) != _INTEGER_LIKE.get(str(theirs.dtype), str(theirs.dtype)):
            return f"{call.key}/{k}: dtype {ours.dtype}, Keras gives {theirs.dtype}"
        if not np.allclose(ours.astype("float64"), theirs.astype("float64"), rtol=2e-4, atol=2e-5, equal_nan=True):
            return f"{call.key}/{k}: values differ by up to {np.nanmax(np.abs(ours.astype('float64') - theirs))}"
    if f"{call.key}/{len(results)}" in STORED:
        return f"{call.key}: Keras gives more results"
    return None


def _calls(name: str):
    return [call for call in CALLS if call.name == name and f"{call.key}/0" in STORED]


@pytest.mark.parametrize("name", _NAMES)
def test_function_gives_what_keras_gives(name):
    texts = []
    for call in _calls(name):
        args, kwargs = call.arguments()
        texts.append(_difference(call, _results(_function(name)(*args, **kwargs))))
    assert not any(texts), "\n".join(text for text in texts if text)


@pytest.mark.parametrize("name", [n for n in _NAMES if n not in _EAGER])
def test_compiled_function_gives_the_same(name):
    for call in _calls(name):
        args, kwargs = call.arguments()
        if call.name == "norm" and kwargs.get("ord") in (2, "nuc") and "axis" not in kwargs:
            continue  # singular values
        compiled = function(lambda *tensors, call=call: _function(name)(*_replaced(call.arguments()[0], tensors), **call.arguments()[1]))
        results = _results(compiled(*_floats(args)))
        for ours, eager in zip(results, _results(_function(name)(*args, **kwargs)), strict=True):
            assert ours.dtype == eager.dtype and ours.shape == eager.shape, call.key
            np.testing.assert_allclose(ours, eager, rtol=2e-5, atol=2e-6, err_msg=call.key)


def _is_data(leaf) -> bool:
    """Arrays that take part as data; integer arrays may be positions, which some functions need at once."""
    return isinstance(leaf, np.ndarray) and leaf.dtype == np.float32


def _floats(args) -> list[np.ndarray]:
    return [leaf for leaf in tree.flatten(list(args)) if _is_data(leaf)]


def _replaced(args, tensors):
    given = iter(tensors)
    return tree.map_structure(lambda leaf: next(given) if _is_data(leaf) else leaf, list(args))


@pytest.mark.parametrize("name", [n for n in _NAMES if n not in _EAGER])
def test_function_records_itself_on_symbolic_tensors(name):
    for call in _calls(name)[:2]:
        args, kwargs = call.arguments()
        if not _floats(args) or (call.name == "norm" and kwargs.get("ord") in (2, "nuc")):
            continue
        symbolic = tree.map_structure(lambda leaf: KerasTensor(leaf.shape, str(leaf.dtype)) if _is_data(leaf) else leaf, list(args))
        outputs = tree.flatten(_function(name)(*symbolic, **kwargs))
        results = _results(_function(name)(*args, **kwargs))
        for k, (output, result) in enumerate(zip(outputs, results, strict=True)):
            if isinstance(output, KerasTensor):
                assert (output.shape, output.dtype) == (result.shape, str(result.dtype)), call.key
                assert output.history[0].name.startswith(_function(name).__name__) and output.history[2] == k
