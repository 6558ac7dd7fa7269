"""Loops over independent rows run as sections, some rows each: which loops are cut, and that bits stay."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, config, layers, ops

ROUNDS, UNITS = 7, 6
rng = np.random.default_rng(5)
W, BIAS = rng.normal(size=(UNITS, 4 * UNITS)).astype("float32"), rng.normal(size=4 * UNITS).astype("float32")


@pytest.fixture(autouse=True)
def two_threads():
    before = config.get_num_threads()
    config.set_num_threads(2)
    yield
    config.set_num_threads(before)


def gates(state, x):
    """A cell of products, parts, activations and reshapes; the second state is bounded."""
    h, c = state
    sums = ops.matmul(h, W) + BIAS + ops.concatenate([x, x * 2, x - 1, h], axis=-1)
    a, b, g, o = ops.split(sums, 4, axis=-1)
    c = ops.sigmoid(a) * c + ops.tanh(b) * g
    return (ops.reshape(ops.softmax(ops.reshape(o, (-1, 2, 3))), (-1, UNITS)) * ops.tanh(c), c), h + c


def looped(cell=gates, **keywords):
    return nnlite.function(lambda h, c, xs: ops.scan(cell, (h, c), xs, **keywords))


def data(rows):
    return [rng.normal(size=(rows, UNITS)).astype("float32") for _ in range(2)] + [rng.normal(size=(ROUNDS, rows, UNITS)).astype("float32")]


def flat(result):
    return [tensor.numpy() for tensor in nnlite.tree.flatten(result)]


def sections(function) -> int:
    (compiled,) = function.cache.values()
    return sum("loop_begin" in line for line in compiled.runner._core.dump().splitlines())


@pytest.mark.parametrize("rows", [8, 9, 33, 70])
@pytest.mark.parametrize("reverse", [False, True])
def test_sections_keep_the_bits_of_every_row(rows, reverse):
    given = data(rows)
    whole, function = looped(reverse=reverse), looped(reverse=reverse)
    config.set_num_threads(1)
    expected = flat(whole(*given))
    assert sections(whole) == 1, "one thread needs no sections"
    config.set_num_threads(2)
    for _ in range(5):
        found = flat(function(*given))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert sections(function) == min(max(2, rows // 16), 8)
    alone = flat(looped(reverse=reverse)(given[0][3:4], given[1][3:4], given[2][:, 3:4]))
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_array_equal(a[..., 3:4, :] if a.ndim == 2 else a[:, 3:4], b)
    for threads in (1, 3):
        config.set_num_threads(threads)
        for a, b in zip(flat(function(*given)), expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_body_reads_rows_from_outside():
    scale, shift = rng.normal(size=(12, UNITS)).astype("float32"), nnlite.Variable(rng.normal(size=(12, 1)).astype("float32"))
    given = data(12)
    found = []
    for threads in (1, 2):
        config.set_num_threads(threads)
        function = nnlite.function(lambda h, c, xs, s: ops.scan(lambda h, x: (ops.tanh(h * s + x * shift) - scale, h * 2), h, xs)[0] + c)
        found.append(function(*given, scale * 0.5).numpy())
        assert sections(function) == threads
    np.testing.assert_array_equal(*found)


def bodies_that_mix_rows():
    square = rng.normal(size=(12, 12)).astype("float32")
    return {
        "a sum over rows": lambda h, x: (ops.tanh(h + x + ops.sum(h, axis=0)), h),
        "a product from the left": lambda h, x: (ops.tanh(ops.matmul(square, h) + x), h),
        "rows in another order": lambda h, x: (ops.tanh(ops.flip(h, axis=0) + x), h),
        "one row for all": lambda h, x: (ops.tanh(h + h[:1] + x), h),
        "a normalization over rows": lambda h, x: (ops.transpose(ops.softmax(ops.transpose(h + x))), h),
        "a mixing reshape": lambda h, x: (ops.reshape(ops.transpose(ops.reshape(h + x, (UNITS, 12))), (12, UNITS)), h),
    }


@pytest.mark.parametrize("name", bodies_that_mix_rows())
def test_loops_that_mix_rows_stay_whole(name):
    body = bodies_that_mix_rows()[name]
    h, _, xs = data(12)
    function = nnlite.function(lambda h, xs: ops.scan(body, h, xs))
    expected, ys = h, []
    for x in xs:
        expected, y = body(expected, x)
        ys.append(np.asarray(y))
    last, stacked = function(h, xs)
    assert sections(function) == 1
    np.testing.assert_allclose(last.numpy(), np.asarray(expected), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stacked.numpy(), np.stack(ys), rtol=1e-4, atol=1e-5)


def test_rows_that_are_as_many_as_units_are_not_taken_for_them():
    """A state [6, 6] and a bias of 6 for the columns."""
    h, xs = rng.normal(size=(8, 8)).astype("float32"), rng.normal(size=(ROUNDS, 8)).astype("float32")
    function = nnlite.function(lambda h, xs: ops.scan(lambda h, x: (ops.tanh(h + x), x), h, xs))
    found = function(h, xs)[0].numpy()
    for x in xs:
        h = np.tanh(h + x)
    np.testing.assert_allclose(found, h, rtol=1e-5, atol=1e-6)


def test_own_cells_predict_and_train_the_same_with_any_number_of_threads():
    found = []
    x = rng.normal(size=(40, 9, 3)).astype("float32")
    for threads in (1, 2):
        config.set_num_threads(threads)
        nnlite.utils.set_random_seed(2)
        cells = [layers.LSTMCell(8), layers.GRUCell(5)]
        model = nnlite.Sequential([nnlite.Input((9, 3)), layers.RNN(cells, return_sequences=True), layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(x, x[:, :, :1], batch_size=20, epochs=2, verbose=0).history["loss"]
        found.append([np.float32(history), model.predict(x, batch_size=20, verbose=0), *model.get_weights()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_of_a_loop_that_is_cut():
    h, c, xs = data(16)

    def loss(h, c, xs):
        with GradientTape() as tape:
            tape.watch(h)
            tape.watch(xs)
            (h1, c1), ys = ops.scan(gates, (h, c), xs)
            total = ops.sum(h1 * c1) + ops.sum(ys * ys)
        return total, *tape.gradient(total, [h, xs])

    found = []
    for threads in (1, 2):
        config.set_num_threads(threads)
        found.append(flat(nnlite.function(loss)(h, c, xs)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_rounds_are_shared_step_by_step_where_there_are_more_threads_than_blocks():
    w = rng.normal(size=(256, 256)).astype("float32") * 0.05
    h = rng.normal(size=(8, 256)).astype("float32")
    found = []
    for threads, cut in ((2, 2), (4, 1)):
        config.set_num_threads(threads)
        function = nnlite.function(lambda h: ops.fori_loop(0, 5, lambda i, h: ops.tanh(ops.matmul(h, w)), h))
        found.append(function(h).numpy())
        assert sections(function) == cut
    np.testing.assert_array_equal(*found)
