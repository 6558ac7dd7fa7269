"""Reading images between their pixels: weights of resizing, and samples at coordinates."""

from __future__ import annotations

import math

import numpy as np

from nnlite.ops import elementwise as e, index, matrix, movement
from nnlite.ops._convert import to_tensor
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys's kernel with a = -1/2."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _lanczos(radius: int):
    def kernel(x):
        safe = np.where(x == 0, 1, x)
        values = radius * np.sin(math.pi * safe) * np.sin(math.pi * safe / radius) / (math.pi * safe) ** 2
        return np.where(x == 0, 1, np.where(x < radius, values, 0))

    return kernel


KERNELS = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "linear": lambda x: np.maximum(1 - x, 0),
    "triangle": lambda x: np.maximum(1 - x, 0),
    "bicubic": _cubic,
    "cubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}


def weights(size: int, new_size: int, scale: float, translation: float, method: str, antialias: bool) -> np.ndarray:
    """[new_size, size] shares of the old pixels in each new pixel."""
    wide = max(1.0, 1.0 / scale) if antialias else 1.0
    centre = (np.arange(new_size) + 0.5 - translation) / scale - 0.5
    shares = KERNELS[method](np.abs(centre[:, None] - np.arange(size)) / wide)
    total = shares.sum(1, keepdims=True)
    shares = np.where(np.abs(total) > 1000 * np.finfo("float32").eps, shares / np.where(total == 0, 1, total), 0)
    inside = (centre >= -0.5) & (centre <= size - 0.5)
    return np.where(inside[:, None], shares, 0)


def mix_axis(x: Tensor, axis: int, shares: np.ndarray) -> Tensor:
    """x with an axis replaced by weighted sums of its slices."""
    dims = x.spec.shape
    before, after = math.prod(dims[:axis]), math.prod(dims[axis + 1 :])
    flat = movement.reshape(x, shape=(before, dims[axis], after))
    mixed = matrix.matmul(to_tensor(shares, x.spec.dtype), flat, transpose_a=False, transpose_b=False)
    return movement.reshape(mixed, shape=dims[:axis] + (shares.shape[0],) + dims[axis + 1 :])


# How a coordinate outside 0..n-1 is brought inside, by fill mode.
def _wrapped(i: Tensor, n: int) -> Tensor:
    return e.mod(i, scalar(float(n), i.spec.dtype))


def _mirrored(i: Tensor, n: int) -> Tensor:
    """... 2 1 | 0 1 2 | 1 0 ..."""
    if n == 1:
        return e.multiply(i, scalar(0.0, i.spec.dtype))
    period = scalar(float(2 * (n - 1)), i.spec.dtype)
    i = e.mod(i, period)
    return e.minimum(i, e.subtract(period, i))


def _reflected(i: Tensor, n: int) -> Tensor:
    """... 1 0 | 0 1 2 | 2 1 ..."""
    period = scalar(float(2 * n), i.spec.dtype)
    i = e.mod(i, period)
    return e.minimum(i, e.subtract(e.subtract(period, scalar(1.0, i.spec.dtype)), i))


def _clamped(i: Tensor, n: int) -> Tensor:
    return e.minimum(e.maximum(i, scalar(0.0, i.spec.dtype)), scalar(float(n - 1), i.spec.dtype))


_INSIDE = {"constant": _clamped, "nearest": _clamped, "wrap": _wrapped, "mirror": _mirrored, "reflect": _reflected}
FILL_MODES = tuple(_INSIDE)


def sample(table: Tensor, sizes, coordinates, base: Tensor | None, order: int, fill_mode: str, fill_value: float) -> Tensor:
    """Values of `table` [prod(sizes) (* images), ...] at float coordinates, one tensor per axis of `sizes`.

    Args:
        base: Added to the flat positions: where each image begins.
        order: 0 nearest, 1 linear.
    """
    dtype = coordinates[0].spec.dtype
    near = [[(e.floor(e.add(c, scalar(0.5, dtype))), None)] if order == 0 else _neighbours(c) for c in coordinates]
    total = None
    for corner in np.ndindex(*[len(n) for n in near]):
        part = _corner(table, sizes, [near[axis][k] for axis, k in enumerate(corner)], base, fill_mode, fill_value)
        total = part if total is None else e.add(total, part)
    return total


def _neighbours(c: Tensor):
    low = e.floor(c)
    share = e.subtract(c, low)
    one = scalar(1.0, c.spec.dtype)
    return [(low, e.subtract(one, share)), (e.add(low, one), share)]


def _corner(table: Tensor, sizes, picks, base, fill_mode: str, fill_value: float) -> Tensor:
    """One corner's values times their shares."""
    flat, valid, share = base, None, None
    for axis, (i, w) in enumerate(picks):
        n, dtype = sizes[axis], i.spec.dtype
        inside = e.logical_and(e.greater_equal(i, scalar(0.0, dtype)), e.less_equal(i, scalar(float(n - 1), dtype)))
        valid = inside if valid is None else e.logical_and(valid, inside)
        step = e.multiply(e.cast(_INSIDE[fill_mode](i, n), dtype="int32"), scalar(math.prod(sizes[axis + 1 :]), "int32"))
        flat = step if flat is None else e.add(flat, step)
        share = w if share is None else e.multiply(share, w)
    values = index.take_rows(table, flat)

    def column(t):
        return movement.reshape(t, shape=t.spec.shape + (1,) * (len(values.spec.shape) - len(t.spec.shape)))

    if fill_mode == "constant":
        values = e.where(column(valid), values, scalar(float(fill_value), values.spec.dtype))
    return values if share is None else e.multiply(values, column(to_tensor(share, values.spec.dtype)))
