"""Traces, gradients, passes and plans."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import ops
from nnlite.graph.function import compile_function
from nnlite.graph.grad import backprop
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.passes import optimize
from nnlite.graph.passes.memory import plan_memory
from nnlite.graph.spec import Spec, spec_of_array
from nnlite.graph.trace import Trace


def _graph(function, *specs):
    with Trace() as trace:
        outputs = function(*[trace.input(spec) for spec in specs])
    return graph_of_trace(trace, outputs if isinstance(outputs, (list, tuple)) else [outputs])


def _names(graph):
    return [step.op.name for step in graph.nodes]


MATRIX = Spec((6, 5), "float32")


def test_common_subexpressions_are_computed_once():
    graph = optimize(_graph(lambda x: ops.sum(ops.exp(x)) + ops.sum(ops.exp(x)), MATRIX))
    assert sum(code == "exp" for step in graph.nodes for code in step.attributes.get("codes", ())) == 1


def test_identities_vanish():
    graph = optimize(_graph(lambda x: ops.reshape((x * 1.0) / 1.0, (6, 5)), MATRIX))
    assert _names(graph) == []


def test_what_is_turned_and_turned_back_vanishes():
    assert _names(optimize(_graph(lambda x: ops.flip(ops.flip(x, 0), 0) + 1.0, MATRIX))) == ["elementwise"]
    assert _names(optimize(_graph(lambda x: ops.flip(ops.flip(x, 0), 1), MATRIX))).count("reverse") == 2
    cube = Spec((2, 3, 4), "float32")
    assert _names(optimize(_graph(lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (2, 0, 1)), cube))) == []
    assert _names(optimize(_graph(lambda x: ops.transpose(ops.transpose(x, (1, 2, 0)), (1, 2, 0)), cube))) != []


def test_adding_zero_is_kept_because_of_negative_zero():
    function = nnlite.function(lambda x: x + 0.0)
    assert not np.signbit(function(np.array([-0.0], "float32")).numpy()[0])


def test_bias_and_activation_join_the_product():
    w, b = nnlite.Variable(np.ones((5, 4), "float32")), nnlite.Variable(np.ones(4, "float32"))
    graph = optimize(_graph(lambda x: ops.relu(ops.matmul(x, w) + b), MATRIX))
    assert _names(graph) == ["matmul"]
    assert graph.nodes[0].attributes["bias"] == 1 and graph.nodes[0].attributes["activation"] == "relu" and graph.nodes[0].attributes["packed"] == 1
    assert [step.op.name for step in graph.prologue] == ["matmul_pack"]


def test_bias_and_activation_join_a_product_of_sequences():
    w, b = nnlite.Variable(np.ones((4, 3), "float32")), nnlite.Variable(np.ones(3, "float32"))
    sequences = Spec((2, 5, 4), "float32")
    graph = optimize(_graph(lambda x: ops.relu(ops.matmul(x, w) + b), sequences))
    assert _names(graph) == ["reshape", "matmul", "reshape"]
    assert graph.nodes[1].attributes["bias"] == 1 and graph.nodes[1].attributes["activation"] == "relu"
    x = np.arange(40, dtype="float32").reshape(2, 5, 4) - 20
    assert np.array_equal(
        compile_function(lambda x: ops.relu(ops.matmul(x, w) + b), [sequences])([x])[0].numpy(), np.maximum(x @ np.ones((4, 3), "float32") + 1, 0)[0]
    )


def test_what_a_reshaped_product_gives_others_stays():
    w, b = nnlite.Variable(np.ones((4, 3), "float32")), nnlite.Variable(np.ones(3, "float32"))

    def several(x):
        product = ops.matmul(x, w)
        shifted = product + b
        return [ops.relu(shifted), shifted, product]

    x = np.arange(40, dtype="float32").reshape(2, 5, 4) - 20
    relu, shifted, product = compile_function(several, [Spec((2, 5, 4), "float32")])([x])
    assert np.array_equal(product.numpy(), x @ np.ones((4, 3), "float32")) and np.array_equal(shifted.numpy(), product.numpy() + 1)
    assert np.array_equal(relu.numpy(), np.maximum(shifted.numpy(), 0))


def test_a_product_that_is_read_twice_keeps_its_own_result():
    w, b = nnlite.Variable(np.ones((5, 4), "float32")), nnlite.Variable(np.ones(4, "float32"))

    def both(x):
        product = ops.matmul(x, w)
        return [ops.relu(product + b), product]

    x = np.arange(30, dtype="float32").reshape(6, 5) - 10
    compiled = compile_function(both, [MATRIX])
    relu, product = compiled([x])
    assert np.array_equal(product.numpy(), x @ np.ones((5, 4), "float32")) and np.array_equal(relu.numpy(), np.maximum(product.numpy() + 1, 0))


def test_elementwise_chains_become_one_program():
    graph = optimize(_graph(lambda x, y: ops.tanh(x * y + 1.0) - ops.exp(x), MATRIX, MATRIX))
    assert _names(graph) == ["elementwise"] and graph.nodes[0].attributes["codes"].count("tanh") == 1


def test_a_sum_joins_the_chain_before_it():
    graph = optimize(_graph(lambda x, y: ops.sum(ops.square(x - y)), MATRIX, MATRIX))
    assert _names(graph) == ["elementwise"] and graph.nodes[0].attributes["reduce"] == "sum"


def test_weights_are_packed_again_only_when_they_change():
    w = nnlite.Variable(np.eye(5, dtype="float32"))
    function = nnlite.function(lambda x: ops.matmul(x, w))
    x = np.arange(30, dtype="float32").reshape(6, 5)
    assert np.array_equal(function(x).numpy(), x)
    w.assign(2 * np.eye(5, dtype="float32"))
    assert np.array_equal(function(x).numpy(), 2 * x)


def test_a_variable_is_updated_in_its_own_buffer():
    total = nnlite.Variable(0.0)
    function = nnlite.function(lambda x: total.assign_add(ops.sum(x)))
    before = total._buffer.ctypes.data
    for _ in range(3):
        function(np.ones(4, "float32"))
    assert float(total) == 12.0 and total._buffer.ctypes.data == before
    with Trace() as trace:
        total.assign_add(ops.sum(trace.input(Spec((4,), "float32"))))
    assert plan_memory(optimize(graph_of_trace(trace, []))).copies == []


def test_swapping_two_variables():
    a, b = nnlite.Variable(1.0), nnlite.Variable(2.0)

    @nnlite.function
    def swap(x):
        old = a.value
        a.assign(b.value)
        b.assign(old)
        return x

    swap(np.zeros(1, "float32"))
    assert (float(a), float(b)) == (2.0, 1.0)


def test_a_value_read_before_an_update_keeps_its_numbers():
    v = nnlite.Variable([1.0, 2.0])
    old = v.value
    v.assign([3.0, 4.0])
    assert old.numpy().tolist() == [1.0, 2.0]
    update = nnlite.function(lambda x: v.assign(x))
    kept = v.value
    update(np.array([5.0, 6.0], "float32"))
    assert kept.numpy().tolist() == [3.0, 4.0] and v.numpy().tolist() == [5.0, 6.0]


def test_an_old_value_used_after_the_update_is_the_old_one():
    v = nnlite.Variable([1.0, 2.0])

    @nnlite.function
    def step(x):
        old = v.value
        v.assign(old + x)
        return ops.exp(old) * ops.sum(v.value)

    assert np.allclose(step(np.ones(2, "float32")).numpy(), np.exp([1.0, 2.0]) * 5.0)


def test_outputs_never_alias_inputs_variables_or_each_other():
    v = nnlite.Variable(np.ones(3, "float32"))
    function = nnlite.function(lambda x: [x, v.value, ops.reshape(x, (1, 3)), x + 1.0])
    x = np.arange(3, dtype="float32")
    arrays = [t.data for t in function(x)]
    for i, a in enumerate(arrays):
        assert not np.shares_memory(a, x) and not np.shares_memory(a, v._buffer)
        assert not any(np.shares_memory(a, b) for b in arrays[i + 1 :])


def test_results_survive_the_next_run():
    function = nnlite.function(lambda x: ops.exp(x))
    first = function(np.zeros(1000, "float32"))
    function(np.ones(1000, "float32"))
    assert (first.numpy() == 1).all()


def test_gradients_of_a_trace_and_of_a_tape_are_the_same():
    w = nnlite.Variable(np.linspace(-1, 1, 20).reshape(5, 4).astype("float32"))
    x = np.linspace(-2, 2, 30).reshape(6, 5).astype("float32")

    def loss_and_gradient(x):
        with nnlite.GradientTape() as tape:
            loss = ops.sum(ops.tanh(ops.matmul(x, w)))
        return loss, tape.gradient(loss, w)

    eager = loss_and_gradient(ops.convert_to_tensor(x))
    compiled = nnlite.function(loss_and_gradient)(x)
    assert np.allclose(eager[0].numpy(), compiled[0].numpy(), rtol=1e-6) and np.allclose(eager[1].numpy(), compiled[1].numpy(), rtol=1e-5)


def test_second_derivatives():
    x = nnlite.Variable(0.7)
    with nnlite.GradientTape() as outer:
        with nnlite.GradientTape() as inner:
            y = ops.tanh(x.value)
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    t = np.tanh(0.7)
    assert np.isclose(float(first), 1 - t * t, rtol=1e-6) and np.isclose(float(second), -2 * t * (1 - t * t), rtol=1e-5)


def test_unconnected_sources():
    a, b = nnlite.Variable(1.0), nnlite.Variable(2.0)
    with nnlite.GradientTape() as tape:
        y = a * 3.0
    assert tape.gradient(y, [a, b])[1] is None
    assert float(tape.gradient(y, b, unconnected_gradients="zero")) == 0.0


def test_a_tape_frees_what_it_recorded():
    import gc
    import weakref

    class Marker(np.ndarray):
        pass

    gc.disable()
    try:
        marker = np.ones(3, "float32").view(Marker)
        gone = weakref.ref(marker)
        with nnlite.GradientTape() as tape:
            y = ops.exp(nnlite.tensor.Tensor(Spec((3,), "float32"), marker))
        del marker, y, tape
        assert gone() is None
    finally:
        gc.enable()


def test_traced_tensors_have_no_values():
    with pytest.raises(TypeError, match=r"bool\(\) needs a tensor's values, but this float32\[2\] tensor is being traced.*run_eagerly=True"):
        nnlite.function(lambda x: x if x else -x)(np.ones(2, "float32"))


def test_a_traced_tensor_that_escaped_is_an_error():
    kept = []
    nnlite.function(lambda x: kept.append(x + 1) or x)(np.ones(2, "float32"))
    with pytest.raises(RuntimeError, match="received a tensor of a compiled function that is not being traced any more"):
        ops.exp(kept[0])


def test_dump_names_layers_and_variables():
    w = nnlite.Variable(np.ones((5, 4), "float32"), name="kernel")
    compiled = compile_function(lambda x: ops.matmul(x, w), [MATRIX])
    text = compiled.runner.dump()
    assert "matmul" in text and "kernel" in text and "float32[6,5]" in text


def test_function_compiles_once_per_signature():
    calls = []

    @nnlite.function
    def double(x, scale=2):
        calls.append(x.shape)
        return x * scale

    for _ in range(3):
        double(np.ones(3, "float32"))
    double(np.ones(4, "float32"))
    assert double(np.ones(4, "float32"), scale=3).numpy()[0] == 3
    assert calls == [(3,), (4,), (4,)]


def test_profile_lists_every_step():
    compiled = compile_function(lambda x: ops.sum(ops.matmul(x, ops.transpose(x)), axis=0), [MATRIX])
    rows = compiled.runner.profile([np.ones((6, 5), "float32")], 2)
    assert rows and all(isinstance(label, str) and seconds >= 0 for label, seconds in rows)


def test_dlpack_and_numpy_share_memory():
    x = np.arange(4, dtype="float32")
    tensor = nnlite.tensor.from_array(x)
    assert np.shares_memory(tensor.numpy(), x) and np.shares_memory(np.from_dlpack(tensor), x)
    assert not tensor.numpy().flags.writeable


def test_relu_and_bias_gradients_move_to_the_pooled_map():
    w = nnlite.Variable(np.random.default_rng(0).standard_normal((3, 3, 2, 4)).astype("float32"))
    b = nnlite.Variable(np.array([0.1, -0.2, -3.0, 0.0], "float32"))
    x = np.random.default_rng(1).standard_normal((2, 9, 8, 2)).astype("float32")

    def gradients(x):
        with nnlite.GradientTape() as tape:
            y = ops.relu(ops.conv(x, w, padding="same") + b)
            loss = ops.sum(ops.square(ops.max_pool(y, 2, padding="valid")))
        return tape.gradient(loss, [w, b])

    compiled = nnlite.function(gradients)
    for ours, eager in zip(compiled(x), gradients(ops.convert_to_tensor(x))):
        assert np.allclose(ours.numpy(), eager.numpy(), rtol=1e-5, atol=1e-5)
    graph = next(iter(compiled.cache.values())).runner.graph
    shapes = [graph.specs[step.outputs[0]].shape for step in graph.nodes if step.op.name == "elementwise"]
    assert (2, 9, 8, 4) not in shapes, "relu's gradient is still taken on the large map"


def test_gradients_of_a_split_are_a_concatenation():
    def parts(x, dy):
        a, b, c = ops.split(x, (3, 5), axis=1)
        return backprop([ops.concatenate([ops.tanh(c), a * a, ops.exp(b)], axis=1)], [dy], [x])[0]

    x, dy = [np.random.default_rng(seed).standard_normal((4, 9, 2)).astype("float32") for seed in (1, 2)]
    compiled = compile_function(parts, [spec_of_array(x), spec_of_array(dy)])
    names = [step.op.name for step in compiled.runner.graph.nodes]
    assert "concatenate" in names and "pad" not in names
    expected = np.concatenate([2 * x[:, :3] * dy[:, 4:7], np.exp(x[:, 3:5]) * dy[:, 7:], (1 - np.tanh(x[:, 5:]) ** 2) * dy[:, :4]], axis=1)
    np.testing.assert_allclose(compiled([x, dy]), expected, rtol=1e-5, atol=1e-6)


def test_gradients_of_overlapping_slices_are_sums():
    def overlapping(x, dy):
        return backprop([x[:, :5] * x[:, 3:8]], [dy], [x])[0]

    x, dy = np.random.default_rng(1).standard_normal((4, 9)).astype("float32"), np.ones((4, 5), "float32")
    expected = np.zeros_like(x)
    expected[:, :5] += x[:, 3:8]
    expected[:, 3:8] += x[:, :5]
    np.testing.assert_allclose(compile_function(overlapping, [spec_of_array(x), spec_of_array(dy)])([x, dy]), expected, rtol=1e-6)
