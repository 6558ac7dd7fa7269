"""The CIFAR batches: pickled dicts of rows of bytes, in a tar file or unpacked."""

from __future__ import annotations

import tarfile

import numpy as np

from nnlite.datasets._files import data_folder, find_file, restricted_load

_SITE = "https://www.cs.toronto.edu/~kriz/"


def read_batches(folder: str, archive: str, file_hash: str, train: list[str], test: str, label_key: str, missing_ok: bool = False):
    """Returns (x_train, y_train, x_test, y_test), or None when nothing is there and `missing_ok`."""
    for place in (folder, f"{folder}-target/{folder}"):  # as Keras unpacks them
        root = data_folder() / place
        if root.is_dir():
            return _collect(lambda name: (root / name).open("rb"), train, test, label_key, root)
    if missing_ok and not (data_folder() / archive).exists():
        return None
    path = find_file(archive, _SITE + archive, file_hash)
    with tarfile.open(path) as tar:
        return _collect(lambda name: tar.extractfile(f"{folder}/{name}"), train, test, label_key, path)


def _collect(opener, train: list[str], test: str, label_key: str, where):
    batches = [_read(opener, name, label_key, where) for name in train]
    x_test, y_test = _read(opener, test, label_key, where)
    return np.concatenate([x for x, _ in batches]), np.concatenate([y for _, y in batches]), x_test, y_test


def _read(opener, name: str, label_key: str, where) -> tuple[np.ndarray, np.ndarray]:
    try:
        with opener(name) as stream:
            batch = restricted_load(stream, where)
    except (OSError, KeyError, TypeError) as error:
        raise ValueError(f"{where} lacks the batch {name!r} ({error}). Remove it to download it anew.") from None
    batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
    rows, labels = np.asarray(batch.get("data")), batch.get(label_key)
    if rows.ndim != 2 or rows.shape[1] != 3072 or rows.dtype != np.uint8 or labels is None or len(labels) != len(rows):
        raise ValueError(f"{where}: batch {name!r} must hold 'data' of shape (n, 3072), uint8, and n {label_key!r}. Remove it to download it anew.")
    images = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, np.asarray(labels, np.uint8).reshape(-1, 1)
