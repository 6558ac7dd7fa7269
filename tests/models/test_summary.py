"""summary() writes what Keras writes, byte for byte."""

from __future__ import annotations

import pathlib
import sys

import nnlite
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
from summary_models import MODELS, summary_of  # noqa: E402

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", MODELS)
def test_summary_is_that_of_keras(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert summary_of(nnlite, name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_summary_is_printed_once_and_returns_none(capsys):
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)], name="small")
    assert model.summary() is None
    text = capsys.readouterr().out
    assert text.startswith('Model: "small"\n') and text.endswith(" Non-trainable params: 0 (0.00 B)\n")


def test_wide_terminals_get_wide_tables(monkeypatch):
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)])
    texts = []
    monkeypatch.setenv("COLUMNS", "200")
    model.summary(print_fn=texts.append)
    assert len(texts[0].splitlines()[1]) == 88


def test_line_length_is_the_width_of_the_table():
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)])
    texts = []
    model.summary(line_length=100, print_fn=texts.append)
    assert {len(line) for line in texts[0].splitlines()[1:6]} == {100}


def test_too_narrow_tables_are_refused():
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)])
    with pytest.raises(ValueError, match="at least 4 characters"):
        model.summary(line_length=12)


def test_unknown_layer_range_is_refused():
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)])
    with pytest.raises(ValueError, match="do not match the layer names"):
        model.summary(layer_range=["no", "such"])
