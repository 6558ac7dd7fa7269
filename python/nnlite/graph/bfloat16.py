"""bfloat16 numbers travel as their bits in uint16 arrays; here they become float32 and back."""

from __future__ import annotations

import numpy as np


def bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, rounded to nearest even; NaN stays NaN."""
    values = np.asarray(values, np.float32)
    bits = np.ascontiguousarray(values).view(np.uint32).reshape(values.shape)
    rounded = ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1).astype(np.uint32)) >> 16).astype(np.uint16)
    quiet = ((bits >> 16) | 0x40).astype(np.uint16)
    return np.where(np.isnan(values), quiet, rounded).reshape(values.shape)


def float32_of_bits(bits: np.ndarray) -> np.ndarray:
    """The float32 numbers whose upper halves are `bits`."""
    return (bits.astype(np.uint32) << 16).view(np.float32)
