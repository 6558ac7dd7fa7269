"""Weights in HDF5, laid out as Keras does: one group a layer, `vars/0`, `vars/1`, ... inside."""

from __future__ import annotations

import os
import pathlib
import tempfile

import numpy as np

from nnlite.utils.naming import to_snake_case


def h5py_module():
    """h5py, imported only when a file is read or written."""
    try:
        import h5py
    except ImportError as error:
        raise ImportError("Reading and writing Keras files needs h5py, which is not installed. Install it: pip install h5py") from error
    return h5py


def save_weights(model, filepath, overwrite: bool = True) -> None:
    """Writes all weights of a model to a `.weights.h5` file; the file appears whole or not at all."""
    path = _weights_path(filepath, "save_weights")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; pass overwrite=True to replace it.")
    with replace_when_done(path) as temporary:
        write_h5(model, temporary)


def load_weights(model, filepath, skip_mismatch: bool = False) -> None:
    """Reads weights from a `.weights.h5` file or the weights inside a `.keras` file. Nothing is changed unless everything fits.

    Args:
        skip_mismatch: Leave layers whose weights do not fit as they are, with a warning.
    """
    path = pathlib.Path(filepath)
    if path.suffix == ".keras":
        from nnlite.saving.keras_file import load_weights_of_archive

        load_weights_of_archive(model, path, skip_mismatch)
        return
    path = _weights_path(filepath, "load_weights")
    if not path.exists():
        raise FileNotFoundError(f"There is no weights file {path}.")
    read_h5(model, path, str(path), skip_mismatch)


def _weights_path(filepath, what: str) -> pathlib.Path:
    path = pathlib.Path(filepath)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f'{what}() needs a file name that ends in ".weights.h5"; received {str(filepath)!r}. Use {path.stem + ".weights.h5"!r}, or model.save() for a whole model.')
    return path


class replace_when_done:
    """A temporary path beside `path`, renamed onto it at the end; on any error it is removed and `path` stays as it was."""

    def __init__(self, path: pathlib.Path):
        self.path = pathlib.Path(path)

    def __enter__(self) -> pathlib.Path:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"The folder {self.path.parent} for {self.path.name} does not exist; make it first.")
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        os.close(handle)
        self.temporary = pathlib.Path(name)
        return self.temporary

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            os.chmod(self.temporary, 0o666 & ~_umask())
            os.replace(self.temporary, self.path)
            return
        self.temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise OSError(error.errno or 0, f"{self.path} could not be written: {error}. Any earlier file of that name is unchanged.") from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_h5(model, file) -> None:
    """Writes the weights of a model to an HDF5 file (a path or a binary stream)."""
    with h5py_module().File(file, "w") as h5:
        for path, owner in walk(model):
            group = h5.require_group(f"{path}/vars" if path else "vars")
            group.attrs["name"] = getattr(owner, "name", "") or ""
            for i, variable in enumerate(own_variables(owner)):
                group.create_dataset(str(i), data=variable.numpy())


def read_h5(model, file, label: str, skip_mismatch: bool = False) -> None:
    """Assigns the weights in an HDF5 file to a model, after checking that all fit."""
    h5py = h5py_module()
    try:
        with h5py.File(file, "r") as h5:
            assignments = [pair for path, owner in walk(model) for pair in _match(h5, path, owner, label, skip_mismatch)]
    except OSError as error:
        raise ValueError(f"{label} is not a readable HDF5 file: {error}.") from None
    for variable, values in assignments:
        variable.assign(values)


def _match(h5, path: str, owner, label: str, skip_mismatch: bool):
    variables = own_variables(owner)
    group = h5.get(f"{path}/vars" if path else "vars")
    stored = {} if group is None else {key: np.asarray(group[key]) for key in group}
    problem = _mismatch(path, owner, variables, stored, label)
    if problem is None:
        return [(variable, stored[str(i)]) for i, variable in enumerate(variables)]
    if not skip_mismatch or _is_optimizer(owner):
        if _is_optimizer(owner) and not stored:
            return []
        raise ValueError(problem)
    import warnings

    warnings.warn(f"{problem} Skipped.", stacklevel=4)
    return []


def _mismatch(path: str, owner, variables, stored, label: str) -> str | None:
    name = f"{type(owner).__name__} {getattr(owner, 'name', path)!r}"
    if len(variables) != len(stored):
        return f"{label}: {name} has {len(variables)} variables, but the file holds {len(stored)} at {path or 'the top'!r}. The model must be built as it was when saved."
    for i, variable in enumerate(variables):
        values = stored.get(str(i))
        if values is None or tuple(values.shape) != tuple(variable.shape):
            got = "nothing" if values is None else f"shape {tuple(values.shape)}"
            return f"{label}: {name} variable {variable.name!r} has shape {tuple(variable.shape)}, but the file holds {got}. The model must be built as it was when saved."
    return None


def own_variables(owner) -> list:
    """Variables an object holds itself, in the order they are saved; seed generators of layers keep their own counsel, as in Keras."""
    if _is_optimizer(owner):
        return list(owner.variables)
    return [*owner._trainable_variables, *owner._non_trainable_variables] if hasattr(owner, "_trainable_variables") else []


def _is_optimizer(owner) -> bool:
    return hasattr(owner, "apply_gradients")


def walk(model):
    """(path, object) of every object with weights, depth first, named by attribute, or by class inside `layers`."""
    visited: set[int] = set()
    yield from _walk("", model, visited)


def _walk(path: str, owner, visited: set[int]):
    if id(owner) in visited:
        return
    visited.add(id(owner))
    yield path, owner
    for name, child in _children(owner):
        yield from _walk(f"{path}/{name}" if path else name, child, visited)


def _children(owner):
    """Named children: layers by class name with counters, sublayers by the attribute that holds them, then the optimizer."""
    if _is_optimizer(owner):
        return []
    children: list[tuple[str, object]] = []
    if _has_layer_list(owner):
        children += [(f"layers/{name}", layer) for name, layer in _numbered(owner.layers)]
    else:
        children += _attribute_children(owner)
    optimizer = getattr(owner, "optimizer", None)
    if optimizer is not None:
        children.append(("optimizer", optimizer))
    return children


def _has_layer_list(owner) -> bool:
    return type(owner).__name__ in ("Sequential", "Functional") or any(c.__name__ in ("Sequential", "Functional") for c in type(owner).__mro__)


def _attribute_children(owner) -> list[tuple[str, object]]:
    children: list[tuple[str, object]] = []
    for attribute, value in sorted(vars(owner).items()):
        if attribute in ("_layers", "_metrics", "optimizer", "_optimizer"):
            continue
        if _is_layer(value):
            children.append((attribute, value))
        elif isinstance(value, (list, tuple, dict)):
            items = list(value.values()) if isinstance(value, dict) else value
            layers = [item for item in items if _is_layer(item)]
            children += [(f"{attribute}/{name}", layer) for name, layer in _numbered(layers)]
    return children


def _is_layer(value) -> bool:
    return hasattr(value, "_trainable_variables") and hasattr(value, "call")


def _numbered(layers):
    """snake_case class names, with _1, _2, ... for repeats."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = to_snake_case(type(layer).__name__)
        count = counts.get(name, 0)
        counts[name] = count + 1
        yield (f"{name}_{count}" if count else name), layer
