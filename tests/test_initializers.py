"""Initializers: distributions, seeds, names, configs."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import initializers as I  # noqa: E741

SHAPE = (300, 500)
# name -> (standard deviation for SHAPE, largest absolute value or None)
_TRUNCATED = 0.87962566103423978
DISTRIBUTIONS = {
    "GlorotUniform": (np.sqrt(2 / 800), np.sqrt(6 / 800)),
    "GlorotNormal": (np.sqrt(2 / 800), 2 * np.sqrt(2 / 800) / _TRUNCATED),
    "HeUniform": (np.sqrt(2 / 300), np.sqrt(6 / 300)),
    "HeNormal": (np.sqrt(2 / 300), 2 * np.sqrt(2 / 300) / _TRUNCATED),
    "LecunUniform": (np.sqrt(1 / 300), np.sqrt(3 / 300)),
    "LecunNormal": (np.sqrt(1 / 300), 2 * np.sqrt(1 / 300) / _TRUNCATED),
    "RandomNormal": (0.05, None),
    "RandomUniform": (0.05 / np.sqrt(3), 0.05),
    "TruncatedNormal": (0.05 * _TRUNCATED, 0.1),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_moments_and_limits(name):
    values = getattr(I, name)(seed=1)(SHAPE).numpy()
    stddev, limit = DISTRIBUTIONS[name]
    assert values.dtype == "float32" and values.shape == SHAPE
    assert abs(values.mean()) < 0.01 * stddev + 4 * stddev / np.sqrt(values.size)
    assert values.std() == pytest.approx(stddev, rel=0.01)
    if limit is not None:
        assert 0.99 * limit < abs(values).max() <= limit * (1 + 1e-6)


@pytest.mark.parametrize("mode, n", [("fan_in", 36), ("fan_out", 72), ("fan_avg", 54)])
@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal", "untruncated_normal"])
def test_variance_scaling_counts_the_cells_of_windows(mode, n, distribution):
    values = np.stack([I.VarianceScaling(2.0, mode, distribution, seed=s)((3, 3, 4, 8)).numpy() for s in range(40)])
    assert values.var() == pytest.approx(2.0 / n, rel=0.06)


@pytest.mark.parametrize("shape, fans", [((), (1, 1)), ((5,), (5, 5)), ((5, 7), (5, 7)), ((3, 3, 4, 8), (36, 72))])
def test_fans(shape, fans):
    from nnlite.initializers.drawn import compute_fans

    assert compute_fans(shape) == fans


def test_axes_of_inputs_and_outputs_can_be_chosen():
    values = I.VarianceScaling(1.0, "fan_in", "uniform", seed=1, input_axes=0, output_axes=(1, 2))((400, 20, 30)).numpy()
    assert abs(values).max() == pytest.approx(np.sqrt(3 / 400), rel=0.01)


@pytest.mark.parametrize("name", [*DISTRIBUTIONS, "Orthogonal", "VarianceScaling"])
def test_seeds_repeat_and_instances_without_seed_differ(name):
    make = getattr(I, name)
    first, again, other = make(seed=3), make(seed=3), make(seed=4)
    np.testing.assert_array_equal(first((4, 5)).numpy(), again((4, 5)).numpy())
    np.testing.assert_array_equal(first((4, 5)).numpy(), first((4, 5)).numpy())
    assert (first((4, 5)).numpy() != other((4, 5)).numpy()).any()
    assert (make()((4, 5)).numpy() != make()((4, 5)).numpy()).any()


def test_seed_generators_move_on():
    initializer = I.HeNormal(seed=nnlite.random.SeedGenerator(1))
    assert (initializer((3, 3)).numpy() != initializer((3, 3)).numpy()).any()


def test_set_random_seed_repeats_unseeded_weights():
    def weights():
        nnlite.utils.set_random_seed(5)
        model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(4), nnlite.layers.Dense(4)])
        return model.get_weights()

    for a, b in zip(weights(), weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 2, 3)])
def test_orthogonal(shape):
    matrix = I.Orthogonal(gain=2.0, seed=1)(shape).numpy().reshape(-1, shape[-1])
    small = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_constant_ones():
    assert I.Zeros()((2, 3)).numpy().tolist() == [[0] * 3] * 2 and I.Ones()((2,), dtype="int32").numpy().tolist() == [1, 1]
    assert I.Constant(3)((2,)).numpy().tolist() == [3, 3] and I.Constant([1.0, 2.0])((2, 2)).numpy().tolist() == [[1, 2]] * 2
    assert I.Identity(2.0)((2, 3)).numpy().tolist() == [[2, 0, 0], [0, 2, 0]]


@pytest.mark.parametrize(
    "name, kind",
    [
        ("glorot_uniform", "GlorotUniform"),
        ("GlorotUniform", "GlorotUniform"),
        ("he_normal", "HeNormal"),
        ("uniform", "RandomUniform"),
        ("normal", "RandomNormal"),
        ("zeros", "Zeros"),
        ("zero", "Zeros"),
        ("one", "Ones"),
        ("orthogonal", "Orthogonal"),
        ("OrthogonalInitializer", "Orthogonal"),
        ("identity", "Identity"),
        ("lecun_uniform", "LecunUniform"),
        ("truncated_normal", "TruncatedNormal"),
        ("variance_scaling", "VarianceScaling"),
        ("constant", "Constant"),
    ],
)
def test_names(name, kind):
    assert type(I.get(name)).__name__ == kind


def test_other_ways_to_name_initializers():
    function = lambda shape, dtype=None: np.ones(shape)  # noqa: E731
    assert I.get(None) is None and I.get(function) is function and type(I.get(I.HeNormal)).__name__ == "HeNormal"
    assert I.get({"class_name": "HeNormal", "config": {"seed": 3}}).seed == 3
    assert I.get(2.5).value == 2.5
    layer = nnlite.layers.Dense(2, kernel_initializer=I.Constant(2.0))
    assert layer(np.ones((1, 3), "float32")).numpy().tolist() == [[6, 6]]


@pytest.mark.parametrize(
    "initializer, config",
    [
        (I.HeNormal(3), {"seed": 3, "input_axes": None, "output_axes": None}),
        (I.RandomUniform(), {"seed": None, "minval": -0.05, "maxval": 0.05}),
        (
            I.VarianceScaling(),
            {"seed": None, "scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "input_axes": None, "output_axes": None},
        ),
        (I.Orthogonal(), {"seed": None, "gain": 1.0}),
        (I.Constant(2.0), {"value": 2.0}),
        (I.Identity(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_configs(initializer, config):
    assert initializer.get_config() == config
    assert I.get(I.serialize(initializer)).get_config() == config
    assert type(initializer.clone()) is type(initializer)


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: I.Identity()((2, 3, 3)), "only be used for 2D"),
        (lambda: I.Orthogonal()((2,)), "at least two-dimensional"),
        (lambda: I.VarianceScaling(scale=0), "`scale` must be positive"),
        (lambda: I.VarianceScaling(mode="x"), "Invalid `mode` argument: 'x'"),
        (lambda: I.VarianceScaling(distribution="x"), "Invalid `distribution` argument: 'x'"),
        (lambda: I.HeNormal("a"), "HeNormal received seed='a'"),
        (lambda: I.get("xavier"), "Could not interpret initializer identifier: 'xavier'"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()
