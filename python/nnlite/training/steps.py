"""Compiled steps: a model's train, test or predict step, traced once per key and run by the engine."""

from __future__ import annotations

from nnlite import tree
from nnlite.backends import active
from nnlite.graph.function import compile_trace
from nnlite.graph.symbolic import KerasTensor
from nnlite.graph.trace import Trace
from nnlite.tensor import Tensor, from_array
from nnlite.training import logs as logs_module
from nnlite.training.data import convert

# Steps kept per model; data of ever new shapes drops the oldest.
_MOST_STEPS = 128


class Step:
    """One compiled step.

    Attributes:
        runner: `run`, `run_steps` and `run_batches` of the backend.
        logs: Reads the logs after a run.
        refresh: Called before every run, or None: a learning rate that Python computes.
        result: For predict: the structure of the outputs.
    """

    __slots__ = ("compiled", "logs", "refresh", "runner", "specs")

    def __init__(self, compiled, logs, refresh):
        self.compiled = compiled
        self.runner = compiled.runner
        self.logs = logs
        self.refresh = refresh
        self.specs = [compiled.graph.specs[i] for i in compiled.graph.outputs]


class StepCache:
    """The steps of a model by key. A key holds everything a trace depends on; values of variables are not among it. All share one arena."""

    def __init__(self):
        self._steps: dict = {}
        self._arena = active().new_arena()

    def get(self, model, mode: str, structure, key, specs) -> Step:
        """The step for data of this nesting and these specs."""
        optimizer = model.optimizer if mode == "train" else None
        full_key = (
            mode,
            key,
            specs,
            model._revision,
            model._trainable_signature if mode == "train" else None,
            optimizer,
            getattr(optimizer, "_revision", 0),
        )
        step = self._steps.get(full_key)
        if step is None:
            self._forget_old(model._revision)
            if len(self._steps) >= _MOST_STEPS:
                del self._steps[next(iter(self._steps))]
            step = self._steps[full_key] = _MAKERS[mode](model, structure, specs, self._arena)
        return step

    def _forget_old(self, revision: int) -> None:
        """Steps of earlier revisions of the model can never be asked for again."""
        if self._steps and next(iter(self._steps))[3] != revision:
            self._steps = {key: step for key, step in self._steps.items() if key[3] == revision}


def _placeholders(trace, structure, specs):
    return convert.rebuild(structure, iter([trace.input(spec) for spec in specs]))


def _make_train(model, structure, specs, arena) -> Step:
    optimizer = model.optimizer
    with Trace() as trace:
        logs = model.train_step(as_data(_placeholders(trace, structure, specs)))
        reader = logs_module.reader_for(model, logs)
    model._clear_losses()
    refresh = optimizer.refresh_rate if optimizer is not None and optimizer.asks_python_each_step else None
    return Step(compile_trace(trace, [], "train", arena), reader, refresh)


def _make_test(model, structure, specs, arena) -> Step:
    with Trace() as trace:
        logs = model.test_step(as_data(_placeholders(trace, structure, specs)))
        reader = logs_module.reader_for(model, logs)
    model._clear_losses()
    return Step(compile_trace(trace, [], "test", arena), reader, None)


def _make_predict(model, structure, specs, arena) -> Step:
    with Trace() as trace:
        result = model.predict_step(as_data(_placeholders(trace, structure, specs)))
        result = tree.map_structure(_as_tensor, result)
    model._clear_losses()
    return Step(compile_trace(trace, result, "predict", arena), None, None)


def _as_tensor(value):
    return value if isinstance(value, Tensor) else value.value if hasattr(value, "value") else value


_MAKERS = {"train": _make_train, "test": _make_test, "predict": _make_predict}


def build_model(model, x) -> None:
    """Creates the variables of a model that has not seen data, from arrays or tensors of a batch.

    A model that runs eagerly builds itself in its first step: its `call` may need values.
    """
    if model.run_eagerly or not model._is_callable or (model.built and all(layer.built for layer in model._flatten_layers())):
        return
    symbolic = tree.map_structure(lambda leaf: KerasTensor((None, *leaf.shape[1:]), convert.spec_of(leaf).dtype), x)
    model._infer(model, (symbolic,), {})
    model._clear_losses()


def as_data(structure):
    """What a model's step is given: x itself when there are no targets, unless it is a list or tuple; else the tuple of parts."""
    return structure[0] if len(structure) == 1 and not isinstance(structure[0], (list, tuple)) else structure


def as_tensors(structure):
    """A structure of arrays as eager tensors."""
    return convert.rebuild(structure, iter([from_array(leaf) for leaf in convert.leaves(structure)]))
