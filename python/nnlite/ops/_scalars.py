"""Constants inside gradients and composites: scalar tensors made once and kept."""

from __future__ import annotations

import functools

import numpy as np

from nnlite.graph.bfloat16 import bfloat16_bits
from nnlite.graph.spec import NUMPY_DTYPE, Spec
from nnlite.tensor import Tensor


@functools.lru_cache(maxsize=512)
def scalar(value, dtype: str) -> Tensor:
    """A scalar tensor. Kept, so that equal constants are one object; callers never write to tensors."""
    return Tensor(Spec((), dtype), encode(np.asarray(value), dtype))


def encode(array: np.ndarray, dtype: str) -> np.ndarray:
    """`array` converted to the numpy form of `dtype` (bfloat16 is rounded to nearest even and stored as its bits)."""
    if dtype == "bfloat16":
        return bfloat16_bits(array)
    return np.ascontiguousarray(array, NUMPY_DTYPE[dtype]).reshape(np.shape(array))
