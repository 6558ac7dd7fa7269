"""KerasTensor and Operation: how functional models are written down before any data exists."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.operators import Operators
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace
from nnlite.tensor import Tensor

# Stand-ins for unknown dims: (batch axis, other axes) of the two traces. Other axes are large and divisible by
# high powers of two, so that poolings, strides and concatenations of image models work out.
_STAND_INS = ((2, 256), (3, 512))


class KerasTensor(Operators):
    """A symbolic tensor: a shape that may hold None, a dtype, and the operation that made it.

    Attributes:
        history: (operation, index of its functional node, index of the output), or None.
    """

    def __init__(self, shape, dtype: str = "float32", name: str | None = None, history=None):
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or "keras_tensor"
        self.history = history

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def _keras_history(self):
        return self.history

    def __len__(self):
        raise TypeError("len() of a KerasTensor: a symbolic tensor has no data. Use .shape.")

    def __iter__(self):
        raise TypeError("A KerasTensor cannot be iterated over. Use indexing with a known size.")

    def __bool__(self):
        raise TypeError("A KerasTensor has no truth value: it stands for data that comes later. Use nnlite.ops.where or nnlite.ops.cond.")

    def __array__(self, *args, **kwargs):
        raise ValueError("A KerasTensor cannot be converted to a numpy array: it is symbolic. Use nnlite.ops functions, or wrap numpy code in a Layer.")

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class FunctionalNode:
    """One symbolic call of an operation: its arguments (with KerasTensors in them) and its outputs."""

    def __init__(self, operation: "Operation", args: tuple, kwargs: dict, outputs):
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.input_tensors = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
        self.output_tensors = tree.flatten(outputs)
        for i, tensor in enumerate(self.output_tensors):
            tensor.history = (operation, len(operation.inbound_nodes), i)
        operation.inbound_nodes.append(self)

    @property
    def parents(self) -> list["FunctionalNode"]:
        return [t.history[0].inbound_nodes[t.history[1]] for t in self.input_tensors if t.history is not None]


class Operation:
    """Anything that can stand in a functional model: layers, and functions of `nnlite.ops`."""

    def __init__(self, name: str):
        self.name = name
        self.inbound_nodes: list[FunctionalNode] = []

    def symbolic_call(self, *args, **kwargs):
        """Records the call and returns KerasTensors."""
        outputs = self.compute_output_spec(*args, **kwargs)
        FunctionalNode(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args, **kwargs):
        """KerasTensors with the shapes and dtypes that `call` would give."""
        return infer_output_spec(self.call, args, kwargs)

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} must define call().")


class FunctionOperation(Operation):
    """A function of `nnlite.ops` called on KerasTensors."""

    def __init__(self, function, name: str):
        super().__init__(name)
        self.function = function

    def call(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def any_symbolic(args, kwargs=None) -> bool:
    """Whether any leaf is a KerasTensor."""
    for value in args:
        if isinstance(value, KerasTensor) or (isinstance(value, (tuple, list, dict)) and any_symbolic(tree.flatten(value))):
            return True
    return bool(kwargs) and any_symbolic(kwargs.values())


def infer_output_spec(function, args, kwargs):
    """Output shapes by tracing twice with different sizes for the unknown dims: dims that differ are unknown."""
    symbolic = [t for t in tree.flatten((args, kwargs)) if isinstance(t, KerasTensor)]
    unknown = any(dim is None for t in symbolic for dim in t.shape)
    first = _trace_with(function, args, kwargs, *_STAND_INS[0])
    second = _trace_with(function, args, kwargs, *_STAND_INS[1]) if unknown else first

    def merge(a, b):
        if not isinstance(a, Tensor):
            return a
        shape = tuple(x if x == y else None for x, y in zip(a.shape, b.shape))
        return KerasTensor(shape, a.dtype)

    return tree.map_structure(merge, first, second)


def _trace_with(function, args, kwargs, batch: int, other: int):
    with Trace() as trace:

        def stand_in(leaf):
            if not isinstance(leaf, KerasTensor):
                return leaf
            shape = tuple((batch if axis == 0 else other) if dim is None else dim for axis, dim in enumerate(leaf.shape))
            return trace.input(Spec(shape, leaf.dtype))

        args, kwargs = tree.map_structure(stand_in, (args, kwargs))
        return function(*args, **kwargs)
