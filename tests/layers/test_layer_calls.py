"""Calls of layers: dtypes, structures, training modes, losses, masks, threads."""

from __future__ import annotations

import warnings

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


class Mode(nnlite.Layer):
    """Remembers the training modes it was called in."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.modes = []

    def call(self, inputs, training=None):
        self.modes.append(training)
        return inputs


# Calls


def test_float_inputs_are_cast_and_integers_are_not():
    assert Scale()(np.ones((2, 3), "float64")).dtype == "float32"
    assert Scale(dtype="float64")(X).dtype == "float64"
    assert L.Identity()(np.ones((2,), "int64")).dtype == "int64"
    assert L.Identity(autocast=False)(np.ones((2,), "float64")).dtype == "float64"


def test_what_has_an_array_inside_is_taken():
    class Frame:
        def __array__(self, dtype=None, copy=None):
            return np.ones((2, 3))

    assert Scale()(Frame()).numpy().tolist() == [[1, 1, 1]] * 2
    assert L.Identity()(nnlite.Variable([1.0])).numpy().tolist() == [1.0]


def test_several_outputs_and_nested_structures_differentiate():
    class Split(nnlite.Layer):
        def call(self, inputs):
            return {"double": inputs["a"] * 2, "both": (inputs["a"], inputs["b"] ** 2)}

    a, b = ops.convert_to_tensor(X), ops.convert_to_tensor(X)
    with nnlite.GradientTape() as tape:
        outputs = Split()({"a": a, "b": b})
        loss = ops.sum(outputs["double"]) + ops.sum(outputs["both"][1])
    da, db = tape.gradient(loss, [a, b])
    assert da.numpy().tolist() == np.full((2, 3), 2).tolist() and db.numpy().tolist() == (2 * X).tolist()
    symbolic = Split()({"a": nnlite.Input((3,)), "b": nnlite.Input((4,))})
    assert symbolic["both"][1].shape == (None, 4)


def test_training_mode_goes_down_and_explicit_values_win():
    class Outer(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = Mode(), Mode()

        def call(self, x):
            return self.second(self.first(x, training=False))

    outer = Outer()
    for training in (None, True, False):
        outer(X) if training is None else outer(X, training=training)
    assert outer.first.modes == [False] * 3
    assert outer.second.modes == [None, True, False]


def test_default_of_the_training_argument_counts_for_inner_layers():
    class Outer(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.inner = Mode()

        def call(self, x, training=True):
            return self.inner(x)

    outer = Outer()
    outer(X)
    outer(X, training=False)
    assert outer.inner.modes == [True, False]


def test_mode_and_stack_are_restored_after_errors():
    class Fails(nnlite.Layer):
        def call(self, x, training=None):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken\n.raised while calling layer 'fails"):
        Fails()(X, training=True)
    layer = Mode()
    layer(X)
    assert layer.modes == [None]


# Losses


def test_add_loss_is_forgotten_at_the_next_call():
    class Penalty(nnlite.Layer):
        def call(self, x):
            self.add_loss(ops.mean(x))
            return x

    model = nnlite.Sequential([Penalty(), L.Dense(1, kernel_regularizer="l2", activity_regularizer="l1")])
    model(X)
    model(X)
    assert len(model.losses) == 3
    np.testing.assert_allclose(float(model.losses[0]), X.mean())


def test_other_models_keep_their_losses():
    a, b = L.ActivityRegularization(l1=1.0), L.ActivityRegularization(l1=1.0)
    a(X)
    b(X)
    assert len(a.losses) == 1 == len(b.losses)


# Masks


def embedded():
    return L.Embedding(5, 2, mask_zero=True)(np.array([[1, 2, 0]]))


def test_masks_travel_through_layers_that_support_them():
    assert L.Dense(3)(embedded())._keras_mask.numpy().tolist() == [[True, True, False]]
    assert L.Dropout(0.5)(L.ReLU()(embedded()))._keras_mask is not None


def test_masks_stop_with_a_warning_elsewhere():
    with pytest.warns(UserWarning, match="does not support masking"):
        assert getattr(L.Conv1D(2, 2)(embedded()), "_keras_mask", None) is None


def test_masks_reach_the_mask_argument():
    class Counts(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True

        def call(self, x, mask=None):
            return ops.sum(ops.cast(mask, "float32"))

    assert float(Counts()(embedded())) == 2


def test_several_arguments_have_masks_of_their_own():
    class Pair(nnlite.Layer):
        def __init__(self):
            super().__init__()
            self.supports_masking = True

        def call(self, a, b, a_mask=None, b_mask=None):
            return ops.cast(a_mask, "int32") if b_mask is None else a

    assert Pair()(embedded(), np.ones((1, 3, 2), "float32")).numpy().tolist() == [[1, 1, 0]]


def test_mask_is_made_on_every_call_and_in_models():
    embedding = L.Embedding(5, 2, mask_zero=True)
    x = np.array([[1, 0]])
    for _ in range(3):
        assert embedding(x)._keras_mask.numpy().tolist() == [[True, False]]
    model = nnlite.Sequential([nnlite.Input((2,), dtype="int32"), embedding, L.Dense(3)])
    for _ in range(4):
        assert model(x.astype("int32"))._keras_mask.numpy().tolist() == [[True, False]]
    pooled = nnlite.Sequential([nnlite.Input((2,), dtype="int32"), embedding, L.GlobalAveragePooling1D()])
    for _ in range(4):
        np.testing.assert_allclose(pooled(x.astype("int32")).numpy(), embedding.get_weights()[0][1:2])


def test_merging_layers_combine_masks():
    e = L.Embedding(5, 2, mask_zero=True)
    a, b = e(np.array([[1, 2, 0]])), e(np.array([[0, 2, 0]]))
    assert L.Add()([a, b])._keras_mask.numpy().tolist() == [[True, True, False]]
    assert L.Multiply()([a, b])._keras_mask.numpy().tolist() == [[False, True, False]]
    assert L.Concatenate(axis=1)([a, b])._keras_mask.numpy().tolist() == [[True, True, False, False, True, False]]
    assert getattr(L.Add()([a, np.ones((1, 3, 2), "float32")]), "_keras_mask", None) is None


def test_quick_calls_notice_new_masks_dtypes_and_shapes():
    layer = L.Dense(2)
    for _ in range(3):
        layer(X)
    with pytest.raises(ValueError, match="axis -1"):
        layer(np.ones((2, 4), "float32"))
    assert layer(X.astype("float64")).dtype == "float32"
    assert layer(X[:1]).shape == (1, 2)


def test_no_warning_without_masks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        L.Conv1D(2, 2)(np.ones((1, 3, 2), "float32"))


def test_layers_in_threads_do_not_share_their_mode():
    import threading

    layer = Mode()

    def work():
        layer(X)

    class Outer(nnlite.Layer):
        def call(self, x, training=None):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return x

    Outer()(X, training=True)
    assert layer.modes == [None]


def test_stateless_call_leaves_the_layer_as_it_was():
    layer = L.BatchNormalization()
    layer.build((None, 3))
    before = layer.get_weights()
    given = [np.full(3, 2.0, "float32"), np.ones(3, "float32")]
    outputs, after = layer.stateless_call(given, [v.numpy() for v in layer.non_trainable_variables], X, training=True)
    np.testing.assert_allclose(outputs.numpy().mean(0), 1, atol=1e-5)
    assert after[0].numpy().any()
    for old, new in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(ValueError, match="needs 2 trainable and 2 non-trainable values"):
        layer.stateless_call([], [], X)
