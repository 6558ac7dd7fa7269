"""Weights in HDF5, laid out as Keras does: one group a layer, `vars/0`, `vars/1`, ... inside."""

from __future__ import annotations

import io
import pathlib
import warnings

import numpy as np

from nnlite.graph.bfloat16 import bfloat16_bits, float32_of_bits
from nnlite.saving.atomic import write_whole
from nnlite.saving.state_walk import is_optimizer, walk


def h5py_module():
    """h5py, imported only when a file is read or written."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("Reading and writing Keras files needs h5py, which is not installed. Install it: pip install h5py") from error
    return h5py


def save_weights(model, filepath, overwrite: bool = True, **kwargs) -> None:
    """Writes all weights of a model to a `.weights.h5` file; the file appears whole or not at all.

    Args:
        model: A built model.
        filepath: Ends in ".weights.h5".
        overwrite: Whether an existing file is replaced.

    Raises:
        ValueError: Another ending, or a model without weights.
        FileExistsError: The file exists and `overwrite` is False.
        OSError: The file cannot be written; an earlier one stays as it was.
    """
    path = _weights_path(filepath, "save_weights")
    if kwargs:
        raise ValueError(f"save_weights() takes no argument {', '.join(map(repr, kwargs))}: weights are kept in one file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; pass overwrite=True to replace it.")
    if not model.built:
        raise ValueError(f"Model {model.name!r} has no weights to save yet. Call build(), fit() or the model itself on data first.")
    write_whole(path, h5_bytes(model))


def load_weights(model, filepath, skip_mismatch: bool = False, **kwargs) -> None:
    """Reads weights from a `.weights.h5` file or the weights inside a `.keras` file. Nothing is changed unless everything fits.

    Args:
        model: A built model.
        filepath: Ends in ".weights.h5" or ".keras".
        skip_mismatch: Leave layers whose weights do not fit as they are, with a warning.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or its weights do not fit the model; the text names the layer, the variable and both shapes.
    """
    path = pathlib.Path(filepath)
    if kwargs:
        raise ValueError(f"load_weights() takes no argument {', '.join(map(repr, kwargs))}.")
    if path.suffix == ".keras":
        from nnlite.saving.keras_file import weights_of_archive

        read_h5(model, weights_of_archive(path), str(path), skip_mismatch)
        return
    path = _weights_path(filepath, "load_weights")
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    read_h5(model, path.read_bytes(), str(path), skip_mismatch)


def _weights_path(filepath, what: str) -> pathlib.Path:
    path = pathlib.Path(filepath)
    if not path.name.endswith(".weights.h5"):
        better = f"{path.name.partition('.')[0]}.weights.h5"
        raise ValueError(
            f'{what}() needs a file name that ends in ".weights.h5"; received {str(filepath)!r}. Use {better!r}, or model.save() for a whole model.'
        )
    return path


def h5_bytes(model) -> bytes:
    """The weights of a model as the bytes of an HDF5 file."""
    stream = io.BytesIO()
    with h5py_module().File(stream, "w") as h5:
        for path, owner in walk(model):
            group = h5.require_group(f"{path}/vars" if path else "vars")
            name = getattr(owner, "name", None)
            if isinstance(name, str):
                group.attrs["name"] = name
            store: dict = {}
            _save_own(owner, store)
            for key, values in store.items():
                _write_dataset(group, str(key), values)
    return stream.getvalue()


def _save_own(owner, store: dict) -> None:
    if _is_overridden(owner, "save_own_variables"):
        owner.save_own_variables(store)
        return
    for i, variable in enumerate(own_variables(owner)):
        store[str(i)] = _Bits(variable.numpy()) if variable.dtype == "bfloat16" else variable.numpy()


class _Bits:
    """Numbers of a bfloat16 variable."""

    def __init__(self, values):
        self.bits = bfloat16_bits(values)


def _write_dataset(group, key: str, values) -> None:
    """bfloat16 is kept as two opaque bytes with an attribute, as Keras does."""
    if isinstance(values, _Bits):
        group.create_dataset(key, data=values.bits.view("V2")).attrs["dtype"] = "bfloat16"
    else:
        group.create_dataset(key, data=np.asarray(values))


def read_h5(model, data: bytes, label: str, skip_mismatch: bool = False) -> None:
    """Assigns the weights in the bytes of an HDF5 file to a model, after checking that all fit."""
    h5py = h5py_module()
    try:
        with h5py.File(io.BytesIO(data), "r") as h5:
            assignments = [pair for path, owner in walk(model) for pair in _match(h5, path, owner, label, skip_mismatch)]
    except (OSError, RuntimeError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise ValueError(f"{label} does not hold readable HDF5 weights: {error}. The file is damaged or not a weights file.") from error
    for assign, values in assignments:
        assign(values)


def _match(h5, path: str, owner, label: str, skip_mismatch: bool) -> list:
    """(assign, values) pairs for one object, or nothing when it is to be skipped."""
    group = h5.get(f"{path}/vars" if path else "vars")
    if _is_overridden(owner, "load_own_variables"):
        return [(owner.load_own_variables, {key: _read_dataset(group, key, label) for key in group or ()})]
    variables = own_variables(owner)
    count = 0 if group is None else len(group)
    if is_optimizer(owner) and count == 0:
        return []  # saved before it was built: it starts afresh
    problem = _mismatch(path, owner, variables, group, count, label)
    if problem is None:
        return [(variable.assign, _read_dataset(group, str(i), label)) for i, variable in enumerate(variables)]
    if not skip_mismatch and not (is_optimizer(owner) and not owner.built):
        raise ValueError(
            f"{problem} The model must be made and built as the saved one was; load_weights(..., skip_mismatch=True) leaves out what does not fit."
        )
    warnings.warn(f"{problem} Skipped.", stacklevel=5)
    return []


def _read_dataset(group, key: str, label: str) -> np.ndarray:
    """One array; data that the file only points at is refused, so that a file cannot read other files."""
    dataset = group[key]
    if type(group.get(key, getlink=True)).__name__ == "ExternalLink" or dataset.is_virtual or dataset.external:
        raise ValueError(f"{label}: {dataset.name} points to another file, which is not followed.")
    if dataset.attrs.get("dtype") == "bfloat16":
        return float32_of_bits(np.ascontiguousarray(dataset[()]).view(np.uint16).reshape(dataset.shape))
    return np.asarray(dataset)


def _mismatch(path: str, owner, variables, group, count: int, label: str) -> str | None:
    name = f"{type(owner).__name__} {getattr(owner, 'name', path)!r}"
    if len(variables) != count:
        return f"{label}: {name} has {len(variables)} variables, but the file holds {count} at {path or 'the top'!r}."
    for i, variable in enumerate(variables):
        stored = group.get(str(i))
        shape = getattr(stored, "shape", None)
        if shape is None or tuple(shape) != tuple(variable.shape):
            got = "nothing" if shape is None else f"shape {tuple(shape)}"
            return f"{label}: {name} variable {variable.name!r} has shape {tuple(variable.shape)}, but the file holds {got}."
    return None


def own_variables(owner) -> list:
    """Variables an object holds itself, in the order they are saved."""
    if is_optimizer(owner):
        return list(owner.variables)
    return [*owner._trainable_variables, *owner._non_trainable_variables]


def _is_overridden(owner, method: str) -> bool:
    """Whether a class has a way of its own to keep its variables: one outside nnlite, or one that says so."""
    if getattr(owner, "_keeps_own_variables", False):
        return True
    defined = next((cls for cls in type(owner).__mro__ if method in vars(cls)), None)
    return defined is not None and defined.__module__.partition(".")[0] != "nnlite"
