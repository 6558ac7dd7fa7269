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


# Winograd's points are 0, +-5/8, +-3/2 and infinity.
_POINTS = np.array([0, 0.625, -0.625, 1.5, -1.5])


def _winograd_transform(taps: int) -> np.ndarray:
    """Values of a polynomial of `taps` coefficients at the points, divided by the products of their distances; a single tap stays as it is."""
    if taps == 1:
        return np.ones((1, 1))
    distances = _POINTS[None] - _POINTS[:, None] + np.eye(5)
    return np.concatenate([_POINTS[:, None] ** np.arange(taps) / np.prod(distances, 0)[:, None], np.eye(taps)[-1:]])


def _winograd_reference(w):
    rows, cols = [_winograd_transform(taps) for taps in w.shape[:2]]
    points = np.einsum("ir,js,rsck->ijck", rows, cols, w.astype("float64")).reshape(-1, *w.shape[2:])
    gap = np.zeros(_ALIGN, w.dtype)
    return np.concatenate([part for point in points for part in (_panels(point.astype(w.dtype)), gap)])


@primitive(gradients=(no_gradient,), reference=_winograd_reference, traits=Traits(cost=lambda i, o, a: 10.0 * o[0].size))
def winograd_pack(w):
    """[3, 3, C, K] or [5, 5, C, K] to its values at 36 points, each the panels of a matrix [C, K] and 16 zeros; kernels of one row or column at 6."""
    if w.dtype != "float32" or w.shape[:2] not in ((3, 3), (5, 5), (1, 3), (1, 5), (3, 1), (5, 1)) or len(w.shape) != 4:
        raise ValueError(f"winograd_pack() takes a float32 kernel [kh, kw, C, K] with kh and kw 3 or 5, or one of them 1; received {w}.")
    points = 36 if w.shape[0] == w.shape[1] else 6
    return Spec((points * (w.shape[2] * _padded(w.shape[3]) + _ALIGN),), w.dtype)


@primitive(gradients=(no_gradient,), reference=_conv_reference, traits=Traits(cost=lambda i, o, a: float(o[0].size)))
def conv2d_pack(w, *, groups):
    """[kh, kw, C/groups, K] to panels of the matrix [kh*kw*C/groups, K/groups] of every group."""
    if len(w.shape) != 4 or w.shape[3] % groups:
        raise ValueError(f"conv2d_pack() takes a kernel [kh, kw, C/groups, K] whose K is a multiple of groups; received {w} and groups={groups}.")
    return Spec((groups * math.prod(w.shape[:3]) * _padded(w.shape[3] // groups),), w.dtype)
