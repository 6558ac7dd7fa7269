"""compile(): which losses and metrics the arguments mean, and how these are named in the logs."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, losses, metrics, ops

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 4)).astype("float32")
REAL = rng.normal(size=40).astype("float32")
CLASSES = rng.integers(0, 3, 40)


def model(units=1, activation=None):
    x = nnlite.Input((4,))
    return nnlite.Model(x, layers.Dense(units, activation=activation, name="o")(x))


def logs(m, y=REAL, **compile_arguments):
    m.compile(nnlite.optimizers.SGD(0.0), **compile_arguments)
    return m.evaluate(X, y, batch_size=40, verbose=0, return_dict=True)


def own_error(y_true, y_pred):
    return ops.absolute(y_true - y_pred)


@pytest.mark.parametrize(
    "given, name",
    (
        ("mse", "mse"),
        ("MeanSquaredError", "MeanSquaredError"),
        ("mean_squared_error", "mean_squared_error"),
        (metrics.MeanSquaredError(), "mean_squared_error"),
        (metrics.MeanSquaredError, "mean_squared_error"),
        (losses.mean_squared_error, "mean_squared_error"),
        (losses.MeanSquaredError(name="own"), "own"),
        (lambda y_true, y_pred: losses.mean_squared_error(y_true, y_pred), "lambda"),
    ),
)
def test_names_of_metrics(given, name):
    m = model()
    found = logs(m, loss="mse", metrics=[given])
    assert list(found) == sorted(["loss", name]) and found[name] == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "given",
    (
        "mse",
        ["mse"],
        {"o": "mse"},
        losses.MeanSquaredError,
        losses.MeanSquaredError(),
        losses.mean_squared_error,
        lambda y_true, y_pred: ops.mean(ops.square(y_true - y_pred)),
    ),
)
def test_ways_to_give_a_loss(given):
    m = model()
    assert logs(m, loss=given)["loss"] == pytest.approx(np.mean((m.predict(X, verbose=0)[:, 0] - REAL) ** 2), rel=1e-5)


@pytest.mark.parametrize("weights", (0.5, [0.5], {"o": 0.5}), ids=str)
def test_loss_weights_of_one_output(weights):
    m = model()
    assert logs(m, loss={"o": "mse"}, loss_weights=weights)["loss"] == pytest.approx(0.5 * logs(m, loss="mse")["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "units, activation, y, kind, loss",
    (
        (1, "sigmoid", (CLASSES > 0).astype("int64"), "binary", "binary_crossentropy"),
        (3, "softmax", CLASSES, "sparse_categorical", "sparse_categorical_crossentropy"),
        (3, "softmax", np.eye(3)[CLASSES], "categorical", "categorical_crossentropy"),
        (3, "softmax", CLASSES[:, None], "sparse_categorical", "sparse_categorical_crossentropy"),
    ),
    ids=("binary", "sparse", "one-hot", "column"),
)
def test_accuracy_and_crossentropy_follow_the_shapes(units, activation, y, kind, loss):
    m = model(units, activation)
    found = logs(m, y, loss="crossentropy", metrics=["acc", "accuracy", f"{kind}_accuracy"])
    assert found["acc"] == found["accuracy"] == found[f"{kind}_accuracy"]
    assert found["loss"] == pytest.approx(logs(m, y, loss=loss)["loss"])


def test_repeated_names_are_numbered_and_weighted_ones_say_so():
    m = model()
    assert sorted(logs(m, loss="mse", metrics=["mae", "mae"])) == ["loss", "mae", "mae_1"]
    assert sorted(logs(m, loss="mse", metrics=["mae"], weighted_metrics=["mae", "mse"])) == ["loss", "mae", "mse", "weighted_mae"]
    assert sorted(logs(m, loss="mse", metrics={"o": [["mae"], "mse"]})) == ["loss", "mae", "mse"]


def test_reductions_of_the_loss():
    m = model()
    mean = logs(m, loss=losses.MeanSquaredError())["loss"]
    m.compile(nnlite.optimizers.SGD(0.0), losses.MeanSquaredError(reduction="sum"))
    assert m.train_on_batch(X, REAL) == pytest.approx(40 * mean, rel=1e-5)
    weights = rng.uniform(0, 2, 40).astype("float32")
    m.compile(nnlite.optimizers.SGD(0.0), losses.MeanSquaredError(reduction="mean_with_sample_weight"), weighted_metrics=["mse"])
    found = m.train_on_batch(X, REAL, sample_weight=weights, return_dict=True)
    assert found["loss"] == pytest.approx(found["mse"], rel=1e-5)


def test_weights_per_step_of_a_sequence():
    m = nnlite.Sequential([nnlite.Input((5, 2)), layers.Dense(1)])
    m.compile(nnlite.optimizers.SGD(0.0), "mse", weighted_metrics=["mae"])
    x, y, weights = rng.normal(size=(8, 5, 2)), rng.normal(size=(8, 5, 1)), rng.uniform(0, 2, (8, 5))
    found = m.evaluate(x, y, sample_weight=weights, verbose=0)
    error = np.abs(m.predict(x, verbose=0) - y)[..., 0]
    assert found[0] == pytest.approx(np.mean(weights * error**2), rel=1e-4)


def test_compile_configuration_makes_the_same_model():
    m = model()
    m.compile(nnlite.optimizers.Adam(0.01), losses.Huber(delta=0.5), metrics=["mae", metrics.RootMeanSquaredError()])
    config = m.get_compile_config()
    assert sorted(config) == ["jit_compile", "loss", "loss_weights", "metrics", "optimizer", "run_eagerly", "steps_per_execution", "weighted_metrics"]
    twin = nnlite.models.clone_model(m)
    twin.set_weights(m.get_weights())
    twin.compile_from_config(config)
    assert twin.optimizer.get_config()["learning_rate"] == m.optimizer.get_config()["learning_rate"] and twin.optimizer.built
    assert twin.evaluate(X, REAL, verbose=0) == m.evaluate(X, REAL, verbose=0)
    assert model().get_compile_config() == {}


def test_attributes_after_compiling():
    m = model()
    assert not m.compiled and m.optimizer is None and m.metrics_names == []
    m.compile("sgd", "mse", run_eagerly=True)
    assert m.compiled and m.loss == "mse" and m.run_eagerly and not m.jit_compile and isinstance(m.optimizer, nnlite.optimizers.SGD)
    m.compile()
    assert isinstance(m.optimizer, nnlite.optimizers.RMSprop) and m.loss is None and m.jit_compile
    assert m.get_metrics_result() == {"loss": 0.0}


def test_metrics_kept_in_layers_are_logged_and_reset():
    class Watched(layers.Dense):
        def __init__(self, units):
            super().__init__(units)
            self.seen = metrics.Sum(name="seen")

        def call(self, x):
            self.seen.update_state(ops.ones((x.shape[0],)))
            return super().call(x)

    m = nnlite.Sequential([nnlite.Input((4,)), Watched(1)])
    m.compile("sgd", "mse")
    assert m.fit(X, REAL, epochs=2, verbose=0).history["seen"] == [40.0, 40.0]
