"""Layer: building, weights, tracking, revisions, configs."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers as L
from nnlite import ops

X = np.arange(6, dtype="float32").reshape(2, 3)


class Scale(nnlite.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        return inputs * self.scale


# Building


def test_build_is_called_once_with_the_shape_of_the_input():
    seen = []

    class Custom(Scale):
        def build(self, input_shape):
            seen.append(input_shape)
            super().build(input_shape)

    layer = Custom()
    layer(X)
    layer(X[:1])
    assert seen == [(2, 3)] and layer.built


def test_build_takes_several_shapes_by_name():
    class Pair(nnlite.Layer):
        def build(self, a_shape, b_shape):
            self.shapes = (a_shape, b_shape)

        def call(self, a, b):
            return ops.sum(a) + ops.sum(b)

    layer = Pair()
    layer(X, b=X[0])
    assert layer.shapes == ((2, 3), (3,))
    assert layer.get_build_config() == {"shapes_dict": {"a_shape": (2, 3), "b_shape": (3,)}}


def test_build_takes_structures_of_shapes():
    class Dicts(nnlite.Layer):
        def build(self, input_shape):
            self.shapes = dict(input_shape)

        def call(self, inputs):
            return inputs["a"]

    layer = Dicts()
    layer({"a": X, "b": X[:, :1]})
    assert layer.shapes == {"a": (2, 3), "b": (2, 1)}


def test_wrong_build_names_are_explained():
    class Pair(nnlite.Layer):
        def build(self, first_shape, second_shape):
            pass

        def call(self, a, b):
            return a

    with pytest.raises(ValueError, match="must be named like those of call"):
        Pair()(X, X)


def test_weights_made_in_init_call_and_build_have_paths():
    class Outer(nnlite.Layer):
        def __init__(self):
            super().__init__(name="outer")
            self.early = self.add_weight(shape=(1,), initializer="zeros", name="early")
            self.inner = L.Dense(2, name="inner")

        def build(self, input_shape):
            self.late = self.add_weight(shape=(), initializer="zeros", name="late")

        def call(self, inputs):
            return self.inner(inputs) + self.early + self.late

    layer = Outer()
    layer(X)
    assert [w.path for w in layer.weights] == ["outer/early", "outer/late", "outer/inner/kernel", "outer/inner/bias"]
    assert [w.name for w in layer.weights] == ["early", "late", "kernel", "bias"]


def test_build_inside_a_gradient_tape_or_compiled_function():
    layer = Scale()
    compiled = nnlite.function(lambda x: layer(x))
    np.testing.assert_array_equal(compiled(X).numpy(), X)
    other = Scale()
    with nnlite.GradientTape() as tape:
        loss = ops.sum(other(X))
    np.testing.assert_array_equal(tape.gradient(loss, other.scale).numpy(), X.sum(0))


def test_symbolic_build_leaves_the_batch_size_open():
    class Block(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(4)

        def call(self, inputs):
            return self.dense(inputs)

    block = Block()
    assert block(nnlite.Input((3,))).shape == (None, 4)
    assert block.dense.get_build_config() == {"input_shape": (None, 3)}
    assert block(X).shape == (2, 4)


def test_no_state_after_build():
    layer = Scale()
    layer(X)
    with pytest.raises(ValueError, match="already built"):
        layer.extra = L.Dense(2)
    with pytest.raises(ValueError, match="already built"):
        layer.add_weight(shape=(1,))


# add_weight


def test_add_weight_forms():
    layer = nnlite.Layer()
    assert layer.add_weight().shape == ()
    assert layer.add_weight((2, 3)).shape == (2, 3)
    assert layer.add_weight(4).shape == (4,)
    assert layer.add_weight(shape=[2], dtype="int32").numpy().tolist() == [0, 0]
    assert layer.add_weight(shape=(2,), initializer=lambda shape, dtype: ops.ones(shape, dtype)).numpy().tolist() == [1, 1]
    assert layer.add_weight(shape=(2,), initializer="ones", trainable=False).trainable is False
    regularized = layer.add_weight(shape=(2,), initializer="ones", regularizer="l2", constraint="non_neg")
    assert float(layer.losses[0]) == pytest.approx(0.02) and regularized.constraint is not None


def test_default_initializer_is_glorot_uniform():
    values = nnlite.Layer().add_weight(shape=(200, 300)).numpy()
    limit = np.sqrt(6 / 500)
    assert abs(values).max() <= limit and values.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


# Tracking


def test_layers_in_lists_dicts_and_tuples_are_tracked_in_order():
    class Net(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = []
            self.last = L.Dense(1, name="last")
            self.blocks.append(L.Dense(2, name="first"))
            self.by_name = {"a": L.Dense(3, name="a")}
            self.by_name["b"] = L.Dense(4, name="b")
            self.pair = (L.Dense(5, name="p"), [L.Dense(6, name="q")])

    net = Net()
    assert [layer.name for layer in net._flatten_layers(include_self=False)] == ["last", "first", "a", "b", "p", "q"]
    net.blocks.pop()
    del net.by_name["a"]
    net.pair = None
    assert [layer.name for layer in net._flatten_layers(include_self=False)] == ["last", "b"]
    assert net.blocks == [] and isinstance(net.blocks, list) and isinstance(net.by_name, dict)


def test_replaced_layers_are_forgotten():
    layer = nnlite.Layer()
    layer.inner = L.Dense(1, name="one")
    layer.inner = L.Dense(2, name="two")
    assert [inner.name for inner in layer._layers] == ["two"]
    del layer.inner
    assert layer._layers == []


def test_shared_layers_count_once():
    class Twice(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.a = self.b = L.Dense(3)
            self.c = [self.a]

        def call(self, x):
            return self.b(self.a(x))

    layer = Twice()
    layer(X)
    assert len(layer.weights) == 2 and layer.count_params() == 12


def test_variables_as_attributes_are_weights():
    layer = nnlite.Layer()
    layer.a = nnlite.Variable([1.0])
    layer.b = [nnlite.Variable([2.0], trainable=False)]
    assert [len(x) for x in (layer.weights, layer.trainable_weights, layer.non_trainable_weights)] == [2, 1, 1]


def test_seed_generators_are_variables_but_no_weights_and_metrics_are_neither():
    layer = nnlite.Layer()
    layer.dropout = L.Dropout(0.5)
    layer.metric = nnlite.metrics.Mean()
    assert len(layer.variables) == 1 and layer.weights == []
    assert layer.metrics == [layer.metric] and len(layer.metrics_variables) == 2
    assert L.Dropout(0.0).variables == []


def test_trainable_reaches_everything_inside():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2), L.BatchNormalization()])
    assert len(model.trainable_weights) == 4 and len(model.non_trainable_weights) == 2
    model.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 6
    assert not model.layers[0].trainable and not model.layers[0].kernel.trainable
    model.trainable = True
    assert len(model.trainable_weights) == 4 and not model.layers[1].moving_mean.trainable


# Revisions: what makes compiled plans stale


def test_public_attributes_of_built_layers_raise_the_revision():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dropout(0.5), L.Dense(2)])
    before = model._revision
    model.layers[0].rate = 0.5  # the same value
    model.layers[0]._private = 1
    model(X)
    assert model._revision == before
    model.layers[0].rate = 0.25
    assert model._revision > before
    before = model._revision
    model.add(L.ReLU())
    assert model._revision > before


def test_attributes_set_by_call_do_not_raise_the_revision():
    class Keeps(nnlite.Layer):
        def call(self, x):
            self.last = x
            return x

    layer = Keeps()
    layer(X)
    before = layer._revision
    layer(X)
    assert layer._revision == before and layer.last.shape == (2, 3)


def test_trainable_changes_the_signature_and_back():
    model = nnlite.Sequential([nnlite.Input((3,)), L.Dense(2)])
    revision, signature = model._revision, model._trainable_signature
    model.layers[0].trainable = False
    assert model._revision == revision and model._trainable_signature != signature
    model.layers[0].trainable = True
    assert model._trainable_signature == signature


# Configs


def test_arguments_of_init_are_recorded():
    class Custom(nnlite.Layer):
        def __init__(self, units, rate=0.5, **kwargs):
            super().__init__(**kwargs)
            self.units = units

    layer = Custom(3, name="mine")
    config = layer.get_config()
    assert config["units"] == 3 and config["rate"] == 0.5 and config["name"] == "mine"
    assert Custom.from_config(config).get_config() == config


def test_unrecordable_arguments_are_explained():
    class Custom(nnlite.Layer):
        def __init__(self, table):
            super().__init__()

    with pytest.raises(NotImplementedError, match=r"must override `get_config\(\)`"):
        Custom(np.ones(3)).get_config()


def test_get_config_of_subclasses_adds_to_ours():
    class Custom(Scale):
        def get_config(self):
            return {**super().get_config(), "extra": 1}

    assert list(Custom(name="c").get_config()) == ["name", "trainable", "dtype", "extra"]


def test_names_and_paths():
    nnlite.utils.clear_session()
    assert [L.Dense(1).name, L.Dense(1).name, L.MaxPooling2D().name, L.ReLU().name, L.PReLU().name] == [
        "dense",
        "dense_1",
        "max_pooling2d",
        "re_lu",
        "p_re_lu",
    ]
    assert repr(L.Dense(1, name="d")) == "<Dense name=d, built=False>"


def test_set_weights_is_all_or_nothing():
    layer = L.Dense(2)
    layer(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match="not compatible"):
        layer.set_weights([np.ones((3, 2)), np.ones(5)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])
    layer.set_weights([np.ones((3, 2)), np.zeros(2)])
    np.testing.assert_array_equal(layer(X).numpy()[:, 0], X.sum(1))
