"""Winograd and direct convolutions: which is used where, equal in eager steps, plans and packed plans, and right in gradients."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import config, layers, ops
from nnlite.backends import active

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has one method")
rng = np.random.default_rng(0)


@pytest.fixture
def exact():
    config.enable_exact_convolution()
    yield
    config.disable_exact_convolution()


def normal(*shape):
    return rng.standard_normal(shape, "float32")


def small_net():
    inputs = nnlite.Input((10, 11, 16))
    x = layers.Conv2D(24, 3, activation="silu", padding="same", bias_initializer="random_normal")(inputs)
    x = layers.Conv2D(16, 5, activation="tanh", padding="same")(x)
    x = layers.Conv2DTranspose(16, 3, padding="same")(x)
    return nnlite.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def gradients(model, x, y):
    with nnlite.GradientTape() as tape:
        loss = ops.mean(ops.square(model(x, training=True) - y))
    return float(loss), [np.asarray(g) for g in tape.gradient(loss, model.trainable_variables)]


def relative(a, b):
    return np.sqrt(np.mean((np.asarray(a, "float64") - b) ** 2) / np.mean(np.asarray(b, "float64") ** 2))


def test_gradients_agree_with_exact_convolutions():
    model, x, y = small_net(), normal(3, 10, 11, 16), normal(3, 3)
    _, fast = gradients(model, x, y)
    config.enable_exact_convolution()
    try:
        _, exact = gradients(model, x, y)
    finally:
        config.disable_exact_convolution()
    assert any((a != b).any() for a, b in zip(fast, exact))
    for a, b in zip(fast, exact):
        assert relative(a, b) < 1e-5


def test_gradients_agree_with_finite_differences():
    model, x, y = small_net(), normal(3, 10, 11, 16), normal(3, 3)
    _, found = gradients(model, x, y)
    for variable, gradient in zip(model.trainable_variables, found):
        direction = gradient / np.linalg.norm(gradient)
        start, losses = variable.numpy(), []
        for step in (0.01, -0.01):
            variable.assign(start + step * direction)
            losses.append(gradients(model, x, y)[0])
        variable.assign(start)
        np.testing.assert_allclose((losses[0] - losses[1]) / 0.02, np.linalg.norm(gradient), rtol=0.01, atol=1e-5)


@pytest.mark.parametrize("kernel", [(3, 3, 32, 48), (5, 5, 16, 80)], ids=["3x3", "5x5"])
def test_eager_compiled_and_packed_have_the_same_bits(kernel):
    x, w, b = normal(3, 13, 9, kernel[2]), normal(*kernel), normal(kernel[3])
    eager = np.asarray(ops.relu(ops.conv(x, w, padding="same") + b))
    compiled = np.asarray(nnlite.function(lambda x, w, b: ops.relu(ops.conv(x, w, padding="same") + b))(x, w, b))
    layer = layers.Conv2D(kernel[3], kernel[0], padding="same", activation="relu")
    model = nnlite.Sequential([nnlite.Input(x.shape[1:]), layer])
    layer.set_weights([w, b])
    np.testing.assert_array_equal(compiled, eager)
    np.testing.assert_array_equal(model.predict(x, verbose=0), eager)
    np.testing.assert_array_equal(model.predict(x[:1], verbose=0), eager[:1])


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_lines_are_as_exact_ones(size, padding):
    # A smooth activation: at a kink, a rounding error may turn a whole gradient on or off.
    model = nnlite.Sequential([nnlite.Input((70, 64)), layers.Conv1D(96, size, padding=padding, activation="silu", bias_initializer="random_normal")])
    x, y = normal(3, 70, 64), normal(*model.compute_output_shape((3, 70, 64)))
    fast = [model.predict(x, verbose=0), *gradients(model, x, y)[1]]
    config.enable_exact_convolution()
    try:
        exact = [model.predict(x, verbose=0), *gradients(model, x, y)[1]]
    finally:
        config.disable_exact_convolution()
    assert (fast[0] != exact[0]).any() and (fast[1] != exact[1]).any()
    for a, b in zip(fast, exact):
        assert relative(a, b) < 1e-5


def test_packed_weights_follow_assignments():
    model = nnlite.Sequential([nnlite.Input((14, 14, 16)), layers.Conv2D(16, 3)])
    x = normal(2, 14, 14, 16)
    before = model.predict(x, verbose=0)
    kernel, bias = model.get_weights()
    model.set_weights([2 * kernel, bias])
    np.testing.assert_array_equal(model.predict(x, verbose=0), 2 * before)


def test_inference_plans_transform_weights_outside_of_the_hot_path():
    model = nnlite.Sequential([nnlite.Input((14, 14, 16)), layers.Conv2D(16, 3)])
    model.predict(normal(2, 14, 14, 16), verbose=0)
    (step,) = model._step_cache._steps.values()
    graph = step.runner.graph
    assert [s.op.name for s in graph.prologue] == ["winograd_pack"]
    assert [s.op.name for s in graph.nodes] == ["conv2d"]


def test_setting_reaches_what_is_compiled_already():
    x, w = normal(2, 12, 12, 16), normal(3, 3, 16, 32)
    model = nnlite.Sequential([nnlite.Input((12, 12, 16)), layers.Conv2D(32, 3, use_bias=False)])
    model.set_weights([w])
    function = nnlite.function(lambda x: ops.conv(x, w))
    calls = (lambda: np.asarray(ops.conv(x, w)), lambda: model.predict(x, verbose=0), lambda: np.asarray(model(x)), lambda: np.asarray(function(x)))
    fast = [call() for call in calls for _ in range(3)]
    config.enable_exact_convolution()
    try:
        exact = [call() for call in calls for _ in range(3)]
    finally:
        config.disable_exact_convolution()
    again = [call() for call in calls for _ in range(3)]
    for result in fast + again:
        np.testing.assert_array_equal(result, fast[0])
    for result in exact:
        np.testing.assert_array_equal(result, exact[0])
    assert (fast[0] != exact[0]).any()


def test_exact_convolution_keeps_nan_under_the_kernel(exact):
    x = normal(1, 12, 12, 16)
    x[0, 0, 0, 0] = np.nan
    assert np.isnan(np.asarray(ops.conv(x, normal(3, 3, 16, 16), padding="same"))).all(-1).sum() == 4


def test_training_with_exact_convolutions_ends_close_to_training_without():
    x, y = normal(32, 10, 10, 16), normal(32, 1)

    def train():
        nnlite.utils.set_random_seed(1)
        model = nnlite.Sequential([nnlite.Input((10, 10, 16)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=8, epochs=2, verbose=0)
        return model.get_weights()[0]

    fast = train()
    config.enable_exact_convolution()
    try:
        exact = train()
    finally:
        config.disable_exact_convolution()
    assert (fast != exact).any()
    assert relative(fast, exact) < 1e-4


def test_setting_is_idempotent():
    assert config.exact_convolution() is False
    config.enable_exact_convolution()
    config.enable_exact_convolution()
    assert config.exact_convolution() is True
    config.disable_exact_convolution()
    assert config.exact_convolution() is False
