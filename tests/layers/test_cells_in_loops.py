"""Cells of one's own in RNN, which run in a loop of the plan: against the built-in layers and the unrolled form."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops

rng = np.random.default_rng(3)


class _NoisyCell(layers.Layer):
    """A cell with statistics and random numbers that go on from step to step."""

    state_size = output_size = 4

    def __init__(self):
        super().__init__()
        self.dense, self.normalization, self.dropout = layers.Dense(4), layers.BatchNormalization(), layers.Dropout(0.3, seed=1)

    def build(self, shape):
        self.dense.build((None, shape[-1] + 4))
        self.normalization.build((None, 4))

    def call(self, x, states, training=False):
        h = self.normalization(self.dense(ops.concatenate([x, states[0]], -1)), training=training)
        h = self.dropout(h, training=training)
        return h, [ops.tanh(h)]


def test_layers_inside_a_loop_do_what_they_do_unrolled():
    found = []
    for unroll in (False, True):
        model = nnlite.Sequential([nnlite.Input((6, 3)), layers.RNN(_NoisyCell(), unroll=unroll), layers.Dense(1)])
        model.compile("sgd", "mse")
        model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        x = np.linspace(-1, 1, 16 * 18).reshape(16, 6, 3)
        found.append([model.fit(x, x[:, 0, :1], epochs=2, batch_size=8, verbose=0, shuffle=False).history["loss"], *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class _Cell(layers.Layer):
    """An LSTM written by hand."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size = units, [units, units]

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4 * self.units), name="kernel")
        self.recurrent_kernel = self.add_weight(shape=(self.units, 4 * self.units), name="recurrent_kernel")
        self.bias = self.add_weight(shape=(4 * self.units,), name="bias")

    def call(self, x, states):
        h, c = states
        z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel) + self.bias
        i, f, g, o = ops.split(z, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        return h, [h, c]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_cells_of_ones_own_train_as_the_built_in_layer(backwards, sequences, masked):
    options = {"return_sequences": sequences, "go_backwards": backwards}
    x = rng.normal(size=(8, 7, 5)).astype("float32")
    x[:, 4:] *= rng.integers(0, 2, (8, 3, 1)) if masked else 1
    y = rng.normal(size=(8, 7, 4) if sequences else (8, 4)).astype("float32")
    found = []
    for layer in (layers.RNN(_Cell(4), **options), layers.LSTM(4, **options)):
        model = nnlite.Sequential([nnlite.Input((7, 5)), *([layers.Masking()] if masked else []), layer])
        model.compile(nnlite.optimizers.SGD(0.1), "mse")
        model.set_weights([np.linspace(-0.5, 0.5, w.size).reshape(w.shape) for w in model.get_weights()])
        history = model.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"]
        found.append([history, *model.get_weights(), model.predict(x, verbose=0)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


def test_recurrent_dropout_drops_the_same_units_at_all_steps():
    cell = layers.SimpleRNNCell(64, activation="linear", use_bias=False, recurrent_dropout=0.5, seed=1)
    layer = layers.RNN(cell, return_sequences=True)
    x = np.ones((2, 4, 1), "float32")
    layer(x)
    layer.set_weights([np.ones((1, 64)), np.eye(64)])
    y = np.asarray(nnlite.function(lambda v: layer(v, training=True))(x))
    dropped = y[:, 1] == 1
    assert 0.2 < dropped.mean() < 0.8
    assert (y[:, 3][dropped] == 1).all() and (y[:, 3][~dropped] == 15).all()


class _DenseCell(layers.Layer):
    """A cell of one layer, which has no `build` of its own."""

    state_size = 4

    def __init__(self, **options):
        super().__init__()
        self.dense = layers.Dense(4, **options)

    def call(self, x, states):
        h = ops.tanh(self.dense(ops.concatenate([x, states[0]], -1)))
        return h, [h]


def test_layers_inside_a_cell_without_build_are_built_and_trained():
    model = nnlite.Sequential([nnlite.Input((6, 3)), layers.RNN(_DenseCell()), layers.Dense(1)])
    assert [weight.shape for weight in model.weights] == [(7, 4), (4,), (4, 1), (1,)]
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 6, 3), "float32"), np.ones(8, "float32"), verbose=0)
    assert all(not np.array_equal(old, new) for old, new in zip(before, model.get_weights()))


class _PenalizedCell(_DenseCell):
    """A cell that adds a loss in each step, as does the layer in it."""

    def call(self, x, states):
        h, states = super().call(x, states)
        self.add_loss(0.1 * ops.mean(ops.abs(h)))
        return h, states


@pytest.mark.parametrize("masked", [False, True])
def test_losses_of_all_steps_are_added_up(masked):
    found = []
    x = np.linspace(-1, 1, 16 * 18).reshape(16, 6, 3).astype("float32")
    x[::3, 4:] = 0.0
    for unroll in (False, True):
        front = [layers.Masking()] if masked else []
        model = nnlite.Sequential([nnlite.Input((6, 3)), *front, layers.RNN(_PenalizedCell(activity_regularizer="l2"), unroll=unroll), layers.Dense(1)])
        model.compile("sgd", "mse")
        assert model.losses == [], "building a model leaves no losses"
        model.set_weights([np.linspace(-1, 1, w.size).reshape(w.shape) for w in model.get_weights()])
        before = model.evaluate(x, x[:, 0, :1], batch_size=8, verbose=0)
        history = model.fit(x, x[:, 0, :1], epochs=2, batch_size=8, verbose=0, shuffle=False).history["loss"]
        model(x)
        total = float(sum(model.losses))
        assert len(model.losses) == 12, "one of the cell and one of its layer for each step"
        found.append([before, history, total, *model.get_weights()])
        plain = np.mean((model.predict(x, verbose=0) - x[:, 0, :1]) ** 2)
        np.testing.assert_allclose(model.evaluate(x, x[:, 0, :1], batch_size=16, verbose=0), plain + total, rtol=1e-5)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
