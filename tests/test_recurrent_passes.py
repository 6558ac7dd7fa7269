"""Recurrent layers on embeddings: tables are multiplied instead of gathered rows; kernels write only what somebody reads."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import layers, ops
from nnlite.backends.numpy import GraphRunner
from nnlite.graph.grad import backprop
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.passes import optimize
from nnlite.graph.plan import Plan
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace

ROWS, FEATURES, BATCH, STEPS = 11, 20, 6, 9


def _graph(function, *specs):
    with Trace() as trace:
        outputs = function(*[trace.input(spec) for spec in specs])
    return graph_of_trace(trace, outputs if isinstance(outputs, (list, tuple)) else [outputs])


def _random(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def _ids(*shape, rows=ROWS, seed=1):
    return np.random.default_rng(seed).integers(0, rows, shape).astype("int32")


def _names(graph):
    return [step.op.name for step in graph.nodes]


CELLS = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}


def _model(layer, rows=ROWS):
    return nnlite.Sequential([layers.Input((STEPS,), dtype="int32"), layers.Embedding(rows, FEATURES), layer])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("sequences", [True, False])
def test_prediction_multiplies_the_table_and_keeps_the_bits(name, sequences):
    model = _model(CELLS[name](8, return_sequences=sequences, go_backwards=sequences))
    ids = _ids(BATCH, STEPS)
    graph = optimize(_graph(lambda x: model(x), Spec(ids.shape, "int32")))
    assert "matmul" not in _names(graph) and "take_rows" not in _names(graph), "the table's product is of weights alone"
    (step,) = [step for step in graph.nodes if step.op.name == name]
    assert step.attributes["table"] == 1 and step.attributes.get("sequence", 1) == int(sequences) and step.attributes.get("keep", 0) == 0
    rows = model.layers[0](ids).numpy()
    plain = nnlite.Sequential([layers.Input((STEPS, FEATURES)), model.layers[-1]])
    np.testing.assert_array_equal(model.predict(ids, verbose=0), plain.predict(rows, verbose=0))


def test_predictions_follow_the_weights():
    model = _model(layers.LSTM(8))
    ids = _ids(BATCH, STEPS)
    before = model.predict(ids, verbose=0)
    for weight in model.weights:
        weight.assign(weight * 0.5)
    after = model.predict(ids, verbose=0)
    assert np.abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, model(ids).numpy(), rtol=0, atol=1e-6)


def test_rows_that_do_not_exist_give_nan():
    model = _model(layers.GRU(8))
    ids = _ids(BATCH, STEPS)
    ids[2, 3] = ROWS
    ids[4, 0] = -ROWS - 1
    found = model.predict(ids, verbose=0)
    assert np.isnan(found[[2, 4]]).all() and not np.isnan(found[[0, 1, 3, 5]]).any()


def test_large_tables_are_gathered():
    model = _model(layers.LSTM(8), rows=BATCH * STEPS * 8)
    ids = _ids(BATCH, STEPS, rows=BATCH * STEPS * 8)
    names = _names(optimize(_graph(lambda x: model(x), Spec(ids.shape, "int32"))))
    assert "matmul" in names and "take_rows" in names
    np.testing.assert_allclose(model.predict(ids, verbose=0), model(ids).numpy(), rtol=0, atol=1e-6)


def _gradient_graph(dtype, both):
    """Gradients of a table, kernels and a bias through one or two products of gathered rows."""
    from nnlite.ops.recurrent import lstm

    def step(ids, table, w, v, bias, u, h):
        rows = ops.reshape(ops.take(table, ids, axis=0), (BATCH * STEPS, FEATURES))
        states = []
        for kernel in (w, v)[: 1 + both]:
            x = ops.reshape(ops.matmul(rows, kernel) + bias, (BATCH, STEPS, 32))
            states.append(lstm(x, u, h, h, activation="tanh", recurrent_activation="sigmoid", reverse=0, mask=0)[0])
        loss = ops.sum(ops.square(states[0])) + (ops.sum(states[1] * 0.3) if both else 0.0)
        return [loss, *[g for g in backprop([loss], [None], [table, w, v, bias, u]) if g is not None]]

    shapes = ((ROWS, FEATURES), (FEATURES, 32), (FEATURES, 32), (32,), (8, 32), (BATCH, 8))
    return _graph(step, Spec((BATCH, STEPS), "int32"), *[Spec(shape, dtype) for shape in shapes])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("both", [False, True])
def test_gradients_add_up_rows_before_products(dtype, both):
    graph = optimize(_gradient_graph(dtype, both))
    rows = [graph.specs[step.outputs[0]].shape[0] for step in graph.nodes if step.op.name == "matmul"]
    assert rows.count(8) == 1 + both, "the recurrent kernel's gradient has no gathered rows"
    depths = [graph.specs[step.inputs[0]].shape for step in graph.nodes if step.op.name == "matmul"]
    assert sum((BATCH * STEPS) in shape for shape in depths) == 1 + both, "all other products have as many rows as the table"
    inputs = [_ids(BATCH, STEPS), *[_random(*graph.specs[i].shape, seed=k, dtype=dtype) * 0.3 for k, i in enumerate(graph.inputs[1:])]]
    got = Plan(_gradient_graph(dtype, both)).run(inputs)
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for a, b in zip(got, GraphRunner(_gradient_graph(dtype, both)).run(inputs), strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


def test_training_on_a_small_vocabulary_converges():
    nnlite.utils.set_random_seed(3)
    cells = layers.LSTM(16, return_sequences=True)
    model = nnlite.Sequential([layers.Input((STEPS,), dtype="int32"), layers.Embedding(ROWS, FEATURES), cells, layers.Dense(ROWS)])
    model.compile("adam", nnlite.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = _ids(8 * BATCH, STEPS)
    history = model.fit(x, x, batch_size=BATCH, epochs=30, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
