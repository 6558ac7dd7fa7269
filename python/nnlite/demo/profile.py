"""Where the time of a training step goes, layer by layer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.spec import spec_of_array

REST = "loss"


class LayerTime(NamedTuple):
    """Seconds of a layer in one training step."""

    name: str
    forward: float
    backward: float


def time_per_layer(model, x, y, repeat: int = 20) -> list[LayerTime]:
    """Times of the forward and backward pass on one batch, in the model's order; what belongs to no layer comes last, as "loss".

    Args:
        model: A built and compiled model of one input and one output.
        x: A batch of inputs.
        y: Its targets.
        repeat: Over how many runs the times are averaged.
    """

    def step(x, y):
        loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=True))
        return [g for g in backprop([loss], [None], model.trainable_variables) if g is not None]

    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    compiled = compile_function(step, [spec_of_array(x), spec_of_array(y)])
    compiled.runner.run([x, y])
    names = [layer.name for layer in model.layers]
    times = {name: [0.0, 0.0] for name in [*names, REST]}
    for label, seconds in compiled.runner.profile([x, y], repeat):
        scope, _, _ = label.rpartition(": ")
        name, backward = _owner(scope, names)
        times[name][backward] += seconds
    return [LayerTime(name, forward, backward) for name, (forward, backward) in times.items()]


def _owner(scope: str, names: list[str]) -> tuple[str, bool]:
    """The layer that a step's scope ("sequential/conv2d gradient") belongs to, and whether it is part of its gradient."""
    path, _, gradient = scope.partition(" ")
    found = [part for part in path.split("/") if part in names]
    return (found[0] if found else REST), bool(gradient)
