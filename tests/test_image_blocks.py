"""Chains of steps on images run for a few images at a time: where they begin and end, and that no bit changes."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import config, layers, ops
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.plan import Plan
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def _plan(function, *shapes) -> Plan:
    with Trace() as trace:
        outputs = function(*[trace.input(Spec(shape, "float32")) for shape in shapes])
    return Plan(graph_of_trace(trace, outputs if isinstance(outputs, (list, tuple)) else [outputs]))


def _loops(plan) -> list:
    return [step for step in plan.graph.nodes if step.op.name == "loop"]


def _inside(loop) -> list[str]:
    return [step.op.name for step in loop.attributes["body"].graph.nodes]


def _model(*stack, shape=(32, 32, 16)):
    model = nnlite.Sequential([layers.Input(shape), *stack])
    for k, weight in enumerate(model.weights):
        value = _random(*weight.shape, seed=k)
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else 0.2 * value)
    return model


def _separable(channels, strides=1):
    return [
        layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(channels, 1, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
    ]  # fmt: skip


def _residual():
    inputs = layers.Input((32, 32, 16))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = layers.Concatenate()([layers.Conv2D(16, 1)(x), layers.MaxPooling2D(3, strides=1, padding="same")(x)])
    x = layers.ZeroPadding2D(1)(layers.Add()([x, layers.Conv2D(32, 3, padding="same")(x)]))
    return nnlite.Model(inputs, layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(layers.Activation("relu")(x))))


MODELS = {
    "separable convolutions": lambda: _model(*_separable(32), *_separable(64, 2), layers.GlobalAveragePooling2D(), layers.Dense(5)),
    "sums, joins, pools and pads": _residual,
    "two results": lambda: _two_results(),
}


def _two_results():
    inputs = layers.Input((32, 32, 16))
    middle = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.Conv2D(16, 3, padding="same", activation="tanh")(inputs))
    return nnlite.Model(inputs, [middle, layers.DepthwiseConv2D(3)(middle)])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_blocks_change_no_bit(name, threads):
    model = MODELS[name]()
    x = _random(96, 32, 32, 16, seed=1)
    assert len(_loops(_plan(lambda x: model(x), x.shape))) == 1
    before = config.get_num_threads()
    config.set_num_threads(threads)
    try:
        together = model.predict(x, batch_size=96, verbose=0)
        apart = model.predict(x, batch_size=1, verbose=0)
    finally:
        config.set_num_threads(before)
    many = together if isinstance(together, list) else [together]
    few = apart if isinstance(apart, list) else [apart]
    for a, b in zip(many, few, strict=True):
        # Means over positions are sums in another order for one image.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5) if a.ndim == 2 else np.testing.assert_array_equal(a, b)


def test_the_whole_chain_is_in_one_loop():
    model = MODELS["separable convolutions"]()
    plan = _plan(lambda x: model(x), (64, 32, 32, 16))
    (loop,) = _loops(plan)
    assert _inside(loop) == ["depthwise_conv2d", "conv2d", "depthwise_conv2d", "conv2d", "sum"]
    assert loop.attributes["length"] * 4 >= 16 and 64 % loop.attributes["length"] == 0
    assert plan.arena_bytes < 6 << 20, "maps between the steps of a chain hold a block only"


@pytest.mark.parametrize("threads, sections", [(1, 0), (2, 4), (3, 6), (8, 16), (9, 0)])
def test_threads_run_blocks_of_their_own(threads, sections):
    model = MODELS["two results"]()
    x = _random(128, 32, 32, 16, seed=4)
    before = config.get_num_threads()
    config.set_num_threads(threads)
    try:
        plan = _plan(lambda x: model(x), x.shape)
        results = plan.run([x])
    finally:
        config.set_num_threads(before)
    assert plan.dump().count(": sections_next") == max(sections - 1, 0)
    for whole, k in zip(results, (0, 1), strict=True):
        alone = np.concatenate([model(x[i : i + 1])[k].numpy() for i in range(0, 128, 9)])
        np.testing.assert_array_equal(whole[::9], alone)


def test_profiles_look_into_blocks_that_threads_run():
    model = MODELS["separable convolutions"]()
    x = _random(96, 32, 32, 16, seed=5)
    before = config.get_num_threads()
    config.set_num_threads(2)
    try:
        plan = _plan(lambda x: model(x), x.shape)
        for _ in range(5):  # what calls cost is known, and sections are shared
            plan.run([x])
        profile = plan.profile([x], 2)
    finally:
        config.set_num_threads(before)
    convolutions = [seconds for label, seconds in profile if label.endswith("conv2d")]
    assert len(convolutions) == 16
    assert all(seconds > 0 for seconds in convolutions)


@pytest.mark.parametrize("channels, inside", [(64, True), (80, False)])
def test_sums_join_where_the_batch_does_not_cut_them(channels, inside):
    model = _model(*_separable(channels), layers.GlobalAveragePooling2D(), shape=(16, 16, 64))
    x = _random(96, 16, 16, 64)
    plan = _plan(lambda x: model(x), x.shape)
    (loop,) = _loops(plan)
    assert ("sum" in _inside(loop)) == inside
    np.testing.assert_allclose(plan.run([x])[0], model.predict(x, batch_size=1, verbose=0), rtol=0 if inside else 1e-5, atol=0 if inside else 1e-5)


def test_weights_that_change_between_runs_are_seen():
    model = MODELS["separable convolutions"]()
    x = _random(64, 32, 32, 16, seed=2)
    first = model.predict(x, batch_size=64, verbose=0)
    for weight in model.weights:
        weight.assign(weight.numpy() * 1.5)
    second = model.predict(x, batch_size=64, verbose=0)
    np.testing.assert_allclose(second, model.predict(x, batch_size=1, verbose=0), rtol=1e-5, atol=1e-4)
    assert not np.allclose(first, second)


def test_a_mean_over_the_batch_ends_a_chain():
    convolutions = [layers.Conv2D(16, 3, padding="same") for _ in range(4)]

    def function(x):
        x = ops.relu(convolutions[1](ops.relu(convolutions[0](x))))
        x = x - ops.mean(x, axis=0, keepdims=True)
        return convolutions[3](ops.relu(convolutions[2](x)))

    x = _random(96, 32, 32, 16, seed=3)
    for convolution in convolutions:
        convolution.build(x.shape)
    plan = _plan(function, x.shape)
    assert len(_loops(plan)) == 2
    np.testing.assert_allclose(plan.run([x])[0], function(nnlite.ops.convert_to_tensor(x)).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "batch, channels", [(53, 16), (2, 16), (64, 1)], ids=["a batch without divisors", "a batch that caches hold", "small images"]
)
def test_chains_that_would_gain_nothing_stay(batch, channels):
    model = _model(layers.DepthwiseConv2D(3), layers.DepthwiseConv2D(3), shape=(32, 32, channels))
    assert not _loops(_plan(lambda x: model(x), (batch, 32, 32, channels)))


def test_large_weights_stay_out():
    model = _model(layers.DepthwiseConv2D(3, padding="same"), layers.Conv2D(1024, 1), layers.Conv2D(1024, 1), shape=(4, 4, 1024))
    assert not _loops(_plan(lambda x: model(x), (256, 4, 4, 1024)))


def test_training_keeps_whole_batches():
    model = MODELS["separable convolutions"]()
    model.compile("sgd", "mse")
    model.fit(_random(64, 32, 32, 16), _random(64, 5), batch_size=64, verbose=0)
    assert not _loops(next(iter(model._steps._steps.values())).runner)


def test_a_profile_of_blocks_names_their_layers():
    model = MODELS["separable convolutions"]()
    x = _random(64, 32, 32, 16)
    labels = [label for label, _ in _plan(lambda x: model(x), x.shape).profile([x], 2)]
    assert sum("depthwise_conv2d" in label for label in labels) >= 2
