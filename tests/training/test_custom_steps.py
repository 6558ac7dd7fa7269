"""Models with their own steps, losses and metrics: traced like the built-in ones, and equal to running eagerly."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
Y = rng.normal(size=(50, 1)).astype("float32")
EAGERLY = pytest.mark.parametrize("run_eagerly", (False, True), ids=("compiled", "eager"))


def start(model):
    model(X[:2])
    r = np.random.RandomState(0)
    model.set_weights([(0.3 * r.normal(size=w.shape)).astype("float32") for w in model.get_weights()])
    return model


class Plain(nnlite.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(6, activation="tanh")
        self.head = layers.Dense(1)

    def call(self, x):
        return self.head(self.hidden(x))


class WithTape(Plain):
    def train_step(self, data):
        x, y = data
        with nnlite.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics if m.name != "compile_metrics"} | self.metrics[1].result()


class WithApply(Plain):
    """Own trackers, own loss, values returned by name."""

    def __init__(self):
        super().__init__()
        self.tracker = nnlite.metrics.Mean(name="total")

    @property
    def metrics(self):
        return [self.tracker]

    def train_step(self, data):
        x, y = data
        with nnlite.GradientTape() as tape:
            error = ops.mean(ops.square(self(x) - y))
        variables = self.trainable_weights
        self.optimizer.apply(tape.gradient(error, variables), variables)
        self.tracker.update_state(error)
        return {"total": self.tracker.result(), "last": error, "constant": 3.0}


def fit(model, **kwargs):
    return model.fit(X, Y, **{"verbose": 0, "shuffle": False, "epochs": 2, "batch_size": 16, **kwargs}).history


@EAGERLY
def test_tape_step_equals_the_built_in_one(run_eagerly):
    plain, custom = start(Plain()), start(WithTape())
    for model in (plain, custom):
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=run_eagerly)
        fit(model)
    for a, b in zip(plain.get_weights(), custom.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@EAGERLY
def test_returned_values_are_the_logs(run_eagerly):
    model = start(WithApply())
    model.compile("sgd", run_eagerly=run_eagerly)
    seen = []
    history = fit(model, callbacks=[nnlite.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(dict(logs)))])
    assert list(history) == ["constant", "last", "total"] and history["constant"] == [3.0, 3.0]
    last = [logs["last"] for logs in seen[4:]]
    assert history["last"][1] == last[-1] and history["total"][1] == pytest.approx(np.mean(last), rel=1e-5)


def test_a_step_may_return_values_named_like_metrics_it_never_updates():
    class Bare(Plain):
        def train_step(self, data):
            x, y = data
            with nnlite.GradientTape() as tape:
                loss = ops.mean(ops.square(self(x) - y))
            self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
            return {"loss": loss}

    model = start(Bare())
    model.compile("sgd")
    assert fit(model)["loss"][0] > 0


class OwnLoss(Plain):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.absolute(y - y_pred)) + 0.5 * ops.mean(ops.square(x))


@EAGERLY
def test_compute_loss(run_eagerly):
    model = start(OwnLoss())
    model.compile(nnlite.optimizers.SGD(0.0), run_eagerly=run_eagerly)
    expected = np.mean(np.abs(model.predict(X, verbose=0) - Y)) + 0.5 * np.mean(X**2)
    assert fit(model, batch_size=50)["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)


class OwnMetrics(Plain):
    def __init__(self):
        super().__init__()
        self.largest = nnlite.metrics.Mean(name="largest")

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        self.largest.update_state(ops.max(ops.absolute(y_pred)))
        results["largest"] = self.largest.result()
        return results


@EAGERLY
def test_compute_metrics(run_eagerly):
    model = start(OwnMetrics())
    model.compile(nnlite.optimizers.SGD(0.0), "mse", metrics=["mae"], run_eagerly=run_eagerly)
    history = fit(model, batch_size=50, epochs=1)
    assert list(history) == ["largest", "loss", "mae"]
    assert history["largest"][0] == pytest.approx(np.abs(model.predict(X, verbose=0)).max(), rel=1e-5)


class AddsLoss(Plain):
    def call(self, x, training=False):
        hidden = self.hidden(x)
        self.add_loss(0.1 * ops.mean(ops.square(hidden)))
        return self.head(hidden)


@EAGERLY
def test_add_loss(run_eagerly):
    model = start(AddsLoss())
    model.compile(nnlite.optimizers.SGD(0.0), "mse", metrics=["mse"], run_eagerly=run_eagerly)
    history = fit(model, batch_size=50, epochs=1)
    hidden = np.tanh(X @ model.get_weights()[0] + model.get_weights()[1])
    assert history["loss"][0] - history["mse"][0] == pytest.approx(0.1 * np.mean(hidden**2), rel=1e-3)
    model.compile("sgd", run_eagerly=run_eagerly)  # losses of layers are enough
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        assert len(model.fit(X, batch_size=50, verbose=0).history["loss"]) == 1


@EAGERLY
def test_predict_and_test_steps(run_eagerly):
    class Shifted(Plain):
        def predict_step(self, data):
            return self(data) + 1.0

        def test_step(self, data):
            x, y = data
            return {"gap": ops.max(ops.absolute(self(x) - y))}

    model = start(Shifted())
    model.compile("sgd", "mse", run_eagerly=run_eagerly)
    raw = np.asarray(model(X))
    np.testing.assert_allclose(model.predict(X, verbose=0), raw + 1, rtol=1e-5)
    assert model.evaluate(X, Y, batch_size=50, verbose=0) == pytest.approx(np.abs(raw - Y).max(), rel=1e-5)
    assert list(fit(model, validation_data=(X, Y))) == ["loss", "val_gap"]


def test_run_eagerly_really_runs_python_every_batch():
    class Counting(Plain):
        calls = 0

        def train_step(self, data):
            type(self).calls += 1
            assert float(ops.sum(data[0])) == pytest.approx(float(np.asarray(data[0]).sum()), rel=1e-4)
            return super().train_step(data)

    model = start(Counting())
    model.compile("sgd", "mse", run_eagerly=True)
    fit(model)
    assert Counting.calls == 8


def test_tracing_runs_python_once_per_signature():
    class Counting(Plain):
        calls = 0

        def train_step(self, data):
            type(self).calls += 1
            return super().train_step(data)

    model = start(Counting())
    model.compile("sgd", "mse")
    fit(model, epochs=5)
    assert Counting.calls == 2  # full batches and the short last one


def test_two_models_with_two_optimizers():
    """A step that trains two networks against each other."""

    class Adversarial(nnlite.Model):
        def __init__(self):
            super().__init__()
            self.generator, self.critic = layers.Dense(4), layers.Dense(1)

        def compile(self, generator_optimizer, critic_optimizer):
            super().compile()
            self.generator_optimizer, self.critic_optimizer = generator_optimizer, critic_optimizer

        def call(self, x):
            return self.critic(self.generator(x))

        def train_step(self, x):
            x = x[0] if isinstance(x, tuple) else x
            with nnlite.GradientTape() as tape:
                critic_loss = ops.mean(self.critic(self.generator(x))) - ops.mean(self.critic(x))
            variables = self.critic.trainable_variables
            self.critic_optimizer.apply(tape.gradient(critic_loss, variables), variables)
            with nnlite.GradientTape() as tape:
                generator_loss = -ops.mean(self.critic(self.generator(x)))
            variables = self.generator.trainable_variables
            self.generator_optimizer.apply(tape.gradient(generator_loss, variables), variables)
            return {"c": critic_loss, "g": generator_loss}

    results = []
    for run_eagerly in (False, True):
        model = start(Adversarial())
        model.compile(nnlite.optimizers.SGD(0.1), nnlite.optimizers.Adam(0.01))
        model.run_eagerly = run_eagerly
        history = model.fit(X, epochs=3, batch_size=25, verbose=0, shuffle=False).history
        assert list(history) == ["c", "g"]
        results.append([*history["c"], *history["g"]])
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-6)


@EAGERLY
def test_a_metric_of_its_own(run_eagerly):
    class Largest(nnlite.metrics.Metric):
        def __init__(self, name="largest", **kwargs):
            super().__init__(name=name, **kwargs)
            self.value = self.add_weight(name="value", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.value.assign(ops.maximum(self.value, ops.max(y_pred)))

        def result(self):
            return self.value

    nnlite.utils.clear_session()
    model = start(Plain())
    model.compile(nnlite.optimizers.SGD(0.0), "mse", metrics=[Largest(), nnlite.metrics.AUC(), nnlite.metrics.Precision()], run_eagerly=run_eagerly)
    history = model.fit(X, (Y > 0).astype("float32"), epochs=2, verbose=0).history
    assert history["largest"] == pytest.approx([model.predict(X, verbose=0).max()] * 2, rel=1e-5)
    auc = nnlite.metrics.AUC()
    auc.update_state((Y > 0).astype("float32"), model.predict(X, verbose=0))
    assert history["auc"][1] == pytest.approx(float(auc.result()), rel=1e-4)
