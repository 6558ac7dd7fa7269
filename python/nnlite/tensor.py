"""Tensor: an eager array or a traced value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nnlite.graph.operators import Operators
from nnlite.graph.spec import NUMPY_DTYPE, Spec, spec_of_array

if TYPE_CHECKING:
    from nnlite.graph.node import Node


class Tensor(Operators):
    """An n-dimensional array of one dtype.

    An eager tensor holds its numbers in `data`, a C-contiguous numpy array that must not be written to. Inside a compiled function
    (`fit`, `nnlite.function`) `data` is None: the tensor stands for a value that is computed later.

    >>> import nnlite
    >>> t = nnlite.ops.convert_to_tensor([1.0, 2.0])
    >>> (t + 1).numpy().tolist()
    [2.0, 3.0]
    """

    # `node`, `index`: the graph node that made it; `variable`: the Variable it was read from.
    __slots__ = ("spec", "data", "node", "index", "variable", "_keras_mask", "__weakref__")

    def __init__(self, spec: Spec, data: np.ndarray | None = None, node: "Node | None" = None, index: int = 0, variable=None):
        self.spec = spec
        self.data = data
        self.node = node
        self.index = index
        self.variable = variable

    @property
    def shape(self) -> tuple[int, ...]:
        return self.spec.shape

    @property
    def dtype(self) -> str:
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        return len(self.spec.shape)

    @property
    def size(self) -> int:
        return self.spec.size

    @property
    def T(self):
        from nnlite.graph.operators import table

        return table["transpose"](self)

    @property
    def is_traced(self) -> bool:
        return self.data is None

    def numpy(self) -> np.ndarray:
        """The values as a numpy array (no copy; read-only)."""
        return self._concrete("numpy()")

    def item(self):
        """The single value as a Python number."""
        return self._concrete("item()").item()

    def tolist(self):
        return self._concrete("tolist()").tolist()

    def astype(self, dtype: str) -> "Tensor":
        from nnlite.graph.operators import table

        return table["cast"](self, dtype)

    def _concrete(self, what: str) -> np.ndarray:
        if self.data is None:
            raise TypeError(
                f"{what} needs a tensor's values, but this {self.spec} tensor is being traced: inside a compiled function values exist only when it runs. "
                "Use nnlite.ops instead of numpy or Python control flow, or compile the model with run_eagerly=True."
            )
        return _read_only(self.data) if self.spec.dtype != "bfloat16" else _bfloat16_to_float32(self.data)

    def __array__(self, dtype=None, copy=None):
        array = self._concrete("numpy conversion")
        if dtype is not None and array.dtype != dtype:
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **kwargs):
        # numpy refuses to export read-only memory, so the writable view goes out; consumers must treat it as read-only.
        self._concrete("DLPack export")
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return (1, 0)  # kDLCPU

    def __bool__(self) -> bool:
        return bool(self._concrete("bool()"))

    def __float__(self) -> float:
        return float(self._concrete("float()"))

    def __int__(self) -> int:
        return int(self._concrete("int()"))

    def __index__(self) -> int:
        return self._concrete("indexing").__index__()

    def __len__(self) -> int:
        if not self.spec.shape:
            raise TypeError("len() of a scalar tensor: it has no axes.")
        return self.spec.shape[0]

    def __iter__(self):
        if not self.spec.shape:
            raise TypeError("A scalar tensor cannot be iterated over.")
        return (self[i] for i in range(self.spec.shape[0]))

    def __repr__(self) -> str:
        if self.data is None:
            return f"<Tensor shape={self.shape}, dtype={self.dtype}, traced>"
        return f"<Tensor shape={self.shape}, dtype={self.dtype}, numpy={np.array2string(self._concrete('repr'), threshold=20)}>"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and not self.spec.shape else object.__format__(self, "") if spec == "" else format(self.numpy(), spec)

    def __deepcopy__(self, memo):
        return Tensor(self.spec, self._concrete("deepcopy").copy())


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _bfloat16_to_float32(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def from_array(array: np.ndarray) -> Tensor:
    """A tensor over a numpy array: shared when it is C-contiguous and of a dtype of ours, else copied."""
    spec = spec_of_array(array)
    return Tensor(spec, np.ascontiguousarray(array, NUMPY_DTYPE[spec.dtype]).reshape(spec.shape))
