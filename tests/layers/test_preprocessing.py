"""Preprocessing layers: values, vocabularies and configs of Keras; inside models; saved."""

from __future__ import annotations

import copy
import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import preprocessing_cases as cases  # noqa: E402

EXPECTED = json.loads((GOLDEN / "preprocessing.json").read_text())
all_cases = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)


def made(case):
    nnlite.utils.clear_session()
    layer = getattr(nnlite.layers, case.layer)(**case.arguments)
    if case.adapt is not None:
        layer.adapt(case.adapt)
    return layer


def check(result, expected):
    assert result.dtype == expected["dtype"]
    assert list(result.shape) == expected["shape"]
    np.testing.assert_allclose(result.numpy().reshape(-1), expected["values"], rtol=3e-6, atol=3e-7)


@all_cases
def test_values_are_those_of_keras(case):
    layer = made(case)
    for inputs, expected in zip(case.inputs, EXPECTED[case.name]["results"], strict=True):
        check(layer(inputs), expected)


@all_cases
def test_vocabulary_weights_and_config_are_those_of_keras(case):
    layer = made(case)
    expected = copy.deepcopy(EXPECTED[case.name])
    assert cases.vocabulary(layer) == expected["vocabulary"]
    if case.layer == "Discretization" and case.adapt is not None:
        np.testing.assert_allclose(layer.bin_boundaries, expected["config"].pop("bin_boundaries"), rtol=3e-6)
        config = layer.get_config()
        config.pop("bin_boundaries")
    else:
        config = layer.get_config()
    assert json.loads(json.dumps(config)) == expected["config"]
    for found, weight in zip(cases.state(layer), expected["weights"], strict=True):
        np.testing.assert_allclose(found, weight, rtol=1e-6)


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer = made(case)
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    again = json.loads(json.dumps(twin.get_config()))
    if case.adapt is None or case.layer == "Discretization":
        assert again == config
        for inputs, expected in zip(case.inputs, EXPECTED[case.name]["results"]):
            check(twin(inputs), expected)
    else:
        config.pop("vocabulary_size", None), again.pop("vocabulary_size", None)
        assert again == config


TEXTS = np.array(["good film", "bad film", "good good", "bad bad plot"] * 8)
LABELS = np.array([1.0, 0.0, 1.0, 0.0] * 8, "float32")


def text_model(**arguments):
    """A classifier of strings."""
    vectorize = nnlite.layers.TextVectorization(**arguments)
    vectorize.adapt(TEXTS)
    inputs = nnlite.Input((1,), dtype="string")
    x = nnlite.layers.Embedding(vectorize.vocabulary_size(), 4)(vectorize(inputs))
    model = nnlite.Model(inputs, nnlite.layers.Dense(1, activation="sigmoid")(nnlite.layers.GlobalAveragePooling1D()(x)))
    model.compile(nnlite.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


def test_a_model_of_strings_trains_and_predicts():
    nnlite.utils.set_random_seed(0)
    model = text_model(output_sequence_length=4)
    history = model.fit(TEXTS[:, None], LABELS, epochs=10, validation_split=0.25, verbose=0)
    assert history.history["accuracy"][-1] == history.history["val_accuracy"][-1] == 1.0
    assert model.evaluate(TEXTS, LABELS, verbose=0, return_dict=True)["accuracy"] == 1.0
    whole = model.predict(TEXTS[:, None], verbose=0)
    np.testing.assert_allclose(model(TEXTS[:, None]).numpy(), whole, rtol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(list(TEXTS)), whole, rtol=1e-6)
    np.testing.assert_allclose(model.predict(np.array(["good film"]), verbose=0), whole[:1], rtol=1e-6)


def test_a_model_of_strings_takes_datasets_and_runs_eagerly():
    model = text_model()
    data = nnlite.utils.Dataset.from_tensor_slices((TEXTS, LABELS)).batch(8)
    model.fit(data, validation_data=data, epochs=2, verbose=0)
    assert model.predict(data, verbose=0).shape == (32, 1)
    assert model.predict(data.map(lambda text, label: text), verbose=0).shape == (32, 1)
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    assert np.isfinite(model.fit(data, epochs=1, verbose=0).history["loss"][0])
    assert np.isfinite(model.train_on_batch(TEXTS, LABELS))


def test_sequential_models_of_strings():
    lookup = nnlite.layers.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot")
    model = nnlite.Sequential([lookup, nnlite.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.array([["a", "b"], ["a", "z"]])
    model.fit(x, np.ones(2), verbose=0)
    assert model.predict(x, verbose=0).shape == (2, 1)
    vectorize = nnlite.layers.TextVectorization(vocabulary=["good"], output_mode="count")
    declared = nnlite.Sequential([nnlite.Input((1,), dtype="string"), vectorize, nnlite.layers.Dense(2)])
    assert declared.output_shape == (None, 2)
    assert declared.predict(np.array([["good"], ["bad"]]), verbose=0).shape == (2, 2)


def test_features_of_several_kinds():
    layers = nnlite.layers
    inputs = {
        "word": nnlite.Input((1,), dtype="string", name="word"),
        "number": nnlite.Input((1,), name="number"),
        "code": nnlite.Input((1,), dtype="int64", name="code"),
    }
    normalize = layers.Normalization()
    normalize.adapt(np.array([[1.0], [3.0]]))
    crossed = layers.HashedCrossing(10, output_mode="one_hot")((inputs["word"], inputs["code"]))
    parts = [
        layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs["word"]),
        normalize(inputs["number"]),
        layers.CategoryEncoding(3)(layers.IntegerLookup(vocabulary=[7, 9])(inputs["code"])),
        layers.CategoryEncoding(4, output_mode="one_hot")(layers.Discretization([0.0, 1.0, 2.0])(inputs["number"])),
        crossed,
    ]
    model = nnlite.Model(inputs, layers.Concatenate()([layers.Flatten()(part) for part in parts]))
    data = {"word": np.array(["b", "q"]), "number": np.array([3.0, 1.0], "float32"), "code": np.array([9, 8])}
    found = model.predict(data, verbose=0)
    assert found.shape == (2, 3 + 1 + 3 + 4 + 10)
    np.testing.assert_allclose(found[:, :11], [[0, 0, 1, 1, 0, 0, 1, 0, 0, 0, 1], [1, 0, 0, -1, 1, 0, 0, 0, 0, 1, 0]])
    np.testing.assert_array_equal(found[:, 11:].sum(1), 1)
    np.testing.assert_array_equal(model({key: value[:, None] for key, value in data.items()}).numpy(), found)


def test_integer_lookup_is_compiled():
    for arguments in ({}, {"mask_token": 0}, {"num_oov_indices": 3}):
        layer = nnlite.layers.IntegerLookup(vocabulary=[20, 10, -4], **arguments)
        x = np.array([[10, 20, 0, 5], [-4, -5, 100, 7]])
        np.testing.assert_array_equal(nnlite.function(layer)(x).numpy(), layer(x).numpy())


def test_models_inside_models_of_strings():
    inner_in = nnlite.Input((1,), dtype="string")
    inner = nnlite.Model(inner_in, nnlite.layers.StringLookup(vocabulary=["a", "b"])(inner_in))
    outer_in = nnlite.Input((1,), dtype="string")
    outer = nnlite.Model(outer_in, nnlite.layers.Embedding(3, 2)(inner(outer_in)))
    assert outer.predict(np.array([["a"], ["b"]]), verbose=0).shape == (2, 1, 2)
    nested_in = nnlite.Input((1,), dtype="string")
    nested = nnlite.Model(nested_in, outer(nested_in))
    nested.compile("sgd", "mse")
    with pytest.raises(ValueError, match="takes strings, so it runs before everything that is compiled, and its 1 trainable weights"):
        nested.fit(np.array([["a"]]), np.zeros((1, 1, 2)), verbose=0)


def test_normalization_inside_a_sequential_model_adapts_to_pictures_in_parts(monkeypatch):
    from nnlite.layers import feature_normalization

    pictures = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3)).astype("uint8")
    monkeypatch.setattr(feature_normalization, "_CHUNK", 8 * 8 * 3 * 7)
    augment = nnlite.Sequential([nnlite.layers.Normalization(), nnlite.layers.Resizing(6, 6), nnlite.layers.RandomFlip("horizontal")])
    augment.layers[0].adapt(pictures)
    np.testing.assert_allclose(augment.layers[0].get_weights()[0], pictures.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(augment.layers[0].get_weights()[1], pictures.var((0, 1, 2), dtype="float64"), rtol=1e-6)
    inputs = nnlite.Input((8, 8, 3))
    model = nnlite.Model(inputs, nnlite.layers.Dense(2)(nnlite.layers.GlobalAveragePooling2D()(augment(inputs))))
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(pictures, np.ones((30, 2)), verbose=0).history["loss"][0])
    assert model.predict(pictures, verbose=0).shape == (30, 2)


@pytest.mark.parametrize("x", [np.array([["a", "b"], ["c", "a"]]), np.array([[1, 2], [3, 1]])], ids=["strings", "integers"])
@pytest.mark.parametrize("use", ["fit", "predict", "call"])
def test_sequential_models_that_begin_with_hashing_learn_their_input_from_the_data(x, use):
    hashing = nnlite.layers.Hashing(5, output_mode="multi_hot")
    expected = hashing(x).numpy()
    dense = nnlite.layers.Dense(2)
    model = nnlite.Sequential([nnlite.layers.Hashing(5, output_mode="multi_hot"), dense])
    model.compile(nnlite.optimizers.SGD(0.0), "mse")
    if use == "fit":
        model.fit(x, np.ones((2, 2)), verbose=0)
    found = model(x).numpy() if use == "call" else model.predict(x, verbose=0)
    np.testing.assert_allclose(found, dense(expected).numpy(), rtol=1e-6)
    assert model.input_shape == (None, 2)


def test_strings_in_a_training_loop_of_ones_own():
    model = text_model(output_sequence_length=3)
    with nnlite.GradientTape() as tape:
        loss = nnlite.ops.mean(nnlite.ops.square(model(TEXTS[:4, None], training=True) - 1.0))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(np.asarray(gradient)).all() for gradient in gradients)

    class Doubled(nnlite.Model):
        def train_step(self, data):
            x, y = data
            with nnlite.GradientTape() as tape:
                loss = nnlite.ops.mean(nnlite.ops.square(self(x, training=True)[:, 0] - y))
            self.optimizer.apply_gradients(zip(tape.gradient(loss, self.trainable_variables), self.trainable_variables))
            return {"loss": loss}

    own = Doubled(model.input, model.output)
    own.compile(nnlite.optimizers.Adam(0.05))
    losses = own.fit(TEXTS, LABELS, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
