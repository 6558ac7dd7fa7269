"""x[key] and its gradient against numpy, eagerly and compiled."""

from __future__ import annotations

import numpy as np
import pytest

from nnlite import ops
from nnlite.graph.function import function
from nnlite.graph.grad import GradientTape

X = np.arange(2 * 3 * 4 * 5, dtype="float32").reshape(2, 3, 4, 5)
I, J = np.array([1, 0, -1]), np.array([[0, 2], [1, -2]])
KEYS = [
    0, -1, (0, 1), (slice(None), 1), slice(1, None), slice(None, None, -1), slice(None, None, 2), (slice(None), slice(0, 2)), (slice(None), slice(2, 0, -1)),
    (..., 0), (..., slice(None, None, 3)), (0, ..., -1), None, (None, 0), (slice(None), None), (..., None), (0, None, slice(1, 3), ..., 2), (), Ellipsis,
    (slice(5, 2),), (slice(-2, None), slice(None, -1)), (slice(None), slice(-1, None, -2)), [1, 0], I % 2, (slice(None), I), (slice(None), slice(None), J), (..., J),
    (I % 2, I), (slice(None), I, I), (I % 2, slice(None), I), (0, slice(None), I), (slice(None), I, slice(1, 3)), (None, I % 2), (J % 2, J % 3, 1),
    (slice(None), J, J), (slice(None), [0, 2], slice(None), [1, 3]), np.int64(1), (np.int32(0), np.array(2)), (slice(None), 1, slice(None, None, -2), J),
    (slice(np.int64(0), np.int64(1)),),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_reading_is_like_numpy(key):
    ours = ops.convert_to_tensor(X)[key]
    assert ours.shape == X[key].shape
    np.testing.assert_array_equal(ours.numpy(), X[key])


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_compiled_reading_and_gradient(key):
    weights = np.random.default_rng(0).normal(size=X[key].shape).astype("float32")
    expected = np.zeros_like(X)
    np.add.at(expected, key, weights)

    def read(x):
        with GradientTape() as tape:
            y = x[key]
            total = ops.sum(y * weights)
        return y, tape.gradient(total, x)

    for run in (lambda x: read(ops.convert_to_tensor(x)), function(read)):
        y, gradient = run(X)
        np.testing.assert_array_equal(y.numpy(), X[key])
        np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-6)


def test_positions_may_be_traced():
    @function
    def rows(x, i):
        return x[:, i]

    np.testing.assert_array_equal(rows(X, np.array([2, 0], "int32")).numpy(), X[:, [2, 0]])
    np.testing.assert_array_equal(rows(X, np.array([-1], "int32")).numpy(), X[:, [-1]])


def test_boolean_masks_work_eagerly_and_say_why_not_when_compiled():
    x = ops.convert_to_tensor(X)
    np.testing.assert_array_equal(x[x > 50].numpy(), X[X > 50])
    np.testing.assert_array_equal(x[:, np.array([True, False, True])].numpy(), X[:, [True, False, True]])
    with pytest.raises(RuntimeError, match=r"nonzero\(\) has a result whose shape depends on values.*where\(\) with a mask"):
        function(lambda x: x[x > 50])(X)


def test_bad_keys():
    x = ops.convert_to_tensor(X)
    with pytest.raises(IndexError, match="Position 2 is outside axis 0 of size 2 in a tensor of shape"):
        x[2]
    with pytest.raises(IndexError, match="has 4 axes; the index"):
        x[0, 0, 0, 0, 0]
    with pytest.raises(ValueError, match=r"get_item\(\) takes integer positions; received dtype float32"):
        x[np.array([0.5], "float32")]


def test_where_with_only_a_condition_gives_positions():
    condition = np.array([[True, False], [True, True]])
    rows, columns = ops.where(condition)
    assert rows.tolist() == [0, 1, 1] and columns.tolist() == [0, 0, 1] and rows.dtype == "int32"


def test_slice_at_traced_positions_stays_inside():
    @function
    def block(x, start):
        return ops.slice(x, start, (2, 2))

    m = np.arange(20, dtype="float32").reshape(4, 5)
    np.testing.assert_array_equal(block(m, np.array([1, 2], "int32")).numpy(), m[1:3, 2:4])
    np.testing.assert_array_equal(block(m, np.array([9, -4], "int32")).numpy(), m[2:4, 0:2])


def test_slice_update_at_traced_positions():
    @function
    def changed(x, start, update):
        return ops.slice_update(x, start, update)

    m, update = np.zeros((4, 5), "float32"), np.ones((2, 2), "float32")
    expected = m.copy()
    expected[1:3, 2:4] = 1
    np.testing.assert_array_equal(changed(m, np.array([1, 2], "int32"), update).numpy(), expected)


def test_scatter_update_last_of_equal_positions_wins():
    assert ops.scatter_update([0, 0, 0], [[1], [1]], [5, 6]).tolist() == [0, 6, 0]


def test_positions_outside_the_table():
    table = np.arange(6, dtype="float32").reshape(3, 2)
    taken = ops.take(table, [0, 3, -1, -4], axis=0).numpy()
    assert taken[0].tolist() == [0, 1] and taken[2].tolist() == [4, 5] and np.isnan(taken[[1, 3]]).all()
    assert ops.take([1, 2], [5]).tolist() == [0]
    assert np.isnan(ops.take_along_axis(table, [[2], [0], [0]], axis=1).numpy()[0, 0])
