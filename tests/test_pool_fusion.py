"""Max pooling as the last step of a convolution: where it is used, the same bits as steps of their own, and gradients."""

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
rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape, "float32")


def compiled(function, *arrays):
    return compile_function(function, [spec_of_array(a) for a in arrays])


def names(plan):
    return [step.op.name for step in plan.runner.graph.nodes]


def net(x, w, b, activation="relu", **options):
    y = ops.conv(x, w, **options) + b
    return ops.max_pool(getattr(ops, activation)(y) if activation else y, 2, 2, "valid")


SHAPES = [((3, 13, 11, 3), (3, 3, 3, 20)), ((2, 16, 18, 32), (3, 3, 32, 80)), ((5, 9, 10, 24), (5, 5, 24, 16)), ((1, 2, 40, 8), (1, 1, 8, 64))]


@pytest.mark.parametrize("activation", ["relu", "tanh", None])
@pytest.mark.parametrize("x_shape,w_shape", SHAPES)
def test_inference_has_the_bits_of_separate_steps(x_shape, w_shape, activation):
    x, w, b = normal(*x_shape), normal(*w_shape), normal(w_shape[3])
    for padding in ("same", "valid"):
        if padding == "valid" and x_shape[1] < w_shape[0] + 1:
            continue
        plan = compiled(lambda x, w, b: net(x, w, b, activation, padding=padding), x, w, b)
        assert "max_pool2d" not in names(plan)
        np.testing.assert_array_equal(plan([x, w, b]), net(x, w, b, activation, padding=padding))


def test_packed_weights_pool_too():
    inputs = nnlite.Input((20, 20, 16))
    y = layers.MaxPooling2D()(layers.Conv2D(32, 3, activation="relu", bias_initializer="random_normal")(inputs))
    model = nnlite.Model(inputs, layers.MaxPooling2D()(layers.Conv2D(24, 3, activation="relu")(y)))
    x = normal(5, 20, 20, 16)
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.asarray(model(x)))


@pytest.mark.parametrize("activation", ["relu", None])
@pytest.mark.parametrize("x_shape,w_shape", SHAPES[:3])
def test_gradients_have_the_bits_of_separate_steps(x_shape, w_shape, activation):
    x, w, b = normal(*x_shape), normal(*w_shape), normal(w_shape[3])
    x[0, 3:6, 2:5], x[-1, 0, 0, 0] = 0, np.nan  # ties, and windows that hold NaN

    def step(x, w, b, dy):
        y = net(x, w, b, activation, padding="same")
        return [y, *backprop([y], [dy], [x, w, b])]

    dy = normal(*np.asarray(net(x, w, b, activation, padding="same")).shape)
    plan = compiled(step, x, w, b, dy)
    found = names(plan)
    assert "max_pool2d" not in found and "max_pool2d_grad" in found
    with nnlite.GradientTape() as tape:
        inputs = [ops.convert_to_tensor(a) for a in (x, w, b)]
        for each in inputs:
            tape.watch(each)
        y = net(*inputs, activation, padding="same")
        total = ops.sum(ops.where(dy == 0, 0.0, y * dy))
    expected = tape.gradient(total, inputs)
    results = plan([x, w, b, dy])
    np.testing.assert_array_equal(results[0], y)
    np.testing.assert_array_equal(results[1], expected[0])
    np.testing.assert_array_equal(results[2], expected[1])
    np.testing.assert_allclose(results[3], expected[2], rtol=1e-4, atol=1e-4)


def test_maps_that_others_read_are_kept():
    x, w = normal(2, 8, 8, 4), normal(3, 3, 4, 16)

    def both(x, w):
        y = ops.relu(ops.conv(x, w))
        return y, ops.max_pool(y, 2, 2)

    plan = compiled(both, x, w)
    assert "max_pool2d" in names(plan)
    np.testing.assert_array_equal(plan([x, w])[1], both(x, w)[1])


@pytest.mark.parametrize(
    "case",
    [
        lambda x: ops.max_pool(ops.conv(x, np.ones((3, 3, 4, 4), "float32")), 2, 2),  # few filters
        lambda x: ops.max_pool(ops.conv(x, np.ones((3, 1, 4, 16), "float32")), 2, 2),
        lambda x: ops.max_pool(ops.conv(x, np.ones((3, 3, 2, 16), "float32")), 2, 2),  # groups
        lambda x: ops.max_pool(ops.conv(x, np.ones((3, 3, 4, 16), "float32")), 3, 2),
        lambda x: ops.max_pool(ops.conv(x, np.ones((2, 2, 4, 16), "float32")), 2, 2, "same"),  # 7 rows
        lambda x: ops.average_pool(ops.conv(x, np.ones((3, 3, 4, 16), "float32")), 2, 2),
        lambda x: ops.max_pool(ops.conv(ops.cast(x, "float64"), np.ones((3, 3, 4, 16))), 2, 2),
    ],
)
def test_other_pooling_stays_a_step(case):
    x = normal(2, 8, 8, 4)
    plan = compiled(case, x)
    assert any("pool2d" in name for name in names(plan))
    np.testing.assert_array_equal(plan([x]), case(x))


def test_training_agrees_for_every_number_of_threads(trains_alike):
    def build():
        return nnlite.Sequential([nnlite.Input((14, 14, 3)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4)])

    trains_alike(build, normal(32, 14, 14, 3), batch_size=16)
