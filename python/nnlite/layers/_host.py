"""Layers that run in Python on arrays of strings or integers, before the compiled part of a model."""

from __future__ import annotations

import numpy as np

from nnlite.graph.symbolic import KerasTensor, any_symbolic
from nnlite.layers.layer import Layer
from nnlite.tensor import Tensor
from nnlite.variable import Variable


class HostLayer(Layer):
    """A layer whose `call` takes numpy arrays. In a model it must come before all compiled layers: models run such layers on the data first."""

    _convert_input_args = False
    _allow_non_tensor_positional_args = True
    _runs_on_host = True

    def __call__(self, *args, **kwargs):
        if not any_symbolic(args, kwargs):
            args = tuple(self._as_host(value) for value in args)
        return super().__call__(*args, **kwargs)

    def _as_host(self, value):
        return host_array(value, self)

    def compute_output_spec(self, inputs):
        shape = self.compute_output_shape(tuple(inputs.shape))
        return KerasTensor(shape, self._output_dtype())

    def _output_dtype(self) -> str:
        raise NotImplementedError(f"{type(self).__name__} must define _output_dtype().")


def host_array(value, layer) -> np.ndarray:
    """Strings as an object array of str, numbers as an array of numbers.

    Raises:
        TypeError: A traced tensor, which has no values yet.
        ValueError: Rows of unequal length, or a mixture of strings and other objects.
    """
    if isinstance(value, Tensor) and value.data is None:
        raise TypeError(
            f"{type(layer).__name__} {layer.name!r} runs in Python on whole arrays and cannot be compiled; it was called on a tensor of shape "
            f"{value.shape} that another layer computes. Call it on the model's Input directly, or on the data before fit()."
        )
    if isinstance(value, (Tensor, Variable)):
        return value.numpy()
    try:
        array = np.asarray(value, dtype=object) if isinstance(value, (list, tuple)) and _holds_strings(value) else np.asarray(value)
    except ValueError:
        array = None
    if array is None or (array.dtype == object and any(isinstance(item, (list, tuple, np.ndarray)) for item in array.reshape(-1))):
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} takes rectangular arrays; received rows of unequal length. Pad them to one length, e.g. with "
            "nnlite.utils.pad_sequences(..., dtype=object, value='')."
        )
    return _as_text(array, layer) if array.dtype.kind in "SO" else array


def _holds_strings(value) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes, np.ndarray)) and getattr(value, "dtype", np.dtype(object)).kind in "OSU"


def _as_text(array: np.ndarray, layer) -> np.ndarray:
    """Bytes decoded as UTF-8; everything else must be str."""
    encoding = getattr(layer, "encoding", None) or "utf-8"
    flat = [item.decode(encoding) if isinstance(item, bytes) else item for item in array.reshape(-1).tolist()]
    strange = [item for item in flat if not isinstance(item, str)]
    if strange:
        raise ValueError(
            f"{type(layer).__name__} {layer.name!r} takes arrays of strings or numbers; found {strange[0]!r} of type {type(strange[0]).__name__} in "
            f"an array of dtype {array.dtype}. Convert the column first, e.g. with astype(str)."
        )
    text = np.empty(len(flat), dtype=object)
    text[:] = flat
    return text.reshape(array.shape)


def encode(ids: np.ndarray, mode: str, depth: int, dtype: str, weights=None) -> np.ndarray:
    """Numbers 0..depth-1 as one_hot, multi_hot or count vectors; -1 stands for nothing. The last axis is encoded away, except by one_hot."""
    ids = ids[None] if ids.ndim == 0 else ids
    if mode == "one_hot" and (ids.ndim == 1 or ids.shape[-1] != 1):
        ids = ids[..., None]
    flat = ids.reshape(-1, ids.shape[-1]) if ids.size else np.zeros((int(np.prod(ids.shape[:-1])), 0), "int64")
    rows = np.broadcast_to(np.arange(len(flat))[:, None], flat.shape)
    known = (flat >= 0) & (flat < depth)
    counts = np.zeros((len(flat), depth), dtype)
    if mode == "count":
        np.add.at(counts, (rows[known], flat[known]), 1 if weights is None else weights.reshape(flat.shape)[known])
    else:
        counts[rows[known], flat[known]] = 1
    return counts.reshape(*ids.shape[:-1], depth)


def encoded_shape(shape: tuple, mode: str, depth) -> tuple:
    """The shape that `encode` gives."""
    if mode == "one_hot":
        return (*shape[:-1], depth) if shape and shape[-1] == 1 else (*shape, depth)
    return (*shape[:-1], depth)


def dtype_name(dtype, default: str) -> str:
    """The name in a `dtype` argument, which may be the config of a policy."""
    if dtype is None:
        return default
    return dtype["config"]["name"] if isinstance(dtype, dict) else getattr(dtype, "name", dtype)


def integer_policy(name: str) -> dict:
    """The config of the policy that Keras gives a layer whose outputs are integers."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}
