"""The progress lines, character by character."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers
from nnlite.utils import progbar as progbar_module

BOLD, GREEN, WHITE, RESET = "\x1b[1m", "\x1b[32m", "\x1b[37m", "\x1b[0m"


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves 1/4 s per look: bars are drawn at every update."""

    class Clock:
        now = 1000.0

        def time(self):
            self.now += 0.25
            return self.now

    clock = Clock()
    monkeypatch.setattr(progbar_module, "time", clock)
    return clock


def test_bar(clock, capsys):
    bar = nnlite.utils.Progbar(10, stateless_metrics=set())
    bar.update(3, [("loss", 0.5)])
    bar.update(10, [("loss", 0.00012)])
    out = capsys.readouterr().out
    first = f"{BOLD} 3/10{RESET} {GREEN}{'━' * 6}{RESET}{WHITE}{'━' * 14}{RESET} {BOLD}0s{RESET} 83ms/step - loss: 0.5000"
    last = f"{BOLD}10/10{RESET} {GREEN}{'━' * 20}{RESET}{WHITE}{RESET} {BOLD}0s{RESET} 50ms/step - loss: 1.2000e-04\n"
    width = len(" 3/10 " + "━" * 20 + " 0s 83ms/step - loss: 0.5000")
    assert out == "\r" + first + "\b" * width + "\r" + last


def test_unknown_length_then_known(clock, capsys):
    bar = nnlite.utils.Progbar(None)
    bar.update(1)
    assert capsys.readouterr().out == f"\r      1/Unknown {BOLD}0s{RESET} 250ms/step"


def test_one_line_and_averages(clock, capsys):
    bar = nnlite.utils.Progbar(4, verbose=2)
    bar.update(2, [("mae", 1.0)])
    bar.add(2, [("mae", 3.0)])
    assert capsys.readouterr().out == "4/4 - 0s - 125ms/step - mae: 3.0000\n"
    bar = nnlite.utils.Progbar(4, unit_name="file")
    bar.update(1, [("mae", 1.0)])
    bar.update(3, [("mae", 4.0)])
    assert "mae: 3.0000" in capsys.readouterr().out  # (1 + 2 * 4) / 3


def test_times(clock, capsys):
    for seconds, text in ((100, "1:40"), (4000, "1:06:40"), (7, "7s")):
        bar = nnlite.utils.Progbar(2)
        bar._start = clock.now - seconds + 0.25
        bar.update(1)
        assert f"{BOLD}{text}{RESET}" in capsys.readouterr().out


def test_bar_skips_updates_that_come_too_soon(monkeypatch, capsys):
    class Still:
        @staticmethod
        def time():
            return 1000.0

    monkeypatch.setattr(progbar_module, "time", Still)
    bar = nnlite.utils.Progbar(100)
    for step in range(1, 60):
        bar.update(step)
    assert capsys.readouterr().out.count("\r") == 1


def model():
    model = nnlite.Sequential([nnlite.Input((4,)), layers.Dense(3, activation="softmax")])
    model.set_weights([w * 0 for w in model.get_weights()])  # class 0 wins: all predictions are right
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X, Y = np.ones((40, 4), "float32"), np.zeros(40, "int64")


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_fit_evaluate_predict_lines(clock, capsys):
    m = model()
    history = m.fit(X, Y, epochs=2, verbose=2, validation_data=(X, Y)).history
    out = lines(capsys)
    assert out[0] == "Epoch 1/2" and out[2] == "Epoch 2/2"
    h = {key: values[0] for key, values in history.items()}
    assert (
        out[1].split(" - ", 2)[2].partition(" - ")[2]
        == f"accuracy: {h['accuracy']:.4f} - loss: {h['loss']:.4f} - val_accuracy: {h['val_accuracy']:.4f} - val_loss: {h['val_loss']:.4f}"
    )
    assert out[1].startswith("2/2 - ") and "/step - " in out[1]
    loss, accuracy = m.evaluate(X, Y, verbose=2)
    assert lines(capsys)[0].endswith(f"/step - accuracy: {accuracy:.4f} - loss: {loss:.4f}")
    m.predict(X, verbose=2)
    assert lines(capsys)[0].endswith("/step")


def test_one_epoch_has_no_heading_and_silence_is_silent(capsys):
    m = model()
    m.fit(X, Y, verbose=2)
    assert len(lines(capsys)) == 1
    m.fit(X, Y, verbose=0)
    m.evaluate(X, Y, verbose=0)
    m.predict(X, verbose=0)
    assert lines(capsys) == []


def test_bar_of_fit_ends_with_all_metrics(capsys):
    history = model().fit(X, Y, validation_split=0.5).history
    last = capsys.readouterr().out.rpartition("\r")[2]
    assert last.startswith(f"{BOLD}1/1{RESET} {GREEN}{'━' * 20}{RESET}{WHITE}{RESET} {BOLD}")
    assert last.rstrip(" \n").endswith(
        f" - val_accuracy: {history['val_accuracy'][0]:.4f} - val_loss: {history['val_loss'][0]:.4f}"
    ) and last.endswith("\n")


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_unknown_length_of_fit(capsys):
    def batches():
        for i in range(0, 30, 10):
            yield X[i : i + 10], Y[i : i + 10]

    model().fit(batches())
    out = capsys.readouterr().out
    assert "\r      1/Unknown" in out and f"{BOLD}3/3{RESET} " in out.rpartition("\r")[2]


def test_logging_instead_of_printing(caplog, capsys):
    nnlite.utils.disable_interactive_logging()
    try:
        with caplog.at_level("INFO", "nnlite"):
            model().fit(X, Y, verbose=2)
    finally:
        nnlite.utils.enable_interactive_logging()
    assert capsys.readouterr().out == "" and "accuracy" in caplog.text
