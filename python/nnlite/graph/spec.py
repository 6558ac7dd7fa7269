"""Spec: the static shape and dtype of a tensor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Spec(NamedTuple):
    """Shape and dtype of a tensor; dims are integers.

    >>> Spec((2, 3), "float32").size
    6
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements; 1 for a scalar."""
        n = 1
        for dim in self.shape:
            n *= dim
        return n

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_SIZE[self.dtype]

    def with_shape(self, shape) -> "Spec":
        return Spec(tuple(shape), self.dtype)

    def with_dtype(self, dtype: str) -> "Spec":
        return Spec(self.shape, dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


ITEM_SIZE = {"float32": 4, "float64": 8, "bfloat16": 2, "int32": 4, "int64": 8, "uint8": 1, "int8": 1, "bool": 1}
FLOATS = frozenset(("float32", "float64", "bfloat16"))

# bfloat16 has no numpy dtype: its bits travel as uint16.
NUMPY_DTYPE = {name: np.dtype("uint16" if name == "bfloat16" else name) for name in ITEM_SIZE}
_FROM_NUMPY = {np.dtype(name): name for name in ITEM_SIZE if name != "bfloat16"}
# numpy dtypes that are not ours are widened to the nearest one that holds every value.
_WIDENED = {np.dtype(a): b for a, b in (("float16", "float32"), ("int16", "int32"), ("uint16", "int32"), ("uint32", "int64"), ("uint64", "int64"))}


def dtype_of_array(array: np.ndarray) -> str:
    """The dtype name a numpy array has (or is widened to) as a tensor."""
    name = _FROM_NUMPY.get(array.dtype) or _WIDENED.get(array.dtype)
    if name is None:
        raise TypeError(f"A tensor holds one of {', '.join(ITEM_SIZE)}; received a numpy array of dtype {array.dtype}. Convert it first, e.g. with astype('float32').")
    return name


def spec_of_array(array: np.ndarray) -> Spec:
    return Spec(array.shape, dtype_of_array(array))
