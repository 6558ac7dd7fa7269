"""What is saved comes back: the same bits, the same optimizer state, custom classes and functions."""

from __future__ import annotations

import copy
import pathlib
import sys

import numpy as np
import pytest

import nnlite
from nnlite import layers, ops

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
import saved_models  # noqa: E402

pytest.importorskip("h5py")
NAMES = sorted(saved_models.MODELS)
register = nnlite.saving.register_keras_serializable


@register("round_trip")
class Scale(layers.Layer):
    def __init__(self, factor=2.0, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.inner = inner or layers.Dense(3)

    def build(self, input_shape):
        if not self.inner.built:
            self.inner.build(input_shape)
        self.shift = self.add_weight(shape=(3,), initializer="ones", name="shift")

    def call(self, x):
        return self.inner(x) * self.factor + self.shift

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "inner": nnlite.saving.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "inner": nnlite.saving.deserialize_keras_object(config["inner"])})


@register("round_trip")
def bent(x):
    return ops.tanh(x) + 0.1 * x


@register("round_trip")
def cubic_loss(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred) ** 3, axis=-1)


@register("round_trip")
class Tower(nnlite.Model):
    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.hidden = layers.Dense(width, activation="relu")
        self.out = layers.Dense(2)

    def call(self, x):
        return self.out(self.hidden(x))

    def get_config(self):
        return {**super().get_config(), "width": self.width}


class Counted(layers.Layer):
    """Keeps its state its own way."""

    def build(self, input_shape):
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False, name="total")

    def call(self, x):
        return x + self.total

    def save_own_variables(self, store):
        store["sum"] = self.total.numpy() + 100

    def load_own_variables(self, store):
        self.total.assign(np.asarray(store["sum"]) - 100)


def rows(*shape):
    return np.random.RandomState(1).normal(size=shape).astype("float32")


def reload(model, path, **kwargs):
    model.save(path)
    return nnlite.models.load_model(path, **kwargs)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_bits_before_and_after_more_training(name, tmp_path):
    model = saved_models.MODELS[name](nnlite)
    saved_models.train(model, name)
    other = reload(model, tmp_path / "model.keras")
    for _ in range(2):
        for a, b in zip(saved_models.predictions(model, name), saved_models.predictions(other, name)):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(model.optimizer.variables, other.optimizer.variables):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        saved_models.train(model, name)
        saved_models.train(other, name)


@pytest.mark.parametrize("name", NAMES)
def test_configs_make_the_same_model(name):
    model = saved_models.MODELS[name](nnlite)
    twin = type(model).from_config(model.get_config())
    assert twin.get_config() == model.get_config()
    twin.set_weights(model.get_weights())
    for a, b in zip(saved_models.predictions(model, name), saved_models.predictions(twin, name)):
        np.testing.assert_array_equal(a, b)


def test_custom_layer_function_and_loss(tmp_path):
    x = nnlite.Input((4,))
    model = nnlite.Model(x, layers.Dense(2, activation=bent)(Scale(3.0)(x)))
    model.compile("sgd", cubic_loss)
    model.fit(rows(8, 4), rows(8, 2), verbose=0)
    other = reload(model, tmp_path / "model.keras")
    assert other.layers[1].factor == 3.0 and other.loss is cubic_loss
    np.testing.assert_array_equal(model.predict(rows(8, 4), verbose=0), other.predict(rows(8, 4), verbose=0))
    assert other.evaluate(rows(8, 4), rows(8, 2), verbose=0) == model.evaluate(rows(8, 4), rows(8, 2), verbose=0)


def test_registered_model_class(tmp_path):
    model = Tower(5)
    model.compile("adam", "mse")
    model.fit(rows(8, 4), rows(8, 2), verbose=0)
    other = reload(model, tmp_path / "model.keras")
    assert isinstance(other, Tower) and other.width == 5
    np.testing.assert_array_equal(model.predict(rows(8, 4), verbose=0), other.predict(rows(8, 4), verbose=0))
    assert int(other.optimizer.iterations.numpy()) == 1


def test_custom_objects_and_scope(tmp_path):
    class Twice(layers.Layer):
        def call(self, x):
            return 2 * x

    model = nnlite.Sequential([nnlite.Input((3,)), Twice(), layers.Dense(1)])
    model.save(tmp_path / "model.keras")
    by_argument = nnlite.models.load_model(tmp_path / "model.keras", custom_objects={"Twice": Twice})
    with nnlite.saving.custom_object_scope({"Twice": Twice}):
        by_scope = nnlite.models.load_model(tmp_path / "model.keras")
    for other in (by_argument, by_scope):
        np.testing.assert_array_equal(model.predict(rows(4, 3), verbose=0), other.predict(rows(4, 3), verbose=0))


def test_layers_may_keep_their_variables_their_own_way(tmp_path):
    model = nnlite.Sequential([nnlite.Input((2,)), Counted()])
    model.layers[0].total.assign(7.0)
    model.save_weights(tmp_path / "m.weights.h5")
    model.layers[0].total.assign(0.0)
    model.load_weights(tmp_path / "m.weights.h5")
    assert float(model.layers[0].total.numpy()) == 7.0


def test_without_compiling(tmp_path):
    model = saved_models.mlp(nnlite)
    saved_models.train(model, "mlp")
    other = reload(model, tmp_path / "m.keras", compile=False)
    assert not other.compiled and other.optimizer is None
    np.testing.assert_array_equal(saved_models.predictions(model, "mlp")[0], saved_models.predictions(other, "mlp")[0])


def test_an_uncompiled_model(tmp_path):
    model = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2)])
    other = reload(model, tmp_path / "m.keras")
    assert not other.compiled
    np.testing.assert_array_equal(model.predict(rows(4, 3), verbose=0), other.predict(rows(4, 3), verbose=0))


def test_frozen_layers_stay_frozen(tmp_path):
    model = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2, trainable=False), layers.Dense(2)])
    other = reload(model, tmp_path / "m.keras")
    assert [layer.trainable for layer in other.layers] == [False, True]
    assert len(other.trainable_variables) == 2


def test_weights_files(tmp_path):
    model, other = saved_models.cnn(nnlite), saved_models.cnn(nnlite)
    model.save_weights(tmp_path / "m.weights.h5")
    other.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(saved_models.predictions(model, "cnn")[0], saved_models.predictions(other, "cnn")[0])


def test_skip_mismatch_leaves_out_what_does_not_fit(tmp_path):
    make = lambda units: nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2), layers.Dense(units)])  # noqa: E731
    old, new = make(4), make(5)
    head = new.layers[1].get_weights()
    old.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match=r"shape \(2, 5\), but the file holds shape \(2, 4\).*Skipped"):
        new.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(new.layers[0].get_weights()[0], old.layers[0].get_weights()[0])
    np.testing.assert_array_equal(new.layers[1].get_weights()[0], head[0])


def test_optimizer_state_that_has_no_place_is_left_out_with_a_warning(tmp_path):
    model, other = saved_models.mlp(nnlite), saved_models.mlp(nnlite)
    saved_models.train(model, "mlp")
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.warns(UserWarning, match="SGD 'sgd.*' has . variables, but the file holds"):
        other.load_weights(tmp_path / "m.weights.h5")


def test_model_checkpoint(tmp_path):
    model = saved_models.mlp(nnlite)
    x, y = saved_models.inputs_of("mlp"), saved_models.targets_of("mlp")
    whole = nnlite.callbacks.ModelCheckpoint(tmp_path / "sub" / "{epoch:02d}.keras")
    weights = nnlite.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", monitor="loss", save_best_only=True, save_weights_only=True)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[whole, weights])
    assert sorted(p.name for p in (tmp_path / "sub").iterdir()) == ["01.keras", "02.keras"]
    other = nnlite.models.load_model(tmp_path / "sub" / "02.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
    other.load_weights(tmp_path / "best.weights.h5")


def test_copies_and_json():
    model = saved_models.branches(nnlite)
    other = copy.deepcopy(model)
    np.testing.assert_array_equal(saved_models.predictions(model, "branches")[0], saved_models.predictions(other, "branches")[0])
    assert nnlite.models.model_from_json(model.to_json()).get_config() == model.get_config()


@pytest.mark.parametrize(
    "value", [1, 2.5, "a", None, True, [1, [2]], {"a": {"b": 1}}, slice(1, None, 2), Ellipsis, b"\xff\x00", np.arange(3.0), np.int64(4)]
)
def test_values(value):
    found = nnlite.saving.deserialize_keras_object(nnlite.saving.serialize_keras_object(value))
    np.testing.assert_array_equal(found, value) if isinstance(value, np.ndarray) else None
    assert isinstance(value, np.ndarray) or found == value
