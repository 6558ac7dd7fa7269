"""Dtype names and promotion."""

from __future__ import annotations

import functools

import numpy as np

from nnlite import config
from nnlite.graph.spec import FLOATS, ITEM_SIZE, spec_of_array

# Widening order of the integers; uint8 with int8 needs int32.
_INT_ORDER = {"bool": 0, "uint8": 1, "int8": 1, "int32": 2, "int64": 3}
_FLOAT_ORDER = {"bfloat16": 0, "float32": 1, "float64": 2}
_PYTHON = {bool: "bool", int: "int", float: "float"}
_ALIASES = {"half": "float32", "float16": "float32", "int16": "int32", "uint16": "int32", "uint32": "int64", "uint64": "int64", "double": "float64"}


def standardize(dtype) -> str:
    """The name of a dtype given as a name, a Python type, a numpy dtype or anything with a `name`.

    float16 becomes float32 and unsigned or 16-bit integers the next wider dtype of ours.
    """
    if type(dtype) is str and dtype in ITEM_SIZE:
        return dtype
    return _standardize(dtype)


@functools.lru_cache(maxsize=128)
def _standardize(dtype) -> str:
    if dtype is None:
        return config.floatx()
    if dtype is float:
        return config.floatx()
    if dtype is int:
        return "int32"
    if dtype is bool:
        return "bool"
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = name.removeprefix("torch.")
    name = _ALIASES.get(name, name)
    if name not in ITEM_SIZE:
        raise ValueError(f"A dtype is one of {', '.join(ITEM_SIZE)}; received {dtype!r}.")
    return name


@functools.lru_cache(maxsize=1024)
def promote(a: str, b: str) -> str:
    """The dtype of a result of two dtypes. "int" and "float" stand for Python numbers, which are weak.

    >>> promote("int32", "float32"), promote("float32", "int"), promote("int32", "float"), promote("bool", "int")
    ('float32', 'float32', 'float32', 'int32')
    """
    if a == b:
        return a
    if a in ("int", "float"):
        a, b = b, a
    if b == "int":
        return "int32" if a == "bool" else a
    if b == "float":
        return a if a in FLOATS else "float" if a == "int" else config.floatx()
    if a in FLOATS or b in FLOATS:
        if a in FLOATS and b in FLOATS:
            return max(a, b, key=_FLOAT_ORDER.__getitem__)
        return a if a in FLOATS else b
    if {a, b} == {"uint8", "int8"}:
        return "int32"
    return max(a, b, key=_INT_ORDER.__getitem__)


def result_type(*dtypes) -> str:
    """The dtype of a computation on tensors of these dtypes; Python numbers count weakly.

    >>> result_type("int32", float)
    'float32'
    """
    names = [_PYTHON.get(d) or standardize(d) for d in dtypes] or [config.floatx()]
    result = functools.reduce(promote, names)
    return {"int": "int32", "float": config.floatx()}.get(result, result)


def dtype_kind(value) -> str:
    """The dtype name that promotion sees in a value: "int" or "float" for Python and numpy float scalars."""
    kind = _PYTHON.get(type(value))
    if kind is not None:
        return kind
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return _kind_of_list(value)
    if type(dtype) is str:
        return dtype
    if isinstance(value, np.generic):
        return "float" if value.dtype.kind == "f" else "int" if value.dtype.kind in "iu" else "bool"
    return spec_of_array(value).dtype if isinstance(value, np.ndarray) else standardize(dtype)


def _kind_of_list(value) -> str:
    from nnlite.ops._convert import to_tensor

    return to_tensor(value).spec.dtype


def floating(dtype: str) -> str:
    """The dtype of a result that must be a float: floats stay, others become `config.floatx()`."""
    return dtype if dtype in FLOATS else config.floatx()
