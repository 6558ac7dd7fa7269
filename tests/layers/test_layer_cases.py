"""Every layer: values and gradients against Keras, and what all layers must do: shapes, configs, compiled calls, dtypes."""

from __future__ import annotations

import json
import pathlib
import re
import sys

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, ops

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from layer_cases import CASES  # noqa: E402

VALUES = np.load(GOLDEN / "layers.npz")
FACTS = json.loads((GOLDEN / "layer_configs.json").read_text())
TOLERANCE = {"float32": dict(rtol=3e-5, atol=3e-5), "float64": dict(rtol=3e-7, atol=3e-7)}

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def prepared(case, dtype: str):
    """(layer with the golden weights, its inputs as tensors, the call's argument)."""
    layer = case.make(nnlite, dtype)
    tensors = [ops.convert_to_tensor(array if array.dtype.kind == "i" else array.astype(dtype)) for array in case.arrays()]
    call = tensors if case.several else tensors[0]
    layer(call)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    return layer, tensors, call


def run(layer, call, training: bool):
    return layer(call, training=training) if layer._takes_training else layer(call)


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_keras(case, dtype):
    layer, tensors, call = prepared(case, dtype)
    for training in (False, True) if case.training else (False,):
        sources = [t for t in tensors if t.dtype == dtype] + layer.trainable_weights
        with GradientTape() as tape:
            outputs = run(layer, call, training)
            loss = ops.sum(outputs * ops.convert_to_tensor(case.cotangent(outputs.shape).astype(dtype)))
        mode = "training" if training else "inference"
        assert outputs.dtype == dtype
        np.testing.assert_allclose(outputs.numpy(), VALUES[f"{case.name}/{mode}/output"], **TOLERANCE[dtype])
        for i, gradient in enumerate(tape.gradient(loss, sources)):
            np.testing.assert_allclose(gradient.numpy(), VALUES[f"{case.name}/{mode}/gradient{i}"], **TOLERANCE[dtype])
    for i, weight in enumerate(layer.weights):
        np.testing.assert_allclose(weight.numpy(), VALUES[f"{case.name}/weight{i}"], **TOLERANCE[dtype])


@all_cases
def test_config_is_that_of_keras(case):
    nnlite.utils.clear_session()
    expected = dict(FACTS[case.name]["config"])
    expected.pop("quantization_config", None)
    assert json.loads(json.dumps(case.make(nnlite, "float32").get_config())) == expected


@all_cases
def test_weights_have_the_names_order_and_shapes_of_keras(case):
    layer, _, _ = prepared(case, "float32")
    assert [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights] == FACTS[case.name]["weights"]


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer, _, call = prepared(case, "float32")
    copy = type(layer).from_config(layer.get_config())
    copy(call)
    copy.set_weights(layer.get_weights())
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(run(copy, call, False).numpy(), run(layer, call, False).numpy())


@all_cases
def test_compiled_call_equals_the_eager_one(case):
    layer, tensors, call = prepared(case, "float32")
    compiled = nnlite.function(lambda *inputs: run(layer, list(inputs) if case.several else inputs[0], False))
    np.testing.assert_allclose(compiled(*tensors).numpy(), run(layer, call, False).numpy(), rtol=2e-6, atol=2e-6)


@all_cases
def test_symbolic_shape_is_the_real_one(case):
    layer, tensors, call = prepared(case, "float32")
    real = run(layer, call, False).shape
    inputs = [nnlite.Input(tuple(t.shape[1:]), dtype=t.dtype) for t in tensors]
    fresh = case.make(nnlite, "float32")
    symbolic = fresh(inputs if case.several else inputs[0])
    assert symbolic.shape == (None, *real[1:])
    assert symbolic.dtype == "float32"
    shapes = [(None, *t.shape[1:]) for t in tensors]
    assert case.make(nnlite, "float32").compute_output_shape(shapes if case.several else shapes[0]) == (None, *real[1:])


@pytest.mark.parametrize("case", [case for case in CASES if FACTS[case.name]["weights"]], ids=lambda case: case.name)
def test_training_step_of_a_model_changes_the_weights(case):
    layer = case.make(nnlite, "float32")
    arrays = [array if array.dtype.kind == "i" else array.astype("float32") for array in case.arrays()]
    inputs = [nnlite.Input(tuple(array.shape[1:]), dtype=array.dtype.name) for array in arrays]
    model = nnlite.Model(inputs, nnlite.layers.Flatten()(layer(inputs if case.several else inputs[0])))
    model.compile("sgd", "mse")
    before = layer.get_weights()
    model.train_on_batch(arrays if len(arrays) > 1 else arrays[0], np.ones((len(arrays[0]), model.output_shape[1]), "float32"))
    assert all(not np.array_equal(old, new) for old, new, weight in zip(before, layer.get_weights(), layer.weights) if weight.trainable)


@pytest.mark.parametrize("rate", [0.25, 0.5])
def test_dropout_keeps_the_mean(rate):
    nnlite.utils.set_random_seed(1)
    x = np.ones((200, 200), "float32")
    y = nnlite.layers.Dropout(rate)(x, training=True).numpy()
    assert set(np.unique(y)) == {0.0, np.float32(1 / (1 - rate))}
    assert abs(y.mean() - 1) < 0.02
    first, second = (nnlite.layers.Dropout(rate, seed=3)(x, training=True).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_spatial_dropout_drops_whole_channels():
    y = nnlite.layers.SpatialDropout2D(0.5, seed=1)(np.ones((4, 5, 6, 50), "float32"), training=True).numpy()
    assert ((y == y[:, :1, :1]).all()) and set(np.unique(y)) == {0.0, 2.0}


def test_dropout_noise_shape_is_shared():
    y = nnlite.layers.Dropout(0.5, noise_shape=(None, 1, 8), seed=1)(np.ones((4, 6, 8), "float32"), training=True).numpy()
    assert (y == y[:, :1]).all()


@pytest.mark.parametrize("name, arguments", [("GaussianNoise", {"stddev": 0.5}), ("GaussianDropout", {"rate": 0.2}), ("AlphaDropout", {"rate": 0.2})])
def test_noise_has_the_right_moments(name, arguments):
    x = nnlite.random.normal((300, 300), seed=1)
    y = getattr(nnlite.layers, name)(**arguments, seed=2)(x, training=True).numpy()
    expected = {"GaussianNoise": np.sqrt(1 + 0.25), "GaussianDropout": np.sqrt(1 / 0.8), "AlphaDropout": 1.0}[name]
    assert abs(y.mean()) < 0.02 and abs(y.std() - expected) < 0.02


CHANNELS_FIRST = {
    "Conv1D": {"filters": 4, "kernel_size": 3, "padding": "causal"},
    "Conv2D": {"filters": 4, "kernel_size": 3, "strides": 2, "activation": "relu"},
    "Conv2DTranspose": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
    "DepthwiseConv2D": {"kernel_size": 3},
    "SeparableConv2D": {"filters": 3, "kernel_size": 3},
    "MaxPooling2D": {"pool_size": 2},
    "AveragePooling1D": {"pool_size": 2, "padding": "same"},
    "GlobalAveragePooling1D": {},
    "GlobalMaxPooling2D": {"keepdims": True},
    "Flatten": {},
    "ZeroPadding2D": {"padding": ((1, 0), (0, 2))},
    "Cropping2D": {"cropping": ((1, 2), (0, 1))},
    "UpSampling2D": {"size": (2, 3)},
    "MaxPooling3D": {},
    "Conv3D": {"filters": 2, "kernel_size": 2},
}


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first_is_channels_last_moved(name):
    rank = int(re.findall(r"\d", name)[0]) if name != "Flatten" else 2
    x = np.random.default_rng(0).normal(size=(2, *(6, 5, 4)[:rank], 3)).astype("float32")
    last = getattr(nnlite.layers, name)(**CHANNELS_FIRST[name], data_format="channels_last")
    first = getattr(nnlite.layers, name)(**CHANNELS_FIRST[name], data_format="channels_first")
    expected = last(x).numpy()
    moved = np.moveaxis(x, -1, 1)
    first.build(moved.shape)
    first.set_weights(last.get_weights())
    result = first(moved).numpy()
    assert first.compute_output_shape(moved.shape) == result.shape
    np.testing.assert_allclose(result, np.moveaxis(expected, -1, 1) if result.ndim > 2 else expected, rtol=1e-5, atol=1e-6)
