"""nnlite.random: distributions, seeds, and generators inside compiled functions."""

from __future__ import annotations

import numpy as np
import pytest

from nnlite import ops, random
from nnlite.graph.function import function
from nnlite.graph.grad import GradientTape
from nnlite.ops.random_ops import philox_words

N = 40_000


def test_philox_known_answers():
    """The published test vectors of Philox4x32-10: counter and key all zeros, all ones, and digits of pi."""
    zeros = philox_words(np.array([0, 0], "int64"), 4)
    assert [hex(w) for w in zeros] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


@pytest.mark.parametrize(
    "draw, mean, deviation",
    [
        (lambda s: random.normal((N,), seed=s), 0.0, 1.0),
        (lambda s: random.normal((N,), 3.0, 2.0, seed=s), 3.0, 2.0),
        (lambda s: random.normal((N,), dtype="float64", seed=s), 0.0, 1.0),
        (lambda s: random.uniform((N,), seed=s), 0.5, 12**-0.5),
        (lambda s: random.uniform((N,), -2.0, 4.0, seed=s), 1.0, 6 * 12**-0.5),
        (lambda s: random.truncated_normal((N,), seed=s), 0.0, 0.8796),
        (lambda s: random.randint((N,), -3, 4, seed=s), 0.0, 2.0),
        (lambda s: random.gamma((N,), 4.0, seed=s), 4.0, 2.0),
        (lambda s: random.beta((N,), 2.0, 2.0, seed=s), 0.5, 0.05**0.5),
        (lambda s: random.binomial((N,), 10, 0.3, seed=s), 3.0, 2.1**0.5),
        (lambda s: random.categorical(np.log([[0.2, 0.3, 0.5]]), N, seed=s), 1.3, 0.61**0.5),
        (lambda s: random.dropout(np.ones(N, "float32"), 0.2, seed=s), 1.0, 0.5),
    ],
)
def test_moments(draw, mean, deviation):
    values = draw(11).numpy().astype("float64")
    assert abs(values.mean() - mean) < 5 * deviation / N**0.5
    assert abs(values.std() - deviation) < 0.02 * deviation
    assert not np.array_equal(values, draw(12).numpy())
    np.testing.assert_array_equal(values, draw(11).numpy().astype("float64"))


def test_ranges_and_dtypes():
    assert 0 <= random.uniform((N,), seed=1).numpy().min() and random.uniform((N,), seed=1).numpy().max() < 1
    assert np.abs(random.truncated_normal((N,), 1.0, 3.0, seed=1).numpy() - 1).max() <= 6.0001
    assert set(random.randint((1000,), 2, 5, seed=1).tolist()) == {2, 3, 4}
    assert random.randint((2,), 0, 5, dtype="int64").dtype == "int64" and random.normal((2,), dtype="float64").dtype == "float64"
    assert random.normal((2,), dtype="bfloat16").dtype == "bfloat16" and random.normal((), seed=1).shape == ()
    assert random.uniform((5,), 0, 10, dtype="int32").dtype == "int32"


def test_shuffle_permutes_slices():
    x = np.arange(60).reshape(20, 3)
    shuffled = random.shuffle(x, seed=4).numpy()
    assert not np.array_equal(shuffled, x)
    np.testing.assert_array_equal(shuffled[np.argsort(shuffled[:, 0])], x)
    assert sorted(random.shuffle(x, axis=1, seed=4).numpy()[0]) == [0, 1, 2]


def test_dropout_scales_keeps_and_repeats_its_mask_in_the_gradient():
    x = ops.ones((1000,))
    with GradientTape() as tape:
        y = random.dropout(x, 0.25, seed=3)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())
    assert set(np.unique(y.numpy())) == {0.0, np.float32(1 / 0.75)}
    assert random.dropout(x, 0.0).numpy() is not None and random.dropout(x, 1.0).numpy().max() == 0
    rows = random.dropout(ops.ones((4, 50)), 0.5, noise_shape=(None, 1), seed=3).numpy()
    assert all(len(set(row)) == 1 for row in rows)


def test_generators_move_on_and_repeat_from_their_seed():
    a, b = random.SeedGenerator(5), random.SeedGenerator(5)
    first, second = random.normal((3,), seed=a), random.normal((3,), seed=a)
    assert not np.array_equal(first.numpy(), second.numpy())
    np.testing.assert_array_equal(first.numpy(), random.normal((3,), seed=b).numpy())
    assert random.SeedGenerator.from_config(a.get_config()).seed == 5
    assert random.SeedGenerator().seed != random.SeedGenerator().seed


def test_generators_move_on_in_compiled_functions():
    generator, eager = random.SeedGenerator(5), random.SeedGenerator(5)

    @function
    def draw(x):
        return random.dropout(x, 0.5, seed=generator), random.normal((3,), seed=generator)

    x = np.ones(20, "float32")
    for _ in range(3):
        dropped, normal = draw(x)
        np.testing.assert_array_equal(dropped.numpy(), random.dropout(x, 0.5, seed=eager).numpy())
        np.testing.assert_array_equal(normal.numpy(), random.normal((3,), seed=eager).numpy())
    assert generator.state.numpy().tolist() == [5, 6]


def test_global_seed_makes_unseeded_functions_repeat():
    def draws():
        random.set_global_seed(9)
        return [
            random.normal((2,)).numpy(),
            random.uniform((2,)).numpy(),
            np.array(random.SeedGenerator().seed),
            random.normal((2,), seed=random.SeedGenerator()).numpy(),
        ]

    for one, other in zip(draws(), draws(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "run, text",
    [
        (lambda: random.normal((2,), dtype="int32"), r"normal\(\) draws floating-point numbers; received dtype='int32'"),
        (lambda: random.randint((2,), 0, 3, dtype="float32"), r"randint\(\) draws integers; received dtype='float32'"),
        (lambda: random.dropout(np.ones(2), 1.5), r"dropout\(\) takes a rate between 0 and 1; received rate=1.5"),
        (lambda: random.normal((2,), seed="one"), r"`seed` is an integer, a SeedGenerator, .*received 'one'"),
        (lambda: random.SeedGenerator(-1), r"integer seed >= 0 or None; received seed=-1"),
        (lambda: random.categorical(np.ones(3), 2), r"categorical\(\) takes logits \[batch, classes\]; received shape \(3,\)"),
        (lambda: function(lambda x: random.gamma((2,), x))(np.ones(2, "float32")), r"traced|compiled"),
    ],
)
def test_errors(run, text):
    with pytest.raises((ValueError, RuntimeError, TypeError), match=text):
        run()
