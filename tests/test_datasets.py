"""Loaders read what Keras's cache holds, run nothing, and say clearly what is wrong."""

from __future__ import annotations

import gzip
import pickle
import tarfile

import numpy as np
import pytest

from nnlite import datasets


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NNLITE_DATA", str(tmp_path))
    return tmp_path


def _mnist_arrays():
    return {"x_train": np.zeros((6, 28, 28), np.uint8), "y_train": np.arange(6, dtype=np.uint8), "x_test": np.ones((3, 28, 28), np.uint8), "y_test": np.arange(3, dtype=np.uint8)}


def test_mnist_reads_the_cached_arrays(folder):
    np.savez(folder / "mnist.npz", **_mnist_arrays())
    (x_train, y_train), (x_test, y_test) = datasets.mnist.load_data()
    assert x_train.shape == (6, 28, 28) and x_train.dtype == np.uint8 and y_train.tolist() == [0, 1, 2, 3, 4, 5]
    assert x_test.sum() == 3 * 28 * 28 and y_test.shape == (3,)


def test_keras_home_is_the_default(tmp_path, monkeypatch):
    monkeypatch.delenv("NNLITE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    np.savez(tmp_path / "datasets" / "mnist.npz", **_mnist_arrays())
    assert datasets.mnist.load_data()[0][0].shape == (6, 28, 28)


def test_wrong_shape_names_array_and_file(folder):
    np.savez(folder / "mnist.npz", **{**_mnist_arrays(), "x_test": np.zeros((3, 32, 32), np.uint8)})
    with pytest.raises(ValueError, match=r"mnist\.npz: the array 'x_test' must have shape \(any, 28, 28\) .* it has shape \(3, 32, 32\)"):
        datasets.mnist.load_data()


def test_missing_array_is_named(folder):
    arrays = _mnist_arrays()
    del arrays["y_test"]
    np.savez(folder / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match="it lacks y_test and holds"):
        datasets.mnist.load_data()


def test_a_file_that_is_no_archive(folder):
    (folder / "mnist.npz").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"mnist\.npz is not an npz file .* Remove it to download it anew"):
        datasets.mnist.load_data()


def test_objects_are_not_unpickled_where_numbers_are_expected(folder):
    bad = np.empty(6, object)
    bad[:] = [_Evil()] * 6
    np.savez(folder / "mnist.npz", **{**_mnist_arrays(), "y_train": bad})
    with pytest.raises(ValueError, match="holds Python objects where numbers are expected; it was not read"):
        datasets.mnist.load_data()


class _Evil:
    def __reduce__(self):
        return (pytest.fail, ("code in a data file was run",))


def test_text_data_cannot_run_code(folder):
    x = np.empty(2, object)
    x[:] = [[1, 2], _Evil()]
    np.savez(folder / "imdb.npz", x_train=x, y_train=np.zeros(2, int), x_test=x, y_test=np.zeros(2, int))
    with pytest.raises(ValueError, match="only arrays, lists and numbers are read from data files"):
        datasets.imdb.load_data()


def test_imdb_encodes_like_keras(folder):
    x = np.empty(4, object)
    x[:] = [[1, 5, 9], [2, 30], [7], [1, 2, 3, 4]]
    np.savez(folder / "imdb.npz", x_train=x, y_train=np.arange(4), x_test=x[:2], y_test=np.arange(2))
    (x_train, y_train), (x_test, _) = datasets.imdb.load_data(num_words=10)
    by_label = {int(label): sequence for label, sequence in zip(y_train, x_train)}
    assert by_label[0] == [1, 4, 8, 2] and by_label[1] == [1, 5, 2] and by_label[3] == [1, 4, 5, 6, 7]
    assert len(x_test) == 2
    (short, labels), _ = datasets.imdb.load_data(maxlen=4)
    assert {int(label) for label in labels} == {1, 2} and all(len(sequence) < 4 for sequence in short)
    with pytest.raises(ValueError, match="maxlen=1 leaves no sequence; increase maxlen"):
        datasets.imdb.load_data(maxlen=1)


def _idx(array):
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(int(d).to_bytes(4, "big") for d in array.shape)
    return gzip.compress(header + array.tobytes())


def test_fashion_mnist_reads_idx_files(folder):
    (folder / "fashion-mnist").mkdir()
    images, labels = np.arange(2 * 784, dtype=np.uint8).reshape(2, 28, 28), np.array([3, 9], np.uint8)
    for prefix in ("train", "t10k"):
        (folder / "fashion-mnist" / f"{prefix}-images-idx3-ubyte.gz").write_bytes(_idx(images))
        (folder / "fashion-mnist" / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(_idx(labels))
    (x_train, y_train), _ = datasets.fashion_mnist.load_data()
    assert np.array_equal(x_train, images) and y_train.tolist() == [3, 9]
    (folder / "fashion-mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(gzip.decompress(_idx(images))[:-5]))
    with pytest.raises(ValueError, match=r"must hold 1584 bytes for shape \(2, 28, 28\); it holds 1579"):
        datasets.fashion_mnist.load_data()


def test_cifar10_reads_batches_and_npz(folder):
    rows = np.arange(2 * 3072, dtype=np.int64).astype(np.uint8).reshape(2, 3072)
    root = folder / "cifar-10-batches-py"
    root.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (root / name).write_bytes(pickle.dumps({b"data": rows, b"labels": [1, 7]}, protocol=2))
    (x_train, y_train), (x_test, _) = datasets.cifar10.load_data()
    assert x_train.shape == (10, 32, 32, 3) and y_train.shape == (10, 1) and np.array_equal(x_test[0, 0, 0], rows[0, [0, 1024, 2048]])
    with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(root, "cifar-10-batches-py")
    for file in root.iterdir():
        file.unlink()
    root.rmdir()
    assert datasets.cifar10.load_data()[0][0].shape == (10, 32, 32, 3)
    (folder / "cifar-10-python.tar.gz").unlink()
    images, labels = np.zeros((4, 32, 32, 3), np.uint8), np.zeros((4, 1), np.uint8)
    np.savez(folder / "cifar10_part.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.warns(UserWarning, match="cifar10_part.npz holds 4 of CIFAR-10's 50000 training images"):
        assert datasets.cifar10.load_data()[0][0].shape == (4, 32, 32, 3)


def test_housing_is_shuffled_and_split_as_in_keras(folder):
    x = np.arange(20 * 13, dtype=float).reshape(20, 13)
    np.savez(folder / "boston_housing.npz", x=x, y=x[:, 0])
    (x_train, y_train), (x_test, y_test) = datasets.boston_housing.load_data()
    order = np.arange(20)
    np.random.RandomState(113).shuffle(order)
    assert np.array_equal(x_train, x[order[:16]]) and np.array_equal(y_test, x[order[16:], 0]) and len(x_test) == 4
    with pytest.raises(ValueError, match=r"test_split must be at least 0 and below 1; received 1\.5"):
        datasets.boston_housing.load_data(test_split=1.5)


def test_offline_error_says_what_to_do(folder, monkeypatch):
    import urllib.error
    import urllib.request

    def offline(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    with pytest.raises(OSError, match=r"mnist\.npz is not in .* could not be downloaded from https://.*: no network\. Put the file there yourself, or set NNLITE_DATA"):
        datasets.mnist.load_data()
    assert list(folder.iterdir()) == []


def test_downloads_are_checked_and_never_half_kept(folder, monkeypatch):
    import io
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda *a, **k: io.BytesIO(b"something else"))
    with pytest.raises(ValueError, match="does not match its expected hash 731c5ac6"):
        datasets.mnist.load_data()
    assert list(folder.iterdir()) == []


def test_unknown_set_names_the_known_ones():
    with pytest.raises(AttributeError, match="the data sets are boston_housing, .*mnist"):
        datasets.emnist
