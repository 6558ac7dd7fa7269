"""Arrays of any library as numpy arrays the engine can read, and structures of them."""

from __future__ import annotations

import numpy as np

from nnlite import config
from nnlite.graph.spec import NUMPY_DTYPE, Spec, dtype_of_array
from nnlite.tensor import Tensor
from nnlite.variable import Variable


def is_array_like(value) -> bool:
    """Whether a leaf of fit's arguments is an array of some library (Python numbers and lists are not)."""
    if isinstance(value, (np.ndarray, Tensor, Variable)):
        return True
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "__array__") or _is_frame(value) or _is_sparse(value)


def _is_frame(value) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "to_numpy")


def _is_sparse(value) -> bool:
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "toarray")


def as_array(value, role: str) -> np.ndarray:
    """A C-contiguous numpy array of a dtype of ours. Floats get `config.floatx()`, integers keep their kind.

    Args:
        value: An array of some library.
        role: What it is, for error texts: "x", "y['a']".
    """
    array = value if type(value) is np.ndarray else _foreign(value)
    kind = array.dtype.kind
    if kind == "f":
        dtype = NUMPY_DTYPE[config.floatx()] if config.floatx() != "bfloat16" else np.dtype("float32")
    elif kind in "iub":
        dtype = NUMPY_DTYPE[dtype_of_array(array)]
    else:
        raise ValueError(_unsupported(array, role))
    if array.ndim == 0:
        raise ValueError(f"The data {role} must have a batch axis; received the scalar {array!r}. Put it into an array of shape (1, ...).")
    return np.ascontiguousarray(array, dtype)


def _foreign(value) -> np.ndarray:
    if isinstance(value, (Tensor, Variable)):
        return np.asarray(value.numpy())
    if _is_frame(value):
        return value.to_numpy()
    if _is_sparse(value):
        return value.toarray()
    if hasattr(value, "detach"):  # a torch tensor, maybe one that requires gradients
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
    return np.asarray(value)


def _unsupported(array: np.ndarray, role: str) -> str:
    if array.dtype.kind in "US":
        fix = "Turn strings into numbers first, e.g. with a StringLookup or TextVectorization layer."
    elif array.dtype.kind == "O":
        kinds = sorted({type(v).__name__ for v in array.reshape(-1)[:100]})
        fix = (
            f"Its elements are {', '.join(kinds)}: rows of unequal length or mixed columns? "
            "Make one array of numbers, e.g. with astype('float32') or pad_sequences()."
        )
    else:
        fix = "Convert it with astype('float32')."
    return f"The data {role} must hold numbers; received an array of dtype {array.dtype} and shape {array.shape}. {fix}"


def spec_of(array: np.ndarray, rows: int | None = None) -> Spec:
    """The spec of an array, or of a batch of `rows` of its rows."""
    shape = array.shape if rows is None else (rows, *array.shape[1:])
    return Spec(shape, dtype_of_array(array))


def leaves(structure) -> list:
    """The leaves that are not None, dicts in sorted key order."""
    found: list = []
    _collect(structure, found)
    return found


def _collect(structure, found: list) -> None:
    if isinstance(structure, dict):
        for key in sorted(structure):
            _collect(structure[key], found)
    elif isinstance(structure, (tuple, list)):
        for item in structure:
            _collect(item, found)
    elif structure is not None:
        found.append(structure)


def rebuild(structure, values):
    """The structure with its leaves (None excepted) replaced by the items of an iterator."""
    if isinstance(structure, dict):
        built = {key: rebuild(structure[key], values) for key in sorted(structure)}
        return {key: built[key] for key in structure}
    if isinstance(structure, (tuple, list)):
        items = [rebuild(item, values) for item in structure]
        return items if isinstance(structure, list) else tuple(items)
    return None if structure is None else next(values)


def shape_key(structure):
    """A hashable description of the nesting."""
    if isinstance(structure, dict):
        return ("d", *((key, shape_key(structure[key])) for key in sorted(structure)))
    if isinstance(structure, (tuple, list)):
        return ("l", *(shape_key(item) for item in structure))
    return structure is None


def convert_structure(structure, role: str):
    """Every leaf by `as_array`, named in error texts by its place."""
    if isinstance(structure, dict):
        return {key: convert_structure(value, f"{role}[{key!r}]") for key, value in structure.items()}
    if isinstance(structure, (tuple, list)):
        items = [convert_structure(item, f"{role}[{i}]") for i, item in enumerate(structure)]
        return items if isinstance(structure, list) else tuple(items)
    return None if structure is None else as_array(structure, role)
