"""Small helpers: labels, sequences, windows, images, drawings, seeds, names."""

from __future__ import annotations

import re

import nnlite
import numpy as np
import pytest
from nnlite import layers, utils


def test_to_categorical():
    np.testing.assert_array_equal(utils.to_categorical([0, 2]), [[1, 0, 0], [0, 0, 1]])
    assert utils.to_categorical(np.zeros((4, 1), int), 3).shape == (4, 3) and utils.to_categorical(np.zeros((2, 5), int), 3).shape == (2, 5, 3)
    assert utils.to_categorical(nnlite.ops.convert_to_tensor([1, 0]), 2).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    with pytest.raises(IndexError, match=re.escape("received labels from 0 to 2 with num_classes=2")):
        utils.to_categorical([0, 2], 2)


def test_normalize():
    np.testing.assert_allclose(utils.normalize([[3.0, 4.0], [0.0, 0.0]]), [[0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(utils.normalize(np.array([[1.0, 3.0]]), order=1), [[0.25, 0.75]])


@pytest.mark.parametrize(
    "given, expected",
    (
        (dict(), [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
        (dict(padding="post"), [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
        (dict(maxlen=2), [[0, 1], [2, 3], [5, 6]]),
        (dict(maxlen=2, truncating="post", value=9), [[9, 1], [2, 3], [4, 5]]),
        (dict(maxlen=0), [[], [], []]),
    ),
)
def test_pad_sequences(given, expected):
    padded = utils.pad_sequences([[1], [2, 3], [4, 5, 6]], **given)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == np.int32


def test_pad_sequences_of_rows_and_texts():
    rows = utils.pad_sequences([np.ones((1, 2)), np.ones((2, 2))], dtype="float32")
    assert rows.shape == (2, 2, 2) and rows[0, 0].tolist() == [0.0, 0.0]
    assert utils.pad_sequences([["a"], ["b", "c"]], dtype=object, value="").tolist() == [["", "a"], ["b", "c"]]
    with pytest.raises(ValueError, match="item 0 is 1 of type int. Put single sequences into a list."):
        utils.pad_sequences([1, 2])
    with pytest.raises(ValueError, match='`padding` must be "pre" or "post"'):
        utils.pad_sequences([[1]], padding="left")


def test_unpacking():
    assert utils.unpack_x_y_sample_weight([1]) == (1, None, None) and utils.unpack_x_y_sample_weight({"a": 1}) == ({"a": 1}, None, None)
    assert utils.pack_x_y_sample_weight([1]) == ([1],) and utils.pack_x_y_sample_weight(1, 2, 3) == (1, 2, 3)
    with pytest.raises(ValueError, match="Data is expected to be in format"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_windows_of_a_series():
    series = np.arange(12)
    batches = list(utils.timeseries_dataset_from_array(series, series * 10, 2, start_index=2, end_index=8, batch_size=10))
    assert [part.tolist() for part in batches[0]] == [[[2, 3], [3, 4], [4, 5], [5, 6], [6, 7]], [20, 30, 40, 50, 60]]
    strided = list(utils.timeseries_dataset_from_array(series, None, 3, sequence_stride=2, sampling_rate=2, batch_size=4))
    assert strided[0].tolist() == [[0, 2, 4], [2, 4, 6], [4, 6, 8], [6, 8, 10]]
    shuffled = utils.timeseries_dataset_from_array(series, series, 3, shuffle=True, seed=1)
    windows, targets = next(iter(shuffled))
    assert (windows[:, 0] == targets).all() and sorted(targets) == list(range(10)) and list(targets) != sorted(targets)
    model = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.fit(shuffled, epochs=2, verbose=0).history["loss"]) == 2
    with pytest.raises(
        ValueError, match="`sequence_length` must be greater than 0 and lower than the length of the data, 12; received sequence_length=12."
    ):
        utils.timeseries_dataset_from_array(series, None, 12)


def test_images(tmp_path):
    pytest.importorskip("PIL")
    array = np.random.default_rng(0).integers(0, 256, (6, 4, 3)).astype("float32")
    array[0, 0], array[-1, -1] = 0, 255
    utils.save_img(tmp_path / "a.png", array)
    loaded = utils.load_img(tmp_path / "a.png")
    np.testing.assert_array_equal(utils.img_to_array(loaded), array)
    assert utils.img_to_array(loaded, data_format="channels_first").shape == (3, 6, 4)
    assert utils.load_img(tmp_path / "a.png", color_mode="grayscale", target_size=(3, 5)).size == (5, 3)
    assert utils.img_to_array(utils.load_img(tmp_path / "a.png", color_mode="grayscale")).shape == (6, 4, 1)
    square = utils.load_img(tmp_path / "a.png", target_size=(4, 4), keep_aspect_ratio=True)
    np.testing.assert_array_equal(utils.img_to_array(square), array[1:5])
    assert utils.array_to_img(array[:, :, :1] / 255).mode == "L"
    with pytest.raises(ValueError, match="takes 1, 3 or 4 channels; received 2"):
        utils.array_to_img(array[:, :, :2])
    with pytest.raises(ValueError, match="takes one image with 3 axes"):
        utils.array_to_img(array[None])


def functional():
    x = nnlite.Input((4,), name="x")
    a = layers.Dense(3, name="a", activation="relu")(x)
    b = layers.Dense(3, name="b")(x)
    return nnlite.Model(x, layers.Add(name="sum")([nnlite.ops.tanh(a), b]))


def test_drawings(tmp_path, monkeypatch):
    model = functional()
    text = utils.model_to_dot(model, show_shapes=True, show_layer_activations=True, show_trainable=True).to_string()
    nodes = dict(re.findall(r'(n\d+) \[label="([^" ]+)', text))
    edges = {(nodes[a], nodes[b]) for a, b in re.findall(r"(n\d+) -> (n\d+);", text)}
    assert edges == {("x", "a"), ("x", "b"), ("a", "sum"), ("b", "sum")}
    assert "Output shape: (None, 3)" in text and "Activation: relu" in text and "Non-trainable" not in text.replace("(InputLayer)", "")
    utils.plot_model(model, tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text().startswith("digraph model {")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ImportError, match="needs Graphviz's `dot` program"):
        utils.plot_model(model, tmp_path / "model.png")
    with pytest.raises(ValueError, match="has not been built yet"):
        utils.plot_model(nnlite.Sequential([layers.Dense(1)]), tmp_path / "model.dot")


def test_seeds_and_names():
    utils.set_random_seed(5)
    first = (np.random.rand(), nnlite.random.normal((2,)).tolist())
    utils.set_random_seed(5)
    assert (np.random.rand(), nnlite.random.normal((2,)).tolist()) == first
    with pytest.raises(ValueError, match="set_random_seed\\(\\) takes an integer of at least 0; received seed='a'"):
        utils.set_random_seed("a")
    utils.clear_session()
    assert [layers.Dense(1).name, layers.Dense(1).name, layers.Conv2D(1, 1).name] == ["dense", "dense_1", "conv2d"]


def test_symbolic_tensors_and_dtypes():
    assert utils.is_keras_tensor(nnlite.Input((2,))) and not utils.is_keras_tensor(np.ones(2))
    assert utils.standardize_dtype(np.float32) == "float32" and utils.standardize_dtype(None) == "float32"


def test_every_public_name_exists():
    for name in dir(utils):
        assert getattr(utils, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        utils.nothing


def test_suggestions():
    from nnlite.utils.lookup import close_matches

    assert close_matches("adm", ["adam", "sgd"]) == "Did you mean 'adam'?"
    assert close_matches("xyz", ["adam", "sgd"]) == "Known names: adam, sgd."
