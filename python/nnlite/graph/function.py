"""function: compiles a Python function of tensors into a plan, once per input signature."""

from __future__ import annotations

import functools

import numpy as np

from nnlite import tree
from nnlite.backends import active
from nnlite.graph.apply import state
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.operators import table
from nnlite.graph.spec import NUMPY_DTYPE
from nnlite.graph.trace import Trace
from nnlite.tensor import Tensor


class Compiled:
    """A traced and compiled graph with the Python structure of its results.

    Attributes:
        graph: The graph as traced.
        runner: The backend's executable: `run`, `run_steps`, `run_batches`.
        result: The structure of results; leaves that are tensors are replaced by those of each run.
    """

    def __init__(self, graph, runner, result, is_tensor):
        self.graph = graph
        self.runner = runner
        self.result = result
        self.is_tensor = is_tensor

    def __call__(self, arrays):
        values = iter(self.runner.run(arrays))
        specs = iter(self.graph.outputs)
        leaves = [Tensor(self.graph.specs[next(specs)], next(values)) if is_tensor else leaf for leaf, is_tensor in zip(tree.flatten(self.result), self.is_tensor)]
        return tree.pack_sequence_as(self.result, leaves)


def compile_function(function, specs, label: str = "") -> Compiled:
    """Traces `function(*tensors)` for the given specs (a list) and compiles it."""
    with Trace() as trace:
        result = function(*[trace.input(spec) for spec in specs])
    return compile_trace(trace, result, label)


def compile_trace(trace: Trace, result, label: str = "") -> Compiled:
    """Compiles a finished trace whose results are the tensors in the structure `result`."""
    leaves = tree.flatten(result)
    is_tensor = [isinstance(leaf, Tensor) for leaf in leaves]
    graph = graph_of_trace(trace, [leaf for leaf in leaves if isinstance(leaf, Tensor)])
    return Compiled(graph, active().compile_graph(graph, label), result, is_tensor)


class Function:
    """What `nnlite.function` returns: callable like the Python function, compiled per signature of its tensor arguments.

    Attributes:
        cache: Signature -> Compiled.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function, updated=())  # a model's attributes are not ours
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.python_function = function
        self.cache: dict = {}
        self._quick: dict = {}  # (shape, dtype, revision) of a lone array -> (run, spec of the lone result)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs and type(args[0]) is np.ndarray and state.trace is None:
            array = args[0]
            quick = self._quick.get((array.shape, array.dtype.char, getattr(self.python_function, "_revision", None)))
            if quick is not None and array.flags.c_contiguous:
                return Tensor(quick[1], quick[0]((array,))[0])
        if state.trace is not None:  # inside another compiled function it is simply part of it
            return self.python_function(*args, **kwargs)
        leaves = tree.flatten((args, kwargs))
        tensors = [table["convert_to_tensor"](leaf) if isinstance(leaf, (np.ndarray, Tensor)) else None for leaf in leaves]
        signature = self._signature((args, kwargs), leaves, tensors)
        compiled = self.cache.get(signature)
        if compiled is None:
            compiled = self.cache[signature] = self._compile((args, kwargs), leaves, tensors)
            self._remember_quick(args, kwargs, compiled)
        return compiled([t.data for t in tensors if t is not None])

    def _remember_quick(self, args, kwargs, compiled: Compiled) -> None:
        """One array in, one tensor out: later calls skip everything but the run."""
        lone = len(args) == 1 and not kwargs and type(args[0]) is np.ndarray and isinstance(compiled.result, Tensor)
        if lone and NUMPY_DTYPE.get(args[0].dtype.name) == args[0].dtype:
            key = (args[0].shape, args[0].dtype.char, getattr(self.python_function, "_revision", None))
            self._quick[key] = (compiled.runner.run, compiled.graph.specs[compiled.graph.outputs[0]])

    def _signature(self, structure, leaves, tensors):
        shape = (repr(tree.map_structure(lambda leaf: None, structure)), getattr(self.python_function, "_revision", None))  # a model counts its changes
        try:
            key = (shape, tuple([(type(leaf), leaf) if t is None else t.spec for leaf, t in zip(leaves, tensors)]))
            hash(key)
        except TypeError as error:
            raise TypeError(f"Arguments of a compiled function must be tensors, numpy arrays or hashable values; {error}.") from None
        return key

    def _compile(self, structure, leaves, tensors) -> Compiled:
        def call(*placeholders):
            given = iter(placeholders)
            args, kwargs = tree.pack_sequence_as(structure, [leaf if t is None else next(given) for leaf, t in zip(leaves, tensors)])
            return self.python_function(*args, **kwargs)

        return compile_function(call, [t.spec for t in tensors if t is not None], self.__name__)


def function(python_function=None):
    """Compiles a function of tensors: traced once per signature, then run by the engine without Python.

    Variables read inside are bound to their buffers; `assign` inside changes them. Python code (prints, branches on shapes) runs only while tracing.

    >>> import nnlite, numpy as np
    >>> @nnlite.function
    ... def double(x):
    ...     return x * 2
    >>> double(np.ones(3, "float32")).numpy().tolist()
    [2.0, 2.0, 2.0]
    """
    if python_function is None:
        return Function
    return Function(python_function)
