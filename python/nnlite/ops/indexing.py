"""Reading elements by position: indexing, take, where."""

from __future__ import annotations

import math

import numpy as np

from nnlite.ops import elementwise as e, index, movement
from nnlite.ops._convert import all_same, axis_of, pair, to_bool, to_tensor
from nnlite.ops._public import public
from nnlite.ops._scalars import scalar
from nnlite.tensor import Tensor
from nnlite.variable import Variable


@public
def where(condition, x1=None, x2=None):
    """x1 where `condition` holds, else x2; with the condition alone, the positions of its true elements (see `nonzero`).

    >>> import nnlite
    >>> nnlite.ops.where([True, False], 1.0, 0.0).tolist()
    [1.0, 0.0]
    """
    if x1 is None and x2 is None:
        return nonzero(condition)
    if x1 is None or x2 is None:
        raise ValueError(f"where() takes both x1 and x2, or neither; received x1={x1!r}, x2={x2!r}.")
    return e.where(to_bool(condition), *pair(x1, x2))


def eager_array(name: str, x) -> np.ndarray:
    """The numbers of `x`, which a function with a value-dependent shape needs at once."""
    tensor = to_tensor(x)
    if tensor.data is None:
        raise RuntimeError(
            f"{name}() has a result whose shape depends on values, so it cannot be compiled: call it outside of compiled functions, "
            "use where() with a mask instead, or compile the model with run_eagerly=True."
        )
    return np.asarray(tensor)


@public
def nonzero(x):
    """Positions of the elements that are not 0: one int32 tensor per axis. Not available in compiled functions."""
    return tuple(to_tensor(i.astype("int32")) for i in np.nonzero(eager_array("nonzero", x)))


def _front(ids: Tensor, size: int) -> Tensor:
    """Negative positions counted from the back."""
    if ids.data is not None:
        low = ids.data.min(initial=0)
        return ids if low >= 0 else Tensor(ids.spec, np.where(ids.data < 0, ids.data + size, ids.data).astype(ids.data.dtype))
    return e.where(e.less(ids, scalar(0, ids.spec.dtype)), e.add(ids, scalar(size, ids.spec.dtype)), ids)


def ids_of(name: str, indices) -> Tensor:
    """Positions as an int32 or int64 tensor."""
    ids = to_tensor(indices)
    if ids.spec.dtype in ("int32", "int64"):
        return ids
    if ids.spec.dtype in ("uint8", "int8"):
        return e.cast(ids, dtype="int32")
    if not ids.spec.size:
        return e.cast(ids, dtype="int32")
    raise ValueError(f'{name}() takes integer positions; received dtype {ids.spec.dtype}. Use nnlite.ops.cast(indices, "int32").')


@public
def take(x, indices, axis=None):
    """Elements at `indices` along an axis (None: of the flattened tensor). Positions outside give NaN (0 for integers).

    >>> import nnlite
    >>> nnlite.ops.take([[1, 2], [3, 4]], [1, 0], axis=0).tolist()
    [[3, 4], [1, 2]]
    """
    x = to_tensor(x)
    if axis is None:
        x, axis = movement.reshape(x, shape=(x.spec.size,)), 0
    rank = len(x.spec.shape)
    axis = axis_of("take", axis, rank)
    ids = _front(ids_of("take", indices), x.spec.shape[axis])
    return take_along(x, ids, axis)


def take_along(x: Tensor, ids: Tensor, axis: int) -> Tensor:
    """x with one axis replaced by the axes of `ids` (positions >= 0)."""
    rank, id_rank = len(x.spec.shape), len(ids.spec.shape)
    if axis == 0:
        return index.take_rows(x, ids)
    front = movement.transpose(x, axes=(axis, *range(axis), *range(axis + 1, rank)))
    taken = index.take_rows(front, ids)
    order = (*range(id_rank, id_rank + axis), *range(id_rank), *range(id_rank + axis, id_rank + rank - 1))
    return movement.transpose(taken, axes=order)


@public
def take_along_axis(x, indices, axis=None):
    """For each place of `indices`, the element of x with that position along `axis` (None: of the flattened tensor)."""
    x, ids = to_tensor(x), ids_of("take_along_axis", indices)
    if axis is None:
        x, ids, axis = movement.reshape(x, shape=(x.spec.size,)), movement.reshape(ids, shape=(ids.spec.size,)), 0
    rank = len(x.spec.shape)
    if len(ids.spec.shape) != rank:
        raise ValueError(f"take_along_axis() takes indices with as many axes as x; received shapes {x.spec.shape} and {ids.spec.shape}.")
    axis = axis_of("take_along_axis", axis, rank)
    ids = _front(ids, x.spec.shape[axis])
    others = tuple(max(a, b) if 0 not in (a, b) else 0 for a, b in zip(x.spec.shape, ids.spec.shape))
    x = _spread(x, tuple(x.spec.shape[axis] if i == axis else dim for i, dim in enumerate(others)))
    ids = _spread(ids, tuple(ids.spec.shape[axis] if i == axis else dim for i, dim in enumerate(others)))
    return _take_flat(x, ids, axis)


def _spread(t: Tensor, shape) -> Tensor:
    return t if t.spec.shape == shape else movement.broadcast_to(t, shape=shape)


def _take_flat(x: Tensor, ids: Tensor, axis: int) -> Tensor:
    """x[..., ids[...], ...] by positions in the flattened x. A position outside its axis stays outside the whole."""
    shape, dtype = x.spec.shape, ids.spec.dtype
    stride = math.prod(shape[axis + 1 :])
    outside = e.logical_or(e.less(ids, scalar(0, dtype)), e.greater_equal(ids, scalar(shape[axis], dtype)))
    flat = e.add(e.multiply(ids, scalar(stride, dtype)), to_tensor(_other_offsets(shape, ids.spec.shape, axis).astype(dtype)))
    flat = e.where(outside, scalar(-1, dtype), flat)
    return index.take_rows(movement.reshape(x, shape=(x.spec.size,)), flat)


def _other_offsets(shape, id_shape, axis: int) -> np.ndarray:
    offsets = np.zeros(id_shape, "int64")
    for i, dim in enumerate(id_shape):
        if i != axis:
            steps = np.arange(dim) * math.prod(shape[i + 1 :])
            offsets = offsets + steps.reshape([-1 if k == i else 1 for k in range(len(id_shape))])
    return offsets


@public
def select(condlist, choicelist, default=0):
    """From the first condition that holds, its choice; else `default`."""
    *choices, rest = all_same([*choicelist, default])
    for condition, choice in zip(reversed(condlist), reversed(choices)):
        rest = e.where(to_bool(condition), choice, rest)
    return rest


@public
def get_item(x, key):
    """x[key]: ints, slices, None, Ellipsis, integer tensors or arrays, and (outside compiled functions) boolean masks.

    >>> import nnlite
    >>> nnlite.ops.get_item([1, 2, 3, 4], slice(None, None, -2)).tolist()
    [4, 2]
    """
    x = to_tensor(x)
    keys = _expanded(x, key if isinstance(key, tuple) else (key,))
    if any(_is_position_array(k) for k in keys):  # then plain ints count as arrays, too: they decide where the new axes stand
        keys = [k if (position := _static_position(k)) is None else np.asarray(position, "int32") for k in keys]
        x, axes, ids = _basic(x, keys, lambda key: None)
    else:
        x, axes, ids = _basic(x, keys, _static_position)
    return _advanced(x, axes, ids) if ids else x


def _is_position_array(key) -> bool:
    return key is not None and not isinstance(key, slice) and _static_position(key) is None


def _is_mask(key) -> bool:
    return isinstance(key, (list, np.ndarray, Tensor, Variable)) and to_tensor(key).spec.dtype == "bool"


def _expanded(x: Tensor, keys) -> list:
    """Keys with Ellipsis written out, masks turned into positions, and full slices at the end."""
    flat = []
    for key in keys:
        if _is_mask(key):
            flat.extend(nonzero(key))
        else:
            flat.append(key)
    used = sum(1 for key in flat if key is not None and key is not Ellipsis)
    rank = len(x.spec.shape)
    if used > rank:
        raise IndexError(f"A tensor of shape {x.spec.shape} has {rank} axes; the index {keys!r} names {used}.")
    rest = [slice(None)] * (rank - used)
    at = next((i for i, key in enumerate(flat) if key is Ellipsis), None)
    return flat + rest if at is None else flat[:at] + rest + flat[at + 1 :]


def _basic(x: Tensor, keys, position_of):
    """Applies slices, None and the keys that `position_of` knows as ints; returns the tensor with the axes and positions left for `_advanced`."""
    dims = x.spec.shape
    starts, sizes, strides, flipped, shape = [], [], [], [], []
    axes, ids, axis = [], [], 0
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        dim = dims[axis]
        if isinstance(key, slice):
            start, size, stride = _range(key, dim)
            if stride < 0:
                flipped.append(axis)
                start, stride = start + (size - 1) * stride if size else 0, -stride
            shape.append(size)
        elif (position := position_of(key)) is not None:
            if not -dim <= position < dim:
                raise IndexError(f"Position {position} is outside axis {axis} of size {dim} in a tensor of shape {dims}.")
            start, size, stride = position % dim, 1, 1
        else:
            axes.append(len(shape))
            ids.append(ids_of("get_item", key))
            start, size, stride = 0, dim, 1
            shape.append(dim)
        starts.append(start), sizes.append(size), strides.append(stride)
        axis += 1
    if tuple(sizes) != dims or any(s != 1 for s in strides):
        x = movement.slice_(x, starts=tuple(starts), sizes=tuple(sizes), strides=tuple(strides))
    if flipped:
        x = movement.reverse(x, axes=tuple(flipped))
    return (x if tuple(shape) == x.spec.shape else movement.reshape(x, shape=tuple(shape))), axes, ids


def _range(key: slice, dim: int):
    key = slice(*(None if v is None else int(v) for v in (key.start, key.stop, key.step)))
    start, stop, stride = key.indices(dim)
    size = len(range(start, stop, stride))
    return (start if size else 0), size, (stride if size else 1)


def _static_position(key) -> int | None:
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return int(key)
    if isinstance(key, (Tensor, Variable)) and key.shape == () and to_tensor(key).data is not None:
        return int(key)
    if isinstance(key, np.ndarray) and key.shape == () and key.dtype.kind in "iu":
        return int(key)
    return None


def _advanced(x: Tensor, axes, ids) -> Tensor:
    """Integer tensors as keys: they broadcast together; their axes stand where the keys stood, or first when the keys are apart."""
    dims = x.spec.shape
    shape = e.broadcast_shapes("get_item", *[t.spec.shape for t in ids])
    ids = [_front(i, dims[axis]) for axis, i in zip(axes, ids)]
    if len(axes) == 1:
        return take_along(x, ids[0], axes[0])
    rest = [i for i in range(len(dims)) if i not in axes]
    x = movement.transpose(x, axes=(*axes, *rest))
    picked = [dims[a] for a in axes]
    x = movement.reshape(x, shape=(math.prod(picked), *[dims[a] for a in rest]))
    taken = index.take_rows(x, _flat_ids(ids, picked, shape))
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return taken
    n, before = len(shape), axes[0]
    order = (*range(n, n + before), *range(n), *range(n + before, n + len(rest)))
    return movement.transpose(taken, axes=order)


def _flat_ids(ids, picked, shape) -> Tensor:
    flat, outside = None, None
    for k, (one, dim) in enumerate(zip(ids, picked)):
        one = to_tensor(one, "int32")
        wrong = e.logical_or(e.less(one, scalar(0, "int32")), e.greater_equal(one, scalar(dim, "int32")))
        part = e.multiply(one, scalar(math.prod(picked[k + 1 :]), "int32"))
        flat, outside = (part, wrong) if flat is None else (e.add(flat, part), e.logical_or(outside, wrong))
    return _spread(e.where(outside, scalar(-1, "int32"), flat), shape)
