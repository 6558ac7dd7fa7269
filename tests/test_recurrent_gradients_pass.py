"""Gradients of recurrent layers that make those of their kernels and inputs as they go."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops
from nnlite.backends import active
from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.spec import spec_of_array

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has no fused steps")
CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}
BATCH, STEPS, FEATURES, UNITS = 34, 21, 10, 32


def random(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def gradients(call, variables, x):
    """A compiled function giving the gradients of `variables` and of x, and its results beside the eager ones."""
    dy = random(*call(ops.convert_to_tensor(x)).shape, seed=9, dtype=x.dtype)

    def step(x, dy):
        return backprop([call(x)], [dy], [*variables, x])

    plan = compile_function(step, [spec_of_array(x), spec_of_array(dy)])
    given = nnlite.Variable(x)
    with nnlite.GradientTape() as tape:
        total = ops.sum(call(ops.convert_to_tensor(given)) * dy)
    return plan, plan([x, dy]), tape.gradient(total, [*variables, given])


def joined(plan, attribute="products"):
    return [step for step in plan.runner.graph.nodes if step.attributes.get(attribute)]


def names(plan):
    return [step.op.name for step in plan.runner.graph.nodes]


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        tolerance = 1e-12 if np.asarray(b).dtype == np.float64 else 2e-5
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(np.asarray(b)).max()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_all_gradients_come_from_one_step(name, backwards, dtype):
    layer = CELLS[name](UNITS, go_backwards=backwards, return_sequences=True, dtype=dtype)
    x = random(BATCH, STEPS, FEATURES, dtype=dtype)
    layer(x)
    plan, found, expected = gradients(layer, layer.trainable_variables, x)
    (step,) = joined(plan)
    assert step.attributes["input_grad"] and step.attributes["bias_grad"] and step.attributes["u_grad"]
    assert names(plan).count("matmul") == 1 and "sum" not in names(plan), "only the projection is left"
    assert_close(found, expected)


@pytest.mark.parametrize("name", CELLS)
def test_masks_and_no_bias(name):
    layer = CELLS[name](UNITS, use_bias=False)
    x = random(BATCH, STEPS, FEATURES)
    mask = np.arange(STEPS) < np.arange(BATCH)[:, None]

    def call(x):
        return layer(x, mask=ops.convert_to_tensor(mask))

    call(x)
    plan, found, expected = gradients(call, layer.trainable_variables, x)
    (step,) = joined(plan)
    assert "bias_grad" not in step.attributes and step.attributes["mask"]
    assert_close(found, expected)


@pytest.mark.parametrize("name", CELLS)
def test_given_first_states_get_their_gradients(name):
    layer = CELLS[name](UNITS, return_sequences=True)
    x = random(BATCH, STEPS, FEATURES)
    states = [nnlite.Variable(random(BATCH, UNITS, seed=k)) for k in range(1 + (name == "lstm"))]

    def call(x):
        return layer(x, initial_state=[ops.convert_to_tensor(state) for state in states])

    call(x)
    plan, found, expected = gradients(call, [*layer.trainable_variables, *states], x)
    assert len(joined(plan)) == 1
    assert_close(found, expected)


def test_layers_on_layers_in_both_directions():
    model = nnlite.Sequential([
        layers.Input((STEPS, FEATURES)),
        layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
        layers.Bidirectional(layers.GRU(UNITS), merge_mode="sum"),
    ])
    plan, found, expected = gradients(model, model.trainable_variables, random(BATCH, STEPS, FEATURES))
    assert len(joined(plan)) == 4 and names(plan).count("matmul") == 4, "of products only the projections are left"
    assert_close(found, expected)


def test_inputs_that_need_no_gradient_and_one_kernel_alone():
    layer = layers.LSTM(UNITS)
    x, dy = random(BATCH, STEPS, FEATURES), random(BATCH, UNITS, seed=3)
    layer(x)
    kernel, recurrent, bias = layer.trainable_variables

    def compiled(variables):
        return compile_function(lambda x, dy: backprop([layer(x)], [dy], variables), [spec_of_array(x), spec_of_array(dy)])

    every = compiled([kernel, recurrent, bias])
    (step,) = joined(every)
    assert "input_grad" not in step.attributes
    one = compiled([recurrent])
    assert not joined(one) and len(joined(one, "u_grad")) == 1
    none = compiled([kernel])
    assert not joined(none, "u_grad"), "without the recurrent kernel's gradient nothing moves"
    given = every([x, dy])
    assert_close(one([x, dy]), given[1:2])
    assert_close(none([x, dy]), given[:1])


@pytest.mark.parametrize("layer", [
    layers.LSTM(20, return_sequences=True),
    layers.LSTM(512, return_sequences=True),
    layers.GRU(UNITS, reset_after=False, return_sequences=True),
], ids=["units that fill no vector", "kernels larger than a cache", "reset before the product"])
def test_what_would_not_gain_stays(layer):
    x = random(BATCH, 5, FEATURES)
    layer(x)
    plan, found, expected = gradients(layer, layer.trainable_variables, x)
    assert not joined(plan, "u_grad")
    assert_close(found, expected)


@pytest.mark.parametrize("shape", [(16, STEPS, FEATURES), (BATCH, 3, FEATURES)], ids=["few rows", "few steps"])
def test_small_shapes_stay(shape):
    layer = layers.LSTM(UNITS, return_sequences=True)
    layer(random(*shape))
    plan, found, expected = gradients(layer, layer.trainable_variables, random(*shape))
    assert not joined(plan, "u_grad")
    assert_close(found, expected)


@pytest.mark.parametrize("name", CELLS)
def test_another_use_of_the_gates_keeps_them(name):
    """The gradient of the projections is asked for itself: the recurrent kernel's still joins, except where it needs what is asked for."""
    from nnlite.ops import recurrent

    gates = {"lstm": 4, "gru": 3, "simple_rnn": 1}[name]
    attributes = {"activation": "tanh", "reverse": 0, "mask": 0}
    if name != "simple_rnn":
        attributes["recurrent_activation"] = "sigmoid"
    if name == "gru":
        attributes["reset_after"] = 1
    u, h = nnlite.Variable(random(UNITS, gates * UNITS, seed=1) * 0.1), random(BATCH, UNITS, seed=2)
    firsts = [ops.convert_to_tensor(h)] * (1 + (name == "lstm")) + [ops.zeros((gates * UNITS,))] * (name == "gru")

    def call(x):
        return getattr(recurrent, name)(x, ops.convert_to_tensor(u), *firsts, **attributes)[0]

    plan, found, expected = gradients(call, [u], random(BATCH, STEPS, gates * UNITS))
    assert not joined(plan) and len(joined(plan, "u_grad")) == 1
    assert_close(found, expected)


def test_threads_do_not_change_bits():
    layer = layers.GRU(UNITS)
    x, dy = random(70, STEPS, FEATURES), random(70, UNITS, seed=3)
    layer(x)
    plan = compile_function(lambda x, dy: backprop([layer(x)], [dy], layer.trainable_variables), [spec_of_array(x), spec_of_array(dy)])
    before = nnlite.config.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            nnlite.config.set_num_threads(threads)
            results.append([np.array(gradient) for gradient in plan([x, dy])])
    finally:
        nnlite.config.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
