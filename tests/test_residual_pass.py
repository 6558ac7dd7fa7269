"""The sum and relu of residual blocks inside convolutions, in inference."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops
from nnlite.backends import active
from nnlite.graph import plan as plans

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has no fused steps")
rng = np.random.default_rng(0)


@pytest.fixture
def made(monkeypatch):
    """The plans that a test makes."""
    found = []
    init = plans.Plan.__init__
    monkeypatch.setattr(plans.Plan, "__init__", lambda self, *args, **kwargs: (init(self, *args, **kwargs), found.append(self))[0])
    return found


def steps_of(graph):
    for step in graph.nodes:
        yield step
        if "body" in step.attributes:
            yield from steps_of(step.attributes["body"].graph)


def block(x, filters, strides=1, activation="relu"):
    y = layers.Conv2D(filters, 3, strides=strides, padding="same", activation="relu", bias_initializer="random_normal")(x)
    y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    if strides != 1 or x.shape[-1] != filters:
        x = layers.Conv2D(filters, 1, strides=strides)(x)
    y = layers.Add()([y, x])
    return layers.Activation(activation)(y) if activation else y


@pytest.mark.parametrize("activation", ["relu", "tanh", None])
@pytest.mark.parametrize("size,batch", [((12, 11), 3), ((32, 32), 64)])
def test_blocks_have_the_bits_of_separate_steps(made, size, batch, activation):
    inputs = nnlite.Input((*size, 16))
    outputs = block(block(block(inputs, 16, activation=activation), 32, 2, activation), 32, activation=activation)
    model = nnlite.Model(inputs, outputs)
    x = rng.standard_normal((batch, *size, 16)).astype("float32")
    x[0, 3, 4, 5] = np.nan
    found = model.predict(x, batch_size=batch, verbose=0)
    residual = [step for step in steps_of(made[-1].graph) if step.attributes.get("residual")]
    assert len(residual) == 3
    assert all(step.attributes.get("activation") == ("relu" if activation == "relu" else None) for step in residual)
    np.testing.assert_allclose(found, np.asarray(model(x)), rtol=2e-4, atol=2e-5)


def test_sums_of_plain_convolutions_have_the_same_bits(made):
    inputs = nnlite.Input((10, 9, 20))
    y = layers.Conv2D(24, 3, padding="same")(inputs) + layers.Conv2D(24, 5, padding="same")(inputs)
    model = nnlite.Model(inputs, ops.relu(y))
    x = rng.standard_normal((4, 10, 9, 20)).astype("float32")
    found = model.predict(x, verbose=0)
    assert [step.op.name for step in steps_of(made[-1].graph)] == ["conv2d", "conv2d"]
    np.testing.assert_array_equal(found, np.asarray(model(x)))


def test_sums_that_broadcast_or_have_readers_stay(made):
    inputs = nnlite.Input((8, 8, 16))
    y = layers.Conv2D(16, 3, padding="same")(inputs)
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(inputs)
    model = nnlite.Model(inputs, [y + pooled, layers.Conv2D(16, 1)(inputs) * 2 + y, layers.Conv2D(4, 3, padding="same")(inputs) + inputs[..., :4]])
    x = rng.standard_normal((2, 8, 8, 16)).astype("float32")
    found = model.predict(x, verbose=0)
    assert not any(step.attributes.get("residual") for step in steps_of(made[-1].graph))
    for a, b in zip(found, model(x)):
        np.testing.assert_allclose(a, np.asarray(b), rtol=1e-5, atol=1e-5)
