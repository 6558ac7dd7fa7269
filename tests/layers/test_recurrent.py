"""Recurrent layers: values, gradients, states, configs, weights and files against Keras; kernels against steps; masks, dropout, states, errors."""

from __future__ import annotations

import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, layers, ops, tree

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from recurrent_cases import CASES  # noqa: E402

VALUES = np.load(GOLDEN / "recurrent.npz")
FACTS = json.loads((GOLDEN / "recurrent.json").read_text())
TOLERANCE = {"float32": dict(rtol=1e-5, atol=1e-5), "float64": dict(rtol=3e-7, atol=3e-7)}

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def flat(outputs) -> list:
    return tree.flatten(outputs)


def reset(layer) -> None:
    if getattr(layer, "stateful", False):
        layer.reset_state()


def prepared(case, dtype: str):
    """(layer with the golden weights, its inputs as tensors)."""
    nnlite.utils.clear_session()
    layer = case.make(nnlite, dtype)
    tensors = [ops.convert_to_tensor(array.astype(dtype)) for array in case.arrays()]
    case.run(layer, tensors, flat)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    reset(layer)
    return layer, tensors


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_keras(case, dtype):
    layer, tensors = prepared(case, dtype)
    sources = tensors + layer.trainable_weights
    with GradientTape() as tape:
        outputs = case.run(layer, tensors, flat)
        loss = sum(ops.sum(y * ops.convert_to_tensor(case.cotangent(i, y.shape).astype(dtype))) for i, y in enumerate(outputs))
    for i, y in enumerate(outputs):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), VALUES[f"{case.name}/output{i}"], **TOLERANCE[dtype])
    for i, gradient in enumerate(tape.gradient(loss, sources)):
        expected = VALUES[f"{case.name}/gradient{i}"]
        limit = dict(TOLERANCE[dtype], atol=TOLERANCE[dtype]["atol"] * max(1.0, float(np.abs(expected).max())))
        np.testing.assert_allclose(gradient.numpy(), expected, **limit)


def _comparable(config):
    """A config without what only one of the libraries has: its name, quantization, and the seed of SimpleRNN, which Keras forgets."""
    if isinstance(config, list):
        return [_comparable(item) for item in config]
    if not isinstance(config, dict):
        return config.replace("keras", "nnlite") if isinstance(config, str) else config
    return {key: _comparable(value) for key, value in config.items() if key not in ("quantization_config", "seed")}


@all_cases
def test_config_is_that_of_keras(case):
    nnlite.utils.clear_session()
    ours = json.loads(json.dumps(case.make(nnlite, "float32").get_config()))
    assert _comparable(ours) == _comparable(FACTS[case.name]["config"])
    assert ours.get("seed", None) is None


@all_cases
def test_weights_have_the_names_order_and_shapes_of_keras(case):
    layer, _ = prepared(case, "float32")
    assert [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights] == FACTS[case.name]["weights"]


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer, tensors = prepared(case, "float32")
    copy = layers.deserialize(layers.serialize(layer))
    case.run(copy, tensors, flat)
    copy.set_weights(layer.get_weights())
    reset(copy)
    for a, b in zip(case.run(copy, tensors, flat), case.run(layer, tensors, flat), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@all_cases
def test_compiled_call_and_gradients_equal_the_eager_ones(case):
    layer, tensors = prepared(case, "float32")

    def step(*inputs):
        with GradientTape() as tape:
            outputs = case.run(layer, inputs, flat)
            loss = sum(ops.sum(ops.square(y)) for y in outputs)
        return [*outputs, *tape.gradient(loss, layer.trainable_weights)]

    compiled = [y.numpy() for y in nnlite.function(step)(*tensors)]
    reset(layer)
    for a, b in zip(compiled, step(*tensors), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b.numpy()).max())))


@all_cases
def test_symbolic_shape_is_the_real_one(case):
    layer, tensors = prepared(case, "float32")
    real = [y.shape for y in case.run(layer, tensors, flat)][: len(flat(case.make(nnlite, "float32").compute_output_shape(case.shape))) or None]
    batch = case.shape[0] if getattr(layer, "stateful", False) else None
    fresh = case.make(nnlite, "float32")
    steps = None if case.shape[1] != 1 and not case.name.startswith("TimeDistributed") else case.shape[1]
    found = flat(fresh(nnlite.Input(batch_shape=(batch, steps, *case.shape[2:]))))
    for symbolic, shape in zip(found, real):
        assert len(symbolic.shape) == len(shape)
        assert all(a in (None, b) for a, b in zip(symbolic.shape, shape)) and symbolic.shape[0] == batch


def kinds() -> list:
    return [case for case in CASES if "-" not in case.name]


def built_kinds():
    made = [case.make(nnlite, "float32") for case in kinds()]
    for case, layer in zip(kinds(), made):
        case.run(layer, [array.astype("float32") for array in case.arrays()], flat)
    model = nnlite.Sequential(made)
    model.built = True
    return model, made


def test_files_of_keras_are_read():
    nnlite.utils.clear_session()
    model, made = built_kinds()
    model.load_weights(GOLDEN / "recurrent.weights.h5")
    for case, layer in zip(kinds(), made):
        for weight in layer.weights:
            np.testing.assert_array_equal(weight.numpy(), case.weight(weight.path, weight.shape).astype("float32"))


def test_files_have_the_groups_of_keras(tmp_path):
    h5py = pytest.importorskip("h5py")
    nnlite.utils.clear_session()
    model, _ = built_kinds()
    model.save_weights(tmp_path / "ours.weights.h5")

    def datasets(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None)
        return found

    assert datasets(tmp_path / "ours.weights.h5") == datasets(GOLDEN / "recurrent.weights.h5")


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_padded_batches_give_the_bits_of_each_sequence_alone(kind):
    layer = getattr(layers, kind)(37, return_sequences=True, return_state=True)
    lengths, x = [5, 1, 9, 3], rows(4, 9, 6)
    mask = np.arange(9) < np.array(lengths)[:, None]
    outputs, *states = layer(np.where(mask[..., None], x, np.nan), mask=mask)
    for i, length in enumerate(lengths):
        alone, *last = layer(x[i : i + 1, :length])
        np.testing.assert_array_equal(alone.numpy()[0], outputs.numpy()[i, :length])
        for one, all_states in zip(last, states):
            np.testing.assert_array_equal(one.numpy()[0], all_states.numpy()[i])


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_layer_equals_its_cell_step_by_step(kind):
    layer = getattr(layers, kind)(6, return_sequences=True, return_state=True)
    slow = layers.RNN(getattr(layers, kind + "Cell")(6), return_sequences=True, return_state=True)
    x, mask = rows(3, 5, 4), np.arange(5) < np.array([5, 2, 0])[:, None]
    slow(x), layer(x)
    slow.set_weights(layer.get_weights())
    for a, b in zip(layer(x, mask=mask), slow(x, mask=mask), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_integers_and_empty_batches(kind):
    layer = getattr(layers, kind)(3)
    x = np.random.default_rng(0).integers(-2, 3, (2, 4, 5))
    np.testing.assert_array_equal(layer(x).numpy(), layer(x.astype("float32")).numpy())
    assert layer(np.zeros((0, 4, 5), "float32")).shape == (0, 3)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_dropout_is_the_same_at_every_step_and_another_in_every_call(kind):
    start = "identity" if kind == "SimpleRNN" else "glorot_uniform"
    layer = getattr(layers, kind)(4, dropout=0.5, return_sequences=True, kernel_initializer=start, seed=3)
    x = np.ones((64, 3, 4), "float32")
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(layer(x).numpy(), layer(x).numpy())
    if kind == "SimpleRNN":  # the first outputs tell which inputs were dropped
        kept = first[:, 0] != 0
        assert 0.35 < kept.mean() < 0.65
        np.testing.assert_allclose(np.arctanh(first[:, 0][kept]), 2.0, rtol=1e-4)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_recurrent_dropout_changes_steps_after_the_first(kind):
    layer = getattr(layers, kind)(16, recurrent_dropout=0.5, return_sequences=True, seed=1)
    x = rows(8, 3, 4)
    plain, dropped = layer(x).numpy(), layer(x, training=True).numpy()
    np.testing.assert_allclose(plain[:, 0], dropped[:, 0], rtol=1e-5, atol=1e-6)
    assert np.abs(plain[:, 1:] - dropped[:, 1:]).max() > 1e-3


def test_masks_reach_losses_and_metrics_through_recurrent_layers():
    ids = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 0, 0, 0]])
    y = rows(3, 4, 1)
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    model = nnlite.Sequential([nnlite.Input((4,)), layers.Embedding(7, 3, mask_zero=True), both, layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    predicted = model.predict(ids, verbose=0)
    loss, mae = model.evaluate(ids, y, verbose=0)
    counts = (ids != 0)[..., None]
    np.testing.assert_allclose(mae, np.abs(predicted - y)[counts].mean(), rtol=1e-5)
    np.testing.assert_allclose(loss, np.square(predicted - y)[counts].mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_stateful_layers_go_on_where_the_last_batch_ended(kind):
    whole, parts = (getattr(layers, kind)(5, stateful=stateful, return_sequences=True) for stateful in (False, True))
    x = rows(2, 6, 3)
    whole(x), parts(x[:, :2])
    parts.set_weights(whole.get_weights())
    parts.reset_state()
    found = np.concatenate([parts(x[:, :2]).numpy(), parts(x[:, 2:]).numpy()], axis=1)
    np.testing.assert_array_equal(found, whole(x).numpy())
    parts.reset_states()
    np.testing.assert_array_equal(parts(x[:, :2]).numpy(), found[:, :2])


def test_stateful_models_keep_states_across_predict_and_fit():
    model = nnlite.Sequential([nnlite.Input(batch_shape=(2, 3, 4)), layers.LSTM(5, stateful=True), layers.Dense(1)])
    model.compile("sgd", "mse")
    x = rows(2, 3, 4)
    first, second = model.predict(x, batch_size=2, verbose=0), model.predict(x, batch_size=2, verbose=0)
    assert np.abs(first - second).max() > 1e-5
    model.layers[0].reset_state()
    np.testing.assert_array_equal(model.predict(x, batch_size=2, verbose=0), first)
    model.fit(x, np.ones((2, 1), "float32"), batch_size=2, epochs=2, verbose=0)
    assert np.abs(model.layers[0].states[0].numpy()).max() > 0


def test_cells_of_users_learn():
    class Decay(layers.Layer):
        """A leaky sum with a rate per unit; its state is a single tensor."""

        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = self.state_size = units

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
            self.rate = self.add_weight(shape=(self.units,), initializer="zeros", name="rate")

        def call(self, inputs, states):
            output = states[0] * ops.sigmoid(self.rate) + ops.matmul(inputs, self.kernel)
            return output, [output]

    model = nnlite.Sequential([nnlite.Input((None, 2)), layers.RNN([Decay(8), Decay(4)]), layers.Dense(1)])
    model.compile(nnlite.optimizers.Adam(0.02), "mse")
    x = rows(128, 6, 2)
    y = x.sum((1, 2))[:, None]
    losses = model.fit(x, y, epochs=40, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]
    assert model.predict(x[:, :3], verbose=0).shape == (128, 1)


X = np.ones((2, 4, 3), "float32")
BAD = [
    (lambda: layers.LSTM(0), r"invalid value for `units` of LSTMCell, expected a positive integer"),
    (lambda: layers.LSTM(3)(X[0]), r"expected ndim=3, found ndim=2"),
    (lambda: layers.LSTM(3)(X, initial_state=[np.ones((2, 3), "float32")]), r"has 2 states of sizes \[3, 3\]; received an initial_state of 1"),
    (lambda: layers.LSTM(3)(X, initial_state=[np.ones((2, 5), "float32")] * 2), r"here \(2, 3\); received an initial_state of shape \(2, 5\)"),
    (lambda: layers.GRU(3)(X, initial_state=[np.ones((1, 3), "float32")]), r"here \(2, 3\); received an initial_state of shape \(1, 3\)"),
    (lambda: layers.GRU(3)(X, mask=np.ones((2, 3), bool)), r"one value for each step, shape \(2, 4\); received shape \(2, 3\)"),
    (lambda: layers.SimpleRNN(3)(X[:, :0]), r"at least one step; received inputs of shape \(2, 0, 3\)"),
    (lambda: layers.RNN(3), r"Argument `cell` should have a `call` method"),
    (lambda: layers.RNN([layers.LSTMCell(2), "x"]), r"All cells should have a `call` method"),
    (lambda: layers.LSTM(3, stateful=True)(nnlite.Input((4, 3))), r"must be static. Found dynamic batch size: sequence.shape=\(None, 4, 3\)"),
    (lambda: [layer(X[:n]) for layer in [layers.LSTM(3, stateful=True)] for n in (2, 1)], r"Expected batch size: 2\n- Received batch size: 1"),
    (lambda: layers.LSTM(3)(nnlite.Input((4, None))), r"last axis of the inputs to LSTMCell must be known"),
    (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), r"Invalid merge mode. Received: max"),
    (lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)), r"different `go_backwards` value"),
    (
        lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, return_sequences=True)),
        r'same value for attribute "return_sequences", got "False" for forward layer and "True"',
    ),
    (lambda: layers.Bidirectional("LSTM"), r"initialize `Bidirectional` layer with a recurrent layer"),
    (lambda: layers.Bidirectional(layers.LSTM(3)).reset_state(), r"Layer must be stateful"),
    (lambda: layers.TimeDistributed(layers.Dense(2))(X[0]), r"at least 3 dimensions"),
    (lambda: layers.TimeDistributed(layers.Dense(2))(X, mask=np.ones((2, 3), bool)), r"\(2, 3\) that is incompatible with .* \(2, 4, 3\)"),
    (lambda: layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2), r"`strides > 1` is not compatible with `dilation_rate > 1`"),
    (lambda: layers.ConvLSTM2D(2, 3)(nnlite.Input((4, None, 5, 1))), r"static input shapes"),
    (lambda: layers.LSTM(3, colour=1), r"Unrecognized keyword arguments passed to LSTM: \{'colour': 1\}"),
]


@pytest.mark.parametrize("call, text", BAD, ids=[text[:40] for _, text in BAD])
def test_errors_name_the_rule_and_the_values(call, text):
    with pytest.raises((ValueError, AttributeError), match=text):
        call()
