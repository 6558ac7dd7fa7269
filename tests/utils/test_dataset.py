"""Dataset, folders of files, split_dataset."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import utils
from nnlite.utils import Dataset


def plain(dataset) -> list:
    return [
        tuple(np.asarray(part).tolist() for part in element) if isinstance(element, tuple) else np.asarray(element).tolist() for element in dataset
    ]


def test_elements_and_lengths():
    data = Dataset.from_tensor_slices((np.arange(5), ["a", "b", "c", "d", "e"]))
    assert len(data) == 5 and plain(data)[1] == (1, "b")
    batches = data.batch(2)
    assert len(batches) == 3 and plain(batches)[2] == ([4], ["e"])
    assert plain(batches.batch(2, drop_remainder=True)) == [([[0, 1], [2, 3]], [["a", "b"], ["c", "d"]])]
    assert plain(data.batch(2, drop_remainder=True).unbatch().map(lambda i, s: i)) == [0, 1, 2, 3]
    numbers = Dataset.from_tensor_slices(np.arange(6))
    assert plain(numbers.take(2)) == [0, 1] and len(numbers.take(9)) == 6 and plain(numbers.take(-1)) == plain(numbers)
    assert plain(numbers.skip(4)) == [4, 5] and len(numbers.skip(4)) == 2
    assert plain(numbers.filter(lambda i: i % 2 == 0)) == [0, 2, 4]
    assert plain(numbers.take(1).concatenate(numbers.skip(5))) == [0, 5]
    assert plain(numbers.take(2).enumerate(3)) == [(3, 0), (4, 1)]
    assert [int(i) for i, _ in Dataset.zip(numbers, data)] == [0, 1, 2, 3, 4] and len(Dataset.zip(numbers, data)) == 5
    assert len(numbers.repeat(3)) == 18 and plain(numbers.repeat().take(8)) == [0, 1, 2, 3, 4, 5, 0, 1]
    assert plain(numbers.prefetch(3)) == plain(numbers.prefetch(-1)) == list(range(6))
    assert plain(numbers.prefetch(2).take(2)) == [0, 1]
    assert plain(Dataset.from_generator(lambda: iter([1, 2]))) == [1, 2]
    assert numbers.cardinality() == 6 and numbers.filter(bool).cardinality() == -2
    assert plain(data.batch(5).rebatch(4)) == plain(data.batch(4))


def test_shuffle_draws_anew_and_repeats_with_a_seed():
    numbers = Dataset.from_tensor_slices(np.arange(50))
    shuffled = numbers.shuffle(50, seed=1)
    first, second = plain(shuffled), plain(shuffled)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second != list(range(50))
    assert plain(numbers.shuffle(50, seed=1)) == first
    fixed = numbers.shuffle(10, seed=1, reshuffle_each_iteration=False)
    assert plain(fixed) == plain(fixed) and sorted(plain(fixed)) == list(range(50))
    assert all(value <= place + 10 for place, value in enumerate(plain(fixed)))


def test_batches_of_rows_are_those_of_single_elements():
    arrays = (np.arange(23), {"a": np.arange(46.0).reshape(23, 2)})
    for buffer in (5, 100):
        rows = Dataset.from_tensor_slices(arrays).shuffle(buffer, seed=3).batch(4)
        single = Dataset.from_tensor_slices(arrays).map(lambda i, d: (i, d)).shuffle(buffer, seed=3).batch(4)
        for (i, d), (j, e) in zip(rows, single, strict=True):
            np.testing.assert_array_equal(i, j)
            np.testing.assert_array_equal(d["a"], e["a"])
        assert len(list(Dataset.from_tensor_slices(arrays).batch(4, drop_remainder=True))) == 5


def test_cache_makes_elements_once():
    made = []
    data = Dataset.from_tensor_slices(np.arange(3)).map(lambda i: made.append(int(i)) or i).cache()
    next(iter(data))
    assert plain(data) == plain(data) == [0, 1, 2] and made == [0, 0, 1, 2]


def test_map_takes_layers():
    data = Dataset.from_tensor_slices((np.ones((4, 2), "float32"), np.zeros(4))).batch(2).map(lambda x, y: (nnlite.layers.Rescaling(3.0)(x), y))
    x, y = next(iter(data))
    assert type(x.numpy()) is np.ndarray and (x[0].numpy() == 3).all()
    model = nnlite.Sequential([nnlite.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.fit(data, validation_data=data, epochs=2, verbose=0).history["val_loss"]) == 2
    assert model.predict(data, verbose=0).shape == (4, 1)


def test_errors_of_datasets():
    with pytest.raises(ValueError, match=r"arrays of one length; received lengths \[2, 3\]"):
        Dataset.from_tensor_slices((np.ones(2), np.ones(3)))
    with pytest.raises(TypeError, match="length of this Dataset is unknown"):
        len(Dataset.from_tensor_slices(np.ones(2)).repeat())
    with pytest.raises(ValueError, match="batch size of at least 1; received batch_size=0"):
        Dataset.from_tensor_slices(np.ones(2)).batch(0)
    with pytest.raises(ValueError, match=r"one shape; this batch has the shapes \[\(1,\), \(2,\)\]"):
        list(Dataset.from_generator(lambda: iter([np.ones(1), np.ones(2)])).batch(2))


@pytest.mark.parametrize(
    "n, left, right, expected",
    # What Keras gives.
    [
        (5, 0.6, None, (3, 2)),
        (10, 0.75, None, (8, 2)),
        (10, 0.33, None, (3, 7)),
        (10, None, 0.25, (8, 2)),
        (10, 3, None, (3, 7)),
        (10, 0.3, 0.4, (3, 4)),
        (7, 0.5, None, (4, 3)),
        (9, 0.5, None, (4, 5)),
        (10, 3, 2, (3, 2)),
        (11, 0.35, 0.35, (4, 4)),
    ],
)
def test_split_dataset(n, left, right, expected):
    first, second = utils.split_dataset(np.arange(n), left, right)
    assert (len(first), len(second)) == expected
    assert plain(first) == list(range(expected[0])) and plain(second) == list(range(n - expected[1], n))
    mixed, _ = utils.split_dataset(Dataset.from_tensor_slices(np.arange(n)), left, right, shuffle=True, seed=2)
    assert len(mixed) == expected[0]


def test_errors_of_split_dataset():
    with pytest.raises(ValueError, match="needs `left_size`, `right_size` or both"):
        utils.split_dataset(np.arange(3))
    with pytest.raises(ValueError, match="number of elements up to 3, or a share between 0 and 1. Received: left_size=4"):
        utils.split_dataset(np.arange(3), 4)
    with pytest.raises(ValueError, match="must fit into the 3 elements"):
        utils.split_dataset(np.arange(3), 2, 2)
    with pytest.raises(TypeError, match="takes arrays or an iterable of elements; received 3"):
        utils.split_dataset(3, 0.5)


@pytest.fixture
def texts(tmp_path):
    """11 files of two classes."""
    for name in ("a/sub", "b"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(5):
        (tmp_path / f"a/{i}.txt").write_text(f"a{i}é", encoding="utf-8")
        (tmp_path / f"b/{i}.txt").write_text(f"b{i}")
    (tmp_path / "a/sub/x.txt").write_text("subx")
    (tmp_path / "a/other.dat").write_text("no")
    return tmp_path


def test_texts_of_a_folder(texts, capsys):
    data = utils.text_dataset_from_directory(texts, shuffle=False, batch_size=4)
    assert capsys.readouterr().out == "Found 11 files belonging to 2 classes.\n"
    assert data.class_names == ["a", "b"] and len(data.file_paths) == 11 and len(data) == 3
    assert plain(data) == [(["a0é", "a1é", "a2é", "a3é"], [0, 0, 0, 0]), (["a4é", "subx", "b0", "b1"], [0, 0, 1, 1]), (["b2", "b3", "b4"], [1, 1, 1])]
    parts = [
        utils.text_dataset_from_directory(
            texts, shuffle=False, batch_size=None, validation_split=0.3, subset=s, label_mode="binary", max_length=2, verbose=False
        )
        for s in ("training", "validation")
    ]
    assert [len(part) for part in parts] == [8, 3] and plain(parts[1]) == [("b2", [1.0]), ("b3", [1.0]), ("b4", [1.0])]
    train, test = utils.text_dataset_from_directory(texts, seed=3, validation_split=0.3, subset="both", label_mode="categorical", verbose=False)
    assert sorted(train.file_paths + test.file_paths) == sorted(data.file_paths)
    assert next(iter(train))[1].shape == (8, 2) and plain(train) != plain(train) and plain(test) == plain(test)
    named = utils.text_dataset_from_directory(texts, labels=list(range(11)), shuffle=False, verbose=False)
    assert plain(named)[0][1] == list(range(11))
    alone = utils.text_dataset_from_directory(texts, labels=None, shuffle=False, verbose=False)
    assert len(plain(alone)[0]) == 11
    swapped = utils.text_dataset_from_directory(texts, class_names=["b", "a"], shuffle=False, verbose=False)
    assert plain(swapped)[0][1][:2] == [0, 0] and plain(swapped)[0][0][0] == "b0"


def test_images_of_a_folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i, name in enumerate(["cat", "dog"]):
        (tmp_path / name).mkdir()
        for j in range(3):
            image.fromarray(np.full((6, 4, 3), 40 * (3 * i + j), "uint8")).save(tmp_path / name / f"{j}.png")
    data = utils.image_dataset_from_directory(tmp_path, image_size=(3, 2), batch_size=2, shuffle=False, verbose=False)
    images = np.concatenate([x for x, _ in data])
    assert images.shape == (6, 3, 2, 3) and images.dtype == "float32" and data.class_names == ["cat", "dog"]
    np.testing.assert_array_equal(images[:, 0, 0, 0], 40.0 * np.arange(6))
    gray = utils.image_dataset_from_directory(
        tmp_path, image_size=(5, 5), color_mode="grayscale", label_mode=None, pad_to_aspect_ratio=True, verbose=False
    )
    assert next(iter(gray)).shape == (6, 5, 5, 1)
    model = nnlite.Sequential([nnlite.layers.Rescaling(1 / 255), nnlite.layers.Flatten(), nnlite.layers.Dense(2)])
    model.compile("sgd", nnlite.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert len(model.fit(data, epochs=2, verbose=0).history["loss"]) == 2


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"label_mode": "x"}, "`label_mode` must be one of"),
        ({"labels": "x"}, "`labels` must be"),
        ({"validation_split": 0.5}, "`validation_split` and `subset` belong together"),
        ({"validation_split": 2, "subset": "both"}, "must be between 0 and 1. Received: validation_split=2"),
        ({"validation_split": 0.5, "subset": "x"}, '`subset` must be "training"'),
        ({"validation_split": 0.5, "subset": "training"}, "a `seed` is needed"),
        ({"class_names": ["q"]}, r"`class_names` must be the subfolders .*Received: class_names=\['q'\]; the subfolders are \['a', 'b'\]"),
        ({"class_names": ["q"], "labels": None}, "`class_names` needs labels"),
        ({"labels": [1, 2]}, "received 2 labels for the 11 files"),
    ],
)
def test_errors_of_folders(texts, arguments, text):
    with pytest.raises(ValueError, match=text):
        utils.text_dataset_from_directory(texts, verbose=False, **arguments)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        utils.text_dataset_from_directory(tmp_path / "no")
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="No files in directory .* end in .txt"):
        utils.text_dataset_from_directory(tmp_path, verbose=False)
    with pytest.raises(ValueError, match='label_mode="binary" needs exactly 2 classes'):
        utils.text_dataset_from_directory(tmp_path, label_mode="binary", verbose=False)
    with pytest.raises(ValueError, match='`color_mode` must be one of "rgb"'):
        utils.image_dataset_from_directory(tmp_path, color_mode="x")


def test_old_names():
    assert nnlite.preprocessing.sequence.pad_sequences is utils.pad_sequences
    assert nnlite.preprocessing.image_dataset_from_directory is utils.image_dataset_from_directory
    assert nnlite.preprocessing.image.load_img is utils.load_img
