"""Linear algebra."""

from __future__ import annotations

import math

from nnlite.ops import elementwise as e, movement, reduce
from nnlite.ops._convert import axes_of, to_float
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.ops.manipulation import moveaxis


@public
def norm(x, ord=None, axis=None, keepdims=False):
    """Norm of vectors (one axis) or matrices (two axes); None and "fro": root of the sum of squares.

    >>> import nnlite
    >>> nnlite.ops.norm([3.0, 4.0]).item()
    5.0
    """
    x = to_float(x)
    axes = axes_of("norm", axis, len(x.spec.shape))
    if ord is None or (ord in ("fro", 2) and (len(axes) == 1 or ord == "fro")):
        return e.sqrt(reduce.sum(e.square(x), axes=axes, keepdims=bool(keepdims)))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, bool(keepdims))
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, bool(keepdims))
    raise ValueError(f"norm() with ord={ord!r} takes one or two axes; received axis={axis} for shape {x.spec.shape}.")


def _vector_norm(x, order, axes, keepdims: bool):
    size = e.abs(x)
    if order == math.inf:
        return reduce.max(size, axes=axes, keepdims=keepdims)
    if order == -math.inf:
        return reduce.min(size, axes=axes, keepdims=keepdims)
    if order == 0:
        return reduce.sum(e.cast(e.not_equal(x, scalar(0.0, x.spec.dtype)), dtype=x.spec.dtype), axes=axes, keepdims=keepdims)
    if order == 1:
        return reduce.sum(size, axes=axes, keepdims=keepdims)
    order = float(order)
    total = reduce.sum(e.power(size, scalar(order, x.spec.dtype)), axes=axes, keepdims=keepdims)
    return e.power(total, scalar(1.0 / order, x.spec.dtype))


def _matrix_norm(x, order, axes, keepdims: bool):
    if order in (1, -1, math.inf, -math.inf):  # the largest or smallest sum of a column or a row
        over, left = axes if abs(order) == 1 else axes[::-1]
        sums = reduce.sum(e.abs(x), axes=(over,), keepdims=True)
        y = (reduce.max if order > 0 else reduce.min)(sums, axes=(left,), keepdims=True)
    elif order in (2, -2, "nuc"):  # singular values
        from nnlite.ops.factorizations import svd

        values = svd(moveaxis(x, axes, (-2, -1)), compute_uv=False)
        last = (len(values.spec.shape) - 1,)
        y = {2: reduce.max, -2: reduce.min, "nuc": reduce.sum}[order](values, axes=last, keepdims=False)
    else:
        raise ValueError(f'norm() of matrices takes ord None, "fro", "nuc", 1, -1, 2, -2, inf or -inf; received {order!r}.')
    return movement.reshape(y, shape=reduce.reduced_shape("norm", x.spec, axes, keepdims))


def __getattr__(name: str):
    """Inverses and factorizations are loaded when first used."""
    if not name.startswith("_"):
        from nnlite.ops import factorizations

        function = getattr(factorizations, name, None)
        if getattr(function, "__module__", "") == factorizations.__name__:
            return function
    raise AttributeError(f"module 'nnlite.ops.linalg' has no attribute {name!r}")
