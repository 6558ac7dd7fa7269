"""Every entry of docs/footguns.md: the limit is as described, and so is the way around."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import ops

ones = np.ones(3, "float32")


@pytest.mark.parametrize(
    "use",
    [lambda x: x if ops.sum(x) > 0 else -x, lambda x: x * float(ops.sum(x)), lambda x: np.sin(x), lambda x: x.numpy()],
    ids=["if", "float", "numpy function", "numpy()"],
)
def test_values_are_not_known_while_tracing(use):
    with pytest.raises(
        TypeError, match="is being traced.*Use nnlite.ops instead of numpy or Python control flow, or compile the model with run_eagerly=True"
    ):
        nnlite.function(use)(ones)


def test_where_and_cond_choose():
    chosen = nnlite.function(lambda x: (ops.where(ops.sum(x) > 0, x, -x), ops.cond(ops.sum(x) > 5, lambda: x, lambda: x * 2)))
    for found, expected in zip(chosen(ones), (ones, 2 * ones)):
        np.testing.assert_array_equal(found, expected)


def test_run_eagerly_knows_values():
    class Abs(nnlite.Model):
        def call(self, x):
            return x if float(ops.sum(x)) > 0 else -x

    model = Abs()
    model.compile("sgd", "mse", run_eagerly=True)
    x = -np.ones((2, 1), "float32")
    np.testing.assert_array_equal(model.predict(x, verbose=0), -x)
    assert model.evaluate(x, -x, verbose=0) == 0.0


def test_eager_training_knows_values():
    class Switch(nnlite.Model):
        def __init__(self):
            super().__init__()
            self.dense = nnlite.layers.Dense(1, kernel_initializer="ones")

        def call(self, x):
            return self.dense(x) if float(ops.sum(x)) > 0 else x

    model = Switch()
    model.compile(nnlite.optimizers.SGD(0.5), "mse", run_eagerly=True)
    model.fit(np.ones((2, 1), "float32"), np.zeros((2, 1), "float32"), epochs=1, verbose=0)
    assert model.dense.kernel.numpy().item() == 0.0


def test_side_effects_happen_once_per_signature():
    seen = []
    function = nnlite.function(lambda x: seen.append(1) or x + 1)
    for _ in range(3):
        function(ones)
    assert len(seen) == 1
    function(np.ones(4, "float32"))
    assert len(seen) == 2


def test_variables_count_every_step():
    count = nnlite.Variable(0.0)

    @nnlite.function
    def step(x):
        count.assign_add(1.0)
        return x

    for _ in range(3):
        step(ones)
    assert float(count.numpy()) == 3.0


def test_values_from_outside_are_frozen_but_variables_are_read():
    outside, variable = {"k": 1.0}, nnlite.Variable(1.0)
    frozen, read = nnlite.function(lambda x: x * outside["k"]), nnlite.function(lambda x: x * variable)
    frozen(ones), read(ones)
    outside["k"] = 5.0
    variable.assign(5.0)
    np.testing.assert_array_equal(frozen(ones), ones)
    np.testing.assert_array_equal(read(ones), 5 * ones)


def test_attributes_of_layers_are_watched():
    class Times(nnlite.Layer):
        factor = 1.0

        def call(self, x):
            return x * self.factor

    model = nnlite.Sequential([nnlite.Input((1,)), Times()])
    assert model.predict(np.ones((1, 1)), verbose=0) == 1
    model.layers[0].factor = 3.0
    assert model.predict(np.ones((1, 1)), verbose=0) == 3


def test_numpy_draws_once_and_nnlite_every_time():
    seed = nnlite.random.SeedGenerator(1)
    once, anew = nnlite.function(lambda x: x * np.random.rand()), nnlite.function(lambda x: x * nnlite.random.uniform((), seed=seed))
    assert float(once(ones)[0]) == float(once(ones)[0])
    assert float(anew(ones)[0]) != float(anew(ones)[0])


@pytest.mark.parametrize("use", [lambda x: x[x > 0], ops.nonzero, ops.unique], ids=["mask", "nonzero", "unique"])
def test_shapes_do_not_depend_on_values(use):
    with pytest.raises(RuntimeError, match="shape depends on values.*use where"):
        nnlite.function(use)(ones)
    assert use(ops.convert_to_tensor(ones)) is not None


def test_gradients_of_loops_need_a_bound():
    loop = lambda x, **bound: ops.while_loop(lambda y: ops.sum(y) < 10, lambda y: (y * 2,), (x,), **bound)[0]  # noqa: E731
    def gradient(x, **bound):
        with nnlite.GradientTape() as tape:
            y = loop(x, **bound)
        return tape.gradient(y, x)

    np.testing.assert_array_equal(nnlite.function(loop)(ones), 4 * ones)
    with pytest.raises(ValueError, match="has gradients only with `maximum_iterations`"):
        nnlite.function(gradient)(ones)
    np.testing.assert_array_equal(nnlite.function(lambda x: gradient(x, maximum_iterations=9))(ones), np.full_like(ones, 4))


def test_every_shape_is_compiled():
    function = nnlite.function(lambda x: x + 1)
    for size in (1, 2, 3, 2, 1):
        function(np.ones(size, "float32"))
    assert len(function.cache) == 3


def test_tensors_of_a_trace_end_with_it():
    kept = []
    nnlite.function(lambda x: kept.append(x * 2) or x)(ones)
    with pytest.raises(RuntimeError, match="is not being traced any more.*Return it from the function instead of keeping it"):
        kept[0] + 1


def test_tensors_do_not_change_in_place():
    x = ops.ones((3,))
    with pytest.raises(TypeError, match="item assignment"):
        x[0] = 2.0
    y = x
    y += 1
    np.testing.assert_array_equal(x, ones)
    np.testing.assert_array_equal(ops.slice_update(x, [0], ops.convert_to_tensor(np.float32([2]))), [2, 1, 1])


def test_lambdas_are_not_saved():
    with pytest.raises(ValueError, match="A lambda cannot be saved"):
        nnlite.saving.serialize_keras_object(lambda x: x)


def test_large_convolutions_are_rounded_a_little_more():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 12, 12, 32), "float32"), rng.standard_normal((3, 3, 32, 32), "float32")
    fast = np.asarray(ops.conv(x, w, padding="same"))
    nnlite.config.enable_exact_convolution()
    try:
        exact = np.asarray(ops.conv(x, w, padding="same"))
    finally:
        nnlite.config.disable_exact_convolution()
    assert 0 < np.abs(fast - exact).max() < 2e-5 * exact.std()


def test_layers_on_strings_come_first():
    layers = nnlite.layers
    inputs = nnlite.Input((2,))
    behind = nnlite.Model(inputs, layers.Embedding(3, 2)(layers.Hashing(3)(layers.Rescaling(2.0)(inputs))))
    with pytest.raises(TypeError, match="runs in Python on whole arrays and cannot be compiled"):
        behind.predict(np.ones((2, 2)), verbose=0)

    class Words(nnlite.Model):
        def __init__(self):
            super().__init__()
            self.lookup = layers.StringLookup(vocabulary=["a"])
            self.embed = layers.Embedding(2, 3)

        def call(self, x):
            return self.embed(self.lookup(x))

    with pytest.raises(ValueError, match="must hold numbers.*StringLookup or TextVectorization"):
        Words().predict(np.array(["a", "b"]), verbose=0)
    words = nnlite.utils.Dataset.from_tensor_slices(np.array(["a", "b"])).batch(2).map(layers.StringLookup(vocabulary=["a"]))
    assert nnlite.Sequential([layers.Embedding(2, 3)]).predict(words, verbose=0).shape == (2, 3)


def test_random_crop_outside_of_training():
    x = np.random.default_rng(0).uniform(size=(1, 8, 4, 1)).astype("float32")
    crop = nnlite.layers.RandomCrop(2, 2)
    expected = nnlite.ops.image.resize(x[:, 2:6], (2, 2))
    np.testing.assert_allclose(crop(x, training=False), expected, rtol=1e-6)
