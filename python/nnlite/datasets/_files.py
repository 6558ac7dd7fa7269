"""Where data sets are looked for, and how their containers are read without running anything in them."""

from __future__ import annotations

import io
import os
import pathlib
import pickle
import zipfile

import numpy as np

from nnlite.utils.file_utils import cache_folder, download, hash_matches

ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"


def data_folder() -> pathlib.Path:
    """`NNLITE_DATA` when set, else Keras's own cache `~/.keras/datasets`."""
    given = os.environ.get("NNLITE_DATA")
    return pathlib.Path(given) if given else cache_folder() / "datasets"


def find_file(name: str, origin: str, file_hash: str | None = None) -> pathlib.Path:
    """The path of a data file: in the data folder, or downloaded into it and checked.

    A file that is already there is used whatever its hash: the loaders check its arrays instead.
    """
    path = pathlib.Path(name)
    if path.is_absolute():
        if not path.exists():
            raise FileNotFoundError(f"The data file {path} does not exist.")
        return path
    path = data_folder() / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        download(origin, path, file_hash)
    return path


def read_npz(path: pathlib.Path, expected: dict[str, tuple[int | None, ...]], dtypes: str = "iuf") -> dict[str, np.ndarray]:
    """Reads arrays from an npz and checks that each has the expected shape (None = any) and kind of dtype.

    Object arrays of lists of numbers (text data) are read with a restricted unpickler when `dtypes` holds "O".
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            missing = [key for key in expected if key not in names]
            if missing:
                raise ValueError(f"{path} must hold the arrays {', '.join(expected)}; it lacks {', '.join(missing)} and holds {', '.join(sorted(names)) or 'nothing'}. Remove the file to download it anew.")
            arrays = {key: _read_npy(archive.read(f"{key}.npy"), "O" in dtypes, path) for key in expected}
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not an npz file ({error}). Remove it to download it anew.") from None
    for key, shape in expected.items():
        _check(path, key, arrays[key], shape, dtypes)
    return arrays


def _check(path, key: str, array: np.ndarray, shape, dtypes: str) -> None:
    fits = array.ndim == len(shape) and all(want is None or want == got for want, got in zip(shape, array.shape))
    if not fits or array.dtype.kind not in dtypes:
        wanted = "(" + ", ".join("any" if dim is None else str(dim) for dim in shape) + ")"
        raise ValueError(f"{path}: the array {key!r} must have shape {wanted} and a numeric dtype; it has shape {array.shape} and dtype {array.dtype}. Remove the file to download it anew.")


def _read_npy(data: bytes, allow_lists: bool, path) -> np.ndarray:
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    if dtype.hasobject:
        if not allow_lists:
            raise ValueError(f"{path} holds Python objects where numbers are expected; it was not read.")
        return np.asarray(restricted_load(stream, path), object).reshape(shape)
    return np.load(io.BytesIO(data), allow_pickle=False)


# What a pickle of numpy object arrays may name; lists and numbers need no names.
_ALLOWED = {
    ("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype,
    **{(module, "_reconstruct"): np.array([]).__reduce__()[0] for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    **{(module, "scalar"): np.float64(0).__reduce__()[0] for module in ("numpy.core.multiarray", "numpy._core.multiarray")},
    ("_codecs", "encode"): lambda text, encoding: text.encode("latin1"),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, stream, path):
        super().__init__(stream, encoding="latin1")
        self.path = path

    def find_class(self, module: str, name: str):
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise ValueError(f"{self.path} wants to load {module}.{name}: only arrays, lists and numbers are read from data files. The file was not loaded.")
        return allowed


def restricted_load(stream, path):
    """Unpickles arrays, lists, dicts and numbers; anything else raises ValueError before it is built."""
    try:
        return _RestrictedUnpickler(stream, path).load()
    except (pickle.UnpicklingError, EOFError, IndexError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}. Remove it to download it anew.") from None


__all__ = ["ORIGIN", "data_folder", "find_file", "hash_matches", "read_npz", "restricted_load"]
