"""fit, evaluate, predict: what goes in, what comes out, and that all ways to run a step agree."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
Y = rng.integers(0, 3, 50)
REAL = rng.normal(size=50).astype("float32")
WEIGHTS = rng.uniform(0, 2, 50).astype("float32")


def set_weights(model, seed=0):
    r = np.random.RandomState(seed)
    model.set_weights([(0.3 * r.normal(size=w.shape)).astype("float32") for w in model.get_weights()])
    return model


def classifier(optimizer="sgd", metrics=("accuracy",), **options):
    model = set_weights(nnlite.Sequential([nnlite.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(3, activation="softmax")]))
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics), **options)
    return model


def regressor(optimizer="sgd", metrics=("mae",), **options):
    model = set_weights(nnlite.Sequential([nnlite.Input((4,)), layers.Dense(1)]))
    model.compile(optimizer, "mse", metrics=list(metrics), **options)
    return model


def fit(model, *args, **kwargs):
    return model.fit(*args, **{"verbose": 0, "shuffle": False, **kwargs}).history


def same_weights(a, b):
    for left, right in zip(a.get_weights(), b.get_weights()):
        np.testing.assert_array_equal(left, right)


def test_history_has_one_float_per_epoch_and_sorted_keys():
    history = fit(classifier(), X, Y, epochs=3, validation_split=0.2)
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(len(values) == 3 and all(type(v) is float for v in values) for values in history.values())


def test_loss_falls():
    history = fit(classifier(nnlite.optimizers.Adam(0.05)), X, Y, epochs=60)
    assert history["loss"][-1] < 0.8 * history["loss"][0]


def test_epoch_loss_is_the_mean_weighted_by_batch_size():
    model = regressor(nnlite.optimizers.SGD(0.0))
    expected = np.mean((model.predict(X, verbose=0)[:, 0] - REAL) ** 2)
    assert fit(model, X, REAL, batch_size=32)["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(X, REAL, batch_size=7, verbose=0)[0] == pytest.approx(expected, rel=1e-5)


def test_sample_weights_scale_the_loss_and_only_weighted_metrics_use_them():
    model = regressor(nnlite.optimizers.SGD(0.0), weighted_metrics=["mae"])
    error = np.abs(model.predict(X, verbose=0)[:, 0] - REAL)
    history = fit(model, X, REAL, sample_weight=WEIGHTS, batch_size=50)
    assert history["loss"][0] == pytest.approx(np.sum(WEIGHTS * error**2) / 50, rel=1e-5)
    assert history["mae"][0] == pytest.approx(error.mean(), rel=1e-5)
    assert history["weighted_mae"][0] == pytest.approx(np.sum(WEIGHTS * error) / WEIGHTS.sum(), rel=1e-5)


def test_class_weight_is_sample_weight():
    a, b = classifier(), classifier()
    fit(a, X, Y, class_weight={0: 2.0, 2: 0.5}, epochs=2)
    fit(b, X, Y, sample_weight=np.array([2.0, 1.0, 0.5])[Y], epochs=2)
    same_weights(a, b)


def test_regularizers_count_in_the_loss_and_not_in_metrics():
    model = set_weights(nnlite.Sequential([nnlite.Input((4,)), layers.Dense(1, kernel_regularizer="l2")]))
    model.compile(nnlite.optimizers.SGD(0.0), "mse", metrics=["mse"])
    history = fit(model, X, REAL)
    penalty = 0.01 * np.sum(model.get_weights()[0] ** 2)
    assert history["loss"][0] - history["mse"][0] == pytest.approx(penalty, rel=1e-3)


def test_chunks_single_steps_and_eager_steps_agree():
    class Listener(nnlite.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    seen: list = []
    chunked, single, eager = classifier("adam"), classifier("adam"), classifier("adam", run_eagerly=True)
    h1 = fit(chunked, X, Y, epochs=3, batch_size=8)
    h2 = fit(single, X, Y, epochs=3, batch_size=8, callbacks=[Listener()])
    h3 = fit(eager, X, Y, epochs=3, batch_size=8)
    same_weights(chunked, single)
    assert h1 == h2 and seen == list(range(7)) * 3
    np.testing.assert_allclose(h1["loss"], h3["loss"], rtol=1e-5)
    for a, b in zip(chunked.get_weights(), eager.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Batches(nnlite.utils.PyDataset):
    def __init__(self, size=10, workers=1):
        super().__init__(workers=workers)
        self.size = size
        self.epochs = 0

    def __len__(self):
        return 50 // self.size

    def __getitem__(self, i):
        rows = slice(i * self.size, (i + 1) * self.size)
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.epochs += 1


def endless():
    while True:
        yield from Batches()


class DataLoader:
    """Looks like torch's."""

    def __iter__(self):
        return iter([list(batch) for batch in Batches()])

    def __len__(self):
        return 5


DataLoader.__module__ = "torch.utils.data.dataloader"


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("source", ("dataset", "workers", "generator", "loader", "tensors", "lists"))
def test_sources_agree_with_arrays(source):
    expected, found = classifier("adam"), classifier("adam")
    fit(expected, X, Y, epochs=2, batch_size=10)
    if source == "generator":
        fit(found, endless(), steps_per_epoch=5, epochs=2)
    elif source == "tensors":
        fit(found, nnlite.ops.convert_to_tensor(X), nnlite.ops.convert_to_tensor(Y), epochs=2, batch_size=10)
    elif source == "lists":
        fit(found, [X.astype("float64")], Y.astype("int16"), epochs=2, batch_size=10)
    else:
        data = {"dataset": Batches(), "workers": Batches(workers=3), "loader": DataLoader()}[source]
        fit(found, data, epochs=2)
    same_weights(expected, found)
    assert found.evaluate(Batches(), verbose=0) == pytest.approx(expected.evaluate(X, Y, batch_size=10, verbose=0))
    np.testing.assert_array_equal(found.predict(Batches(), verbose=0), expected.predict(X, verbose=0))


def test_dataset_hooks_and_validation_sources():
    data = Batches()
    history = fit(classifier(), data, epochs=2, validation_data=Batches(25))
    assert data.epochs == 2 and len(history["val_loss"]) == 2
    model = classifier()
    fit(model, X, Y)
    arrays = fit(model, X, Y, validation_data=(X, Y))["val_loss"][0]
    assert arrays == pytest.approx(model.evaluate(X, Y, verbose=0)[0])


def test_integer_and_boolean_inputs_train():
    images = rng.integers(0, 255, (50, 4)).astype("uint8")
    model = classifier()
    fit(model, images, Y)
    step = next(iter(model._steps._steps.values()))
    assert step.compiled.graph.specs[step.compiled.graph.inputs[0]].dtype == "uint8"
    fit(classifier(), X > 0, Y)
    fit(classifier(), X.astype("float16"), Y.astype("float32"))
    fit(classifier(), X, Y[:, None])


def test_steps_per_epoch_of_arrays_goes_on_where_the_last_epoch_ended():
    seen = []

    class Listener(nnlite.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    model = classifier(nnlite.optimizers.SGD(0.0))
    with pytest.warns(UserWarning, match="ran out of data"):
        history = fit(model, X, Y, batch_size=10, steps_per_epoch=3, epochs=3, callbacks=[Listener()])
    losses = [model.evaluate(X[i : i + 10], Y[i : i + 10], verbose=0)[0] for i in range(0, 50, 10)]
    assert seen == [0, 1, 2, 0, 1, 0, 1, 2]
    assert history["loss"] == pytest.approx([np.mean(losses[:3]), np.mean(losses[3:]), np.mean(losses[:3])], rel=1e-5)


def test_validation_frequency_and_initial_epoch():
    history = fit(classifier(), X, Y, epochs=6, initial_epoch=1, validation_data=(X, Y), validation_freq=2)
    assert len(history["loss"]) == 5 and len(history["val_loss"]) == 3
    assert len(fit(classifier(), X, Y, epochs=4, validation_data=(X, Y), validation_freq=[1, 4])["val_loss"]) == 2


def test_shuffling_is_reproducible_and_complete():
    runs = []
    for _ in range(2):
        nnlite.utils.set_random_seed(3)
        model = classifier("adam")
        model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        runs.append(model)
    same_weights(*runs)
    unshuffled = classifier("adam")
    fit(unshuffled, X, Y, epochs=2, batch_size=8)
    assert not np.array_equal(unshuffled.get_weights()[0], runs[0].get_weights()[0])
    from nnlite.training.data import ArrayData

    for shuffle in (True, "batch"):
        order = ArrayData(X, batch_size=8, shuffle=shuffle).order()
        assert sorted(order) == list(range(50))
    assert (np.diff(order[:48].reshape(-1, 8)) == 1).all()  # whole batches stay together


def test_evaluate_returns_scalar_list_and_dict():
    model = classifier()
    values = model.evaluate(X, Y, verbose=0)
    assert isinstance(values, list) and model.evaluate(X, Y, verbose=0, return_dict=True) == {"accuracy": values[1], "loss": values[0]}
    assert isinstance(classifier(metrics=()).evaluate(X, Y, verbose=0), float)
    assert model.evaluate(X, Y, verbose=0, steps=1, batch_size=10)[0] == pytest.approx(model.evaluate(X[:10], Y[:10], verbose=0)[0], rel=1e-6)


def test_predict_shapes_batches_and_rows_agree():
    model = classifier()
    whole = model.predict(X, verbose=0)
    assert whole.shape == (50, 3) and whole.dtype == np.float32
    np.testing.assert_array_equal(whole, model.predict(X, batch_size=7, verbose=0))
    np.testing.assert_array_equal(whole[:1], model.predict(X[:1], verbose=0))
    np.testing.assert_array_equal(whole[:20], model.predict_on_batch(X[:20]))
    np.testing.assert_array_equal(whole[:20], model.predict(X, steps=2, batch_size=10, verbose=0))
    np.testing.assert_array_equal(whole, model.predict(X.astype("float64"), verbose=0))
    np.testing.assert_array_equal(whole[::2], model.predict(X[::2], verbose=0))


def test_small_predict_sees_new_weights_and_changed_layers():
    model = classifier()
    first = model.predict(X[:2], verbose=0)
    model.set_weights([w * 2 for w in model.get_weights()])
    second = model.predict(X[:2], verbose=0)
    assert not np.array_equal(first, second)
    model.layers[0].activation = nnlite.activations.get("tanh")
    assert not np.array_equal(second, model.predict(X[:2], verbose=0))


def test_predict_of_several_and_of_scalar_outputs():
    x = nnlite.Input((4,))
    model = nnlite.Model(x, {"a": layers.Dense(2)(x), "b": layers.Dense(1)(x)})
    found = model.predict(X, verbose=0)
    assert {key: value.shape for key, value in found.items()} == {"a": (50, 2), "b": (50, 1)}
    assert model.predict(X[:1], verbose=0)["a"].shape == (1, 2)


def two_outputs(structure="list"):
    x = nnlite.Input((4,), name="x")
    hidden = layers.Dense(5, activation="tanh")(x)
    a, b = layers.Dense(1, name="o1")(hidden), layers.Dense(3, activation="softmax", name="o2")(hidden)
    return set_weights(nnlite.Model(x, [a, b] if structure == "list" else {"o1": a, "o2": b}))


CROSSENTROPY = "sparse_categorical_crossentropy"


@pytest.mark.parametrize("structure", ("list", "dict"))
@pytest.mark.parametrize("given", ("list", "dict"))
def test_several_outputs(structure, given):
    model = two_outputs(structure)
    if given == "list":
        model.compile("sgd", ["mse", CROSSENTROPY], loss_weights=[1.0, 0.5], metrics=[["mae"], ["acc"]])
        targets = [REAL, Y]
    else:
        model.compile("sgd", {"o1": "mse", "o2": CROSSENTROPY}, loss_weights={"o1": 1.0, "o2": 0.5}, metrics={"o1": ["mae"], "o2": "acc"})
        targets = {"o1": REAL, "o2": Y}
    history = fit(model, {"x": X}, targets)
    assert list(history) == ["loss", "o1_loss", "o1_mae", "o2_acc", "o2_loss"]
    assert history["loss"][0] == pytest.approx(history["o1_loss"][0] + 0.5 * history["o2_loss"][0], rel=1e-5)
    logs = model.evaluate(X, targets, verbose=0, return_dict=True)
    assert model.evaluate(X, targets, verbose=0) == [logs[name] for name in ("loss", "o1_loss", "o2_loss", "o1_mae", "o2_acc")]
    assert model.metrics_names == ["loss", "compile_metrics", "o1_loss", "o2_loss"]


def test_an_output_without_loss():
    model = two_outputs()
    model.compile("sgd", ["mse", None])
    with pytest.warns(UserWarning, match="Gradients do not exist for variables"):
        assert list(fit(model, X, [REAL, Y])) == ["loss"]


def test_sample_weights_per_output():
    model = two_outputs()
    model.compile(nnlite.optimizers.SGD(0.0), ["mse", CROSSENTROPY])
    one = fit(model, X, [REAL, Y], sample_weight=[WEIGHTS, WEIGHTS])
    other = fit(model, X, [REAL, Y], sample_weight=WEIGHTS)
    assert one == other


def test_masked_steps_do_not_count():
    x = rng.normal(size=(8, 5, 2)).astype("float32")
    x[:, 3:] = 0
    targets = rng.normal(size=(8, 5, 1)).astype("float32")
    model = nnlite.Sequential([nnlite.Input((5, 2)), layers.Masking(), layers.Dense(1)])
    model.compile(nnlite.optimizers.SGD(0.0), "mse", metrics=["mae"])
    history = fit(model, x, targets)
    error = model.predict(x, verbose=0)[:, :3] - targets[:, :3]
    assert history["loss"][0] == pytest.approx(np.mean(error**2), rel=1e-5)
    assert history["mae"][0] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)


def test_single_batches():
    model = regressor(nnlite.optimizers.SGD(0.0))
    loss, mae = model.train_on_batch(X, REAL)
    assert model.test_on_batch(X, REAL) == pytest.approx([loss, mae])
    logs = model.train_on_batch(X, REAL, sample_weight=WEIGHTS, return_dict=True)
    assert list(logs) == ["loss", "mae"] and logs["loss"] != pytest.approx(loss)
    assert int(model.optimizer.iterations) == 2
    weighted = classifier(nnlite.optimizers.SGD(0.0))
    expected = weighted.train_on_batch(X, Y, sample_weight=np.array([3.0, 1.0, 1.0])[Y])
    assert weighted.train_on_batch(X, Y, class_weight={0: 3.0}) == pytest.approx(expected)


def test_interrupt_leaves_a_usable_model():
    class Interrupt(nnlite.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise KeyboardInterrupt

    model = classifier("adam")
    with pytest.raises(KeyboardInterrupt):
        fit(model, X, Y, batch_size=5, callbacks=[Interrupt()])
    assert int(model.optimizer.iterations) == 3
    assert len(fit(model, X, Y, batch_size=5)["loss"]) == 1


def test_trainable_flags_take_effect_without_compiling_again():
    model = classifier()
    fit(model, X, Y)
    before = model.get_weights()
    model.layers[0].trainable = False
    fit(model, X, Y)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])
    plans = len(model._steps._steps)
    model.layers[0].trainable = True
    fit(model, X, Y)
    assert len(model._steps._steps) == plans  # toggling back finds the old plans
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_steps_are_compiled_once():
    model = classifier()
    fit(model, X, Y, epochs=3, batch_size=16, validation_data=(X, Y))
    plans = dict(model._steps._steps)
    fit(
        model,
        X,
        Y,
        epochs=3,
        batch_size=16,
        validation_data=(X, Y),
        callbacks=[nnlite.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)],
    )
    model.optimizer.learning_rate = 0.5
    fit(model, X, Y, batch_size=16)
    assert model._steps._steps == plans


def test_learning_rate_is_a_variable_of_the_step():
    model = regressor(nnlite.optimizers.SGD(0.0))
    before = model.get_weights()[0]
    fit(model, X, REAL)
    np.testing.assert_array_equal(before, model.get_weights()[0])
    model.optimizer.learning_rate = 0.1
    fit(model, X, REAL)
    assert not np.array_equal(before, model.get_weights()[0])


def test_steps_per_execution_groups_batch_callbacks():
    seen = []
    model = classifier(steps_per_execution=2)
    callback = nnlite.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: seen.append(("begin", batch)), on_train_batch_end=lambda batch, logs: seen.append(("end", batch))
    )
    fit(model, X, Y, batch_size=10, callbacks=[callback])
    assert seen == [("begin", 0), ("end", 1), ("begin", 2), ("end", 3), ("begin", 4), ("end", 4)]
