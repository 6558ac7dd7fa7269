"""CIFAR-10: 60,000 colour images of 32x32 pixels in 10 classes (Krizhevsky, 2009)."""

from __future__ import annotations

import warnings

import numpy as np

from nnlite.datasets._cifar import read_batches
from nnlite.datasets._files import data_folder, read_npz

_HASH = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"


def load_data():
    """Returns `(x_train, y_train), (x_test, y_test)`: uint8 images (50000, 32, 32, 3) and (10000, 32, 32, 3), labels (n, 1).

    When the data folder holds no copy of the published batches but a file `cifar10*.npz` with the arrays x_train, y_train, x_test
    and y_test, that file is read instead, with a warning if it holds fewer training images.
    """
    npz = sorted(data_folder().glob("cifar10*.npz"))
    arrays = read_batches("cifar-10-batches-py", "cifar-10-python.tar.gz", _HASH, [f"data_batch_{i}" for i in range(1, 6)], "test_batch", "labels", missing_ok=bool(npz))
    if arrays is None:
        arrays = _from_npz(npz[0])
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)


def _from_npz(path):
    images, labels = (None, 32, 32, 3), (None, 1)
    arrays = read_npz(path, {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}, "iu")
    if len(arrays["x_train"]) < 50000:
        warnings.warn(f"{path.name} holds {len(arrays['x_train'])} of CIFAR-10's 50000 training images.", stacklevel=3)
    return tuple(np.ascontiguousarray(arrays[key]) for key in ("x_train", "y_train", "x_test", "y_test"))
