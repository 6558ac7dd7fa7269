"""MNIST: 70,000 handwritten digits of 28x28 pixels (LeCun, Cortes, Burges; CC BY-SA 3.0)."""

from __future__ import annotations

from nnlite.datasets._files import ORIGIN, find_file, read_npz

_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def load_data(path: str = "mnist.npz"):
    """Returns `(x_train, y_train), (x_test, y_test)`: uint8 images (60000, 28, 28) and (10000, 28, 28), labels 0..9.

    Args:
        path: File name in the data folder, or an absolute path.
    """
    file = find_file(path, ORIGIN + "mnist.npz", _SHA256)
    arrays = read_npz(file, {"x_train": (None, 28, 28), "y_train": (None,), "x_test": (None, 28, 28), "y_test": (None,)}, "iu")
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
