"""Fashion-MNIST: 70,000 pictures of clothes of 28x28 pixels in 10 classes (Zalando Research, MIT licence)."""

from __future__ import annotations

import gzip
import zlib

import numpy as np

from nnlite.datasets._files import ORIGIN, find_file

_FILES = ("train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz")


def load_data():
    """Returns `(x_train, y_train), (x_test, y_test)`: uint8 images (60000, 28, 28) and (10000, 28, 28), labels 0..9."""
    y_train, x_train, y_test, x_test = (read_idx(find_file(f"fashion-mnist/{name}", ORIGIN + name)) for name in _FILES)
    return (x_train, y_train), (x_test, y_test)


def read_idx(path) -> np.ndarray:
    """Reads a gzipped IDX file of bytes: two zero bytes, type 8, the rank, big-endian dims, data."""
    try:
        with gzip.open(path, "rb") as file:
            data = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is not a gzipped IDX file ({error}). Remove it to download it anew.") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path} must begin with the bytes 00 00 08 (IDX of unsigned bytes); it begins with {data[:4].hex(' ')}. Remove it to download it anew.")
    rank = data[3]
    shape = tuple(np.frombuffer(data, ">u4", rank, 4).tolist())
    expected = 4 + 4 * rank + int(np.prod(shape))
    if len(data) != expected:
        raise ValueError(f"{path} must hold {expected} bytes for shape {shape}; it holds {len(data)}. Remove it to download it anew.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)
