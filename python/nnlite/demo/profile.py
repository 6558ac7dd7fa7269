"""Where the time of a training step goes, layer by layer."""

from __future__ import annotations

import numpy as np

from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.spec import spec_of_array


def time_per_layer(model, x, y, repeat: int = 20) -> list[tuple[str, float]]:
    """(layer, seconds) of the forward and backward pass on one batch, in the model's order; what belongs to no layer comes last.

    Forward and gradient are kept apart: the gradient of layer "dense" is listed as "dense gradient".
    """

    def step(x, y):
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        return [g for g in backprop([loss], [None], model.trainable_variables) if g is not None]

    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    compiled = compile_function(step, [spec_of_array(x), spec_of_array(y)])
    compiled.runner.run([x, y])
    times: dict[str, float] = {}
    for label, seconds in compiled.runner.profile([x, y], repeat):
        scope, _, op = label.rpartition(": ")
        name = _layer_of(scope, model) if op else "other"
        times[name] = times.get(name, 0.0) + seconds
    order = [layer.name for layer in model.layers]
    return sorted(times.items(), key=lambda item: _rank(item[0], order))


def _layer_of(scope: str, model) -> str:
    """The layer a step's scope ("sequential/conv2d gradient") belongs to."""
    path, _, gradient = scope.partition(" ")
    names = {layer.name for layer in model.layers}
    found = [part for part in path.split("/") if part in names]
    return "loss and the rest" if not found else f"{found[0]} gradient" if gradient else found[0]


def _rank(name: str, order: list[str]) -> tuple[int, int]:
    layer, _, gradient = name.partition(" ")
    if layer not in order:
        return (2, 0)
    return (1, -order.index(layer)) if gradient else (0, order.index(layer))
