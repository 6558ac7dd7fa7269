"""Conversion, shapes, and reading and writing parts of tensors."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import FLOATS
from nnlite.graph.symbolic import KerasTensor
from nnlite.ops import elementwise as e, index, movement
from nnlite.ops._convert import axis_of, static_ints, to_tensor
from nnlite.ops._dtypes import dtype_kind, standardize
from nnlite.ops._public import public, register
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor
from nnlite.variable import Variable


@public
def convert_to_tensor(x, dtype=None, sparse=None, ragged=None):
    """A tensor of `x`: numbers, lists, numpy arrays (float64 stays), tensors, Variables.

    Args:
        dtype: Default: the dtype of `x`; `config.floatx()` for Python floats, int32 for Python ints.
        sparse, ragged: Must be false: tensors are dense.

    >>> import nnlite
    >>> nnlite.ops.convert_to_tensor([1, 2]).dtype
    'int32'
    """
    if sparse or ragged:
        raise ValueError(f"convert_to_tensor() makes dense tensors only; received sparse={sparse}, ragged={ragged}. Leave them out.")
    tensor = to_tensor(x, None if dtype is None else standardize(dtype))
    # Numbers are kept in a cache; a tensor of its own can be told from others as the source of a gradient.
    return Tensor(tensor.spec, tensor.data) if isinstance(x, (bool, int, float)) else tensor


@register
def convert_to_numpy(x):
    """The values of `x` as a numpy array.

    >>> import nnlite
    >>> nnlite.ops.convert_to_numpy(nnlite.ops.ones(2))
    array([1., 1.], dtype=float32)
    """
    return np.array(x) if isinstance(x, (Tensor, Variable)) else np.asarray(to_tensor(x))


@register
def is_tensor(x):
    """Whether `x` is a tensor (not a Variable, array or KerasTensor)."""
    return isinstance(x, Tensor)


@register
def dtype(x):
    """The dtype name of `x`."""
    return x.dtype if isinstance(x, KerasTensor) else dtype_kind(x) if not isinstance(x, (bool, int, float)) else to_tensor(x).spec.dtype


@register
def shape(x):
    """The shape as a tuple of ints; a KerasTensor's may hold None.

    >>> import nnlite
    >>> nnlite.ops.shape([[1, 2, 3]])
    (1, 3)
    """
    if isinstance(x, (Tensor, Variable, KerasTensor)):
        return tuple(x.shape)
    return to_tensor(x).spec.shape


@register
def ndim(x):
    """Number of axes."""
    return len(shape(x))


@public
def size(x):
    """Number of elements, an int32 tensor."""
    return to_tensor(to_tensor(x).spec.size)


@public
def cast(x, dtype):
    """`x` converted to `dtype`; floats to integers are truncated.

    >>> import nnlite
    >>> nnlite.ops.cast([1.7, -1.7], "int32").tolist()
    [1, -1]
    """
    return to_tensor(x, standardize(dtype))


@public
def saturate_cast(x, dtype):
    """`x` limited to the range of `dtype`, then converted."""
    x, dtype = to_tensor(x), standardize(dtype)
    if dtype in ("int32", "int64", "uint8", "int8") and x.spec.dtype != "bool":
        info, held = np.iinfo(dtype), np.iinfo("int64" if x.spec.dtype in FLOATS else x.spec.dtype)
        low, high = (float(v) if x.spec.dtype in FLOATS else v for v in (max(info.min, held.min), min(info.max, held.max)))
        if x.spec.dtype == "float32" and dtype in ("int32", "int64"):  # the limit itself is not a float32
            high = float(np.nextafter(np.float32(high), np.float32(0)))
        x = e.minimum(e.maximum(x, scalar(low, x.spec.dtype)), scalar(high, x.spec.dtype))
    return to_tensor(x, dtype)


@primitive(
    gradients=(no_gradient,), reference=lambda x: x, name="stop_gradient", traits=Traits(view=True, in_place=((0, 0),), cost=lambda i, o, a: 0.0)
)
def _stop_gradient(x):
    """x, through which no gradient flows."""
    return x


@public
def stop_gradient(variable):
    """The same values, through which no gradient flows."""
    x = to_tensor(variable)
    if x.data is None:
        return _stop_gradient(x)
    return Tensor(x.spec, x.data if x.variable is None else x.data.copy())


@public
def unstack(x, num=None, axis=0):
    """A list of the slices of `x` along an axis, without that axis.

    >>> import nnlite
    >>> [t.tolist() for t in nnlite.ops.unstack([[1, 2], [3, 4]], axis=1)]
    [[1, 3], [2, 4]]
    """
    x = to_tensor(x)
    dims = x.spec.shape
    axis = axis_of("unstack", axis, len(dims))
    if num is not None and num != dims[axis]:
        raise ValueError(f"unstack() got num={num}, but axis {axis} of shape {dims} has {dims[axis]} slices. Leave num out.")
    rest = dims[:axis] + dims[axis + 1 :]
    sizes, ones = tuple(1 if i == axis else dim for i, dim in enumerate(dims)), (1,) * len(dims)

    def part(k):
        starts = tuple(k if i == axis else 0 for i in range(len(dims)))
        return movement.reshape(movement.slice_(x, starts=starts, sizes=sizes, strides=ones), shape=rest)

    return [part(k) for k in range(dims[axis])]


@public
def slice(inputs, start_indices, shape):
    """The block of `shape` that begins at `start_indices` (ints, or an integer tensor when they are only known at run time).

    >>> import nnlite
    >>> nnlite.ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).tolist()
    [[2, 3], [5, 6]]
    """
    x = to_tensor(inputs)
    sizes = static_ints("slice", "shape", shape)
    starts = _starts(start_indices)
    if isinstance(starts, Tensor):
        return _at_positions(x, starts, sizes)
    sizes = tuple(dim - start if size == -1 else size for size, start, dim in zip(sizes, starts, x.spec.shape))
    return movement.slice_(x, starts=starts, sizes=sizes, strides=(1,) * len(sizes))


def _starts(starts):
    """Python ints where they are known, else an int tensor."""
    values = list(starts) if isinstance(starts, (list, tuple)) else starts
    if isinstance(values, list) and any(isinstance(v, (Tensor, Variable)) and to_tensor(v).data is None for v in values):
        from nnlite.ops.joining import stack

        return stack([to_tensor(v, "int32") for v in values])
    if isinstance(values, (Tensor, Variable)) and to_tensor(values).data is None:
        return to_tensor(values)
    return static_ints("slice", "start_indices", values)


def _block_positions(x_shape, starts: Tensor, sizes) -> Tensor:
    """Flat positions of a block whose corner is a traced tensor; the corner is moved inside when the block would stick out."""
    limit = np.asarray([dim - size for dim, size in zip(x_shape, sizes)], "int32")
    starts = e.minimum(e.maximum(to_tensor(starts, "int32"), scalar(0, "int32")), to_tensor(limit))
    strides = np.asarray([int(np.prod(x_shape[i + 1 :])) for i in range(len(x_shape))], "int32")
    corner = movement.reshape(_dot_ints(starts, strides), shape=(1,) * len(sizes))
    offsets = np.zeros((), "int32")
    for i, size in enumerate(sizes):
        offsets = offsets[..., None] + np.arange(size, dtype="int32") * strides[i]
    return e.add(corner, to_tensor(offsets.astype("int32")))


def _dot_ints(a: Tensor, b: np.ndarray) -> Tensor:
    from nnlite.ops import reduce

    return reduce.sum(e.multiply(a, to_tensor(b)), axes=(0,), keepdims=False)


def _at_positions(x: Tensor, starts: Tensor, sizes) -> Tensor:
    flat = movement.reshape(x, shape=(x.spec.size,))
    return index.take_rows(flat, _block_positions(x.spec.shape, starts, sizes))


@public
def slice_update(inputs, start_indices, updates):
    """`inputs` with the block that begins at `start_indices` replaced by `updates`.

    >>> import nnlite
    >>> nnlite.ops.slice_update([0, 0, 0, 0], [1], [7, 8]).tolist()
    [0, 7, 8, 0]
    """
    x = to_tensor(inputs)
    updates = to_tensor(updates, x.spec.dtype)
    starts = _starts(start_indices)
    if isinstance(starts, Tensor):
        positions = _block_positions(x.spec.shape, starts, updates.spec.shape)
        return _replaced(x, positions, updates)
    return _place(x, starts, updates)


def _place(x: Tensor, starts, updates: Tensor) -> Tensor:
    shape = x.spec.shape
    high = tuple(dim - start - size for dim, start, size in zip(shape, starts, updates.spec.shape))
    if min(starts, default=0) < 0 or min(high, default=0) < 0:
        raise ValueError(
            f"slice_update() must stay inside its input: shape {shape} with start_indices={starts} and updates of shape {updates.spec.shape}."
        )
    zeros = (0,) * len(shape)
    inside = np.zeros(shape, bool)
    inside[tuple(np.s_[s : s + n] for s, n in zip(starts, updates.spec.shape))] = True
    return e.where(to_tensor(inside), movement.pad(updates, low=starts, high=high, interior=zeros, value=0.0), x)


def _replaced(x: Tensor, positions: Tensor, updates: Tensor) -> Tensor:
    """x (any shape) with the elements at flat positions replaced. The last update of a position wins only when positions differ."""
    size = x.spec.size
    flat = movement.reshape(positions, shape=(positions.spec.size,))
    values = movement.reshape(updates, shape=(updates.spec.size,))
    number = values if values.spec.dtype != "bool" else e.cast(values, dtype="int32")
    placed = index.scatter_add_rows(flat, number, rows=size)
    touched = index.scatter_add_rows(flat, to_tensor(np.ones(flat.spec.shape, "int32")), rows=size)
    mask = movement.reshape(e.greater(touched, scalar(0, "int32")), shape=x.spec.shape)
    placed = to_tensor(movement.reshape(placed, shape=x.spec.shape), x.spec.dtype)
    return e.where(mask, placed, x)


@register
def custom_gradient(f):
    """A function with its own gradient: `f(*args)` returns `(output, grad_fn)`, and `grad_fn(*upstream)` the gradients of the inputs.

    >>> import nnlite
    >>> @nnlite.ops.custom_gradient
    ... def clipped_identity(x):
    ...     def grad(upstream):
    ...         return nnlite.ops.clip(upstream, -1.0, 1.0)
    ...     return x, grad
    >>> clipped_identity(2.0).item()
    2.0
    """
    from nnlite.ops._custom import with_custom_gradient

    return with_custom_gradient(f)
