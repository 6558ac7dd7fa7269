"""From anything to tensors."""

from __future__ import annotations

import numpy as np

from nnlite import config
from nnlite.graph.spec import FLOATS, NUMPY_DTYPE, Spec
from nnlite.graph.symbolic import KerasTensor
from nnlite.ops import elementwise as e
from nnlite.ops._dtypes import dtype_kind, floating, promote
from nnlite.ops._scalars import encode, scalar
from nnlite.tensor import Tensor, from_array
from nnlite.variable import Variable

_NUMBERS = {bool: "bool", int: "int32", float: None}
_INT32_LIMIT = 2**31


def to_tensor(x, dtype: str | None = None) -> Tensor:
    """`x` as a tensor of `dtype` (default: its own; Python floats get `config.floatx()`, Python ints int32)."""
    if type(x) is not Tensor:
        x = _tensor_of(x, dtype)
    if dtype is None or x.spec.dtype == dtype:
        return x
    return e.cast(x, dtype=dtype)


def _tensor_of(x, dtype: str | None) -> Tensor:
    kind = type(x)
    if kind in _NUMBERS:
        return _number(x, dtype or _NUMBERS[kind] or config.floatx())
    if isinstance(x, Tensor):
        return x
    if isinstance(x, Variable):
        return x.value
    if isinstance(x, np.ndarray):
        return _from_numpy(x, dtype)
    if isinstance(x, np.generic):
        return _from_numpy(np.asarray(x), dtype)
    if isinstance(x, (list, tuple)):
        return _from_sequence(x, dtype)
    return _from_other(x, dtype)


def _number(x, dtype: str) -> Tensor:
    if dtype == "int32" and type(x) is int and not -_INT32_LIMIT <= x < _INT32_LIMIT:
        dtype = "int64"
    if type(x) is float and x == 0.0:  # -0.0 == 0.0, but the two must not share a cached tensor
        return Tensor(Spec((), dtype), encode(np.asarray(x), dtype))
    return scalar(x, dtype)


def _from_numpy(array: np.ndarray, dtype: str | None) -> Tensor:
    if array.dtype.kind in "OUSMmVc":
        raise TypeError(
            f"A tensor holds numbers or booleans; received a numpy array of dtype {array.dtype}. Convert it first, e.g. with astype('float32')."
        )
    if dtype is None or dtype == "bfloat16":
        tensor = from_array(array)
        return tensor if dtype is None else e.cast(tensor, dtype=dtype)
    return Tensor(Spec(array.shape, dtype), np.ascontiguousarray(array, NUMPY_DTYPE[dtype]).reshape(array.shape))


def _from_sequence(x, dtype: str | None) -> Tensor:
    if _holds_tensors(x):
        from nnlite.ops.joining import stack

        return stack([to_tensor(item) for item in x])
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"A tensor needs rows of equal length; received a nested list with uneven rows ({error}). Pad it first.") from None
    if dtype is None:
        dtype = _sequence_dtype(x, array)
    return _from_numpy(array, dtype)


def _sequence_dtype(x, array: np.ndarray) -> str | None:
    leaf = x
    while isinstance(leaf, (list, tuple)) and leaf:
        leaf = leaf[0]
    if isinstance(leaf, (np.ndarray, np.generic)):
        return None
    if array.dtype.kind == "f":
        return config.floatx()
    if array.dtype.kind in "iu":
        return "int32" if not array.size or np.abs(array).max() < _INT32_LIMIT else "int64"
    return None


def _holds_tensors(x) -> bool:
    return any(isinstance(item, (Tensor, Variable)) or (isinstance(item, (list, tuple)) and _holds_tensors(item)) for item in x)


def _from_other(x, dtype: str | None) -> Tensor:
    if isinstance(x, KerasTensor):
        raise ValueError(
            f"A KerasTensor has no values: {x}. Use functions of nnlite.ops on it, which record themselves, or wrap the code in a Layer."
        )
    if hasattr(x, "__array__"):
        return _from_numpy(np.asarray(x), dtype)
    if hasattr(x, "__dlpack__"):
        return _from_numpy(np.from_dlpack(x), dtype)
    raise TypeError(f"Cannot make a tensor of {type(x).__name__}: {x!r}. Give numbers, lists, numpy arrays, tensors or Variables.")


def pair(a, b, least: str | None = None) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of their common dtype; `least` joins the promotion ("int" turns bool into int32)."""
    if type(a) is Tensor and type(b) is Tensor and a.spec.dtype == b.spec.dtype and (least is None or a.spec.dtype != "bool"):
        return a, b
    dtype = promote(dtype_kind(a), dtype_kind(b))
    if least is not None:
        dtype = promote(dtype, least)
    dtype = _concrete(dtype, a, b)
    return to_tensor(a, dtype), to_tensor(b, dtype)


def _concrete(dtype: str, *values) -> str:
    if dtype == "float":
        return config.floatx()
    if dtype == "int":
        return "int64" if any(isinstance(v, int) and not -_INT32_LIMIT <= v < _INT32_LIMIT for v in values) else "int32"
    return dtype


def float_pair(a, b) -> tuple[Tensor, Tensor]:
    """Two operands as tensors of their common floating-point dtype."""
    if type(a) is Tensor and type(b) is Tensor and a.spec.dtype == b.spec.dtype and a.spec.dtype in FLOATS:
        return a, b
    dtype = floating(promote(promote(dtype_kind(a), dtype_kind(b)), "float"))
    return to_tensor(a, dtype), to_tensor(b, dtype)


def to_float(x) -> Tensor:
    """`x` as a floating-point tensor."""
    x = to_tensor(x)
    return x if x.spec.dtype in FLOATS else e.cast(x, dtype=config.floatx())


def to_number(x) -> Tensor:
    """`x` as a tensor; booleans become int32."""
    x = to_tensor(x)
    return x if x.spec.dtype != "bool" else e.cast(x, dtype="int32")


def to_bool(x) -> Tensor:
    """`x` as booleans: x != 0."""
    x = to_tensor(x)
    return x if x.spec.dtype == "bool" else e.cast(x, dtype="bool")


def all_same(values) -> list[Tensor]:
    """Tensors of one dtype, the promotion of all."""
    kinds = [dtype_kind(v) for v in values]
    dtype = kinds[0]
    for kind in kinds[1:]:
        dtype = promote(dtype, kind)
    dtype = _concrete(dtype, *values)
    return [to_tensor(v, dtype) for v in values]


def axis_of(name: str, axis: int, rank: int) -> int:
    """A valid axis counted from the front; negative ones count from the back."""
    axis = int(axis)
    if not -rank <= axis < rank:
        raise ValueError(f"{name}() got axis={axis} for a tensor of {rank} axes: it must be between {-rank} and {rank - 1}.")
    return axis + rank if axis < 0 else axis


def axes_of(name: str, axis, rank: int) -> tuple[int, ...]:
    """Sorted axes >= 0 from None (all), an int or a sequence of ints."""
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, (int, np.integer)):
        return (axis_of(name, axis, rank),)
    axes = tuple(sorted(axis_of(name, a, rank) for a in axis))
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}() got axis={tuple(axis)}, which names an axis twice in a tensor of {rank} axes.")
    return axes


def static_ints(name: str, what: str, values) -> tuple[int, ...]:
    """A tuple of Python ints from an int, a sequence or an eager tensor; shapes must be known when a function is traced."""
    if isinstance(values, (Tensor, Variable)):
        values = np.asarray(values).tolist()
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if isinstance(values, (int, np.integer)):
        return (int(values),)
    try:
        return tuple([int(v) for v in values])
    except TypeError as error:
        raise TypeError(f"{name}() needs integers for `{what}`, known while tracing; received {values!r} ({error}).") from None
