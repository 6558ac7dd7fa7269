"""Public functions of nnlite.ops: conversion, promotion, gradients of composites, control flow, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nnlite
from nnlite import Variable, ops
from nnlite.graph.function import function
from nnlite.graph.grad import GradientTape
from nnlite.graph.symbolic import KerasTensor
from nnlite.ops._dtypes import result_type
from nnlite.tensor import Tensor


def test_conversion_keeps_or_chooses_dtypes():
    expected = [
        (1, "int32"), (1.5, "float32"), (True, "bool"), ([1, 2], "int32"), ([1.0, 2], "float32"), ([True], "bool"), (2**40, "int64"), ([2**40], "int64"),
        (np.ones(2), "float64"), (np.ones(2, "float16"), "float32"), (np.arange(2), "int64"), (np.float32(2), "float32"), ([np.ones(2), np.ones(2)], "float64"),
        (np.uint8([1]), "uint8"), (np.int16([1]), "int32"), ([], "float32"),
    ]  # fmt: skip
    for value, dtype in expected:
        tensor = ops.convert_to_tensor(value)
        assert tensor.dtype == dtype, value
        np.testing.assert_array_equal(tensor.numpy(), np.asarray(value))
    assert ops.convert_to_tensor([1, 2], dtype="float32").dtype == "float32"
    assert ops.convert_to_tensor(Variable([1.0])).dtype == "float32"


def test_lists_may_hold_tensors():
    x = ops.convert_to_tensor([1.0, 2.0])
    assert ops.convert_to_tensor([x, [3.0, 4.0]]).tolist() == [[1, 2], [3, 4]]
    assert ops.reshape([x[0], 5.0], (2, 1)).tolist() == [[1], [5]]


def test_what_cannot_be_a_tensor():
    with pytest.raises(TypeError, match="Cannot make a tensor of object"):
        ops.convert_to_tensor(object())
    with pytest.raises(TypeError, match="received a numpy array of dtype <U1"):
        ops.convert_to_tensor(["a"])
    with pytest.raises(ValueError, match="rows of equal length"):
        ops.convert_to_tensor([[1, 2], [3]])
    with pytest.raises(ValueError, match="A dtype is one of .*; received 'float8'"):
        ops.cast(1.0, "float8")
    with pytest.raises(ValueError, match="dense tensors only; received sparse=True"):
        ops.convert_to_tensor([1], sparse=True)


def test_two_equal_numbers_are_two_sources():
    a, b = ops.convert_to_tensor(3.0), ops.convert_to_tensor(3.0)
    with GradientTape() as tape:
        y = a * a * b
    assert [float(g) for g in tape.gradient(y, [a, b])] == [18.0, 9.0]


@pytest.mark.parametrize("left", ["float32", "int32", "bool", "float64", "int64", "uint8"])
@pytest.mark.parametrize("right", ["float32", "int32", "bool", "float64", "int64", "uint8"])
def test_promotion_of_tensors(left, right):
    order = ["bool", "uint8", "int32", "int64", "float32", "float64"]
    expected = max(left, right, key=order.index)
    assert ops.maximum(np.ones(2, left), np.ones(2, right)).dtype == expected
    assert result_type(left, right) == expected


def test_python_numbers_are_weak():
    x = {dtype: ops.ones(2, dtype) for dtype in ("float32", "float64", "bfloat16", "int32", "int64", "uint8", "bool")}
    for dtype in x:
        assert (x[dtype] * 2).dtype == ("int32" if dtype == "bool" else dtype)
        assert (2.5 * x[dtype]).dtype == (dtype if "float" in dtype else "float32")
        assert (x[dtype] * np.float64(2.5)).dtype == (dtype if "float" in dtype else "float32")
    assert (x["int32"] / 2).dtype == "float32" and (x["int32"] // 2).dtype == "int32"
    assert (np.ones(2, "float32") - x["float32"]).dtype == "float32"
    assert isinstance(np.ones(2, "float32") * x["float32"], Tensor)
    assert ops.mean([1, 2]).dtype == "float32" and ops.sum([True, True]).dtype == "int32"


def test_bfloat16_rounds_to_even():
    values = np.array([1.0, 1.00390625, 1.01171875, 3.1415927, np.inf, np.nan], "float32")
    rounded = ops.cast(ops.cast(values, "bfloat16"), "float32").numpy()
    np.testing.assert_array_equal(rounded, np.array([1.0, 1.0, 1.015625, 3.140625, np.inf, np.nan], "float32"))


X = np.random.default_rng(3).normal(size=(3, 4))
P = np.abs(X) + 0.3
M = X[:, :3] @ X[:, :3].T + 2 * np.eye(3)
# Name, function, inputs.
GRADIENTS = [
    ("softplus", ops.softplus, (X,)), ("gelu", ops.gelu, (X,)), ("gelu exact", lambda x: ops.gelu(x, approximate=False), (X,)), ("silu", ops.silu, (X,)),
    ("elu", ops.elu, (X,)), ("selu", ops.selu, (X,)), ("celu", ops.celu, (X,)), ("leaky_relu", ops.leaky_relu, (X,)), ("relu6", lambda x: ops.relu6(3 * x), (X,)),
    ("hard_sigmoid", ops.hard_sigmoid, (X,)), ("softsign", ops.softsign, (X,)), ("log_sigmoid", ops.log_sigmoid, (X,)), ("glu", ops.glu, (X,)),
    ("sparsemax", ops.sparsemax, (X,)), ("squareplus", ops.squareplus, (X,)), ("mean", lambda x: ops.mean(x, axis=1), (X,)), ("var", lambda x: ops.var(x, axis=0), (X,)),
    ("std", lambda x: ops.std(x, axis=0), (X,)), ("logsumexp", lambda x: ops.logsumexp(x, axis=1), (X,)), ("norm", ops.norm, (X,)), ("cumprod", lambda x: ops.cumprod(x, axis=1), (P,)),
    ("normalize", ops.normalize, (X,)), ("sort", ops.sort, (X,)), ("median", lambda x: ops.median(x, axis=1), (X,)), ("top_k", lambda x: ops.top_k(x, 2)[0], (X,)),
    ("einsum", lambda a, b: ops.einsum("ij,kj->ik", a, b), (X, P)), ("tensordot", lambda a, b: ops.tensordot(a, b, [[1], [1]]), (X, P)),
    ("matmul vectors", lambda a, b: ops.matmul(a[0], ops.transpose(b)), (X, P)), ("kron", ops.kron, (X[:2], P[:2])), ("outer", lambda a, b: ops.outer(a, b), (X[0], P[0])),
    ("power", ops.power, (P, X)), ("power 3", lambda x: x**3, (X,)), ("arctan2", ops.arctan2, (P, X)), ("hypot", ops.hypot, (P, X)), ("logaddexp", ops.logaddexp, (P, X)),
    ("erfinv", lambda x: ops.erfinv(ops.tanh(x)), (X,)), ("clip", lambda x: ops.clip(x, -0.5, 0.5), (X,)), ("pad reflect", lambda x: ops.pad(x, 1, mode="reflect"), (X,)),
    ("roll", lambda x: ops.roll(x, 1, axis=0), (X,)), ("repeat", lambda x: ops.repeat(x, [1, 2, 3], axis=0), (X,)), ("tile", lambda x: ops.tile(x, (2, 1)), (X,)),
    ("diag", lambda x: ops.diag(x[0]), (X,)), ("tril", ops.tril, (X,)), ("take_along_axis", lambda x: ops.take_along_axis(x, [[1], [0], [3]], axis=1), (X,)),
    ("segment_sum", lambda x: ops.segment_sum(x, [0, 1, 0], 2), (X,)), ("segment_max", lambda x: ops.segment_max(x, [0, 1, 0], 2), (X,)),
    ("scatter_update", lambda x, u: ops.scatter_update(x, [[2], [0]], u), (X, P[:2])), ("slice_update", lambda x, u: ops.slice_update(x, (0, 1), u), (X, P[:2, :2])),
    ("layer_normalization", lambda x, g: ops.layer_normalization(x, g, axis=(0, 1)), (X, P)), ("rms_normalization", ops.rms_normalization, (X,)),
    ("batch_normalization", lambda x, m, v: ops.batch_normalization(x, m, v, axis=1), (X, X[0], P[0])), ("moments", lambda x: ops.moments(x, [0])[1], (X,)),
    ("categorical_crossentropy", lambda p: ops.categorical_crossentropy(np.full((3, 4), 0.25), p), (P / P.sum(1, keepdims=True),)),
    ("sparse_categorical_crossentropy", lambda x: ops.sparse_categorical_crossentropy([0, 3, 1], x, from_logits=True), (X,)),
    ("binary_crossentropy", lambda x: ops.binary_crossentropy(np.eye(3, 4), x, from_logits=True), (X,)),
    ("attention", lambda q, k: ops.dot_product_attention(q[None, :, None], k[None, :, None], k[None, :, None], is_causal=True), (X, P)),
    ("inv", ops.inv, (M,)), ("det", ops.det, (M,)), ("solve", ops.solve, (M, X)), ("cholesky", lambda m: ops.cholesky((m + ops.transpose(m)) / 2), (M,)), ("logdet", lambda m: ops.logdet((m + ops.transpose(m)) / 2), (M,)),
    ("fft", lambda x: ops.fft((x, x))[0], (X,)), ("stft", lambda x: ops.stft(x, 4, 2, 4)[0], (X.reshape(12),)),
    ("resize", lambda x: ops.image.resize(ops.reshape(x, (3, 4, 1)), (5, 5), "bicubic"), (X,)), ("max_pool 3D", lambda x: ops.max_pool(ops.reshape(x, (1, 2, 3, 2, 1)), 2, 1), (X,)),
    ("conv 3D", lambda x, w: ops.conv(ops.reshape(x, (1, 2, 3, 2, 1)), ops.reshape(w, (2, 2, 2, 1, 1)), padding="same"), (X, P.reshape(-1)[:8])),
    ("conv_transpose", lambda x, w: ops.conv_transpose(ops.reshape(x, (1, 3, 4, 1)), ops.reshape(w, (2, 2, 2, 1)), 2), (X, P.reshape(-1)[:8])),
    ("ctc_loss", lambda x: ops.ctc_loss([[1, 2], [2, 0]], ops.reshape(ops.tile(x, (2, 1)), (2, 4, 3)), [2, 1], [4, 3]), (X,)),
    ("associative_scan", lambda x: ops.associative_scan(lambda a, b: a * b, x, axis=1), (P,)), ("scan", lambda x: ops.scan(lambda c, v: (c * v, c + v), ops.ones(4, "float64"), x)[1], (P,)),
]  # fmt: skip


@pytest.mark.parametrize("name, run, inputs", GRADIENTS, ids=[g[0] for g in GRADIENTS])
def test_gradient_of_composite(name, run, inputs):
    tensors = [ops.convert_to_tensor(x) for x in inputs]
    with GradientTape() as tape:
        y = run(*tensors)
        weights = np.random.default_rng(1).normal(size=y.shape)
        total = ops.sum(y * weights)
    assert y.dtype == "float64"
    gradients = tape.gradient(total, tensors, unconnected_gradients="zero")
    for i, gradient in enumerate(gradients):
        direction = np.random.default_rng(2 + i).normal(size=inputs[i].shape)
        values = []
        for step in (1e-6, -1e-6):
            moved = [x + step * direction if k == i else x for k, x in enumerate(inputs)]
            values.append(float((np.asarray(run(*[ops.convert_to_tensor(m) for m in moved])) * weights).sum()))
        expected = (values[0] - values[1]) / 2e-6
        found = float((gradient.numpy() * direction).sum())
        assert abs(expected - found) <= 2e-5 * (abs(expected) + abs(found)) + 1e-6, f"{name}, input {i}"


def test_gradients_at_zero():
    zero = ops.convert_to_tensor(np.zeros(2))

    def slope(run):
        with GradientTape() as tape:
            y = ops.sum(run(zero))
        return tape.gradient(y, zero).numpy()[0]

    assert slope(ops.softplus) == 0.5 and slope(lambda x: ops.binary_crossentropy([1.0, 1.0], x, from_logits=True)) == -0.5
    assert slope(ops.relu) == 0 and slope(ops.abs) == 0 and slope(lambda x: x**2) == 0 and slope(lambda x: ops.power(x, ops.zeros(2, "float64"))) == 0
    assert slope(lambda x: ops.maximum(x, 0.0)) == 1 and slope(lambda x: ops.maximum(0.0, x)) == 0
    assert np.isfinite(slope(ops.normalize)) and slope(lambda x: ops.divide_no_nan(x, x)) == 0


def test_cross_entropies_use_the_scores_behind_probabilities():
    """Probabilities that round to 0 or 1 lose the gradient; their scores do not."""
    scores = np.array([[200.0, 0.0, -200.0]], "float32")

    def losses(x):
        return (
            ops.sparse_categorical_crossentropy([2], ops.softmax(x)),
            ops.categorical_crossentropy([[0.0, 0.0, 1.0]], ops.softmax(x)),
            ops.sum(ops.binary_crossentropy([[0.0, 1.0, 1.0]], ops.sigmoid(x))),
        )

    def with_gradients(x):
        with GradientTape() as tape:
            values = losses(x)
        return values, [tape.gradient(value, x) for value in values]

    for run in (lambda x: with_gradients(ops.convert_to_tensor(x)), function(with_gradients)):
        values, gradients = run(scores)
        np.testing.assert_allclose([float(np.sum(v)) for v in values], [400.0, 400.0, 400.0 + math.log(2)], rtol=1e-6)
        np.testing.assert_allclose(gradients[0].numpy(), [[1, 0, -1]])
        np.testing.assert_allclose(gradients[2].numpy(), [[1, -0.5, -1]])


def test_custom_gradient():
    @ops.custom_gradient
    def doubled_gradient(x, y):
        return (x * y, x + y), lambda du, dv: (2 * du, None if dv is None else 3 * dv)

    def run(x, y):
        with GradientTape() as tape:
            u, v = doubled_gradient(x, y)
            total = ops.sum(u) + ops.sum(v)
        return u, tape.gradient(total, [x, y])

    x, y = np.array([1.0, 2.0], "float32"), np.array([3.0, 4.0], "float32")
    for call in (lambda: run(ops.convert_to_tensor(x), ops.convert_to_tensor(y)), lambda: function(run)(x, y)):
        u, (dx, dy) = call()
        assert u.tolist() == [3, 8] and dx.tolist() == [2, 2] and dy.tolist() == [3, 3]


def test_stop_gradient_and_values_of_variables():
    v = Variable([2.0, 3.0])
    kept, view = ops.stop_gradient(v), ops.reshape(v, (2, 1))
    with GradientTape() as tape:
        y = ops.sum(ops.stop_gradient(v) * v)
    assert tape.gradient(y, v).tolist() == [2, 3]
    v.assign([7.0, 8.0])
    assert kept.tolist() == [2, 3] and view.tolist() == [[2], [3]]


def test_jvp_and_second_derivatives():
    y, dy = ops.jvp(lambda x: x**3, (ops.convert_to_tensor(2.0),), (ops.convert_to_tensor(1.0),))
    assert (float(y), float(dy)) == (8.0, 12.0)
    x = ops.convert_to_tensor(2.0)
    with GradientTape() as outer:
        with GradientTape() as inner:
            z = ops.exp(x * x)
        first = inner.gradient(z, x)
    np.testing.assert_allclose(float(outer.gradient(first, x)), (2 + 4 * 4) * math.exp(4), rtol=1e-5)


def test_control_flow_eager_and_compiled():
    def branch(x):
        return ops.cond(ops.sum(x) > 0, lambda: x * 2, lambda: x - 1)

    def halve(x):
        return ops.while_loop(lambda n, x: ops.max(x) > 1, lambda n, x: (n + 1, x / 2), (0, x), maximum_iterations=10)

    def pick(x):
        return ops.switch(ops.cast(x[0], "int32"), [lambda v: v, lambda v: v * 10, lambda v: v * 100], x)

    for run, x in (
        (branch, [1.0, 2.0]),
        (branch, [-1.0, -2.0]),
        (halve, [9.0, 1.0]),
        (halve, [0.5, 0.5]),
        (pick, [0.0, 1.0]),
        (pick, [2.0, 1.0]),
        (pick, [9.0, 1.0]),
    ):
        eager, compiled = run(ops.convert_to_tensor(x)), function(run)(np.asarray(x, "float32"))
        for a, b in zip(nnlite.tree.flatten(eager), nnlite.tree.flatten(compiled), strict=True):
            np.testing.assert_allclose(np.asarray(a), np.asarray(b))
    n, x = halve(ops.convert_to_tensor([9.0, 1.0]))
    assert int(n) == 4 and x.tolist() == [0.5625, 0.0625]


def test_loops():
    carry, ys = ops.scan(lambda c, x: (c + x, c), 0, np.array([1, 2, 3]), reverse=True)
    assert int(carry) == 6 and ys.tolist() == [5, 3, 0]
    assert ops.fori_loop(2, 5, lambda i, v: v * i, 1).item() == 24
    assert ops.vectorized_map(lambda p: p[0] + p[1], (np.arange(3), np.arange(3))).tolist() == [0, 2, 4]
    assert ops.vectorize(lambda a, b: a * b)(np.array([1, 2]), np.array([[1], [2]])).tolist() == [[1, 2], [2, 4]]
    halved = function(lambda x: ops.while_loop(lambda v: ops.max(v) > 1, lambda v: (v / 2,), (x,)))(np.full(2, 5, "float32"))
    assert halved[0].tolist() == [0.625, 0.625]
    assert function(lambda n: ops.fori_loop(0, n, lambda i, v: v + i, 0))(np.array(4, "int32")).item() == 6


def test_ctc_decoding():
    scores = np.log(np.array([[[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]]], "float32"))
    labels, worth = ops.ctc_decode(scores, [5])
    assert labels.tolist() == [[[1, 1, 2, -1, -1]]]
    np.testing.assert_allclose(worth.numpy(), [[-5 * math.log(0.8)]], rtol=1e-6)
    labels, _ = ops.ctc_decode(scores, [3], strategy="beam_search", top_paths=2)
    assert labels.shape == (2, 1, 5) and labels.numpy()[0, 0].tolist() == [1, -1, -1, -1, -1]


def test_names_of_recorded_functions():
    from nnlite.utils.naming import reset_names

    reset_names()
    x = KerasTensor((None, 4))
    names = [t.history[0].name for t in (x + 1, ops.add(x, x), ops.mean(x), x[:, 0], ops.absolute(x), -x)]
    assert names == ["add", "add_1", "mean", "get_item", "absolute", "negative"]
    joined = ops.concatenate([x, ops.relu(x)], axis=-1)
    assert joined.shape == (None, 8) and len(joined.history[0].inbound_nodes[0].input_tensors) == 2


def test_shapes_of_symbolic_tensors_may_go_into_reshape():
    x = KerasTensor((None, None, 4))
    assert ops.reshape(x, (ops.shape(x)[0], ops.shape(x)[1], 2, 2)).shape == (None, None, 2, 2)
    assert ops.reshape(x, (ops.shape(x)[0], -1)).shape == (None, None)
    assert ops.reshape(KerasTensor((None, 3, 4)), (None, 12)).shape == (None, 12)


# Call, text of its error.
ERRORS = [
    (lambda: ops.reshape(np.ones(6), (4, -1)), r"reshape\(\) can infer one size: shape \(6,\) with 6 elements does not fit newshape=\(4, -1\)"),
    (lambda: ops.reshape(np.ones(6), (4, 2)), r"reshape\(\) keeps the number of elements: shape \(6,\) has 6, the new shape \(4, 2\) has 8"),
    (lambda: ops.add(np.ones((2, 3)), np.ones(2)), r"add\(\) needs shapes that broadcast.*received \(2, 3\) and \(2,\)"),
    (lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), r"matmul\(\) sums over one common size: \(2, 3\) offers 3, \(2, 3\) has 2"),
    (lambda: ops.matmul(1.0, np.ones(2)), r"matmul\(\) takes tensors with at least one axis"),
    (lambda: ops.sum(np.ones(2), axis=1), r"sum\(\) got axis=1 for a tensor of 1 axes: it must be between -1 and 0"),
    (lambda: ops.sum(np.ones((2, 2)), axis=(0, -2)), r"sum\(\) got axis=\(0, -2\), which names an axis twice"),
    (lambda: ops.max(np.ones((0, 2)), axis=0), r"max\(\) of no elements is undefined; received shape \(0, 2\)"),
    (lambda: ops.concatenate([np.ones((2, 3)), np.ones((3, 2))]), r"concatenate\(\) takes tensors of one dtype and equal shapes outside axis 0"),
    (lambda: ops.concatenate([]), r"concatenate\(\) takes a list of one or more tensors; received \[\]"),
    (lambda: ops.stack([np.ones(2), np.ones(3)]), r"stack\(\) takes tensors of one shape; received \(2,\) and \(3,\)"),
    (lambda: ops.split(np.ones(5), 2), r"split\(\) cuts into equal parts: axis 0 of shape \(5,\) cannot be cut into 2"),
    (lambda: ops.squeeze(np.ones((1, 2)), 1), r"squeeze\(\) removes axes of size 1; axis 1 of shape \(1, 2\) has size 2"),
    (lambda: ops.transpose(np.ones((2, 3)), (0, 0)), r"transpose\(\) takes a permutation of all 2 axes of shape \(2, 3\); received axes=\(0, 0\)"),
    (lambda: ops.broadcast_to(np.ones(3), (2, 2)), r"broadcast_to\(\) repeats axes of size 1 .*shape \(3,\) does not broadcast to \(2, 2\)"),
    (lambda: ops.pad(np.ones(3), ((1, 1), (1, 1))), r"pad\(\) takes pad_width as n, \(before, after\)"),
    (lambda: ops.pad(np.ones(3), 1, mode="magic"), r"pad\(\) takes mode .*received mode='magic'"),
    (lambda: ops.take(np.ones(3), [0.5]), r"take\(\) takes integer positions; received dtype float32"),
    (lambda: ops.one_hot([0.5], 3, sparse=True), r"one_hot\(\) makes dense tensors only"),
    (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 2, 4))), r"conv\(\) needs kernel .*the input has 3 channels, the kernel shape is \(3, 3, 2, 4\)"),
    (lambda: ops.conv(np.ones((1, 5, 3)), np.ones((3, 3, 3, 4))), r"conv\(\) on 1 spatial axes takes a kernel of 3 axes"),
    (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 4)), padding="full"), r"conv\(\) takes padding \"valid\" or \"same\"; received 'full'"),
    (lambda: ops.conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 4)), strides=(1, 2, 3)), r"conv\(\) takes strides as an integer >= 1 or 2 of them"),
    (lambda: ops.max_pool(np.ones((5, 5)), 2), r"max_pool\(\) takes inputs with a batch axis, 1 to 3 spatial axes and channels; received shape \(5, 5\)"),
    (lambda: ops.einsum("ij,jk", np.ones((2, 3))), r"einsum\(\) takes one term per operand"),
    (lambda: ops.einsum("ij->k", np.ones((2, 3))), r"einsum\(\) can only give letters of its operands"),
    (lambda: ops.einsum("ii->i", np.ones((2, 3))), r"einsum\(\) needs one size per letter"),
    (lambda: ops.sparse_categorical_crossentropy(np.ones((2, 3), "int32"), np.ones((2, 3))), r"needs target of shape \(2,\), received \(2, 3\)"),
    (lambda: ops.categorical_crossentropy([0, 1], np.ones((2, 3))), r"integer labels go to sparse_categorical_crossentropy"),
    (lambda: ops.sparse_categorical_crossentropy([0], 1.0), r"takes an output with at least one axis"),
    (lambda: ops.unique(KerasTensor((3,))), r"A KerasTensor has no values"),
    (lambda: function(lambda x: ops.unique(x))(np.ones(3)), r"unique\(\) has a result whose shape depends on values"),
    (lambda: ops.inv(np.zeros((2, 2))), r"inv\(\) failed on matrices of shape \(2, 2\): Singular matrix"),
    (lambda: ops.inv(np.zeros((2, 3))), r"inv\(\) takes square matrices .*received shape \(2, 3\)"),
    (lambda: ops.quantile(np.ones(3), 1.5), r"quantile\(\) takes quantiles between 0 and 1"),
    (lambda: ops.scatter_update(np.ones(3), [[0]], [1.0, 2.0]), r"need updates of shape \(1,\); received \(2,\)"),
    (lambda: ops.slice_update(np.ones(3), [2], np.ones(2)), r"slice_update\(\) must stay inside its input"),
    (lambda: ops.image.resize(np.ones((4, 4)), (2, 2)), r"resize\(\) takes one image with 3 axes or a batch with 4; received shape \(4, 4\)"),
    (lambda: ops.image.resize(np.ones((4, 4, 1)), (2, 2), "magic"), r"interpolation out of .*received \(2, 2\) and 'magic'"),
    (lambda: ops.dot_product_attention(np.ones((1, 2, 3, 4)), np.ones((1, 2, 2, 4)), np.ones((1, 2, 2, 4))), r"heads a multiple of key heads"),
    (lambda: ops.normalize(np.ones(3), order=0), r"normalize\(\) takes an integer order >= 1; received order=0"),
    (lambda: ops.zeros((-1,)), r"zeros\(\) takes sizes >= 0; received shape=\(-1,\)"),
]  # fmt: skip


@pytest.mark.parametrize("run, text", ERRORS, ids=[text[:40] for _, text in ERRORS])
def test_errors_name_rule_values_and_fix(run, text):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=text):
        run()


def test_numpy_meets_tensors():
    x, a = ops.convert_to_tensor([1.0, 2.0]), np.array([3.0, 4.0], "float32")
    for result in (a + x, x + a, a - x, np.float32(2) * x, np.float64(2) * x, a @ x, a / x, a == x, a < x):
        assert isinstance(result, Tensor)
    assert (np.float64(2) * x).dtype == "float32"
    assert np.mean(x) == 1.5 and np.sum(x) == 3 and np.max(x) == 2
    assert isinstance(np.exp(x), np.ndarray) and np.stack([x, x]).shape == (2, 2)
    assert isinstance(a + KerasTensor((None, 2)), KerasTensor)
    v = Variable([1.0, 2.0])
    assert (a - v).tolist() == [2, 2] and np.sum(v) == 3
