"""Writes training.json: what Keras gives for the cases of training_cases.py. Run it with a Python that has Keras 3.

Use the jax backend: on torch, variables change in place and ScheduleFreeAdamW reads a slot after it was overwritten.
"""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import training_cases as cases


def plain(value):
    array = np.asarray(keras.ops.convert_to_numpy(value), "float64")
    return [float(f"{v:.8g}") for v in array.reshape(-1)]


def losses() -> dict:
    found = {}
    for name, arguments, kind in cases.LOSSES:
        y_true, y_pred, weights = cases.data(kind)
        for reduction in cases.LOSS_REDUCTIONS:
            loss = getattr(keras.losses, name)(**arguments, reduction=reduction)
            found[cases.key(name, arguments, kind, reduction)] = plain(loss(y_true, y_pred))
            if weights is not None and name not in ("Dice", "Tversky"):
                found[cases.key(name, arguments, kind, reduction, "weighted")] = plain(loss(y_true, y_pred, sample_weight=weights))
    return found


def metrics() -> dict:
    found = {}
    for name, arguments, kind in cases.METRICS:
        for weighted in (False, True):
            if weighted and name in cases.UNWEIGHTED:
                continue
            metric = getattr(keras.metrics, name)(**arguments)
            for update in cases.metric_updates(kind, weighted):
                metric.update_state(*update)
            found[cases.key(name, arguments, kind, *(["weighted"] if weighted else []))] = plain(metric.result())
    return found


def optimizers() -> dict:
    found = {}
    initial, gradients = cases.optimizer_problem()
    for name, arguments in cases.OPTIMIZERS:
        variables = [keras.Variable(value) for value in initial]
        optimizer = getattr(keras.optimizers, name)(learning_rate=cases.OPTIMIZER_RATE, **arguments)
        for step in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in step], variables)
        found[cases.key(name, arguments)] = [plain(v) for v in variables]
    return found


def schedules() -> dict:
    return {
        cases.key(name, arguments): [plain(getattr(keras.optimizers.schedules, name)(**arguments)(step))[0] for step in cases.SCHEDULE_STEPS]
        for name, arguments in cases.SCHEDULES
    }


def runs() -> dict:
    found = {}
    for model in ("mlp", "cnn"):
        for name, arguments in cases.RUN_OPTIMIZERS:
            values = cases.run_losses(keras, model, getattr(keras.optimizers, name)(**arguments))
            found[f"{model} {name}"] = [float(f"{v:.8g}") for v in values]
    return found


if __name__ == "__main__":
    result = {
        "keras": keras.__version__,
        "losses": losses(),
        "metrics": metrics(),
        "optimizers": optimizers(),
        "schedules": schedules(),
        "runs": runs(),
    }
    path = pathlib.Path(__file__).with_name("training.json")
    path.write_text(json.dumps(result, indent=None, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    print(path, path.stat().st_size)
