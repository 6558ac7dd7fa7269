"""Recurrent layers: values, gradients, states, configs, weights and files against Keras; kernels against steps; masks, dropout, states, errors."""

from __future__ import annotations

import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, layers, ops, tree

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from recurrent_cases import CASES  # noqa: E402

VALUES = np.load(GOLDEN / "recurrent.npz")
FACTS = json.loads((GOLDEN / "recurrent.json").read_text())
TOLERANCE = {"float32": dict(rtol=1e-5, atol=1e-5), "float64": dict(rtol=3e-7, atol=3e-7)}

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def flat(outputs) -> list:
    return tree.flatten(outputs)


def reset(layer) -> None:
    if getattr(layer, "stateful", False):
        layer.reset_state()


def prepared(case, dtype: str):
    """(layer with the golden weights, its inputs as tensors)."""
    nnlite.utils.clear_session()
    layer = case.make(nnlite, dtype)
    tensors = [ops.convert_to_tensor(array.astype(dtype)) for array in case.arrays()]
    case.run(layer, tensors, flat)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    reset(layer)
    return layer, tensors


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_keras(case, dtype):
    layer, tensors = prepared(case, dtype)
    sources = tensors + layer.trainable_weights
    with GradientTape() as tape:
        outputs = case.run(layer, tensors, flat)
        loss = sum(ops.sum(y * ops.convert_to_tensor(case.cotangent(i, y.shape).astype(dtype))) for i, y in enumerate(outputs))
    for i, y in enumerate(outputs):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), VALUES[f"{case.name}/output{i}"], **TOLERANCE[dtype])
    for i, gradient in enumerate(tape.gradient(loss, sources)):
        expected = VALUES[f"{case.name}/gradient{i}"]
        limit = dict(TOLERANCE[dtype], atol=TOLERANCE[dtype]["atol"] * max(1.0, float(np.abs(expected).max())))
        np.testing.assert_allclose(gradient.numpy(), expected, **limit)


def _comparable(config):
    """A config without what only one of the libraries has: its name, quantization, and the seed of SimpleRNN, which Keras forgets."""
    if isinstance(config, list):
        return [_comparable(item) for item in config]
    if not isinstance(config, dict):
        return config.replace("keras", "nnlite") if isinstance(config, str) else config
    return {key: _comparable(value) for key, value in config.items() if key not in ("quantization_config", "seed")}


@all_cases
def test_config_is_that_of_keras(case):
    nnlite.utils.clear_session()
    ours = json.loads(json.dumps(case.make(nnlite, "float32").get_config()))
    assert _comparable(ours) == _comparable(FACTS[case.name]["config"])
    assert ours.get("seed", None) is None


@all_cases
def test_weights_have_the_names_order_and_shapes_of_keras(case):
    layer, _ = prepared(case, "float32")
    assert [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights] == FACTS[case.name]["weights"]


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer, tensors = prepared(case, "float32")
    copy = layers.deserialize(layers.serialize(layer))
    case.run(copy, tensors, flat)
    copy.set_weights(layer.get_weights())
    reset(copy)
    for a, b in zip(case.run(copy, tensors, flat), case.run(layer, tensors, flat), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@all_cases
def test_compiled_call_and_gradients_equal_the_eager_ones(case):
    layer, tensors = prepared(case, "float32")

    def step(*inputs):
        with GradientTape() as tape:
            outputs = case.run(layer, inputs, flat)
            loss = sum(ops.sum(ops.square(y)) for y in outputs)
        return [*outputs, *tape.gradient(loss, layer.trainable_weights)]

    compiled = [y.numpy() for y in nnlite.function(step)(*tensors)]
    reset(layer)
    for a, b in zip(compiled, step(*tensors), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b.numpy()).max())))


@all_cases
def test_symbolic_shape_is_the_real_one(case):
    layer, tensors = prepared(case, "float32")
    real = [y.shape for y in case.run(layer, tensors, flat)][: len(flat(case.make(nnlite, "float32").compute_output_shape(case.shape))) or None]
    batch = case.shape[0] if getattr(layer, "stateful", False) else None
    fresh = case.make(nnlite, "float32")
    steps = None if case.shape[1] != 1 and not case.name.startswith("TimeDistributed") else case.shape[1]
    found = flat(fresh(nnlite.Input(batch_shape=(batch, steps, *case.shape[2:]))))
    for symbolic, shape in zip(found, real):
        assert len(symbolic.shape) == len(shape)
        assert all(a in (None, b) for a, b in zip(symbolic.shape, shape)) and symbolic.shape[0] == batch


def kinds() -> list:
    return [case for case in CASES if "-" not in case.name]


def built_kinds():
    made = [case.make(nnlite, "float32") for case in kinds()]
    for case, layer in zip(kinds(), made):
        case.run(layer, [array.astype("float32") for array in case.arrays()], flat)
    model = nnlite.Sequential(made)
    model.built = True
    return model, made


def test_files_of_keras_are_read():
    nnlite.utils.clear_session()
    model, made = built_kinds()
    model.load_weights(GOLDEN / "recurrent.weights.h5")
    for case, layer in zip(kinds(), made):
        for weight in layer.weights:
            np.testing.assert_array_equal(weight.numpy(), case.weight(weight.path, weight.shape).astype("float32"))


def test_files_have_the_groups_of_keras(tmp_path):
    h5py = pytest.importorskip("h5py")
    nnlite.utils.clear_session()
    model, _ = built_kinds()
    model.save_weights(tmp_path / "ours.weights.h5")

    def datasets(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None)
        return found

    assert datasets(tmp_path / "ours.weights.h5") == datasets(GOLDEN / "recurrent.weights.h5")
