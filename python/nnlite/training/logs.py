"""Reading the results of steps: from metric states in plain Python, else from compiled results or log variables."""

from __future__ import annotations

import numpy as np

from nnlite.graph.apply import state
from nnlite.graph.function import compile_trace
from nnlite.graph.spec import FLOATS
from nnlite.graph.trace import Trace
from nnlite.tensor import Tensor
from nnlite.training.compile_metrics import CompileMetrics
from nnlite.variable import Variable


def named_metrics(model) -> dict | None:
    """Log name -> metric for all metrics of the model; None when a metric's result is a dict of its own."""
    found: dict = {}
    for metric in model.metrics:
        if isinstance(metric, CompileMetrics):
            found.update(metric.named())
        else:
            found[metric.name] = metric
    return found


def as_python(value):
    """A float for a single number, else a numpy array."""
    array = value.numpy() if isinstance(value, (Tensor, Variable)) else np.asarray(value)
    return float(array) if array.size == 1 and array.ndim == 0 else np.array(array)


class LogReader:
    """Gives the logs of a step as {name: float}, names sorted.

    Most metrics are means and sums: their results come from two numbers each, read from the variables' buffers. Other results
    are computed by one compiled graph over the metrics' variables, and what a custom step returned is read from log variables.
    """

    def __init__(self):
        self._entries: list = []  # (name, function without arguments)
        self._metrics: list = []  # (name, metric) whose results need tensor operations
        self._compiled = None
        self._constants: dict = {}

    def __call__(self) -> dict:
        logs = {name: read() for name, read in self._entries}
        if self._metrics:
            logs.update(self._computed())
            logs = dict(sorted(logs.items()))
        return logs

    def _computed(self) -> dict:
        if self._compiled is None:
            with Trace() as trace:
                results = {name: _result_of(metric) for name, metric in self._metrics}
            self._compiled = compile_trace(trace, _flat_results(results), "metric results")
        return {name: as_python(value) for name, value in self._compiled([]).items()}

    def add_metric(self, name: str, metric) -> None:
        reader = metric.result_reader() if hasattr(metric, "result_reader") else None
        if reader is None:
            self._metrics.append((name, metric))
        else:
            self._entries.append((name, reader))
        self._entries.sort(key=lambda entry: entry[0])

    def add_logged(self, name: str, value) -> None:
        """A tensor that the traced step returned: kept in a variable of its own, which the step assigns."""
        if isinstance(value, Variable):
            value = value.value
        if not isinstance(value, Tensor) or not value.is_traced:
            constant = as_python(value)
            self._entries.append((name, lambda: constant))
        else:
            variable = Variable(
                np.zeros(value.shape, "float32" if value.dtype in FLOATS else value.dtype), dtype=value.dtype, trainable=False, name=name
            )
            variable.path = f"logs/{name}"
            variable.assign(value)
            buffer = variable._buffer
            read = buffer.item if buffer.ndim == 0 and value.dtype != "bfloat16" else lambda: as_python(variable)
            self._entries.append((name, (lambda: float(read())) if value.dtype not in FLOATS and buffer.ndim == 0 else read))
        self._entries.sort(key=lambda entry: entry[0])


def _result_of(metric):
    result = metric.result()
    return {key: getattr(value, "value", value) for key, value in result.items()} if isinstance(result, dict) else getattr(result, "value", result)


def _flat_results(results: dict) -> dict:
    """Results that are dicts themselves join the others."""
    flat: dict = {}
    for name, result in results.items():
        flat.update(result) if isinstance(result, dict) else flat.update({name: result})
    return flat


def reader_for(model, logs) -> LogReader:
    """The reader for what a traced step returned. Call it inside the trace.

    When the step returned the model's metrics, their states are read; else the returned tensors are kept.
    """
    reader = LogReader()
    if not isinstance(logs, dict):
        logs = {} if logs is None else {"loss": logs}
    metrics = named_metrics(model)
    if set(logs) == set(metrics) and _updated_here(metrics.values()):
        for name, metric in metrics.items():
            reader.add_metric(name, metric)
        return reader
    for name, value in logs.items():
        metric = metrics.get(name)
        if metric is not None and _updated_here([metric]):
            reader.add_metric(name, metric)
        else:
            reader.add_logged(name, value)
    return reader


def _updated_here(metrics) -> bool:
    """Whether the open trace updates all of these metrics: a custom step may return values under their names without doing so."""
    updates = state.trace.updates
    return all(not metric.variables or any(v in updates for v in metric.variables) for metric in metrics)


def eager_logs(logs) -> dict:
    """What an eager step returned, as Python numbers, names sorted."""
    if not isinstance(logs, dict):
        logs = {} if logs is None else {"loss": logs}
    return {name: as_python(logs[name]) for name in sorted(logs)}


def flatten_in_order(model, logs: dict):
    """Logs as evaluate returns them: in the order of the metrics, then the others sorted; a single value alone."""
    names = []
    for metric in model.metrics:
        names += [m.name for m in metric.metrics] if isinstance(metric, CompileMetrics) else [metric.name]
    values = [logs[name] for name in names if name in logs]
    values += [logs[name] for name in sorted(logs) if name not in names]
    return values[0] if len(values) == 1 else values
