"""Losses, metrics, optimizers, schedules and first training steps against Keras's values (tests/golden/training.json)."""

from __future__ import annotations

import importlib.util
import json
import pathlib

import nnlite
import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"


def _load_cases():
    spec = importlib.util.spec_from_file_location("training_cases", GOLDEN / "training_cases.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


cases = _load_cases()
golden = json.loads((GOLDEN / "training.json").read_text())


def _name(case) -> str:
    return cases.key(*case)


def close(found, expected, relative=2e-5, absolute=2e-6):
    np.testing.assert_allclose(np.asarray(found, "float64").reshape(-1), expected, rtol=relative, atol=absolute)


@pytest.mark.parametrize("case", cases.LOSSES, ids=_name)
def test_loss(case):
    name, arguments, kind = case
    y_true, y_pred, weights = cases.data(kind)
    for reduction in cases.LOSS_REDUCTIONS:
        loss = getattr(nnlite.losses, name)(**arguments, reduction=reduction)
        key = cases.key(name, arguments, kind, reduction)
        close(loss(y_true, y_pred), golden["losses"][key])
        if f"{key} weighted" in golden["losses"]:
            close(loss(y_true, y_pred, sample_weight=weights), golden["losses"][f"{key} weighted"])


@pytest.mark.parametrize("case", cases.LOSSES, ids=_name)
def test_compiled_loss_equals_eager(case):
    name, arguments, kind = case
    y_true, y_pred, _ = cases.data(kind)
    loss = getattr(nnlite.losses, name)(**arguments)
    close(nnlite.function(lambda a, b: loss(a, b))(y_true, y_pred), np.asarray(loss(y_true, y_pred)).reshape(-1), 1e-6, 1e-7)


METRIC_CASES = [(*case, weighted) for case in cases.METRICS for weighted in (False, True) if not (weighted and case[0] in cases.UNWEIGHTED)]


@pytest.mark.parametrize("case", METRIC_CASES, ids=lambda case: _name(case[:3]) + (" weighted" if case[3] else ""))
def test_metric(case):
    name, arguments, kind, weighted = case
    key = cases.key(name, arguments, kind, *(["weighted"] if weighted else []))
    metric = getattr(nnlite.metrics, name)(**arguments)
    for update in cases.metric_updates(kind, weighted):
        metric.update_state(*update)
    close(metric.result(), golden["metrics"][key])
    if metric.result_reader() is not None:
        close(metric.result_reader()(), golden["metrics"][key])
    metric.reset_state()
    for update in cases.metric_updates(kind, weighted):
        metric.update_state(*update)
    close(metric.result(), golden["metrics"][key])


@pytest.mark.parametrize("case", cases.METRICS, ids=_name)
def test_metric_round_trip(case):
    name, arguments, kind = case
    metric = getattr(nnlite.metrics, name)(**arguments)
    twin = type(metric).from_config(metric.get_config())
    for update in cases.metric_updates(kind, False):
        metric.update_state(*update)
        twin.update_state(*update)
    np.testing.assert_array_equal(np.asarray(twin.result()), np.asarray(metric.result()))


def _apply(name, arguments, compiled: bool):
    initial, gradients = cases.optimizer_problem()
    variables = [nnlite.Variable(value) for value in initial]
    optimizer = getattr(nnlite.optimizers, name)(learning_rate=cases.OPTIMIZER_RATE, **arguments)
    optimizer.build(variables)
    step = nnlite.function(lambda *grads: optimizer.apply(grads, variables)) if compiled else lambda *grads: optimizer.apply(grads, variables)
    for grads in gradients:
        step(*[nnlite.ops.convert_to_tensor(g) for g in grads])
    return optimizer, [v.numpy() for v in variables]


@pytest.mark.parametrize("compiled", (False, True), ids=("eager", "compiled"))
@pytest.mark.parametrize("case", cases.OPTIMIZERS, ids=_name)
def test_optimizer(case, compiled):
    optimizer, values = _apply(*case, compiled)
    for found, expected in zip(values, golden["optimizers"][cases.key(*case)]):
        close(found, expected, 1e-4, 1e-5)
    assert int(optimizer._iterations) == cases.OPTIMIZER_STEPS


@pytest.mark.parametrize("case", cases.OPTIMIZERS, ids=_name)
def test_optimizer_round_trip(case):
    name, arguments = case
    optimizer = getattr(nnlite.optimizers, name)(**arguments)
    config = optimizer.get_config()
    twin = nnlite.optimizers.deserialize(nnlite.optimizers.serialize(optimizer))
    assert type(twin) is type(optimizer) and twin.get_config() == config


@pytest.mark.parametrize("case", cases.SCHEDULES, ids=_name)
def test_schedule(case):
    name, arguments = case
    schedule = getattr(nnlite.optimizers.schedules, name)(**arguments)
    expected = golden["schedules"][cases.key(name, arguments)]
    close([float(schedule(step)) for step in cases.SCHEDULE_STEPS], expected, 1e-4, 1e-7)
    twin = nnlite.optimizers.schedules.deserialize(nnlite.optimizers.schedules.serialize(schedule))
    close([float(twin(step)) for step in cases.SCHEDULE_STEPS], expected, 1e-4, 1e-7)


@pytest.mark.parametrize("optimizer", cases.RUN_OPTIMIZERS, ids=lambda case: case[0])
@pytest.mark.parametrize("model", ("mlp", "cnn"))
def test_first_losses(model, optimizer):
    name, arguments = optimizer
    found = cases.run_losses(nnlite, model, getattr(nnlite.optimizers, name)(**arguments))
    expected = golden["runs"][f"{model} {name}"]
    assert len(found) == len(expected) == cases.RUN_STEPS
    close(found, expected, 1e-4, 1e-5)
