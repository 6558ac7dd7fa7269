"""New tensors: constants, ranges, identity and windows."""

from __future__ import annotations

import numpy as np

from nnlite import config
from nnlite.graph.spec import NUMPY_DTYPE, Spec
from nnlite.ops import elementwise as e, movement
from nnlite.ops._convert import static_ints, to_tensor
from nnlite.ops._dtypes import result_type, standardize
from nnlite.ops._public import public, register
from nnlite.ops._scalars import encode, scalar
from nnlite.tensor import Tensor
from nnlite.variable import Variable


def filled(shape, value, dtype: str) -> Tensor:
    """An eager tensor of one repeated value."""
    return Tensor(Spec(tuple(shape), dtype), np.full(shape, encode(np.asarray(value), dtype), NUMPY_DTYPE[dtype]))


def _sizes(name: str, shape) -> tuple[int, ...]:
    sizes = static_ints(name, "shape", shape)
    if min(sizes, default=0) < 0:
        raise ValueError(f"{name}() takes sizes >= 0; received shape={sizes}.")
    return sizes


@register
def zeros(shape, dtype=None):
    """Zeros; `dtype` defaults to `config.floatx()`."""
    return filled(_sizes("zeros", shape), 0, standardize(dtype))


@register
def ones(shape, dtype=None):
    """Ones; `dtype` defaults to `config.floatx()`.

    >>> import nnlite
    >>> nnlite.ops.ones((2,)).tolist()
    [1.0, 1.0]
    """
    return filled(_sizes("ones", shape), 1, standardize(dtype))


@register
def empty(shape, dtype=None):
    """Zeros: memory is never left undefined."""
    return filled(_sizes("empty", shape), 0, standardize(dtype))


@public
def full(shape, fill_value, dtype=None):
    """A tensor filled with `fill_value` (a number or something that broadcasts to `shape`); `dtype` defaults to `config.floatx()`."""
    value = to_tensor(fill_value, standardize(dtype))
    return movement.broadcast_to(value, shape=_sizes("full", shape))


def _like(x, dtype) -> tuple[tuple[int, ...], str]:
    if isinstance(x, (Tensor, Variable)):
        return x.shape, x.dtype if dtype is None else standardize(dtype)
    x = to_tensor(x)
    return x.spec.shape, x.spec.dtype if dtype is None else standardize(dtype)


@public
def zeros_like(x, dtype=None):
    """Zeros of the shape (and dtype) of `x`."""
    shape, dtype = _like(x, dtype)
    return filled(shape, 0, dtype)


@public
def ones_like(x, dtype=None):
    """Ones of the shape (and dtype) of `x`."""
    shape, dtype = _like(x, dtype)
    return filled(shape, 1, dtype)


@public
def empty_like(x, dtype=None):
    """Zeros of the shape (and dtype) of `x`."""
    shape, dtype = _like(x, dtype)
    return filled(shape, 0, dtype)


@public
def full_like(x, fill_value, dtype=None):
    """`fill_value` repeated in the shape (and dtype) of `x`."""
    shape, dtype = _like(x, dtype)
    return movement.broadcast_to(to_tensor(fill_value, dtype), shape=shape)


def _number(value):
    return value.item() if isinstance(value, (Tensor, Variable, np.generic, np.ndarray)) else value


@register
def arange(start, stop=None, step=None, dtype=None):
    """Numbers from `start` (0 when only one bound is given) up to, not including, `stop`.

    Args:
        dtype: Default: int32 for integer bounds, else `config.floatx()`.

    >>> import nnlite
    >>> nnlite.ops.arange(3).tolist()
    [0, 1, 2]
    """
    given = [value for value in (start, stop, step) if value is not None]
    dtype = result_type(*(getattr(value, "dtype", type(value)) for value in given)) if dtype is None else standardize(dtype)
    start, stop, step = (None if value is None else _number(value) for value in (start, stop, step))
    array = np.arange(start, stop, 1 if step is None else step) if stop is not None else np.arange(0, start, 1 if step is None else step)
    return Tensor(Spec(array.shape, dtype), encode(array, dtype))


@public
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` evenly spaced numbers from `start` to `stop` (included when `endpoint`).

    >>> import nnlite
    >>> nnlite.ops.linspace(0.0, 1.0, 3).tolist()
    [0.0, 0.5, 1.0]
    """
    from nnlite.ops._convert import float_pair

    a, b = float_pair(start, stop)
    dtype = a.spec.dtype if dtype is None else standardize(dtype)
    if a.data is not None and b.data is not None:
        array, step = np.linspace(np.asarray(a), np.asarray(b), num, endpoint, True, axis=axis)
        result = to_tensor(array, dtype)
        return (result, to_tensor(step, dtype)) if retstep else result
    parts = num - 1 if endpoint else num
    step = e.multiply(e.subtract(b, a), scalar(1.0 / parts if parts else 0.0, a.spec.dtype))
    from nnlite.ops.manipulation import moveaxis

    positions = to_tensor(np.arange(num, dtype="float64").reshape(num, *[1] * len(step.spec.shape)), a.spec.dtype)
    result = moveaxis(e.add(a, e.multiply(positions, step)), 0, axis)
    return (to_tensor(result, dtype), step) if retstep else to_tensor(result, dtype)


def _spaced(name: str, make, start, stop, dtype):
    values = [np.asarray(to_tensor(v)) for v in (start, stop)]
    dtype = result_type(*(v.dtype for v in values), float) if dtype is None else standardize(dtype)
    return to_tensor(make(*values), dtype)


@register
def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0):
    """`num` numbers from base**start to base**stop, evenly spaced in their logarithm."""
    return _spaced("logspace", lambda a, b: np.logspace(a, b, num, endpoint, _number(base), axis=axis), start, stop, dtype)


@register
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from start to stop with a constant ratio."""
    return _spaced("geomspace", lambda a, b: np.geomspace(a, b, num, endpoint, axis=axis), start, stop, dtype)


@register
def eye(N, M=None, k=0, dtype=None):
    """N x M zeros with ones on diagonal k.

    >>> import nnlite
    >>> nnlite.ops.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    return to_tensor(np.eye(int(N), None if M is None else int(M), int(k)), standardize(dtype))


@register
def identity(n, dtype=None):
    """The n x n identity matrix."""
    return eye(n, dtype=dtype)


@register
def tri(N, M=None, k=0, dtype=None):
    """N x M ones on and below diagonal k, zeros above."""
    return to_tensor(np.tri(int(N), None if M is None else int(M), int(k)), standardize(dtype))


def _window(name: str, function, text: str):
    def window(x):
        return to_tensor(function(int(_number(x))), config.floatx())

    window.__name__ = name
    window.__doc__ = f"{text} window of x points."
    return register(window)


bartlett = _window("bartlett", np.bartlett, "Triangular")
blackman = _window("blackman", np.blackman, "Blackman")
hamming = _window("hamming", np.hamming, "Hamming")
hanning = _window("hanning", np.hanning, "Hann")


@register
def kaiser(x, beta):
    """Kaiser window of x points with shape parameter beta."""
    return to_tensor(np.kaiser(int(_number(x)), float(_number(beta))), config.floatx())


@public
def array(x, dtype=None):
    """A tensor of `x`."""
    return to_tensor(x, None if dtype is None else standardize(dtype))


@public
def copy(x):
    """A tensor of the same values."""
    x = to_tensor(x)
    return Tensor(x.spec, x.data.copy()) if x.data is not None and x.node is None else movement.reshape(x, shape=x.spec.shape)
