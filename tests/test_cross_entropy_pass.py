"""The loss of integer labels and its gradient in one step."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, losses, ops
from nnlite.backends import active
from nnlite.graph import passes
from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.spec import spec_of_array
from nnlite.ops.softmaxes import sparse_softmax_cross_entropy

pytestmark = pytest.mark.skipif(active().__name__.endswith("numpy"), reason="the numpy backend has no fused steps")
CLASSES = (1, 2, 10, 17, 100, 1000)


def case(rows, classes, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    x = (3 * rng.standard_normal((rows, classes))).astype(dtype)
    return x, rng.integers(0, classes, rows).astype("int32"), rng.uniform(0.5, 2, rows).astype(dtype)


def of_probabilities(x, labels, weights):
    return losses.SparseCategoricalCrossentropy()(labels, ops.softmax(x), sample_weight=weights)


def of_scores(x, labels, weights):
    return losses.SparseCategoricalCrossentropy(from_logits=True)(labels, x, sample_weight=weights)


def compiled(loss, arrays):
    """The plan of (loss, gradient by the scores)."""

    def step(x, labels, weights):
        value = loss(x, labels, weights)
        return [value, *backprop([value], [None], [x])]

    return compile_function(step, [spec_of_array(a) for a in arrays])


def unfused(monkeypatch, loss, arrays):
    with monkeypatch.context() as patch:
        patch.setattr(passes, "fuse_cross_entropy", lambda graph: graph)
        return compiled(loss, arrays)


def names(plan):
    return [step.op.name for step in plan.runner.graph.nodes]


def is_fused(plan):
    found = [step for step in plan.runner.graph.nodes if step.op.name == "sparse_softmax_cross_entropy"]
    return len(found) == 1 and len(found[0].inputs) == 3 and "sparse_softmax_cross_entropy_grad" not in names(plan)


def arrays_of(results):
    return [np.asarray(r) for r in results]


def expected(x, labels, weights):
    """Loss and gradient in float64."""
    x, weights = x.astype("float64"), weights.astype("float64")
    z = x - x.max(-1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    rows = np.arange(len(x))
    gradient = np.exp(log_p)
    gradient[rows, labels] -= 1
    return -(weights * log_p[rows, labels]).sum() / len(x), gradient * weights[:, None] / len(x)


@pytest.mark.parametrize("loss", [of_scores, of_probabilities])
@pytest.mark.parametrize("classes", CLASSES)
def test_values(monkeypatch, loss, classes):
    arrays = case(37, classes)
    plan = compiled(loss, arrays)
    assert is_fused(plan)
    value, gradient = arrays_of(plan(list(arrays)))
    want, want_gradient = expected(*arrays)
    np.testing.assert_allclose(value, want, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(gradient, want_gradient, rtol=2e-5, atol=1e-8)
    for got, two in zip((value, gradient), arrays_of(unfused(monkeypatch, loss, arrays)(list(arrays)))):
        np.testing.assert_array_equal(got, two)


def test_eager_agrees():
    x, labels, weights = case(21, 10)
    plan = compiled(of_scores, (x, labels, weights))
    tensor = ops.convert_to_tensor(x)
    with nnlite.GradientTape() as tape:
        tape.watch(tensor)
        value = of_scores(tensor, labels, weights)
    got, gradient = arrays_of(plan([x, labels, weights]))
    np.testing.assert_allclose(got, np.asarray(value), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.asarray(tape.gradient(value, tensor)), rtol=1e-6, atol=1e-9)


def test_gradient_is_that_of_finite_differences():
    x, labels, weights = case(5, 7)
    plan = compiled(of_scores, (x, labels, weights))
    assert is_fused(plan)
    gradient, step = np.asarray(plan([x, labels, weights])[1]), np.float32(1e-2)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        slope = (float(np.asarray(plan([up, labels, weights])[0])) - float(np.asarray(plan([down, labels, weights])[0]))) / (2 * float(step))
        assert abs(slope - gradient[i]) < 2e-4


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(monkeypatch, rows):
    arrays = case(rows, 10)
    plan = compiled(of_scores, arrays)
    for got, two in zip(arrays_of(plan(list(arrays))), arrays_of(unfused(monkeypatch, of_scores, arrays)(list(arrays)))):
        np.testing.assert_array_equal(got, two)


def test_odd_scores_and_labels(monkeypatch):
    x, labels, weights = case(20, 10)
    x[2, 3], x[4, 5], x[6, 1], labels[8], labels[9] = np.inf, -np.inf, np.nan, -1, 10
    plan = compiled(of_scores, (x, labels, weights))
    assert is_fused(plan)
    got = arrays_of(plan([x, labels, weights]))
    for one, two in zip(got, arrays_of(unfused(monkeypatch, of_scores, (x, labels, weights))([x, labels, weights]))):
        np.testing.assert_array_equal(one, two)
    assert np.isnan(got[0]) and np.isnan(got[1][2]).all() and np.isfinite(got[1][[8, 9]]).all()


@pytest.mark.parametrize("loss", ["probabilities read", "bfloat16", "weight by loss"])
def test_what_stays_two_steps(monkeypatch, loss):
    def reads(x, labels, weights):
        rows, p = sparse_softmax_cross_entropy(x, ops.convert_to_tensor(labels))
        if loss == "probabilities read":
            return ops.sum(rows * weights) + ops.sum(ops.square(p))
        return ops.sum(ops.square(rows) * weights)

    x, labels, weights = case(9, 10)
    if loss == "bfloat16":
        specs = [spec_of_array(x), spec_of_array(labels), spec_of_array(weights)]

        def step(x, labels, weights):
            value = losses.sparse_categorical_crossentropy(labels, ops.cast(x, "bfloat16"), from_logits=True)
            return [ops.cast(value, "float32"), *backprop([value], [None], [x])]

        plan = compile_function(step, specs)
    else:
        plan = compiled(reads, (x, labels, weights))
        for one, two in zip(arrays_of(plan([x, labels, weights])), arrays_of(unfused(monkeypatch, reads, (x, labels, weights))([x, labels, weights]))):
            np.testing.assert_array_equal(one, two)
    assert not is_fused(plan)


def test_ignored_classes_and_weights_made_late(monkeypatch):
    def loss(x, labels, weights):
        return losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)(labels, x, sample_weight=ops.sqrt(weights) + 1.0)

    arrays = case(33, 10)
    plan = compiled(loss, arrays)
    assert is_fused(plan)
    for one, two in zip(arrays_of(plan(list(arrays))), arrays_of(unfused(monkeypatch, loss, arrays)(list(arrays)))):
        np.testing.assert_array_equal(one, two)


def test_training_gives_the_same_weights(monkeypatch):
    def weights():
        nnlite.utils.set_random_seed(3)
        model = nnlite.Sequential([nnlite.Input((12,)), layers.Dense(16, activation="relu"), layers.Dense(10, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        x, labels, _ = case(70, 12, seed=1)
        history = model.fit(x, labels % 10, batch_size=16, epochs=2, verbose=0, shuffle=False)
        return [*map(np.asarray, model.get_weights()), np.asarray(history.history["loss"]), np.asarray(history.history["accuracy"])]

    fused = weights()
    monkeypatch.setattr(passes, "fuse_cross_entropy", lambda graph: graph)
    for one, two in zip(fused, weights()):
        np.testing.assert_array_equal(one, two)
