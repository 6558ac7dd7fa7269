"""Functional models: graphs, structures, shared layers, models inside models, configs."""

from __future__ import annotations

import copy
import json
import pickle

import nnlite
import numpy as np
import pytest
from nnlite import layers as L
from nnlite import ops


@pytest.fixture(autouse=True)
def fresh_names():
    nnlite.utils.clear_session()


X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def branched():
    left, right = nnlite.Input((3,), name="left"), nnlite.Input((2,), name="right")
    dense = L.Dense(4, activation="tanh", name="shared")
    h = L.Concatenate()([dense(left), dense(left * 2.0), right])
    return nnlite.Model([left, right], [L.Dense(2, name="o1")(h), ops.relu(L.Dense(1, name="o2")(h))], name="net")


def test_outputs_follow_the_graph():
    x = nnlite.Input((3,))
    first, second = L.Dense(4, activation="relu"), L.Dense(2)
    model = nnlite.Model(x, second(first(x)))
    np.testing.assert_array_equal(model(X).numpy(), second(first(X)).numpy())
    assert model.layers == [x.history[0], first, second]
    assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert model.inputs == [x] and model.input is x


def test_inputs_may_be_lists_dicts_and_dicts_by_name():
    model = branched()
    a, b = X, X[:, :2]
    expected = [y.numpy() for y in model([a, b])]
    for inputs in ((a, b), {"left": a, "right": b}, {"right": b, "left": a}):
        for y, e in zip(model(inputs), expected):
            np.testing.assert_array_equal(y.numpy(), e)
    assert model.input_names == ["left", "right"] and model.output_names == ["o1", "relu"]


def test_structures_of_inputs_and_outputs_are_kept():
    a, b = nnlite.Input((3,), name="a"), nnlite.Input((3,), name="b")
    model = nnlite.Model({"a": a, "b": b}, {"sum": a + b, "pair": (a, b * 2.0)})
    result = model({"b": X, "a": X})
    np.testing.assert_array_equal(result["sum"].numpy(), X + X)
    np.testing.assert_array_equal(result["pair"][1].numpy(), X * 2)
    assert model.output_shape == {"sum": (None, 3), "pair": ((None, 3), (None, 3))}


def test_shared_layers_are_listed_once_and_their_gradients_add_up():
    model = branched()
    assert [layer.name for layer in model.layers].count("shared") == 1
    with nnlite.GradientTape() as tape:
        loss = ops.sum(model([X, X[:, :2]])[0])
    gradient = tape.gradient(loss, model.get_layer("shared").kernel)
    kernel = model.get_layer("shared").kernel
    values = kernel.numpy()
    step = 1e-2
    numeric = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        for sign in (1, -1):
            moved = values.copy()
            moved[index] += sign * step
            kernel.assign(moved)
            numeric[index] += sign * float(ops.sum(model([X, X[:, :2]])[0])) / (2 * step)
    kernel.assign(values)
    np.testing.assert_allclose(gradient.numpy(), numeric, atol=2e-2)


def test_models_are_layers():
    inner = nnlite.Sequential([nnlite.Input((3,)), L.Dense(4), L.ReLU()], name="inner")
    x = nnlite.Input((3,))
    model = nnlite.Model(x, L.Dense(1)(inner(x)))
    assert [layer.name for layer in model.layers][1] == "inner" and len(model.weights) == 4
    np.testing.assert_allclose(model(X).numpy(), model.layers[2](inner(X)).numpy(), rtol=1e-6)


def test_models_can_be_called_on_new_symbolic_inputs():
    model = branched()
    y = nnlite.Input((3,))
    outputs = model([y, y[:, :2]])
    other = nnlite.Model(y, outputs)
    for a, b in zip(other(X), model([X, X[:, :2]])):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert other.weights == model.weights


def test_models_of_intermediate_outputs_share_the_layers():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(4, name="hidden"), L.Dense(2)])
    features = nnlite.Model(model.inputs, model.get_layer("hidden").output)
    np.testing.assert_array_equal(features(X).numpy(), model.layers[0](X).numpy())
    assert features.layers[1] is model.layers[0]


def test_models_may_start_in_the_middle():
    x = nnlite.Input((3,))
    hidden = L.Dense(4)(x)
    end = ops.tanh(L.Dense(2)(hidden))
    tail = nnlite.Model(hidden, end)
    assert tail.input_shape == (None, 4) and len(tail.weights) == 2
    whole = nnlite.Model(x, end)
    np.testing.assert_allclose(tail(whole.layers[1](X)).numpy(), whole(X).numpy(), rtol=1e-6)


def test_last_axis_is_adapted_and_dtypes_are_cast():
    x = nnlite.Input((1,))
    model = nnlite.Model(x, x * 2.0)
    assert model(np.ones(4)).shape == (4, 1) and model(np.ones(4)).dtype == "float32"
    flat = nnlite.Input(())
    assert nnlite.Model(flat, flat + 1.0)(np.ones((4, 1), "int32")).numpy().tolist() == [2, 2, 2, 2]


def test_integer_inputs_stay_integers():
    x = nnlite.Input((2,), dtype="int32")
    model = nnlite.Model(x, L.Embedding(5, 3)(x))
    assert model(np.array([[1, 2]])).shape == (1, 2, 3)


def test_unused_inputs_are_allowed():
    a, b = nnlite.Input((3,), name="a"), nnlite.Input((3,), name="b")
    model = nnlite.Model([a, b], a + 1.0)
    np.testing.assert_array_equal(model([X, X]).numpy(), X + 1)
    assert [layer.name for layer in model.layers] == ["a", "b"]


def test_layers_are_ordered_from_inputs_to_outputs():
    x = nnlite.Input((3,), name="x")
    short = L.Dense(2, name="short")(x)
    long = L.Dense(2, name="l3")(L.Dense(2, name="l2")(L.Dense(2, name="l1")(x)))
    model = nnlite.Model(x, L.Add(name="sum")([short, long]))
    assert [layer.name for layer in model.layers] == ["x", "l1", "l2", "short", "l3", "sum"]


def test_deep_models_do_not_hit_the_recursion_limit():
    x = nnlite.Input((2,))
    y = x
    for _ in range(1500):
        y = L.ReLU()(y)
    assert nnlite.Model(x, y)(np.ones((1, 2), "float32")).numpy().tolist() == [[1, 1]]


def test_subclasses_made_from_inputs_and_outputs():
    class Custom(nnlite.Model):
        def train_step(self, data):
            self.steps = getattr(self, "steps", 0) + 1
            return super().train_step(data)

    x = nnlite.Input((3,))
    model = Custom(x, L.Dense(1)(x))
    assert isinstance(model, Custom) and model.output_shape == (None, 1)
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, X[:, :1], verbose=0)
    assert model.steps == 1


def test_config_round_trip_keeps_everything():
    model = branched()
    config = json.loads(json.dumps(model.get_config()))
    copied = nnlite.Model.from_config(config)
    copied.set_weights(model.get_weights())
    for a, b in zip(copied([X, X[:, :2]]), model([X, X[:, :2]])):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert json.loads(json.dumps(copied.get_config())) == config
    assert config["input_layers"] == [["left", 0, 0], ["right", 0, 0]] and config["output_layers"] == [["o1", 0, 0], ["relu", 0, 0]]
    shared = next(entry for entry in config["layers"] if entry["name"] == "shared")
    assert len(shared["inbound_nodes"]) == 2


def test_config_of_operations_has_keras_names():
    x = nnlite.Input((4, 6))
    y = ops.expand_dims(ops.mean(x, axis=1, keepdims=True)[:, 0], 1)
    z = ops.concatenate([y / 2, 1 - ops.softmax(y, axis=-1)], axis=1)
    model = nnlite.Model(x, ops.transpose(z, (0, 2, 1)))
    entries = {entry["name"]: entry for entry in model.get_config()["layers"]}
    mean = entries["mean"]
    assert (mean["module"], mean["class_name"], mean["config"]) == ("keras.src.ops.numpy", "Mean", {"name": "mean", "axis": 1, "keepdims": True})
    assert entries["softmax"]["module"] == "keras.src.ops.nn" and entries["get_item"]["class_name"] == "GetItem"
    assert entries["true_divide"]["inbound_nodes"][0]["args"][1] == 2
    data = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    np.testing.assert_array_equal(nnlite.Model.from_config(json.loads(json.dumps(model.get_config())))(data).numpy(), model(data).numpy())


def test_training_argument_of_the_graph_is_kept():
    x = nnlite.Input((3,))
    layer = L.BatchNormalization()
    model = nnlite.Model(x, layer(x, training=True))
    before = layer.moving_mean.numpy()
    model(X)
    assert not np.array_equal(before, layer.moving_mean.numpy())
    copied = nnlite.Model.from_config(model.get_config())
    copied(X)
    assert copied.layers[1].moving_mean.numpy().any()


@pytest.mark.parametrize("make", [pickle.loads, copy.deepcopy], ids=["pickle", "deepcopy"])
def test_models_can_be_copied(make):
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2), L.BatchNormalization()])
    model.compile("adam", "mse")
    model.fit(X, X[:, :2], verbose=0)
    copied = make(pickle.dumps(model)) if make is pickle.loads else make(model)
    np.testing.assert_array_equal(copied(X).numpy(), model(X).numpy())
    assert int(copied.optimizer.iterations) == 1
    model.fit(X, X[:, :2], verbose=0, shuffle=False)
    copied.fit(X, X[:, :2], verbose=0, shuffle=False)
    np.testing.assert_array_equal(copied.get_weights()[0], model.get_weights()[0])


def test_json_round_trip():
    model = branched()
    copied = nnlite.models.model_from_json(model.to_json())
    assert copied.get_config() == json.loads(json.dumps(model.get_config())) or copied.name == model.name


# clone_model


def test_clones_have_the_same_configuration_and_new_weights():
    for model in (branched(), nnlite.Sequential([nnlite.Input((3,)), L.Dense(2), L.Lambda(lambda x: x * 2)], name="s")):
        clone = nnlite.models.clone_model(model)
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers] and clone.name == model.name
        assert all(a is not b for a, b in zip(clone.weights, model.weights))
        clone.set_weights(model.get_weights())
        inputs = [X, X[:, :2]] if model.name == "net" else X
        for a, b in zip(nnlite.tree.flatten(clone(inputs)), nnlite.tree.flatten(model(inputs))):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_clone_functions_and_inputs():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2), L.ReLU()])

    def wider(layer):
        if isinstance(layer, L.Dense):
            return L.Dense(7)
        return layer

    assert nnlite.models.clone_model(model, clone_function=wider).output_shape == (None, 7)
    functional = nnlite.Model(model.inputs, model.outputs)
    clone = nnlite.models.clone_model(functional, input_tensors=nnlite.Input((3,), name="other"))
    assert clone.input_names == ["other"]


# Compiled calls


def test_repeated_calls_are_compiled_and_follow_the_weights():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2), L.BatchNormalization()])
    for _ in range(3):
        model(X)
    assert len(model._inference.plans) == 1
    model.layers[0].kernel.assign(np.ones((3, 2)))
    expected = model.layers[1](model.layers[0](X)).numpy()
    np.testing.assert_allclose(model(X).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(model(X.astype("float64")).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(model(X[::-1]).numpy(), expected[::-1], rtol=1e-6)
    np.testing.assert_allclose(model(ops.convert_to_tensor(X)).numpy(), expected, rtol=1e-6)


def test_changed_layers_are_compiled_anew():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Rescaling(2.0)])
    for _ in range(3):
        model(X)
    model.layers[0].scale = 3.0
    for _ in range(3):
        np.testing.assert_allclose(model(X).numpy(), X * 3, rtol=1e-6)
    model.add(L.ReLU())
    for _ in range(3):
        np.testing.assert_allclose(model(X).numpy(), np.maximum(X * 3, 0), rtol=1e-6)


def test_user_code_runs_on_every_call():
    class Counter(nnlite.Layer):
        count = 0

        def call(self, x):
            Counter.count += 1
            return x

    for layer in (Counter(), L.Lambda(lambda x: Counter()(x))):
        model = nnlite.Sequential([nnlite.Input((3,)), layer])
        Counter.count = 0
        for _ in range(5):
            model(X)
        assert Counter.count == 5


def test_many_shapes_do_not_fill_the_memory():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2)])
    for n in range(1, 60):
        for _ in range(2):
            model(np.ones((n, 3), "float32"))
    assert len(model._inference.plans) <= 16


def test_models_without_call_train_by_their_own_steps():
    class Pair(nnlite.Model):
        """Trains two models inside; `data` is x itself, as there are no targets."""

        def __init__(self):
            super().__init__()
            self.first = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2)])
            self.second = nnlite.Sequential([nnlite.Input((2,)), L.Dense(3)])

        def train_step(self, data):
            with nnlite.GradientTape() as tape:
                loss = ops.mean(ops.square(self.second(self.first(data)) - data))
            gradients = tape.gradient(loss, self.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
            return {"loss": loss}

    for eager in (False, True):
        model = Pair()
        model.compile(nnlite.optimizers.SGD(0.1), run_eagerly=eager)
        losses = model.fit(X, epochs=30, verbose=0).history["loss"]
        assert losses[-1] < losses[0]


def test_freezing_and_thawing_in_turns_keeps_the_plans():
    inner = nnlite.Sequential([nnlite.Input((3,)), L.Dense(3), L.BatchNormalization()])
    inner.compile("sgd", "mse")
    x = nnlite.Input((3,))
    outer = nnlite.Model(x, inner(L.Dense(3)(x)))
    inner.trainable = False
    outer.compile("sgd", "mse")
    for _ in range(4):
        inner.trainable = True
        inner.train_on_batch(X, X)
        frozen = inner.get_weights()
        inner.trainable = False
        outer.train_on_batch(X, X)
        for before, after in zip(frozen, inner.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
    assert len(inner._step_cache._steps) == len(outer._step_cache._steps) == 1
