"""Constants inside gradients and composites: scalar tensors made once and kept."""

from __future__ import annotations

import functools

import numpy as np

from nnlite.graph.spec import NUMPY_DTYPE, Spec
from nnlite.tensor import Tensor


@functools.lru_cache(maxsize=512)
def scalar(value, dtype: str) -> Tensor:
    """A scalar tensor. Kept, so that equal constants are one object; callers never write to tensors."""
    return Tensor(Spec((), dtype), encode(np.asarray(value), dtype))


def encode(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` converted to the numpy form of `dtype` (bfloat16 is rounded to nearest even and stored as its bits)."""
    if dtype == "bfloat16":
        return bfloat16_bits(np.asarray(array, np.float32))
    return np.ascontiguousarray(array, NUMPY_DTYPE[dtype]).reshape(np.shape(array))


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, rounded to nearest even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).reshape(np.shape(values))
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1).astype(np.uint32)) >> 16).astype(np.uint16)
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(values), quiet, rounded).reshape(np.shape(values))
