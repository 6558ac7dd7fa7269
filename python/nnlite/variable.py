"""Variable: a tensor whose values can be changed, in a buffer that stays where it is."""

from __future__ import annotations

import sys

import numpy as np

from nnlite.backends import empty
from nnlite.graph.apply import state
from nnlite.graph.looks import looks
from nnlite.graph.operators import Operators, table
from nnlite.graph.spec import NUMPY_DTYPE, Spec
from nnlite.tensor import Tensor, _bfloat16_to_float32

# References to a cached value tensor that are ours: the variable's slot and getrefcount's own argument.
_OWN_REFERENCES = 2


class Variable(Operators):
    """A mutable tensor.

    Args:
        initializer: Values (number, numpy array, tensor) or a callable `(shape, dtype) -> values`.
        shape: Required with a callable.
        dtype: Defaults to float32 for floating-point values (`nnlite.config.floatx()`), else to the values' own.
        trainable: Whether optimizers and `trainable_variables` include it.
        name: Defaults to "variable".

    >>> import nnlite
    >>> v = nnlite.Variable([1.0, 2.0])
    >>> _ = v.assign_add([1.0, 1.0])
    >>> v.numpy().tolist()
    [2.0, 3.0]
    """

    __slots__ = ("_spec", "_buffer", "_tensor", "_version", "_trainable", "name", "path", "regularizer", "constraint", "overwrite_with_gradient",
                 "autocast", "aggregation", "synchronization", "_on_change", "__weakref__", "__dict__")

    def __init__(self, initializer, shape=None, dtype=None, trainable=True, autocast=True, aggregation="none", synchronization="auto", name=None):
        values, dtype = _initial_values(initializer, shape, dtype)
        self._spec = Spec(tuple(int(d) for d in values.shape), dtype)
        self._buffer = empty(self._spec)
        self._buffer[...] = values
        self._tensor = None
        self._version = 0
        self._trainable = bool(trainable)
        self.name = name or "variable"
        self.path = self.name
        self.regularizer = None
        self.constraint = None
        self.overwrite_with_gradient = False
        self.autocast = autocast
        self.aggregation = aggregation
        self.synchronization = synchronization
        self._on_change = None  # called when `trainable` changes: compiled plans of the owner must be made anew

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def shape(self) -> tuple[int, ...]:
        return self._spec.shape

    @property
    def dtype(self) -> str:
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        return len(self._spec.shape)

    @property
    def size(self) -> int:
        return self._spec.size

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if self._on_change is not None:
            self._on_change()

    @property
    def version(self) -> int:
        """Counts changes of the values: caches of packed weights compare it."""
        looks.look()
        return self._version

    @property
    def value(self) -> Tensor:
        """The current values as a tensor; in a compiled function, the traced value."""
        if state.trace is not None:
            return state.trace.read(self)
        if self._tensor is None:
            looks.look()
            self._tensor = Tensor(self._spec, self._buffer, variable=self)
        return self._tensor

    def assign(self, value):
        """Replaces the values; `value` must have the variable's shape. Returns the new value as a tensor."""
        tensor = self._matching(value)
        if state.trace is not None:
            state.trace.assign(self, tensor)
            return tensor
        self.detach()
        self._buffer[...] = tensor.data
        return self.value

    def assign_add(self, value):
        return self.assign(table["add"](self, value))

    def assign_sub(self, value):
        return self.assign(table["subtract"](self, value))

    def detach(self) -> None:
        """Called before the buffer changes: tensors read earlier keep the old values."""
        self._version += 1
        tensor = self._tensor
        if tensor is not None:
            self._tensor = None
            if sys.getrefcount(tensor) > _OWN_REFERENCES:
                tensor.data = self._buffer.copy()

    def _matching(self, value) -> Tensor:
        tensor = table["convert_to_tensor"](value)
        if tensor.dtype != self.dtype:
            tensor = table["cast"](tensor, self.dtype)
        if tensor.shape != self.shape:
            raise ValueError(f"assign() needs a value of the variable's shape: variable {self.path!r} has shape {self.shape}, the value has shape {tensor.shape}. Reshape the value first.")
        return tensor

    def numpy(self) -> np.ndarray:
        """A copy of the values as a numpy array."""
        if state.trace is not None and self in state.trace.updates:
            return self.value.numpy()
        return _bfloat16_to_float32(self._buffer) if self.dtype == "bfloat16" else self._buffer.copy()

    def item(self):
        return self._buffer.item()

    def __array__(self, dtype=None, copy=None):
        array = self.numpy()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self):
        return iter(self.value)

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, value={np.array2string(self.numpy(), threshold=20)}>"

    def __deepcopy__(self, memo):
        copy = Variable(self._buffer, dtype=self.dtype, trainable=self._trainable, name=self.name)
        copy.path, copy.regularizer, copy.constraint = self.path, self.regularizer, self.constraint
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        return (_unpickle, (self._buffer.copy(), self.dtype, self._trainable, self.name, self.path))


def _unpickle(values, dtype, trainable, name, path):
    variable = Variable(values, dtype=dtype, trainable=trainable, name=name)
    variable.path = path
    return variable


def _initial_values(initializer, shape, dtype) -> tuple[np.ndarray, str]:
    from nnlite import config

    if callable(initializer) and not isinstance(initializer, (Tensor, Variable)):
        if shape is None:
            raise ValueError(f"A Variable with a callable initializer needs `shape`; received shape=None with {initializer!r}.")
        dtype = dtype or config.floatx()
        initializer = initializer(tuple(shape), dtype=dtype)
    tensor = table["convert_to_tensor"](initializer)
    if dtype is None:
        dtype = config.floatx() if tensor.dtype == "float64" and not isinstance(initializer, (Tensor, Variable, np.ndarray)) else tensor.dtype
    if tensor.dtype != dtype:
        tensor = table["cast"](tensor, dtype)
    if shape is not None and tuple(shape) != tensor.shape:
        raise ValueError(f"A Variable's values must have its shape; received shape={tuple(shape)} and values of shape {tensor.shape}.")
    if tensor.data is None:
        raise RuntimeError("A Variable cannot be initialised from a traced tensor: create variables outside compiled functions, e.g. in a layer's build().")
    return tensor.data, dtype
