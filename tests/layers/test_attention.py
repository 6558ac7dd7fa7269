"""Attention layers and EinsumDense: values, gradients, configs, weights and files against Keras; masks, seeds, fused and unfused forms."""

from __future__ import annotations

import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, layers, ops

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
from attention_cases import CASES

VALUES = np.load(GOLDEN / "attention.npz")
FACTS = json.loads((GOLDEN / "attention.json").read_text())
TOLERANCE = {"float32": {"rtol": 3e-5, "atol": 3e-5}, "float64": {"rtol": 3e-7, "atol": 3e-7}}

all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def prepared(case, dtype: str):
    """(layer with the golden weights, its inputs as tensors)."""
    layer = case.make(nnlite, dtype)
    tensors = [ops.convert_to_tensor(array.astype(dtype)) for array in case.arrays()]
    case.run(layer, tensors)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    return layer, tensors


@all_cases
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_and_gradients_are_those_of_keras(case, dtype):
    layer, tensors = prepared(case, dtype)
    sources = tensors + layer.trainable_weights
    with GradientTape() as tape:
        outputs = case.run(layer, tensors)
        loss = sum(ops.sum(y * ops.convert_to_tensor(case.cotangent(y.shape).astype(dtype))) for y in outputs)
    for i, y in enumerate(outputs):
        assert y.dtype == dtype
        np.testing.assert_allclose(y.numpy(), VALUES[f"{case.name}/output{i}"], **TOLERANCE[dtype])
    for i, gradient in enumerate(tape.gradient(loss, sources)):
        np.testing.assert_allclose(gradient.numpy(), VALUES[f"{case.name}/gradient{i}"], **TOLERANCE[dtype])


@all_cases
def test_config_is_that_of_keras(case):
    nnlite.utils.clear_session()
    expected = dict(FACTS[case.name]["config"])
    expected.pop("quantization_config", None)
    assert json.loads(json.dumps(case.make(nnlite, "float32").get_config())) == expected


@all_cases
def test_weights_have_the_names_order_and_shapes_of_keras(case):
    layer, _ = prepared(case, "float32")
    assert [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights] == FACTS[case.name]["weights"]


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer, tensors = prepared(case, "float32")
    copy = layers.deserialize(layers.serialize(layer))
    ours = case.run(layer, tensors)
    case.run(copy, tensors)
    copy.set_weights(layer.get_weights())
    for a, b in zip(case.run(copy, tensors), ours, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@all_cases
def test_compiled_call_and_gradients_equal_the_eager_ones(case):
    layer, tensors = prepared(case, "float32")

    def step(*inputs):
        with GradientTape() as tape:
            outputs = case.run(layer, inputs)
            loss = sum(ops.sum(ops.square(y)) for y in outputs)
        return [*outputs, *tape.gradient(loss, layer.trainable_weights)]

    for a, b in zip(nnlite.function(step)(*tensors), step(*tensors), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b.numpy()).max())))


@all_cases
def test_symbolic_shape_is_the_real_one(case):
    layer, tensors = prepared(case, "float32")
    real = [y.shape for y in case.run(layer, tensors)]
    fresh = case.make(nnlite, "float32")
    inputs = [nnlite.Input(t.shape[1:]) for t in tensors]
    call = {name: value for name, value in case.call.items()}
    found = fresh(inputs, **call) if case.listed else fresh(*inputs, **call)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    assert [y.shape for y in found] == [(None, *shape[1:]) for shape in real]
    shapes = [(None, *t.shape[1:]) for t in tensors]
    shape = case.make(nnlite, "float32").compute_output_shape(shapes) if case.listed else case.make(nnlite, "float32").compute_output_shape(*shapes)
    assert shape == (None, *real[0][1:])


def test_files_of_keras_are_read():
    kinds = [case for case in CASES if "-" not in case.name]
    made = [case.make(nnlite, "float32") for case in kinds]
    for case, layer in zip(kinds, made):
        case.run(layer, [array.astype("float32") for array in case.arrays()])
    model = nnlite.Sequential(made)
    model.built = True
    model.load_weights(GOLDEN / "attention.weights.h5")
    for case, layer in zip(kinds, made):
        for weight in layer.weights:
            np.testing.assert_array_equal(weight.numpy(), case.weight(weight.path, weight.shape).astype("float32"))


def test_files_have_the_groups_of_keras(tmp_path):
    h5py = pytest.importorskip("h5py")
    kinds = [case for case in CASES if "-" not in case.name]
    made = [case.make(nnlite, "float32") for case in kinds]
    for case, layer in zip(kinds, made):
        case.run(layer, [array.astype("float32") for array in case.arrays()])
    model = nnlite.Sequential(made)
    model.built = True
    model.save_weights(tmp_path / "ours.weights.h5")

    def datasets(path) -> dict:
        found = {}
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: found.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None)
        return found

    assert datasets(tmp_path / "ours.weights.h5") == datasets(GOLDEN / "attention.weights.h5")


ATTENTIONS = {
    "mha": lambda **more: layers.MultiHeadAttention(2, 4, **more),
    "gqa": lambda **more: layers.GroupQueryAttention(4, 4, 2, **more),
}


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_masks_travel_and_are_used(kind):
    ids = np.array([[3, 4, 0, 0], [5, 6, 7, 0]])
    embed = layers.Embedding(9, 8, mask_zero=True)
    layer = ATTENTIONS[kind]()
    x = embed(ids)
    y = layer(x, x)
    np.testing.assert_array_equal(y._keras_mask.numpy(), ids != 0)
    short = embed(ids[1:, :3])
    np.testing.assert_allclose(y.numpy()[1, :3], layer(short, short).numpy()[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_a_target_that_may_look_nowhere_stays_finite(kind):
    x = np.random.default_rng(0).normal(size=(1, 4, 8)).astype("float32")
    mask = np.ones((1, 4, 4), bool)
    mask[0, 2] = False
    layer = ATTENTIONS[kind]()
    assert np.isfinite(layer(x, x, attention_mask=mask).numpy()).all()
    _, scores = layer(x, x, attention_mask=mask, return_attention_scores=True)
    assert np.isfinite(scores.numpy()).all()


@pytest.mark.parametrize("make", [*ATTENTIONS.values(), lambda **more: layers.Attention(**more)], ids=[*ATTENTIONS, "attention"])
def test_dropout_acts_in_training_only_and_repeats_with_a_seed(make):
    x = np.random.default_rng(0).normal(size=(4, 10, 8)).astype("float32")

    def call(layer, **keywords):
        return (layer([x, x], **keywords) if isinstance(layer, layers.Attention) else layer(x, x, **keywords)).numpy()

    layer = make(dropout=0.5, seed=3)
    calm = call(layer)
    np.testing.assert_array_equal(calm, call(layer))
    first = call(layer, training=True)
    assert np.abs(first - calm).max() > 1e-3
    twin = make(dropout=0.5, seed=3)
    call(twin)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(call(twin, training=True), first)


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_projections_start_with_different_values(kind):
    layer = ATTENTIONS[kind]()
    x = np.ones((1, 3, 8), "float32")
    layer(x, x)
    kernels = [w.numpy().ravel() for w in layer.weights if w.name == "kernel"]
    assert len(kernels) == 4 and all(not np.array_equal(a[:8], b[:8]) for i, a in enumerate(kernels) for b in kernels[:i])
    # Uniform within sqrt(6 / (inputs + outputs)), whatever the number of axes.
    limit = np.sqrt(6 / (8 + kernels[0].size // 8))
    assert 0.8 * limit < np.abs(kernels[0]).max() <= limit


def test_a_model_with_attention_trains_and_is_saved(tmp_path):
    inputs = nnlite.Input((6, 8))
    x = layers.LayerNormalization()(inputs)
    x = layers.Add()([inputs, layers.MultiHeadAttention(2, 4)(x, x)])
    x = layers.Add()([x, layers.GroupQueryAttention(4, 4, 1)(x, x, use_causal_mask=True)])
    model = nnlite.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
    model.compile(nnlite.optimizers.Adam(0.01), "mse")
    data = np.random.default_rng(0).normal(size=(64, 6, 8)).astype("float32")
    target = data[:, :1, 0] * data[:, 1:2, 1]
    history = model.fit(data, target, epochs=8, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.9 * history[0]
    model.save(tmp_path / "model.keras")
    again = nnlite.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(data, verbose=0), model.predict(data, verbose=0))


def test_dot_product_attention_without_scores_equals_the_one_with_them():
    """A soft cap far above all scores changes nothing but the way they are computed."""
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 9, heads, 8)) for heads in (4, 2, 2))
    mask = rng.random((2, 1, 9, 9)) < 0.7
    mask[0, 0, 3] = False
    bias = rng.normal(size=(4, 9, 9))
    for causal in (False, True):
        for extras in ({}, {"mask": mask}, {"bias": bias}, {"mask": mask[:, :, :, :1], "bias": bias[:, :1]}):
            fused = ops.dot_product_attention(q, k, v, is_causal=causal, **extras)
            plain = ops.dot_product_attention(q, k, v, is_causal=causal, attn_logits_soft_cap=1e6, **extras)
            np.testing.assert_allclose(fused.numpy(), plain.numpy(), rtol=1e-6, atol=1e-7)


def test_the_lowest_bias_weighs_all_sources_alike():
    q = np.random.default_rng(0).normal(size=(1, 3, 1, 4)).astype("float32")
    bias = np.full((1, 1, 3, 3), np.finfo("float32").min, "float32")
    y = ops.dot_product_attention(q, q, q, bias=bias).numpy()
    np.testing.assert_allclose(y, np.broadcast_to(q.mean(1, keepdims=True), y.shape), rtol=1e-6, atol=1e-7)


def test_second_derivatives_go_through_attention():
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(1, 3, 2, 4)))
    with GradientTape() as outer:
        with GradientTape() as inner:
            y = ops.sum(ops.square(ops.dot_product_attention(x, x, x, is_causal=True)))
        first = inner.gradient(y, x)
        size = ops.sum(ops.square(first))
    second = outer.gradient(size, x).numpy()
    step, moved = 1e-5, np.random.default_rng(1).normal(size=(1, 3, 2, 4))

    def size_at(z):
        z = ops.convert_to_tensor(z)
        with GradientTape() as tape:
            y = ops.sum(ops.square(ops.dot_product_attention(z, z, z, is_causal=True)))
        return float(np.square(tape.gradient(y, z).numpy()).sum())

    slope = (size_at(x.numpy() + step * moved) - size_at(x.numpy() - step * moved)) / (2 * step)
    np.testing.assert_allclose((second * moved).sum(), slope, rtol=1e-6)


ERRORS = [
    (lambda: layers.MultiHeadAttention(0, 4), "num_heads"),
    (lambda: layers.MultiHeadAttention(2, 4, value_dim=-1), "value_dim"),
    (lambda: layers.MultiHeadAttention(2, 4, dropout=0.1, flash_attention=True), "flash_attention"),
    (lambda: layers.MultiHeadAttention(2, 4, output_shape="a"), "output_shape"),
    (lambda: layers.MultiHeadAttention(2, 4)(np.ones((1, 3, 4)), np.ones((1, 5, 4)), np.ones((1, 6, 4))), "must have equal axes"),
    (lambda: layers.GroupQueryAttention(4, 3, 2), "multiple of `num_key_value_heads`"),
    (lambda: layers.Attention(score_mode="sum"), "score_mode"),
    (lambda: layers.Attention()(np.ones((1, 2, 3))), "must be a list of length 2 or 3"),
    (lambda: layers.Attention()([np.ones((1, 2, 3))]), "must be a list of length 2 or 3"),
    (lambda: layers.Attention()([np.ones((1, 2, 3))] * 2, mask=[np.ones((1, 2), bool)]), "mask of Attention"),
    (lambda: layers.EinsumDense("ab,bc", 3)(np.ones((2, 3))), "Invalid einsum equation"),
    (lambda: layers.EinsumDense("abc,cd->abd", (7, 3))(np.ones((2, 3, 4))), "one size"),
    (lambda: layers.EinsumDense("abc,cd->abd", 3)(np.ones((2, 3, 4))), "output axes after the batch"),
    (lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="d")(np.ones((2, 3))), "bias_axes"),
    (lambda: layers.EinsumDense("abc,cd->abd", (None, None))(np.ones((2, 3, 4))), "must be known"),
    (lambda: ops.dot_product_attention(np.ones((1, 2, 3, 4)), np.ones((1, 2, 2, 4)), np.ones((1, 2, 2, 4))), "multiple of key heads"),
    (lambda: ops.dot_product_attention(*[np.ones((1, 2, 3, 4))] * 3, mask=np.ones((5, 2), bool)), "must broadcast"),
]


@pytest.mark.parametrize("call, text", ERRORS, ids=range(len(ERRORS)))
def test_errors_say_what_is_wrong(call, text):
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        call()
