"""function: compiles a Python function of tensors into a plan, once per input signature."""

from __future__ import annotations

import functools
import weakref

import numpy as np

from nnlite import config, tree
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


def compile_trace(trace: Trace, result, label: str = "", arena=None) -> Compiled:
    """Compiles a finished trace whose results are the tensors in the structure `result`; its working memory is `arena`, or one of its own."""
    leaves = tree.flatten(result)
    is_tensor = [isinstance(leaf, Tensor) for leaf in leaves]
    graph = graph_of_trace(trace, [leaf for leaf in leaves if isinstance(leaf, Tensor)])
    return Compiled(graph, active().compile_graph(graph, label, arena), result, is_tensor)


_functions: weakref.WeakSet = weakref.WeakSet()


def _forget_compiled() -> None:
    for function in _functions:
        function.cache.clear()
        function._quick.clear()


config.on_change(_forget_compiled)


class Function:
    """What `nnlite.function` returns: callable like the Python function, compiled per signature of its tensor arguments.

    Inside another compiled function, and while a GradientTape records, the Python function itself runs.

    Attributes:
        cache: Signature -> Compiled.
    """

    def __init__(self, function):
        functools.update_wrapper(self, function, updated=())  # the attributes of a wrapped model are not ours
        self.python_function = function
        self.cache: dict = {}
        self._quick: dict = {}  # (dtype, shape) of a lone array argument -> (revision, run, spec of the result)
        self._has_revision = hasattr(type(function), "_revision")
        _functions.add(self)

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args, **kwargs):
        if state.trace is not None or state.recording:
            return self.python_function(*args, **kwargs)
        if len(args) == 1 and type(args[0]) is np.ndarray and not kwargs:
            array = args[0]
            known = self._quick.get((array.dtype, array.shape))
            if known is not None and (known[0] is None or known[0] == self.python_function._revision):
                return Tensor(known[2], known[1]([array if array.flags.c_contiguous else np.ascontiguousarray(array)])[0])
        return self._call_any(args, kwargs)

    def _call_any(self, args, kwargs):
        leaves = tree.flatten((args, kwargs))
        tensors = [table["convert_to_tensor"](leaf) if isinstance(leaf, (np.ndarray, Tensor)) else None for leaf in leaves]
        signature = self._signature((args, kwargs), leaves, tensors)
        compiled = self.cache.get(signature)
        if compiled is None:
            compiled = self.cache[signature] = self._compile((args, kwargs), leaves, tensors)
        if len(leaves) == 1 and type(args[0] if args else None) is np.ndarray and isinstance(compiled.result, Tensor):
            if args[0].dtype == tensors[0].data.dtype:
                revision = self.python_function._revision if self._has_revision else None
                self._quick[args[0].dtype, args[0].shape] = (revision, compiled.runner.run, compiled.graph.specs[compiled.graph.outputs[0]])
        return compiled([t.data for t in tensors if t is not None])

    def _signature(self, structure, leaves, tensors):
        shape = (repr(tree.map_structure(lambda leaf: None, structure)), getattr(self.python_function, "_revision", None))  # a model counts its changes
        try:
            key = (shape, tuple([(type(leaf), leaf) if t is None else t.spec for leaf, t in zip(leaves, tensors)]))
            if self._has_revision:  # a model whose layers changed is traced anew
                key += (self.python_function._revision,)
            hash(key)
        except TypeError as error:
            raise TypeError(f"Arguments of a compiled function must be tensors, numpy arrays or hashable values; {error}.") from None
        return key

    def _compile(self, structure, leaves, tensors) -> Compiled:
        def call(*placeholders):
            given = iter(placeholders)
            args, kwargs = tree.pack_sequence_as(structure, [leaf if t is None else next(given) for leaf, t in zip(leaves, tensors)])
            return self.python_function(*args, **kwargs)

        return compile_function(call, [t.spec for t in tensors if t is not None], getattr(self, "__name__", type(self.python_function).__name__))


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
