"""Clipping by the global norm: the scale is applied inside the optimizer's update."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import ops
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.passes import optimize
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace

SHAPES = ((5, 3), (7,), (2, 2, 2))


def _random(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _variables():
    return [nnlite.Variable(_random(*shape, seed=k)) for k, shape in enumerate(SHAPES)]


def _update_steps(optimizer):
    variables = _variables()
    optimizer.build(variables)
    with Trace() as trace:
        optimizer.apply([trace.input(Spec(shape, "float32")) for shape in SHAPES], variables)
    graph = optimize(graph_of_trace(trace, []))
    return [step for step in graph.nodes if step.op.traits.updates is not None]


OPTIMIZERS = {
    "sgd": lambda **k: nnlite.optimizers.SGD(0.1, **k),
    "momentum": lambda **k: nnlite.optimizers.SGD(0.1, momentum=0.9, **k),
    "rmsprop": lambda **k: nnlite.optimizers.RMSprop(0.1, **k),
    "adam": lambda **k: nnlite.optimizers.Adam(0.1, **k),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_global_scale_joins_the_update(name):
    assert [step.attributes.get("scaled") for step in _update_steps(OPTIMIZERS[name](global_clipnorm=0.5))] == [1]
    assert [step.attributes.get("scaled") for step in _update_steps(OPTIMIZERS[name]())] == [None]


def test_scales_of_their_own_stay_outside():
    assert [step.attributes.get("scaled") for step in _update_steps(OPTIMIZERS["adam"](clipnorm=0.5))] == [None]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_and_eager_clipping_agree(name):
    gradients = [_random(*shape, seed=10 + k) for k, shape in enumerate(SHAPES)]
    eager, compiled = _variables(), _variables()
    one, other = OPTIMIZERS[name](global_clipnorm=0.5), OPTIMIZERS[name](global_clipnorm=0.5)
    other.build(compiled)
    step = nnlite.function(lambda *grads: (other.apply(list(grads), compiled), ops.sum(grads[0]))[1])
    for _ in range(3):
        one.apply([ops.convert_to_tensor(g) for g in gradients], eager)
        step(*gradients)
    for a, b, start in zip(eager, compiled, _variables()):
        assert not np.array_equal(a.numpy(), start.numpy())
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=2e-6, atol=1e-7)
