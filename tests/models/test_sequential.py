"""Sequential: adding, removing, building late, configs."""

from __future__ import annotations

import json

import nnlite
import numpy as np
import pytest
from nnlite import layers as L

X = np.ones((2, 3), "float32")


def test_layers_run_one_after_the_other():
    a, b = L.Dense(4, activation="relu"), L.Dense(2)
    model = nnlite.Sequential([a, b])
    np.testing.assert_array_equal(model(X).numpy(), b(a(X)).numpy())
    assert model.layers == [a, b]


def test_built_at_once_with_an_input_and_late_without():
    assert nnlite.Sequential([nnlite.Input((3,)), L.Dense(2)]).built
    model = nnlite.Sequential([L.Dense(2)])
    assert not model.built and model.weights == []
    model.build((None, 3))
    assert model.built and model.input_shape == (None, 3) and model.output_shape == (None, 2)


def test_old_ways_to_give_the_input_shape():
    for arguments in ({"input_shape": (3,)}, {"input_dim": 3}, {"batch_input_shape": (None, 3)}):
        model = nnlite.Sequential([L.Dense(2, **arguments)])
        assert model.built and len(model.layers) == 1 and model.input_shape == (None, 3)
    assert nnlite.Sequential([L.Embedding(5, 2, input_length=4)]).output_shape == (None, 4, 2)


def test_add_and_pop():
    model = nnlite.Sequential()
    model.add(nnlite.Input((3,)))
    assert model.layers == [] and not model.built
    model.add(L.Dense(4))
    model.add(L.Dense(2))
    assert model.output_shape == (None, 2)
    assert model.pop().units == 2
    assert model.output_shape == (None, 4) and len(model.weights) == 2
    np.testing.assert_array_equal(model(X).numpy(), model.layers[0](X).numpy())


def test_inputs_outputs_and_layers_outputs_are_tensors_of_one_graph():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(4), L.Dense(2)])
    assert model.input is model.inputs[0] and model.output is model.outputs[0] and model.layers[-1].output is model.output
    assert nnlite.Model(model.input, model.layers[0].output)(X).shape == (2, 4)


def test_paths_hold_the_model():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2, name="d")], name="m")
    assert [w.path for w in model.weights] == ["m/d/kernel", "m/d/bias"]


def test_names_count_like_those_of_keras():
    nnlite.utils.clear_session()
    nnlite.Sequential([nnlite.Input((3,)), L.Dense(2)])
    x = nnlite.Input((3,))
    assert nnlite.Model(x, L.Dense(2)(x)).name == "functional_1"
    assert [nnlite.Sequential().name, x.history[0].name] == ["sequential_1", "input_layer_1"]


def test_models_as_first_layer_build_it():
    inner = nnlite.Sequential([nnlite.Input((3,)), L.Dense(4)])
    model = nnlite.Sequential([inner, L.Dense(1)])
    assert model.built and model.input_shape == (None, 3)


def test_config_round_trip():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(4, activation="relu"), L.BatchNormalization(), nnlite.Sequential([L.Dense(2)])], name="m")
    config = json.loads(json.dumps(model.get_config()))
    copied = nnlite.Sequential.from_config(config)
    assert json.loads(json.dumps(copied.get_config())) == config
    copied.set_weights(model.get_weights())
    np.testing.assert_array_equal(copied(X).numpy(), model(X).numpy())
    assert config["build_input_shape"] == [None, 3]


def test_unbuilt_config_round_trip():
    model = nnlite.Sequential([L.Dense(4)])
    copied = nnlite.Sequential.from_config(model.get_config())
    assert not copied.built and copied.layers[0].units == 4


def test_layers_without_known_output_shapes_run_as_a_loop():
    class Python(nnlite.Layer):
        def call(self, x):
            if not hasattr(x, "numpy") or x.is_traced:
                raise NotImplementedError("values only")
            return nnlite.ops.convert_to_tensor(x.numpy() * 2)

    model = nnlite.Sequential([Python(), L.Rescaling(0.5)])
    np.testing.assert_array_equal(model(X).numpy(), X)


def test_training_mode_reaches_the_layers():
    model = nnlite.Sequential([nnlite.Input((100,)), L.Dropout(0.5)])
    x = np.ones((4, 100), "float32")
    assert (model(x).numpy() == 1).all() and (model(x, training=True).numpy() == 0).any()


def test_fit_builds_and_trains():
    model = nnlite.Sequential([L.Dense(8, activation="relu"), L.Dense(1)])
    model.compile(nnlite.optimizers.SGD(0.05), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    history = model.fit(x, x.sum(1), epochs=20, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]


@pytest.mark.parametrize("name", ["input", "output", "input_shape", "output_shape", "inputs", "outputs"])
def test_unbuilt_models_have_no_tensors(name):
    with pytest.raises(AttributeError, match=f"no defined {name} yet"):
        getattr(nnlite.Sequential([L.Dense(2)]), name)
