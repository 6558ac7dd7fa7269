"""Weight packing: the panels matmul and convolution kernels read fastest. Only passes make these ops."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import Spec

PANEL = 64  # columns of a panel
_ALIGN = 16  # the last panel's columns are rounded up to it


def _padded(columns: int) -> int:
    return -(-columns // _ALIGN) * _ALIGN


def _panels(matrix: np.ndarray) -> np.ndarray:
    """[K, N] as panels of 64 columns one after the other, each [K, width], the last one zero filled to a multiple of 16 columns."""
    rows, columns = matrix.shape
    filled = np.zeros((rows, _padded(columns)), matrix.dtype)
    filled[:, :columns] = matrix
    return np.concatenate([filled[:, first : first + PANEL].ravel() for first in range(0, filled.shape[1], PANEL)] or [filled.ravel()])


def _conv_reference(w, groups):
    depth = math.prod(w.shape[:3])
    per_group = w.reshape(depth, groups, w.shape[3] // groups)
    return np.concatenate([_panels(per_group[:, g]) for g in range(groups)])


@primitive(
    gradients=(no_gradient,),
    reference=lambda b, transpose_b: _panels(b.T if transpose_b else b),
    traits=Traits(cost=lambda i, o, a: float(o[0].size)),
)
def matmul_pack(b, *, transpose_b):
    """[K, N] ([N, K] when transposed) to K * ceil16(N) numbers in panels of 64 columns."""
    if len(b.shape) != 2:
        raise ValueError(f"matmul_pack() takes a matrix; received {b}.")
    rows, columns = b.shape[::-1] if transpose_b else b.shape
    return Spec((rows * _padded(columns),), b.dtype)


@primitive(gradients=(no_gradient,), reference=_conv_reference, traits=Traits(cost=lambda i, o, a: float(o[0].size)))
def conv2d_pack(w, *, groups):
    """[kh, kw, C/groups, K] to panels of the matrix [kh*kw*C/groups, K/groups] of every group."""
    if len(w.shape) != 4 or w.shape[3] % groups:
        raise ValueError(f"conv2d_pack() takes a kernel [kh, kw, C/groups, K] whose K is a multiple of groups; received {w} and groups={groups}.")
    return Spec((groups * math.prod(w.shape[:3]) * _padded(w.shape[3] // groups),), w.dtype)
