"""Gradients of biases as second outputs of the products that make the gradients of weights."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops
from nnlite.backends import active
from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.passes import column_sums
from nnlite.graph.spec import spec_of_array

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has no fused steps")
rng = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_ones_too(request, monkeypatch):
    if "as_it_is" not in request.fixturenames:
        monkeypatch.setattr(column_sums, "_LEAST_BYTES", 0)


@pytest.fixture
def as_it_is():
    """Asks for the pass without changes."""


def gradients(layer, x, dtype):
    """A compiled function of x and dy giving the gradients of the layer's variables, and its result on random numbers beside the eager one."""
    shape = layer(x).shape
    dy = rng.standard_normal(shape).astype(dtype)

    def step(x, dy):
        return backprop([layer(x)], [dy], layer.trainable_variables)

    plan = compile_function(step, [spec_of_array(x), spec_of_array(dy)])
    with nnlite.GradientTape() as tape:
        total = ops.sum(layer(ops.convert_to_tensor(x)) * dy)
    return plan, plan([x, dy]), tape.gradient(total, layer.trainable_variables)


def fused(plan):
    return [step for step in plan.runner.graph.nodes if step.attributes.get("column_sums")]


@pytest.mark.parametrize("dtype,tolerance", [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("shape", [(7, 5), (300, 33), (4, 9, 20)])
def test_dense(shape, dtype, tolerance):
    layer = layers.Dense(18, activation="relu", dtype=dtype)
    plan, found, expected = gradients(layer, rng.standard_normal(shape).astype(dtype), dtype)
    assert len(fused(plan)) == 1 and not any(step.op.name == "sum" for step in plan.runner.graph.nodes)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(np.asarray(b)).max())


def test_only_sums_of_large_gradients_join(as_it_is):
    for rows, joined in ((100, False), (3000, True)):
        plan, found, expected = gradients(layers.Dense(100), rng.standard_normal((rows, 7)).astype("float32"), "float32")
        assert bool(fused(plan)) == joined
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(np.asarray(b)).max())


def test_recurrent_layers_and_attention():
    x = rng.standard_normal((6, 11, 12)).astype("float32")
    for layer in (layers.GRU(9), layers.LSTM(9), layers.SimpleRNN(9), layers.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de")):
        plan, found, expected = gradients(layer, x, "float32")
        assert fused(plan), layer.name
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5 * np.abs(np.asarray(b)).max())


def test_sums_that_are_needed_earlier_stay():
    def step(x, dy):
        total = ops.sum(dy, axis=0)
        return ops.matmul(ops.transpose(x * total[:4]), dy), total

    x, dy = rng.standard_normal((9, 4)).astype("float32"), rng.standard_normal((9, 6)).astype("float32")
    plan = compile_function(step, [spec_of_array(x), spec_of_array(dy)])
    assert not fused(plan)
    for a, b in zip(plan([x, dy]), step(x, dy)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape,units", [((9, 1), 6), ((9, 4), 1)])
def test_single_rows_and_columns_stay(shape, units):
    layer = layers.Dense(units)
    plan, found, expected = gradients(layer, rng.standard_normal(shape).astype("float32"), "float32")
    assert not fused(plan)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_nan_reaches_its_column_alone():
    layer = layers.Dense(20)
    x = rng.standard_normal((70, 6)).astype("float32")
    layer(x)
    dy = rng.standard_normal((70, 20)).astype("float32")
    dy[33, 7], dy[5, 19] = np.nan, np.inf
    plan = compile_function(lambda x, dy: backprop([layer(x)], [dy], layer.trainable_variables), [spec_of_array(x), spec_of_array(dy)])
    assert fused(plan)
    bias = np.asarray(plan([x, dy])[1])
    assert np.isnan(bias[7]) and np.isinf(bias[19]) and np.isfinite(np.delete(bias, [7, 19])).all()


def test_training_agrees_for_every_number_of_threads(trains_alike):
    x = rng.standard_normal((64, 300)).astype("float32")
    trains_alike(lambda: nnlite.Sequential([nnlite.Input((300,)), layers.Dense(200, activation="relu"), layers.Dense(4)]), x, batch_size=32)
