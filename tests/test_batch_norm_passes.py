"""Normalization around products: folded into weights in inference, joined with relu in training; means over positions and their gradients."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import layers, ops
from nnlite.backends.numpy import GraphRunner
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.passes import optimize
from nnlite.graph.plan import Plan
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace


def _graph(function, *specs):
    with Trace() as trace:
        outputs = function(*[trace.input(spec) for spec in specs])
    return graph_of_trace(trace, outputs if isinstance(outputs, (list, tuple)) else [outputs])


def _codes(graph):
    return [code for step in graph.nodes for code in step.attributes.get("codes", ())]


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _with_statistics(model):
    """Moving statistics, scales and shifts away from their initial values."""
    for k, weight in enumerate(model.weights):
        value = _random(*weight.shape, seed=k)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value)
    return model


CHAINS = {
    "convolution with bias": lambda: [layers.Conv2D(8, 3, padding="same")],
    "convolution without bias": lambda: [layers.Conv2D(8, 3, use_bias=False)],
    "groups and strides": lambda: [layers.Conv2D(8, 3, strides=2, groups=2)],
    "winograd": lambda: [layers.Conv2D(32, 3, padding="same"), layers.BatchNormalization(), layers.Conv2D(32, 3, padding="same")],
    "depthwise": lambda: [layers.DepthwiseConv2D(3, depth_multiplier=2)],
    "dense": lambda: [layers.Flatten(), layers.Dense(16)],
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("scaled", [True, False])
def test_normalization_folds_into_the_weights(name, scaled):
    model = nnlite.Sequential([layers.Input((10, 9, 4)), *CHAINS[name](), layers.BatchNormalization(scale=scaled, center=scaled), layers.ReLU()])
    _with_statistics(model)
    x = _random(3, 10, 9, 4, seed=50)
    graph = optimize(_graph(lambda x: model(x), Spec(x.shape, "float32")))
    assert _codes(graph) == [], "the normalization must leave no work of its own"
    expected = model(x).numpy()
    assert np.abs(model.predict(x, verbose=0) - expected).max() <= 2e-6 * np.abs(expected).max()


def test_folded_weights_follow_the_variables():
    model = nnlite.Sequential([layers.Input((6, 6, 3)), layers.Conv2D(5, 3), layers.BatchNormalization()])
    x = _random(2, 6, 6, 3)
    model.predict(x, verbose=0)
    _with_statistics(model)
    expected = model(x).numpy()
    assert np.abs(model.predict(x, verbose=0) - expected).max() <= 2e-6 * np.abs(expected).max()


def test_a_scale_is_not_folded_where_the_product_is_read_or_the_weights_are_trained():
    w, factor = nnlite.Variable(_random(5, 4)), nnlite.Variable(_random(4, seed=1))

    def read_twice(x):
        product = ops.matmul(x, w)
        return [product * factor, product]

    def trained(x):
        y = ops.matmul(x, w) * factor
        w.assign(w * 0.5)
        return y

    def scale_of_the_input(x):
        return ops.matmul(x, w) * ops.sum(x, axis=0)[:4]

    for function in (read_twice, trained, scale_of_the_input):
        graph = optimize(_graph(function, Spec((6, 5), "float32")))
        assert "multiply" in _codes(graph), function.__name__


def _training_graph():
    """dx, dgamma, dbeta and the output of relu(batch_norm(x))."""
    from nnlite.graph.grad import backprop
    from nnlite.ops.norms import batch_norm

    def step(x, gamma, beta, dy):
        y = ops.relu(batch_norm(x, gamma, beta, epsilon=1e-3)[0])
        return [y, *backprop([y], [dy], [x, gamma, beta])]

    spec, channels = Spec((4, 7, 6, 37), "float32"), Spec((37,), "float32")
    return _graph(step, spec, channels, channels, spec)


def test_relu_joins_batch_norm_and_its_gradient():
    graph = optimize(_training_graph())
    assert [step.op.name for step in graph.nodes] == ["batch_norm", "batch_norm_grad"]
    inputs = [_random(4, 7, 6, 37) + 0.5, _random(37, seed=1), _random(37, seed=2), _random(4, 7, 6, 37, seed=3)]
    got = Plan(_training_graph()).run(inputs)
    for a, b in zip(got, GraphRunner(_training_graph()).run(inputs)):
        assert np.abs(a - b).max() <= 2e-5 * np.abs(b).max()
    assert (got[0] >= 0).all() and (got[0] == 0).any()


def _residual_graph():
    """A residual block: relu(batch_norm(x) + s) with s = relu(batch_norm(x2)), and the gradients of both maps."""
    from nnlite.graph.grad import backprop
    from nnlite.ops.norms import batch_norm

    def step(x, x2, gamma, beta, dy):
        shortcut = ops.relu(batch_norm(x2, gamma, beta, epsilon=1e-3)[0])
        y = ops.relu(batch_norm(x, gamma, beta, epsilon=1e-3)[0] + shortcut)
        return [y, *backprop([y], [dy], [x, x2, gamma])]

    spec, channels = Spec((4, 7, 6, 37), "float32"), Spec((37,), "float32")
    return _graph(step, spec, spec, channels, channels, spec)


def test_the_sum_of_a_residual_block_joins_batch_norm():
    steps = optimize(_residual_graph()).nodes
    assert [step.op.name for step in steps if "codes" not in step.attributes].count("batch_norm") == 2
    (joined,) = [step for step in steps if step.attributes.get("residual")]
    assert joined.attributes["activation"] == "relu" and len(joined.inputs) == 4
    inputs = [_random(4, 7, 6, 37) + 0.5, _random(4, 7, 6, 37, seed=5), _random(37, seed=1), _random(37, seed=2), _random(4, 7, 6, 37, seed=3)]
    for a, b in zip(Plan(_residual_graph()).run(inputs), GraphRunner(_residual_graph()).run(inputs)):
        assert np.abs(a - b).max() <= 2e-5 * np.abs(b).max()


def test_a_sum_with_a_later_map_or_another_shape_is_kept():
    from nnlite.ops.norms import batch_norm

    def later(x, gamma, beta):
        y = batch_norm(x, gamma, beta, epsilon=1e-3)[0]
        return y + ops.exp(x)

    def smaller(x, gamma, beta):
        return batch_norm(x, gamma, beta, epsilon=1e-3)[0] + beta

    channels = Spec((3,), "float32")
    for function in (later, smaller):
        graph = optimize(_graph(function, Spec((50, 3), "float32"), channels, channels))
        assert not any(step.attributes.get("residual") for step in graph.nodes), function.__name__
        inputs = [_random(50, 3), _random(3), _random(3, seed=1)]
        build = _graph(function, Spec((50, 3), "float32"), channels, channels)
        expected = GraphRunner(_graph(function, Spec((50, 3), "float32"), channels, channels)).run(inputs)[0]
        np.testing.assert_allclose(Plan(build).run(inputs)[0], expected, rtol=1e-5, atol=1e-5)


def test_relu_is_kept_where_the_normalized_map_is_read_too():
    from nnlite.ops.norms import batch_norm

    def both(x, gamma, beta):
        y = batch_norm(x, gamma, beta, epsilon=1e-3)[0]
        return [ops.relu(y), y]

    channels = Spec((3,), "float32")
    x = _random(50, 3)
    relu, y = Plan(_graph(both, Spec((50, 3), "float32"), channels, channels)).run([x, _random(3), _random(3, seed=1)])
    assert (y < 0).any() and np.array_equal(relu, np.maximum(y, 0))


def test_the_gradient_of_a_mean_over_positions_is_not_written_out():
    from nnlite.graph.grad import backprop

    def step(x, dy):
        y = ops.mean(ops.relu(x), axis=(1, 2))
        return backprop([y], [dy], [x])

    specs = Spec((3, 5, 4, 7), "float32"), Spec((3, 7), "float32")
    assert not any(step.op.name == "broadcast_to" for step in optimize(_graph(step, *specs)).nodes)
    x, dy = _random(3, 5, 4, 7), _random(3, 7, seed=1)
    (got,) = Plan(_graph(step, *specs)).run([x, dy])
    np.testing.assert_allclose(got, np.where(x > 0, dy[:, None, None, :] / np.float32(20), 0), rtol=1e-6)


def test_a_broadcast_that_gives_the_shape_is_kept():
    def grown(x):
        return ops.broadcast_to(x, (4, 5)) * 2.0

    (y,) = Plan(_graph(grown, Spec((5,), "float32"))).run([_random(5)])
    assert np.array_equal(y, np.broadcast_to(_random(5) * 2, (4, 5)))


@pytest.mark.parametrize("axis", [(2,), (0, 1), (1, 2), (0, 1, 2)])
def test_a_sum_that_keeps_its_axes_joins_the_chain_before_it(axis):
    def normalized(x):
        return x * ops.rsqrt(ops.sum(ops.square(x), axis=axis, keepdims=True) + 1.0)

    graph = optimize(_graph(normalized, Spec((6, 5, 37), "float32")))
    assert not any(step.op.name == "sum" for step in graph.nodes)
    x = _random(6, 5, 37)
    (y,) = Plan(_graph(normalized, Spec((6, 5, 37), "float32"))).run([x])
    np.testing.assert_allclose(y, x / np.sqrt(np.square(x).sum(axis, keepdims=True) + 1), rtol=1e-5)
