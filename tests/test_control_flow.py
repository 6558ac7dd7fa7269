"""Loops and branches in compiled functions: against Python loops, in value and gradient, and against finite differences."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import nnlite
import numpy as np
import pytest
from nnlite import GradientTape, _core, ops
from nnlite.backends import numpy as numpy_backend

rng = np.random.default_rng(7)
XS, H0 = rng.normal(size=(6, 2, 3)), rng.normal(size=(2, 3))
W, U, BIAS = rng.normal(size=(3, 3)), rng.normal(size=(3, 3)), rng.normal(size=3)
ROWS = rng.normal(size=(5, 3))
T = ops.convert_to_tensor


def rnn(xs, h0, w, u, b, reverse=False):
    def step(h, x):
        h = ops.tanh(ops.matmul(x, w) + ops.matmul(h, u) + b)
        return h, h * 2

    return ops.scan(step, h0, xs, reverse=reverse)


def gated(xs, h0, w):
    """A cell whose product needs its own slices, with gradients that a concatenation joins."""

    def step(carry, x):
        h, c = carry
        i, g = ops.split(ops.matmul(ops.concatenate([x, h], axis=-1), w), 2, axis=-1)
        c = ops.sigmoid(i) * c + ops.tanh(g)
        return (ops.tanh(c), c), None

    return ops.scan(step, (h0, h0), xs)[0]


def fibonacci(x):
    """Carries that change places, one that stays, one that nobody needs, a y that is an x, and one that is the carry before."""

    def step(carry, v):
        a, b, still, unused = carry
        return (b, a + b * v, still, unused + 1), (v, a, still * v, ops.reshape(b, (3, 1)))

    return ops.scan(step, (ops.ones(3, "float64"), x[0], x[1], x[2]), x)


def nested(xs, u):
    def outer(c, x):
        d, ys = ops.scan(lambda a, r: (ops.tanh(ops.matmul(a, u) + r), a * r), c, x)
        d = ops.cond(ops.sum(d) > 0, lambda: d * 2, lambda: d - ops.mean(ys))
        return d, (ys, ops.sum(d))

    return ops.scan(outer, ops.ones(3, "float64"), xs)


def halved(x):
    return ops.while_loop(lambda n, v: ops.max(v) > 1, lambda n, v: (n + 1, v / 2 * ops.sin(v)), (0, x), maximum_iterations=7)


def bounded_scan(x):
    """A loop with an end of its own inside a scan."""
    return ops.scan(lambda c, v: (halved(c * v)[1], c), ops.full((3,), 3.0, "float64"), ops.abs(x))


def conditional(x, y):
    return ops.cond(ops.sum(x) > 0, lambda: {"a": ops.sin(x) * y, "b": 1}, lambda: {"a": x - y, "b": 2.5})


def embedded(table):
    ids = np.array([[0, 1], [4, 0]])
    return ops.scan(lambda c, i: (c + ops.take(table, i, axis=0), None), ops.zeros((2, 3), "float64"), ids)[0]


def convolved(x, w):
    return ops.scan(lambda c, v: (ops.tanh(ops.conv(c + v, w, padding="same")), c), x[0], x)


CASES = {
    "scan": (rnn, (XS, H0, W, U, BIAS)),
    "scan in reverse": (lambda *a: rnn(*a, reverse=True), (XS, H0, W, U, BIAS)),
    "scan with concatenation": (gated, (XS, H0, rng.normal(size=(6, 6)))),
    "carries of all kinds": (fibonacci, (ROWS,)),
    "scan without xs": (lambda x: ops.scan(lambda c, _: (ops.sin(c) + x, c), x, length=4), (ROWS,)),
    "scan without a carry": (lambda x: ops.scan(lambda c, v: ((), ops.softmax(v)), (), x), (XS,)),
    "sum over a batch": (lambda x, w: ops.scan(lambda c, v: (c + ops.einsum("bi,ij->", ops.tanh(v), w), None), 0.0, x)[0], (XS, W)),
    "nested": (nested, (XS, U)),
    "while": (halved, (np.array([9.0, 1.0, 4.0]),)),
    "while that never runs": (halved, (np.array([0.5, 0.2, 0.1]),)),
    "while inside scan": (bounded_scan, (ROWS,)),
    "cond": (conditional, (np.abs(ROWS), ROWS)),
    "cond, otherwise": (conditional, (-np.abs(ROWS), ROWS)),
    "switch": (lambda x: ops.switch(ops.cast(ops.sum(x) * 0 + 1, "int32"), [ops.sin, ops.exp, ops.tanh], x), (ROWS,)),
    "fori": (lambda x: ops.fori_loop(2, 6, lambda i, v: ops.sin(v) * 1.5 + ops.cast(i, "float64"), x), (ROWS,)),
    "map": (lambda x, w: ops.map(lambda v: ops.matmul(ops.softmax(v), w), x), (XS, W)),
    "vectorized map": (lambda x, w: ops.vectorized_map(lambda v: (ops.matmul(v, w), ops.max(v, axis=0), ops.flip(v, 0)), x), (XS, W)),
    "vectorized map of what needs a loop": (lambda x: ops.vectorized_map(lambda v: ops.cond(ops.sum(v) > 0, lambda: v, lambda: v * v), x), (XS,)),
    "associative scan": (lambda x: ops.associative_scan(lambda a, b: a * b, x, axis=1), (XS,)),
    "embedding": (embedded, (ROWS,)),
    "convolution": (convolved, (rng.normal(size=(3, 2, 5, 1)), rng.normal(size=(3, 1, 1)))),
}


def gradients(run):
    def call(*args):
        args = [T(a) for a in args]
        with GradientTape() as tape:
            loss = sum(ops.sum(ops.sin(ops.cast(y, "float64")) * (k + 1)) for k, y in enumerate(nnlite.tree.flatten(run(*args))))
        return [ops.zeros_like(a) if g is None else g for a, g in zip(args, tape.gradient(loss, args))]

    return call


def check_equal(a, b, tolerance=1e-10):
    for x, y in zip(nnlite.tree.flatten(a), nnlite.tree.flatten(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_compiled_is_eager(name):
    run, args = CASES[name]
    check_equal(nnlite.function(run)(*args), run(*[T(a) for a in args]))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_a_python_loop(name):
    run, args = CASES[name]
    check_equal(nnlite.function(gradients(run))(*args), gradients(run)(*args))


@pytest.mark.parametrize("name", [name for name in CASES if "vectorized" not in name])
def test_gradients_against_finite_differences(name):
    run, args = CASES[name]
    loss = nnlite.function(lambda *a: sum(ops.sum(ops.sin(ops.cast(y, "float64")) * (k + 1)) for k, y in enumerate(nnlite.tree.flatten(run(*a)))))
    found = nnlite.function(gradients(run))(*args)
    directions = [rng.normal(size=a.shape) for a in args]
    step = 1e-6
    high, low = (float(loss(*[a + sign * step * d for a, d in zip(args, directions)])) for sign in (1, -1))
    expected = sum((np.asarray(g) * d).sum() for g, d in zip(found, directions))
    np.testing.assert_allclose((high - low) / (2 * step), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_plan_is_reference(name):
    """The numpy backend's interpreter runs the same graph."""
    run, args = CASES[name]
    function = nnlite.function(run)
    results = function(*args)
    (compiled,) = function.cache.values()
    with nnlite.graph.trace.Trace() as trace:
        traced = nnlite.tree.flatten(run(*[trace.input(t.spec) for t in map(T, args)]))
    graph = nnlite.graph.ir.graph_of_trace(trace, [t for t in traced if isinstance(t, nnlite.Tensor)])
    check_equal(numpy_backend.compile_graph(graph).run(list(args)), [t for t in nnlite.tree.flatten(results) if isinstance(t, nnlite.Tensor)])
    assert compiled.runner.dump()


def test_second_derivatives():
    def twice(*args):
        args = [T(a) for a in args]
        with GradientTape() as tape:
            total = sum(ops.sum(g * g) for g in gradients(rnn)(*args))
        return tape.gradient(total, args)

    check_equal(nnlite.function(twice)(XS, H0, W, U, BIAS), twice(XS, H0, W, U, BIAS), 1e-9)


def test_bits_do_not_depend_on_threads(threads):
    xs, h0, w, u = (rng.normal(size=s).astype("float32") for s in ((20, 64, 96), (64, 96), (96, 96), (96, 96)))
    results = []
    for count in (1, 2, 5):
        threads(count)
        function = nnlite.function(gradients(rnn))
        results.append([[np.asarray(g).tobytes() for g in function(xs, h0, w, u, u[0])] for _ in range(6)])
    assert all(run == results[0][0] for runs in results for run in runs)


def test_loops_stay_loops():
    """The number of steps of a plan does not depend on the number of rounds; products of xs are made before the loop."""
    sizes = []
    for n in (10, 500):
        function = nnlite.function(gradients(rnn))
        function(np.ones((n, 2, 3)), H0, W, U, BIAS)
        (compiled,) = function.cache.values()
        sizes.append(compiled.runner._core.num_steps)
        labels = [label for label, _ in compiled.runner.profile([np.ones((n, 2, 3)), H0, W, U, BIAS], 1)]
        begin, end = labels.index("loop_begin"), labels.index("loop_end")
        assert labels[begin:end].count("matmul") == 1 and "matmul" in labels[:begin]
    assert sizes[0] == sizes[1] < 40


def test_variables_and_random_numbers_in_loops():
    seed, counter = nnlite.random.SeedGenerator(3), nnlite.Variable(np.zeros(3), dtype="float64")

    def run(x):
        def step(c, v):
            counter.assign_add(v)
            return c + counter, nnlite.random.dropout(v, 0.5, seed=seed)

        return ops.scan(step, ops.zeros(3, "float64"), x)

    compiled = nnlite.function(run)(ROWS)
    assert seed.state.numpy().tolist() == [3, 5]
    np.testing.assert_allclose(counter.numpy(), ROWS.sum(0))
    seed.state.assign([3, 0]), counter.assign(np.zeros(3))
    check_equal(compiled, run(T(ROWS)))
    branch = nnlite.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: counter.assign_add(x), lambda: counter + 0))
    before = counter.numpy()
    branch(-np.ones(3)), branch(np.ones(3))
    np.testing.assert_allclose(counter.numpy(), before + 1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_inside_a_loop(optimizer):
    """Weights and slots of the optimizer are carries; gradients are taken inside the body."""
    x = rng.normal(size=(5, 8, 3))
    target = x.sum(-1, keepdims=True)

    def train(wrap):
        weight = nnlite.Variable(np.ones((3, 1)), dtype="float64")
        rule = nnlite.optimizers.get({"class_name": optimizer, "config": {"learning_rate": 0.1}})
        rule.build([weight])

        def step(total, row):
            with GradientTape() as tape:
                loss = ops.mean((ops.matmul(row[0], weight) * 1.5 - row[1]) ** 2)
            rule.apply_gradients([(tape.gradient(loss, weight), weight)])
            return total + loss, loss

        result = wrap(lambda x, y: ops.scan(step, np.float64(0), (x, y)))(T(x), T(target))
        return [result, weight.numpy(), int(rule.iterations)]

    found = train(nnlite.function)
    assert found[2] == 5
    check_equal(found, train(lambda run: run), 1e-6)


def test_only_the_chosen_branch_runs():
    def run(x, n):
        endless = lambda: ops.while_loop(lambda v: ops.sum(v) > -1, lambda v: (v + 0,), (x,))[0]
        return ops.switch(n, [lambda: x * 2, endless, lambda: x * 3])

    function = nnlite.function(run)
    assert [function(np.ones(1), np.array(n, "int32")).tolist() for n in (-4, 0, 2, 9)] == [[2.0], [2.0], [3.0], [3.0]]


def test_rounds_known_only_at_run_time():
    function = nnlite.function(lambda n, x: ops.fori_loop(1, n, lambda i, v: v * ops.cast(i, "float64"), x))
    assert [float(function(np.array(n, "int32"), np.array(1.0))) for n in (0, 1, 2, 6)] == [1, 1, 1, 120]


def test_no_rounds():
    for run in (nnlite.function(fibonacci_of), fibonacci_of):
        last, (a, b) = run(np.ones((0, 3)))
        assert last.tolist() == [1, 1, 1] and a.shape == (0, 3) and b.shape == (0,)


def fibonacci_of(x):
    return ops.scan(lambda c, v: (c * v, (c, ops.sum(v))), ops.ones(3, "float64"), x)


def test_python_numbers_yield_to_tensors():
    for run in (lambda x: ops.scan(lambda c, v: (c + ops.sum(v), c), 0, x), lambda x: ops.fori_loop(0, 3, lambda i, c: c + x[0, 0], 0)):
        assert np.asarray(nnlite.tree.flatten(nnlite.function(run)(ROWS))[0]).dtype == "float64"


def test_bfloat16_and_integers():
    xs, u = ops.cast(T(XS), "bfloat16"), ops.cast(T(U), "bfloat16")
    run = lambda x: ops.scan(lambda c, v: (ops.tanh(ops.matmul(c, u) + v), c), ops.zeros((2, 3), "bfloat16"), x)
    check_equal([t.numpy() for t in nnlite.tree.flatten(nnlite.function(run)(xs))], [t.numpy() for t in nnlite.tree.flatten(run(xs))], 0.02)
    ints = nnlite.function(lambda x: ops.scan(lambda c, v: (c * 3 + v, c > 4), np.int64(1), x))(np.array([1, 2, 3]))
    assert int(ints[0]) == 45 and ints[1].tolist() == [False, False, True]


def test_symbolic_tensors():
    x = nnlite.Input((3,))
    y = ops.map(lambda v: v * 2, x)
    assert y.shape == (None, 3)
    assert nnlite.Model(x, y).predict(np.ones((4, 3)), verbose=0).tolist() == [[2, 2, 2]] * 4
    carry, ys = ops.scan(lambda c, v: (c + ops.sum(v), c), ops.zeros(()), x)
    assert carry.shape == () and ys.shape == (None,)
    assert ops.while_loop(lambda v: ops.sum(v) < 9, lambda v: (v * 2,), (x,))[0].shape == (None, 3)
    assert ops.associative_scan(lambda a, b: a + b, x).shape == (None, 3)


@pytest.mark.parametrize(
    "run, error, message",
    [
        (
            lambda x: ops.scan(lambda c, v: (ops.tile(c, 2), None), ops.zeros(3), x),
            ValueError,
            r"had shape \(3,\), the function returned shape \(6,\)",
        ),
        (
            lambda x: ops.scan(lambda c, v: (ops.cast(c, "int32"), None), ops.zeros(3), x),
            ValueError,
            r"was float32\[3\], the function returned int32\[3\]",
        ),
        (lambda x: ops.scan(lambda c, v: ((c, c), None), ops.zeros(3), x), ValueError, "carry of the structure it was given"),
        (lambda x: ops.scan(lambda c, v: (c, v), 0.0, ops.sum(x)), ValueError, "along the first axis of its tensors; received a scalar"),
        (lambda x: ops.scan(lambda c, v: (c, v), 0.0, (x, x[1:])), ValueError, r"needs one length.*received lengths \[4, 5\]"),
        (lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: x[0]), ValueError, r"structure and shapes.*float64\[3\] and float64\[5,3\]"),
        (lambda x: ops.while_loop(lambda v: v > 0, lambda v: (v,), (x,)), ValueError, "must be one value"),
        (lambda x: ops.fori_loop(0, 3, lambda i, v: v * int(i), x), TypeError, "being traced"),
        (lambda x: _leaked(x), RuntimeError, "or of the body of a loop or branch"),
    ],
)
def test_errors(run, error, message):
    with pytest.raises(error, match=message):
        nnlite.function(run)(ROWS)


def _leaked(x):
    kept = []
    ops.scan(lambda c, v: (kept.append(v * 2) or c + v, None), ops.zeros(3, "float64"), x)
    return kept[0] + 1


@pytest.mark.parametrize("threads", [1, 2])
def test_interrupts_end_a_loop(threads):
    """Also where a helper of the team runs the loop: only the calling thread may ask Python for signals."""
    code = textwrap.dedent(f"""
        import signal
        import nnlite, numpy as np
        from nnlite import _core, ops
        _core.set_num_threads({threads})
        signal.signal(signal.SIGINT, signal.default_int_handler)

        @nnlite.function
        def count_down(x, step):
            start = ops.matmul(x, x)[0, :3] * 0 + 2
            return ops.while_loop(lambda v: ops.sum(v) > 0, lambda v: (v - step,), (start,))[0]

        x = np.ones((600, 600), "float32")
        for _ in range(3):
            assert count_down(x, np.float32(1)).tolist() == [0, 0, 0]
        for _ in range(3):
            try:
                print("ready", flush=True)
                count_down(x, np.float32(0))
            except KeyboardInterrupt:
                print("ended", count_down(x, np.float32(2)).tolist(), flush=True)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            for _ in range(3):
                assert process.stdout.readline() == "ready\n"
                process.send_signal(signal.SIGINT)
                assert process.stdout.readline() == "ended [0.0, 0.0, 0.0]\n"
        finally:
            process.kill()


def test_plans_refuse_broken_loops():
    def plan(steps, slots=()):
        return _core.Plan([("int32", (), "fixed", np.zeros((), "int32")), *slots], steps, [], _core.Arena(), 0)

    loop = {"length": 2, "reverse": 0, "counted": 0, "moves": (), "finals": (), "clear": ()}
    branches = [("branch_begin", [0], [], {"branches": 3}, ""), ("branch_next", [], [], {}, ""), ("branch_end", [], [], {}, "")]
    for steps, message in (
        ([("loop_begin", [0], [], loop, "")], "has no end"),
        ([("loop_end", [], [], {}, "")], "does not belong to a loop"),
        ([("loop_begin", [0], [], {**loop, "moves": (0, 0, 5, 0, 4, 0)}, "")], "there is no operand 5"),
        ([("loop_begin", [0], [], {**loop, "moves": (0, 0, 0, 0, 4, 0)}, "")], "too small for 2 rows"),
        ([("loop_begin", [0], [], {**loop, "moves": (0, 0, 0, 0, 0, 4)}, "")], "offset 4 is outside of 4 bytes"),
        ([("loop_begin", [0], [], {**loop, "finals": (0, 0, 0, 0, 2, 4)}, "")], "must lie in its 4 bytes"),
        ([("sections_begin", [], [], {"sections": 1}, "")], "has no end"),
        ([("sections_next", [], [], {}, "")], "must not stand here"),
        ([("sections_begin", [], [], {"sections": 2}, ""), ("sections_end", [], [], {}, "")], "announces 2 sections, but 1"),
        (branches, "announces 3 branches, but 2"),
    ):
        with pytest.raises(ValueError, match=message):
            plan(steps)
    program = {"codes": ("abs",), "args": (0, -1, -1), "params": (0.0,), "dtypes": ("int32",), "results": (1,)}
    with pytest.raises(ValueError, match="no loop sets register 3"):
        plan([("elementwise", [1], [1], program, "")], [("int32", (), "moving", 3)])


def test_constant_weights_of_a_body_are_packed_before_the_loop():
    w, b = np.linspace(-0.3, 0.3, 9 * 9).reshape(9, 9).astype("float32"), np.linspace(-1, 1, 9).astype("float32")
    compiled = nnlite.function(lambda h: ops.fori_loop(0, 6, lambda i, h: ops.tanh(ops.matmul(h, w) + b), h))
    h = np.linspace(-1, 1, 18).reshape(2, 9).astype("float32")
    expected = h
    for _ in range(6):
        expected = np.tanh(expected @ w + b)
    np.testing.assert_allclose(compiled(h).numpy(), expected, rtol=1e-5, atol=1e-6)
    (runner,) = [found.runner for found in compiled.cache.values()]
    assert "matmul_pack" in [step.op.name for step in runner.graph.prologue]
