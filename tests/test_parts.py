"""Activations, regularizers, constraints and dtype policies: values of Keras, names, configs."""

from __future__ import annotations

import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest
from nnlite import activations, constraints, dtype_policies, ops, regularizers

GOLDEN = pathlib.Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import part_cases as cases  # noqa: E402

VALUES = json.loads((GOLDEN / "parts.json").read_text())


def each(entries):
    return pytest.mark.parametrize("name, arguments", entries, ids=[cases.key(*entry) for entry in entries])


def expect(result, name, arguments):
    np.testing.assert_allclose(np.asarray(result).reshape(-1), VALUES[cases.key(name, arguments)], rtol=2e-5, atol=2e-6)


@each(cases.ACTIVATIONS)
def test_activation_values(name, arguments):
    expect(getattr(activations, name)(ops.convert_to_tensor(cases.X), **arguments), name, arguments)


@each(cases.REGULARIZERS)
def test_regularizer_values(name, arguments):
    regularizer = getattr(regularizers, name)(**arguments)
    expect(regularizer(ops.convert_to_tensor(cases.X)), name, arguments)
    assert regularizers.get(regularizers.serialize(regularizer)).get_config() == regularizer.get_config()


@each(cases.CONSTRAINTS)
def test_constraint_values(name, arguments):
    constraint = getattr(constraints, name)(**arguments)
    expect(constraint(ops.convert_to_tensor(cases.X)), name, arguments)
    assert constraints.get(constraints.serialize(constraint)).get_config() == constraint.get_config()


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    y = activations.sparsemax(ops.convert_to_tensor(cases.X)).numpy()
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    # Where y is positive, x - y is the same number; elsewhere x is no larger than it.
    for x, row in zip(cases.X, y):
        shift = (x - row)[row > 0]
        np.testing.assert_allclose(shift, shift[0], rtol=1e-5, atol=1e-6)
        assert (x[row == 0] <= shift[0] + 1e-6).all()


def test_every_activation_goes_by_its_name():
    names = {name for name, _ in cases.ACTIVATIONS} | {"sparsemax"}
    for name in names:
        assert activations.serialize(activations.get(name)) == name
    assert (
        activations.get("swish") is activations.silu
        and activations.get("hard_swish") is activations.hard_silu
        and activations.get(None) is activations.linear
    )
    assert activations.serialize(activations.swish) == "silu"


def test_activations_may_be_functions_layers_and_registered_names():
    def double(x):
        return x * 2

    assert activations.get(double) is double
    layer = nnlite.layers.Dense(2, activation=nnlite.layers.LeakyReLU(0.5))
    copy = nnlite.layers.Dense.from_config(layer.get_config())
    assert copy.activation.negative_slope == 0.5

    @nnlite.saving.register_keras_serializable("tests")
    def triple(x):
        return x * 3

    config = json.loads(json.dumps(nnlite.layers.Dense(2, activation=triple).get_config()))
    assert nnlite.layers.Dense.from_config(config).activation is triple


@pytest.mark.parametrize("name, kind", [("l1", "L1"), ("l2", "L2"), ("L1L2", "L1L2"), ("orthogonal_regularizer", "OrthogonalRegularizer")])
def test_regularizers_by_name(name, kind):
    assert type(regularizers.get(name)).__name__ == kind


@pytest.mark.parametrize(
    "name, kind", [("max_norm", "MaxNorm"), ("MaxNorm", "MaxNorm"), ("non_neg", "NonNeg"), ("unit_norm", "UnitNorm"), ("min_max_norm", "MinMaxNorm")]
)
def test_constraints_by_name(name, kind):
    assert type(constraints.get(name)).__name__ == kind


def test_l2_by_name_is_a_hundredth():
    assert regularizers.get("l2").l2 == 0.01
    layer = nnlite.layers.Dense(2, kernel_regularizer="l2", kernel_initializer="ones")
    layer(np.ones((1, 3), "float32"))
    assert float(layer.losses[0]) == pytest.approx(0.06)


def test_constraints_hold_after_training():
    model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2, kernel_constraint="non_neg", bias_constraint=constraints.MaxNorm(0.1))])
    model.compile(nnlite.optimizers.SGD(1.0), "mse")
    model.fit(np.ones((8, 3), "float32"), -np.ones((8, 2), "float32"), epochs=3, verbose=0)
    kernel, bias = model.get_weights()
    assert kernel.min() >= 0 and np.linalg.norm(bias) <= 0.1 + 1e-6


def test_factors_must_be_finite_numbers():
    for bad in ("a", float("nan"), True):
        with pytest.raises(ValueError, match="expected a finite float"):
            regularizers.L2(bad)


def test_policies_give_dtypes():
    policy = dtype_policies.get("float64")
    assert (policy.compute_dtype, policy.variable_dtype, policy.name) == ("float64",) * 3
    assert dtype_policies.get(dtype_policies.serialize(policy)) == policy and dtype_policies.get(None).name == "float32"
    layer = nnlite.layers.Dense(2, dtype=policy)
    assert layer(np.ones((1, 3), "float32")).dtype == "float64" and layer.kernel.dtype == "float64"


def test_the_global_policy_is_the_default():
    dtype_policies.set_dtype_policy("float64")
    try:
        assert nnlite.layers.Dense(2).dtype == "float64"
    finally:
        dtype_policies.set_dtype_policy(None)
    assert nnlite.layers.Dense(2).dtype == "float32"
