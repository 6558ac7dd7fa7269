"""Geometric transforms of images; public as functions of `nnlite.ops.image`."""

from __future__ import annotations

import numpy as np

from nnlite.ops import elementwise as e, movement
from nnlite.ops._convert import to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops._sampling import FILL_MODES, sample
from nnlite.ops.arithmetic import const
from nnlite.ops.image import Batch, as_dtype, depthwise, gaussian
from nnlite.ops.indexing import eager_array
from nnlite.ops.joining import part_along
from nnlite.tensor import Tensor

# Functions of this module by name.
GEOMETRY: dict = {}
_ORDERS = {"nearest": 0, "bilinear": 1}


def _check(name: str, interpolation: str, fill_mode: str) -> int:
    if interpolation not in _ORDERS or fill_mode not in FILL_MODES:
        raise ValueError(
            f'{name}() takes interpolation "nearest" or "bilinear" and fill_mode out of {", ".join(FILL_MODES)}; received '
            f"{interpolation!r} and {fill_mode!r}."
        )
    return _ORDERS[interpolation]


@public(home=GEOMETRY)
def map_coordinates(inputs, coordinates, order, fill_mode="constant", fill_value=0):
    """Values of `inputs` at float coordinates [axes, ...], by nearest (order 0) or linear (order 1) interpolation.

    Args:
        fill_mode: Beyond the border: "constant" (`fill_value`), "nearest", "wrap", "mirror" or "reflect".
    """
    if order not in (0, 1) or fill_mode not in FILL_MODES:
        raise ValueError(f"map_coordinates() takes order 0 or 1 and fill_mode out of {', '.join(FILL_MODES)}; received {order} and {fill_mode!r}.")
    x, coordinates = to_tensor(inputs), to_float(coordinates)
    rank = len(x.spec.shape)
    if not coordinates.spec.shape or coordinates.spec.shape[0] != rank:
        raise ValueError(
            f"map_coordinates() takes coordinates [{rank}, ...] for inputs of shape {x.spec.shape}; received shape {coordinates.spec.shape}."
        )
    values = to_float(x)
    rest = coordinates.spec.shape[1:]
    per_axis = [movement.reshape(part_along(coordinates, 0, k, 1), shape=rest) for k in range(rank)]
    y = sample(movement.reshape(values, shape=(values.spec.size,)), x.spec.shape, per_axis, None, order, fill_mode, fill_value)
    return as_dtype(y, x.spec.dtype)


def _grid(h: int, w: int, dtype: str) -> tuple[Tensor, Tensor]:
    """Column (x) and row (y) numbers [1, h, w]."""
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    return to_tensor(x[None].astype("float64"), dtype), to_tensor(y[None].astype("float64"), dtype)


def _read(images: Tensor, x: Tensor, y: Tensor, order: int, fill_mode: str, fill_value) -> Tensor:
    """Images [N, H, W, C] at coordinates x, y [N, h, w]."""
    n, h, w, c = images.spec.shape
    x, y = (movement.broadcast_to(t, shape=(n, *t.spec.shape[1:])) if t.spec.shape[0] != n else t for t in (x, y))
    base = to_tensor((np.arange(n) * h * w).astype("int32").reshape(n, 1, 1))
    return sample(movement.reshape(images, shape=(n * h * w, c)), (h, w), (y, x), base, order, fill_mode, float(fill_value))


@public(home=GEOMETRY)
def affine_transform(images, transform, interpolation="bilinear", fill_mode="constant", fill_value=0, data_format=None):
    """Projective transforms [8] or [N, 8]: output pixel (x, y) shows ((a x + b y + c) / k, (d x + e y + f) / k), k = g x + h y + 1."""
    order = _check("affine_transform", interpolation, fill_mode)
    batch = Batch("affine_transform", images, data_format)
    pixels = to_float(batch.x)
    n, h, w, _ = pixels.spec.shape
    transform = to_tensor(transform, pixels.spec.dtype)
    if transform.spec.shape not in ((8,), (n, 8), (1, 8)):
        raise ValueError(f"affine_transform() takes transforms of shape (8,) or ({n}, 8); received {transform.spec.shape}.")
    rows = transform.spec.shape[0] if len(transform.spec.shape) == 2 else 1
    a, b, c, d, f, g, p, q = (
        movement.reshape(part_along(movement.reshape(transform, shape=(rows, 8)), 1, k, 1), shape=(rows, 1, 1)) for k in range(8)
    )
    x, y = _grid(h, w, pixels.spec.dtype)
    k = e.add(_line(p, q, x, y), const(1.0, x))
    return batch.back(
        as_dtype(
            _read(pixels, e.divide(e.add(_line(a, b, x, y), c), k), e.divide(e.add(_line(d, f, x, y), g), k), order, fill_mode, fill_value),
            batch.dtype,
        )
    )


def _line(a: Tensor, b: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return e.add(e.multiply(a, x), e.multiply(b, y))


def _projections(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The transforms [N, 8] that show start points at end points."""
    transforms = []
    for source, target in zip(start, end):
        rows, right = [], []
        for (sx, sy), (tx, ty) in zip(source, target):
            rows += [[tx, ty, 1, 0, 0, 0, -sx * tx, -sx * ty], [0, 0, 0, tx, ty, 1, -sy * tx, -sy * ty]]
            right += [sx, sy]
        transforms.append(np.linalg.lstsq(np.asarray(rows), np.asarray(right), rcond=None)[0])
    return np.stack(transforms)


@public(home=GEOMETRY)
def perspective_transform(images, start_points, end_points, interpolation="bilinear", fill_value=0, data_format=None):
    """Images seen so that four start points (x, y), [4, 2] or [N, 4, 2], lie at the end points."""
    start, end = (eager_array("perspective_transform", to_float(p)).astype("float64").reshape(-1, 4, 2) for p in (start_points, end_points))
    transforms = _projections(start, end)
    transforms = transforms[0] if len(transforms) == 1 else transforms
    return affine_transform(images, transforms, interpolation, "constant", fill_value, data_format)


@public(home=GEOMETRY)
def elastic_transform(images, alpha=20.0, sigma=5.0, interpolation="bilinear", fill_mode="reflect", fill_value=0.0, seed=None, data_format=None):
    """Images with their pixels moved by smooth random distances: noise blurred with deviation `sigma`, times `alpha`."""
    from nnlite.ops._windows import same_padding
    from nnlite.random import normal

    order = _check("elastic_transform", interpolation, fill_mode)
    batch = Batch("elastic_transform", images, data_format)
    pixels = to_float(batch.x)
    n, h, w, _ = pixels.spec.shape
    size = int(6 * float(sigma)) | 1
    line = gaussian(size, float(sigma))
    noise = normal((n, h, w, 2), dtype=pixels.spec.dtype, seed=seed)
    pads = (*same_padding(h, size, 1), *same_padding(w, size, 1))
    moves = e.multiply(depthwise(noise, np.outer(line, line), pads), const(float(alpha), noise))
    dx, dy = (movement.reshape(part_along(moves, 3, k, 1), shape=(n, h, w)) for k in range(2))
    x, y = _grid(h, w, pixels.spec.dtype)
    return batch.back(as_dtype(_read(pixels, e.add(x, dx), e.add(y, dy), order, fill_mode, fill_value), batch.dtype))
