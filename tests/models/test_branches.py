"""cond and switch on KerasTensors: functional models that choose between results."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], "float32")


def _check(function, expected_of):
    """The model of `function` on rows that sum to more than zero, and on others, called and in `predict`."""
    inputs = nnlite.Input((3,))
    model = nnlite.Model(inputs, function(inputs))
    for x in (X, -X):
        expected = expected_of(x)
        np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-6)
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-6)
    return model


def test_cond_on_tensors_of_the_model():
    _check(lambda x: ops.cond(ops.sum(x) > 0, lambda: x * 2, lambda: x - 1), lambda x: x * 2 if x.sum() > 0 else x - 1)
    _check(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: ops.zeros_like(x)), lambda x: x if x.sum() > 0 else 0 * x)
    _check(lambda x: ops.cond(True, lambda: x * 2, lambda: x - 1), lambda x: x * 2)
    _check(lambda x: x + ops.cond(ops.sum(x) > 0, lambda: 3.0, lambda: ops.ones((3,))[0]), lambda x: x + (3 if x.sum() > 0 else 1))


def test_switch_on_operands_and_on_other_tensors_of_the_model():
    def index(x):
        return ops.cast(ops.sum(x) > 0, "int32")

    _check(lambda x: ops.switch(index(x), [lambda a: a * 2, lambda a: a - 1], x), lambda x: x - 1 if x.sum() > 0 else x * 2)
    _check(lambda x: ops.switch(index(x) + 5, [lambda a: a * 2, lambda a: a - x / 2], x), lambda x: x / 2)
    _check(lambda x: ops.switch(1, [lambda a: a * 2, lambda a: a + x], x), lambda x: 2 * x)


def test_conds_in_conds():
    def function(x):
        total = ops.sum(x)
        return ops.cond(total > 0, lambda: ops.cond(total > 4, lambda: x, lambda: x * 2), lambda: ops.cond(total < -4, lambda: x * 3, lambda: x * 4))

    _check(function, lambda x: x if x.sum() > 4 else x * 3)


def test_shapes_of_unknown_batches_stay_unknown():
    x = nnlite.Input((3,))
    y = ops.cond(ops.sum(x) > 0, lambda: x[:, :2], lambda: x[:, 1:])
    assert y.shape == (None, 2) and y.dtype == "float32"
    with pytest.raises(ValueError, match="same structure and shapes"):
        ops.cond(ops.sum(x) > 0, lambda: x[:, :2], lambda: x)


def test_layers_in_branches_belong_to_the_model_and_are_trained(tmp_path):
    inputs = nnlite.Input((3,))
    first, second = layers.Dense(2, name="first"), layers.Dense(2, name="second")
    model = nnlite.Model(inputs, ops.cond(ops.sum(inputs) > 0, lambda: first(inputs), lambda: second(inputs)))
    assert [weight.path for weight in model.weights] == ["first/kernel", "first/bias", "second/kernel", "second/bias"]
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(X, np.ones((2, 2)), batch_size=2, epochs=1, verbose=0)
    after = model.get_weights()
    assert all((a != b).any() for a, b in zip(after[:2], before[:2])), "the branch that was chosen is trained"
    assert all((a == b).all() for a, b in zip(after[2:], before[2:])), "the other one has no gradient"
    model.save(tmp_path / "m.keras")
    loaded = nnlite.models.load_model(tmp_path / "m.keras")
    for x in (X, -X):
        np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_layers_as_branches_of_switch():
    inputs = nnlite.Input((3,))
    branches = [layers.Dense(2), layers.Dense(2, activation="relu")]
    model = nnlite.Model(inputs, ops.switch(ops.cast(ops.sum(inputs) > 0, "int32"), branches, inputs))
    assert len(model.weights) == 4
    for x, layer in ((X, branches[1]), (-X, branches[0])):
        np.testing.assert_allclose(model.predict(x, verbose=0), layer(x).numpy(), rtol=1e-6)
