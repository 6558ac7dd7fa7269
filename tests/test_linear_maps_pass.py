"""Products that change places with sums after them and repetitions before them."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops
from nnlite.backends import active
from nnlite.graph import passes
from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.passes import linear_maps
from nnlite.graph.spec import spec_of_array

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has no passes")
rng = np.random.default_rng(0)
# Rows of a product by positions: enough work for the pass.
BATCH, POSITIONS, WIDTH, HIDDEN = 3, 20, 32, 240


def numbers(*shape, dtype="float64"):
    return rng.standard_normal(shape).astype(dtype)


def rows_of_products(plan):
    """Rows, or summed rows, of every product of a compiled function."""
    graph = plan.runner.graph
    return [graph.specs[step.inputs[0]].shape[0] for step in graph.nodes if step.op.name == "matmul"]


def compiled(function, *arrays):
    """(the plan of a function, its results), after a check against its results run eagerly."""
    plan = compile_function(function, [spec_of_array(array) for array in arrays])
    found = plan(list(arrays))
    expected = function(*[ops.convert_to_tensor(array) for array in arrays])
    tolerance = 1e-12 if arrays[0].dtype == np.float64 else 2e-5
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(np.asarray(b)).max())
    return plan, found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("axes,keepdims,rows", [(1, False, BATCH), (1, True, BATCH), ((0, 1), False, 1), (0, False, BATCH * POSITIONS)])
def test_sum_of_product_bias_and_residual(axes, keepdims, rows, dtype):
    w, b = numbers(HIDDEN, WIDTH, dtype=dtype), numbers(WIDTH, dtype=dtype)

    def step(h, x):
        return [ops.sum(x + (ops.reshape(ops.matmul(ops.reshape(h, (-1, HIDDEN)), w), x.shape) + b), axis=axes, keepdims=keepdims)]

    plan, _ = compiled(step, numbers(BATCH, POSITIONS, HIDDEN, dtype=dtype), numbers(BATCH, POSITIONS, WIDTH, dtype=dtype))
    assert rows_of_products(plan) == [rows]  # a sum over the batch, of three rows, saves too little


def test_dense_before_a_mean_has_gradients_of_few_rows():
    dense, first = layers.Dense(WIDTH, dtype="float64"), layers.Dense(HIDDEN, activation="gelu", dtype="float64")
    x, dy = numbers(BATCH, POSITIONS, WIDTH), numbers(BATCH, WIDTH)
    dense.build((BATCH, POSITIONS, HIDDEN))
    first.build(x.shape)

    def step(x, dy):
        y = ops.mean(x + dense(first(x)), axis=1)
        return [y, *backprop([y], [dy], [*dense.trainable_variables, *first.trainable_variables])]

    plan = compile_function(step, [spec_of_array(x), spec_of_array(dy)])
    found = plan([x, dy])
    # Forward: the first product is whole, the second has a row an example; so have both of its gradients.
    assert sorted(rows_of_products(plan)) == [BATCH, BATCH, BATCH, BATCH * POSITIONS, BATCH * POSITIONS]
    with nnlite.GradientTape() as tape:
        y = ops.mean(x + dense(first(ops.convert_to_tensor(x))), axis=1)
        total = ops.sum(y * dy)
    expected = [y, *tape.gradient(total, [*dense.trainable_variables, *first.trainable_variables])]
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_products_of_repeated_rows():
    w = numbers(HIDDEN, WIDTH)

    def step(x):
        many = ops.reshape(ops.broadcast_to(ops.reshape(x, (BATCH, 1, HIDDEN)), (BATCH, POSITIONS, HIDDEN)), (-1, HIDDEN))
        return [ops.matmul(many, w), ops.sum(many, axis=0)]

    plan, found = compiled(step, numbers(BATCH, HIDDEN))
    assert rows_of_products(plan) == [BATCH]
    rows = np.asarray(found[0]).reshape(BATCH, POSITIONS, WIDTH)
    np.testing.assert_array_equal(rows, np.repeat(rows[:, :1], POSITIONS, 1))


def test_a_sum_of_repeated_rows_is_a_multiple():
    def step(x):
        return [ops.sum(ops.broadcast_to(ops.reshape(x, (BATCH, 1, HIDDEN)), (BATCH, POSITIONS, HIDDEN)), axis=(0, 1))]

    plan, _ = compiled(step, numbers(BATCH, HIDDEN))
    graph = plan.runner.graph
    assert not any(step.op.name == "broadcast_to" for step in graph.nodes)


def test_what_others_read_stays():
    w = numbers(HIDDEN, WIDTH)

    def step(h):
        y = ops.reshape(ops.matmul(ops.reshape(h, (-1, HIDDEN)), w), (BATCH, POSITIONS, WIDTH))
        return [y, ops.sum(y, axis=1)]

    plan, _ = compiled(step, numbers(BATCH, POSITIONS, HIDDEN))
    assert rows_of_products(plan) == [BATCH * POSITIONS]


def test_small_products_stay():
    w = numbers(8, 16)
    plan, _ = compiled(lambda h: [ops.sum(ops.reshape(ops.matmul(ops.reshape(h, (-1, 8)), w), (2, 5, 16)), axis=1)], numbers(2, 5, 8))
    assert rows_of_products(plan) == [10]


def test_a_row_alone_has_the_bits_of_a_row_in_a_batch():
    inputs = nnlite.Input((POSITIONS, WIDTH))
    hidden = layers.Dense(WIDTH)(layers.Dense(HIDDEN, activation="gelu")(inputs))
    model = nnlite.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling1D()(layers.Add()([inputs, hidden]))))
    x = numbers(40, POSITIONS, WIDTH, dtype="float32")
    whole = model.predict(x, batch_size=40, verbose=0)
    for batch in (1, 7):
        np.testing.assert_array_equal(model.predict(x, batch_size=batch, verbose=0), whole)


def draw_function():
    """A function of sums, products and repetitions in random places, with its gradients; and its arguments."""
    lead = [int(dim) for dim in rng.integers(1, 4, rng.integers(1, 4))]
    depth, width = (int(dim) for dim in rng.integers(1, 5, 2))
    ones = [dim if rng.random() < 0.5 else 1 for dim in lead]
    axes = tuple(axis for axis in range(len(lead)) if rng.random() < 0.5) or (0,)
    keepdims, (rows, terms, after) = bool(rng.random() < 0.5), (int(n) for n in rng.integers(0, 4, 3))

    def product(x, w):
        return ops.reshape(ops.matmul(ops.reshape(x, (-1, w.shape[0])), w), (*lead, w.shape[1]))

    def function(x, h, w, back, b, r):
        y = product([ops.broadcast_to(x, (*lead, depth)), h + x, h, ops.broadcast_to(x, (*lead, depth)) * 2.0][rows], w)
        y = [y + b, b + y + r, r + (y + ops.reshape(b, (1,) * len(lead) + (width,))), y][terms]
        y = [ops.gelu(y), y + y, product(product(y, back), w) + y, y][after]
        total = ops.mean(y, axis=axes, keepdims=keepdims)
        return [total, *(g for g in backprop([total], [ops.ones_like(total)], [x, h, w, back, b, r]) if g is not None)]

    shapes = (*ones, depth), (*lead, depth), (depth, width), (width, depth), (width,), (*lead, width)
    return function, [numbers(*shape) for shape in shapes]


def test_random_functions_give_what_they_give_without_the_pass(monkeypatch):
    for name in ("_LEAST_FLOPS", "_LEAST_COLUMNS", "_LEAST_SUM"):
        monkeypatch.setattr(linear_maps, name, 0)
    changed = 0
    for _ in range(60):
        function, arrays = draw_function()
        specs = [spec_of_array(array) for array in arrays]
        with monkeypatch.context() as without:
            without.setattr(passes, "move_products", lambda graph: graph)
            plain = compile_function(function, specs)
        moved = compile_function(function, specs)
        changed += moved.runner.graph.dump() != plain.runner.graph.dump()
        for a, b in zip(moved(arrays), plain(arrays), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * max(1, np.abs(np.asarray(b)).max()))
    assert changed > 15
