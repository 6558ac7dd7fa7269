"""Callbacks: when they are called, with what, and what they do."""

from __future__ import annotations

import csv

import nnlite
import numpy as np
import pytest
from nnlite import callbacks, layers

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
Y = rng.integers(0, 3, 50)


def classifier(optimizer="sgd"):
    nnlite.utils.set_random_seed(1)
    model = nnlite.Sequential([nnlite.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, *given, **kwargs):
    return model.fit(X, Y, **{"verbose": 0, "shuffle": False, "callbacks": list(given), **kwargs})


class Recorder(callbacks.Callback):
    """Keeps every call of every hook."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _recording(name):
    def hook(self, *args, logs=None):
        *rest, last = args if logs is None else (*args, logs)
        self.calls.append((name, *rest, sorted(last) if isinstance(last, dict) else last))

    return hook


for _name in (
    "on_train_begin",
    "on_train_end",
    "on_epoch_begin",
    "on_epoch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_predict_begin",
    "on_predict_end",
    "on_predict_batch_begin",
    "on_predict_batch_end",
):
    setattr(Recorder, _name, _recording(_name))


def test_hooks_are_called_in_order_with_their_logs():
    recorder = Recorder()
    fit(classifier(), recorder, batch_size=20, validation_split=0.3)
    metrics, both = ["accuracy", "loss"], ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert recorder.params == {"verbose": 0, "epochs": 1, "steps": 2}
    assert recorder.calls == [
        ("on_train_begin", []),
        ("on_epoch_begin", 0, []),
        ("on_train_batch_begin", 0, []),
        ("on_train_batch_end", 0, metrics),
        ("on_train_batch_begin", 1, []),
        ("on_train_batch_end", 1, metrics),
        ("on_test_begin", []),
        ("on_test_batch_begin", 0, []),
        ("on_test_batch_end", 0, metrics),
        ("on_test_end", metrics),
        ("on_epoch_end", 0, both),
        ("on_train_end", both),
    ]


def test_hooks_of_predict():
    recorder = Recorder()
    found = classifier().predict(X, batch_size=30, verbose=0, callbacks=[recorder])
    assert found.shape == (50, 3)
    assert [call[0] for call in recorder.calls] == ["on_predict_begin", *["on_predict_batch_begin", "on_predict_batch_end"] * 2, "on_predict_end"]
    assert recorder.calls[2][-1] == ["outputs"]


def test_batch_logs_are_floats_up_to_date():
    losses = []
    model = classifier()
    fit(model, callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append(logs["loss"])), batch_size=10, epochs=2)
    assert len(losses) == 10 and all(type(v) is float for v in losses)
    assert model.history.history["loss"] == [losses[4], losses[9]]


def test_old_batch_hook_names_count():
    seen = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(batch)

    fit(classifier(), Old(), batch_size=25)
    assert seen == [0, 1]


def test_only_listening_callbacks_need_every_batch():
    quiet = [
        callbacks.EarlyStopping("loss"),
        callbacks.History(),
        callbacks.ModelCheckpoint("a.keras"),
        callbacks.CSVLogger("a.csv"),
        callbacks.Callback(),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate),
        callbacks.LambdaCallback(on_epoch_end=print),
    ]
    assert not any(callback._needs_batches("train") for callback in quiet)
    listening = [
        callbacks.TerminateOnNaN(),
        callbacks.ModelCheckpoint("a.keras", save_freq=3),
        callbacks.LambdaCallback(on_train_batch_end=print),
        Recorder(),
    ]
    assert all(callback._needs_batches("train") for callback in listening)


def test_early_stopping_and_best_weights():
    class Worse(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["score"] = [1.0, 3.0, 2.0, 2.5, 2.9][epoch]
            weights.append(self.model.get_weights()[0])

    weights = []
    stopper = callbacks.EarlyStopping("score", mode="max", patience=2, restore_best_weights=True)
    model = classifier()
    history = fit(model, Worse(), stopper, epochs=5)
    assert len(history.history["loss"]) == 4 and stopper.stopped_epoch == 3 and stopper.best_epoch == 1
    np.testing.assert_array_equal(model.get_weights()[0], weights[1])


def test_early_stopping_baseline_and_start(capsys):
    assert len(fit(classifier(), callbacks.EarlyStopping("loss", baseline=0.0, min_delta=100.0, patience=2, verbose=1), epochs=9).epoch) == 2
    assert "Epoch 2: early stopping" in capsys.readouterr().out
    late = callbacks.EarlyStopping("loss", min_delta=100.0, start_from_epoch=3)
    assert len(fit(classifier(), late, epochs=9).epoch) == 5


def test_direction_of_a_metric_is_known():
    stopper = callbacks.EarlyStopping("val_accuracy")
    fit(classifier(), stopper, validation_split=0.2)
    assert stopper._is_improvement(2.0, 1.0) and not stopper._is_improvement(1.0, 2.0)


def test_missing_metric_warns():
    with pytest.warns(
        UserWarning, match="Early stopping conditioned on metric `val_loss` which is not available. Available metrics are: accuracy,loss"
    ):
        fit(classifier(), callbacks.EarlyStopping())


def test_reduce_on_plateau_logs_and_reduces():
    model = classifier(nnlite.optimizers.SGD(0.1))
    history = fit(model, callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0, cooldown=1, min_lr=0.03), epochs=6)
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.1, 0.05, 0.03, 0.03, 0.03], rtol=1e-6)
    assert list(history.history) == ["accuracy", "loss", "learning_rate"]


def test_learning_rate_scheduler():
    history = fit(classifier(), callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), epochs=3)
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.05, 0.1 / 3], rtol=1e-6)
    history = fit(classifier(nnlite.optimizers.SGD(0.8)), callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=2)
    np.testing.assert_allclose(history.history["learning_rate"], [0.4, 0.2], rtol=1e-6)


def test_terminate_on_nan(capsys):
    model = nnlite.Sequential([nnlite.Input((4,)), layers.Dense(1)])
    model.compile(nnlite.optimizers.SGD(1e20), "mse")
    history = model.fit(X, Y, batch_size=5, epochs=3, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert len(history.epoch) == 1 and not np.isfinite(history.history["loss"][0])
    assert "Invalid loss, terminating training" in capsys.readouterr().out


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    model = classifier()
    fit(model, callbacks.CSVLogger(path), epochs=2, validation_split=0.2)
    fit(model, callbacks.CSVLogger(path, append=True), epochs=1, validation_split=0.2)
    with open(path, encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert [row[0] for row in rows[1:]] == ["0", "1", "0"] and float(rows[3][2]) == model.history.history["loss"][0]


def test_checkpoints(tmp_path):
    model = classifier()
    fit(model, callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{loss:.2f}.weights.h5", save_weights_only=True), epochs=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:3] for name in names] == ["01-", "02-"]
    best = tmp_path / "best.weights.h5"
    fit(
        classifier(nnlite.optimizers.SGD(1e3)), callbacks.ModelCheckpoint(best, monitor="loss", save_best_only=True, save_weights_only=True), epochs=3
    )
    twin = classifier()
    twin.load_weights(best)
    assert np.isfinite(twin.get_weights()[0]).all()


def test_checkpoints_by_batches(tmp_path):
    saved = []
    model = classifier()
    model.__dict__["save_weights"] = lambda path, overwrite: saved.append(path)
    fit(model, callbacks.ModelCheckpoint(str(tmp_path / "{batch}.weights.h5"), save_weights_only=True, save_freq=3), batch_size=10, epochs=2)
    assert [path.rpartition("/")[2] for path in saved] == ["3.weights.h5", "1.weights.h5", "4.weights.h5"]


def test_backup_and_restore(tmp_path):
    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    uninterrupted = classifier("adam")
    fit(uninterrupted, epochs=4)
    with pytest.raises(KeyboardInterrupt):
        fit(classifier("adam"), callbacks.BackupAndRestore(tmp_path / "backup"), Interrupt(), epochs=4)
    resumed = classifier("adam")
    resumed.set_weights([w * 0 for w in resumed.get_weights()])
    history = fit(resumed, callbacks.BackupAndRestore(tmp_path / "backup"), epochs=4)
    assert history.epoch == [2, 3] and not (tmp_path / "backup").exists()
    for a, b in zip(uninterrupted.get_weights(), resumed.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["latest.weights.h5", "training_metadata.json"])
def test_backup_cut_short_falls_back_to_the_one_before(tmp_path, name):
    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(classifier("adam"), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), Interrupt(), epochs=4)
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes()[:5])
    assert fit(classifier("adam"), callbacks.BackupAndRestore(tmp_path, double_checkpoint=True), epochs=4).epoch == [2, 3]


def test_swap_ema_weights():
    model = classifier(nnlite.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5))
    seen = []

    class Look(callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            seen.append(self.model.get_weights()[0].copy())

        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_weights()[0].copy())

    fit(model, callbacks.SwapEMAWeights(), Look(), validation_data=(X, Y), validation_batch_size=50)
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(model.get_weights()[0], seen[0])  # training ends with the averages in place


def test_stop_training_inside_an_epoch():
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    model = classifier()
    fit(model, Stop(), batch_size=10, epochs=5)
    assert int(model.optimizer.iterations) == 2


def test_tensor_board_files(tmp_path):
    import struct

    model = classifier()
    history = fit(
        model,
        callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=1, write_steps_per_second=True),
        epochs=2,
        batch_size=25,
        validation_split=0.2,
    )
    records = {}
    for part in ("train", "validation"):
        (path,) = (tmp_path / part).iterdir()
        data, found = path.read_bytes(), []
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(data[12 : 12 + length])
            data = data[16 + length :]
        records[part] = found
    assert b"brain.Event:2" in records["train"][0]
    losses = [struct.unpack("<f", record[-4:])[0] for record in records["train"] if b"epoch_loss" in record]
    assert losses == pytest.approx(history.history["loss"], rel=1e-6)
    assert sum(b"batch_loss" in record for record in records["train"]) == 4
    assert any(b"kernel" in record for record in records["train"]) and any(b"steps_per_second" in record for record in records["train"])
    assert [b"epoch_accuracy" in record for record in records["validation"]] == [False, True, False, True, False]


def test_checksums_are_those_of_the_format():
    from nnlite.callbacks.tensor_board import _masked_crc

    # CRC-32C of "123456789" is 0xE3069283, by the definition of the code.
    assert _masked_crc(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
