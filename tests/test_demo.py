"""`nnlite demo`: it runs, saves, and writes a page that a browser can read; `python -m nnlite script.py` runs Keras scripts."""

from __future__ import annotations

import html.parser
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import nnlite
from nnlite import cli
from nnlite.demo import EPOCHS, pictures, profile, run

PACKAGE_PARENT = str(pathlib.Path(nnlite.__file__).parents[1])


class Page(html.parser.HTMLParser):
    """Counts tags, checks that they nest, keeps the text and the images."""

    VOID = frozenset(("meta", "img", "br", "circle", "path"))

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "img":
            self.sources.append(dict(attributes)["src"])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("demo")
    nnlite.utils.clear_session()
    assert run.run(str(folder), epochs=1) == 0
    return folder


def test_the_page(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == [] and page.counts["svg"] == 2 and page.counts["img"] == 16 and page.counts["section"] == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources), "the page needs nothing from outside"
    words = " ".join(page.words)
    for expected in ("Confusion matrix", "Time per layer", "conv2d_1", "max_pooling2d", "dense_1", "Ankle boot", "Fashion-MNIST", "in truth:"):
        assert expected in words
    assert "nan" not in words.replace("Fashion", "") and 'points="nan' not in text


def test_the_saved_model(report):
    model = nnlite.models.load_model(report / "model.keras")
    assert model.count_params() == 93_322 and model.compiled


def test_times_belong_to_layers():
    model = run.make_model(10)
    (x, y), _ = run.load_images()
    rows = profile.time_per_layer(model, x[:4], y[:4], repeat=1)
    assert [row.name for row in rows] == [layer.name for layer in model.layers] + [profile.REST]
    heavy = [row for row in rows if row.name.startswith(("conv2d", "dense"))]
    assert len(heavy) == 5 and all(row.forward > 0 and row.backward > 0 for row in heavy)


def test_data():
    (x_train, y_train), (x_test, y_test) = run.load_images()
    assert x_train.shape == (2400, 28, 28, 1) and x_test.shape == (400, 28, 28, 1) and x_train.dtype == np.float32
    assert set(y_train.tolist()) == set(y_test.tolist()) == set(range(len(run.CLASSES)))
    assert 0 <= x_train.min() and x_train.max() == 1


def test_the_verdict(capsys):
    assert run._verdict(run.EXPECTED_ACCURACY, EPOCHS) == 0 and run._verdict(0.1, 1) == 0
    assert run._verdict(run.EXPECTED_ACCURACY - 0.01, EPOCHS) == 1
    assert "below the 82% this demo should reach: please report it" in capsys.readouterr().out


def test_curves_with_one_point_and_with_nan():
    for values in ([0.5], [1.0, float("nan"), 3.0], [2.0, 2.0]):
        text = pictures.curves("Loss", [("training", values, "#000")])
        assert "nan" not in text and text.count("<circle") == sum(np.isfinite(values)) + 1


def test_png_is_read_back():
    assert pictures.png(np.eye(3))[:8] == b"\x89PNG\r\n\x1a\n"
    assert pictures.png(np.eye(3)[..., None]) == pictures.png(np.eye(3))


def test_info(capsys):
    assert cli.main(["info"]) == 0
    assert f"nnlite {nnlite.__version__}, instruction set" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, message", [([], "required"), (["dmeo"], "invalid choice: 'dmeo'"), (["demo", "--epochs", "0"], "must be a whole number from 1 up")]
)
def test_wrong_commands(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err


SCRIPT = """
import sys
import keras
import keras.backend as K
from keras import layers, ops
from keras.models import Sequential
from keras.layers import Dense
from keras.optimizers.schedules import ExponentialDecay
from keras.utils import to_categorical
import helper
import nnlite, nnlite.layers

assert keras is nnlite and layers is nnlite.layers and keras.layers is nnlite.layers
assert nnlite.layers.__spec__.name == "nnlite.layers"
model = Sequential([keras.Input((2,)), Dense(3, activation="relu"), Dense(1)])
model.compile(keras.optimizers.SGD(ExponentialDecay(0.1, 10, 0.9)), "mse")
model.fit([[0.0, 1.0]] * 4 and __import__("numpy").ones((4, 2)), __import__("numpy").ones((4, 1)), verbose=0)
print(__name__, sys.argv[1:], helper.VALUE, to_categorical([1], 3).tolist())
if "fail" in sys.argv:
    import keras.applications.vgg16
"""


def run_module(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": PACKAGE_PARENT}
    return subprocess.run([sys.executable, "-m", "nnlite", *arguments], cwd=folder, env=environment, capture_output=True, text=True)


def test_keras_scripts_run_unchanged(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text(SCRIPT)
    (tmp_path / "sub" / "helper.py").write_text("VALUE = 7")
    done = run_module(tmp_path, "sub/train.py", "a", "--b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "__main__ ['a', '--b'] 7 [[0.0, 1.0, 0.0]]\n", "")


def test_modules_that_nnlite_lacks_are_named(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("VALUE = 7")
    done = run_module(tmp_path, "train.py", "fail")
    assert done.returncode == 1 and "The script imports 'keras.applications', which nnlite does not have." in done.stderr


def test_missing_script(tmp_path):
    done = run_module(tmp_path, "none.py")
    assert done.returncode == 2 and done.stderr == "nnlite: There is no script none.py.\n"


def test_module_runs_the_commands(tmp_path):
    assert "instruction set" in run_module(tmp_path, "info").stdout
