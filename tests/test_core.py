"""The compiled module by itself: arrays, one-op steps and plans."""

from __future__ import annotations

import re

import numpy as np
import pytest
from core_plans import Counter, eager, program, whole_numbers
from nnlite import _core

DTYPES = {
    "float32": "float32", "float64": "float64", "bfloat16": "uint16", "int32": "int32", "int64": "int64", "uint8": "uint8", "int8": "int8", "bool": "bool",
}


# Arrays


@pytest.mark.parametrize("dtype", DTYPES)
def test_new_arrays_are_aligned(dtype):
    for shape in [(), (0,), (3,), (2, 3, 5), (1, 2, 1, 2, 1, 2, 1, 2), (300, 5000)]:
        array = _core.empty(shape, dtype)
        assert array.shape == shape and array.dtype == DTYPES[dtype]
        assert array.ctypes.data % 64 == 0 and array.flags.c_contiguous and array.flags.writeable
        assert not _core.zeros(shape, dtype).any()


def test_arrays_own_their_memory():
    before = _core.memory_stats()["in_use"]
    array = _core.zeros((1000, 1000))
    part = array[10:20]
    del array
    assert _core.memory_stats()["in_use"] >= before + 4_000_000
    assert not part.any()
    del part
    assert _core.memory_stats()["in_use"] == before
    _core.trim_memory()
    assert _core.memory_stats()["cached"] == 0
    assert _core.memory_stats()["peak"] >= before + 4_000_000


@pytest.mark.parametrize(
    ("shape", "dtype", "error", "text"),
    [
        ((2,), "float16", ValueError, "dtype must be one of float32, .* got 'float16'"),
        ((2, -1), "float32", ValueError, r"dimensions must be 0 or more; got shape \(2, -1\)"),
        ((1,) * 9, "float32", ValueError, "at most 8 dimensions; got 9"),
        ((1 << 40, 1 << 40), "float32", ValueError, "too many elements"),
        ((1 << 45,), "float32", MemoryError, r"cannot allocate .* \(140737488355328 bytes\); nnlite holds"),
    ],
)
def test_bad_arrays(shape, dtype, error, text):
    with pytest.raises(error, match=text):
        _core.empty(shape, dtype)


# One-op steps


def test_eager_step():
    x, y = whole_numbers(3, 5), np.ones((3, 5), "float32")
    step = eager("add", x, y)
    (z,) = step(x, y)
    np.testing.assert_array_equal(z, x + y)
    assert z.ctypes.data % 64 == 0
    assert step(x, y)[0] is not z


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((5, 3), "float32"), r"float32 \(5, 3\)"),
        (np.zeros((3, 5)), r"float64 \(3, 5\)"),
        (np.zeros((5, 3), "float32").T, "not C-contiguous and aligned"),
        (np.zeros((3, 5), ">f4"), r">f4 \(3, 5\)"),
        ([1.0], "an object of type list"),
        (None, "an object of type NoneType"),
    ],
)
def test_eager_step_names_a_wrong_input(array, text):
    x = np.zeros((3, 5), "float32")
    with pytest.raises(ValueError, match=r"elementwise: input 1: expected a C-contiguous array float32 \(3, 5\), got .*" + text):
        eager("add", x, x)(x, array)


def test_eager_step_counts_its_inputs():
    x = np.zeros(3, "float32")
    with pytest.raises(ValueError, match="elementwise: expected 2 inputs, got 1"):
        eager("add", x, x)(x)
    with pytest.raises(TypeError):
        eager("add", x, x)(x, y=x)


@pytest.mark.parametrize(
    ("kernel", "attributes", "text"),
    [
        ("nothing", {}, "there is no kernel 'nothing'"),
        ("reverse", {}, "reverse: attribute 'axes' is missing"),
        ("reverse", {"axes": None}, "reverse: attribute 'axes' is missing"),
        ("reverse", {"axes": "x"}, "reverse: attribute 'axes' must be a list of ints, got a string"),
        ("reverse", {"axes": ((1,),)}, "attribute 'axes' must hold ints, floats or strings; got an object of type tuple"),
        ("reverse", {"axes": {}}, "attribute 'axes' must be an int, a float, a string or a flat sequence of these; got an object of type dict"),
    ],
)
def test_bad_kernels_and_attributes(kernel, attributes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        _core.EagerStep(kernel, [((3,), "float32")], [((3,), "float32")], attributes)


def test_eager_step_has_the_same_bits_for_any_number_of_threads(threads):
    x = np.linspace(-4, 4, 1_000_000, dtype="float32")
    step = eager("tanh", x)
    results = []
    for count in (1, 2, 3, 8):
        threads(count)
        results.append(step(x)[0].tobytes())
    assert len(set(results)) == 1


# Plans


@pytest.mark.parametrize("flops", [0.0, 1e9])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_plan_runs(threads, flops, count):
    threads(count)
    counter = Counter(4, 1000, flops=flops)
    x = whole_numbers(4, 1000)
    for _ in range(3):
        (y,) = counter.plan.run([x])
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(counter.total, 3 * x.sum(0, keepdims=True))
    assert (counter.rows == 12).all()


@pytest.mark.parametrize("flops", [0.0, 1e9])
def test_plan_steps(threads, flops):
    threads(2)
    counter = Counter(4, 3000, flops=flops)
    x = whole_numbers(50, 3000)
    order = np.random.default_rng(0).integers(0, 50, 40)
    counter.plan.run_steps([x], order, 2, 7)
    np.testing.assert_array_equal(counter.total[0], x[order[8:36]].sum(0))
    assert (counter.rows == 28).all()


@pytest.mark.parametrize("flops", [0.0, 1e9])
def test_plan_batches(threads, flops):
    threads(2)
    counter = Counter(4, 30, flops=flops)
    x = whole_numbers(50, 30)
    y = np.zeros_like(x)
    counter.plan.run_batches([x], [y], 3, 5)
    expected = np.zeros_like(x)
    expected[3:23] = x[3:23]
    np.testing.assert_array_equal(y, expected)
    counter.plan.run_batches([x], [None], 0, 12)
    np.testing.assert_array_equal(counter.total[0], x[3:23].sum(0) + x[:48].sum(0))


def test_plans_share_an_arena_that_grows():
    arena = _core.Arena()
    small, large = Counter(2, 10, arena), Counter(64, 1000, arena)
    for counter in (small, large, small):
        x = whole_numbers(*((2, 10) if counter is small else (64, 1000)))
        np.testing.assert_array_equal(counter.plan.run([x])[0], x)
    assert arena.size >= 4 * 64 * 1000


def test_plan_outputs_never_share_memory():
    counter = Counter(2, 10)
    x = whole_numbers(2, 10)
    first = counter.plan.run([x])[0]
    kept = first.copy()
    counter.plan.run([x + 1])
    np.testing.assert_array_equal(first, kept)


def test_plan_keeps_its_arrays():
    weight = _core.zeros((3,))
    weight[:] = 5
    slots = [("float32", (3,), "input", 0), ("float32", (3,), "fixed", weight), ("float32", (3,), "output", 0)]
    plan = _core.Plan(slots, [("elementwise", [0, 1], [2], program("add"), "add")], [], _core.Arena(), 0)
    del weight, slots
    np.testing.assert_array_equal(plan.run([np.ones(3, "float32")])[0], [6, 6, 6])


def test_plan_prologue_runs_only_when_asked():
    source, packed = _core.zeros((3,)), _core.zeros((3,))
    slots = [("float32", (3,), "fixed", source), ("float32", (3,), "fixed", packed), ("float32", (3,), "output", 0)]
    copy, flip = ("reverse", [1], [2], {"axes": ()}, "copy"), ("reverse", [0], [1], {"axes": (0,)}, "flip")
    plan = _core.Plan(slots, [copy], [flip], _core.Arena(), 0)
    source[:] = [1, 2, 3]
    np.testing.assert_array_equal(plan.run([])[0], [0, 0, 0])
    plan.run_prologue()
    np.testing.assert_array_equal(plan.run([])[0], [3, 2, 1])


def test_plan_describes_itself():
    counter = Counter(4, 1000, flops=1e9)
    assert counter.plan.num_steps == 5 and counter.plan.microseconds > 1000
    profile = counter.plan.profile([whole_numbers(4, 1000)], 3)
    assert [label for label, _ in profile] == ["negative", "sum", "total", "rows", "output"]
    assert all(seconds > 0 for _, seconds in profile)
    assert (counter.rows == 16).all()  # a first run and three more
    assert "%1 float32 (4, 1000) arena+0" in counter.plan.dump()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda p, x, o: p.run([]), "expected 1 inputs, got 0"),
        (lambda p, x, o: p.run([x[:3]]), r"input 0: expected a C-contiguous array float32 \(4, 10\), got float32 \(3, 10\)"),
        (lambda p, x, o: p.run_steps([x, x], o, 0, 1), "expected 1 sources, got 2"),
        (lambda p, x, o: p.run_steps([x[:, :5].copy()], o, 0, 1), r"source 0: expected rows of float32 \(4, 10\), got float32 \(20, 5\)"),
        (lambda p, x, o: p.run_steps([x], o.astype("int32"), 0, 1), r"order must be a vector of int64; got int32 \(20,\)"),
        (lambda p, x, o: p.run_steps([x], o, 4, 2), "cannot run 2 steps from step 4: the 20 entries of order are enough for 5 steps of 4 rows"),
        (lambda p, x, o: p.run_steps([x], o, 0, 1 << 62), "cannot run 4611686018427387904 steps"),
        (lambda p, x, o: p.run_steps([x], o + 1, 0, 5), r"order\[19\] is 20, but the sources have 20 rows"),
        (lambda p, x, o: p.run_steps([x], o - 1, 0, 5), r"order\[0\] is -1, but the sources have 20 rows"),
        (lambda p, x, o: p.run_batches([x], [x.copy()], 1, 5), "5 batches of 4 rows from row 1 need more than the 20 rows given"),
        (lambda p, x, o: p.run_batches([x], [x[:4].copy()], 0, 2), "2 batches of 4 rows from row 0 need more than the 4 rows given"),
        (lambda p, x, o: p.run_batches([x], [np.broadcast_to(x[:1, :1], (20, 10))], 0, 1), "result 0: expected a C-contiguous array"),
        (lambda p, x, o: p.run_batches([x], [], 0, 1), "expected 1 results, got 0"),
        (lambda p, x, o: p.profile([x[:4]], 0), "repeat must be at least 1; got 0"),
    ],
)
def test_plan_names_what_is_wrong(call, text):
    counter = Counter(4, 10)
    with pytest.raises(ValueError, match=text):
        call(counter.plan, whole_numbers(20, 10), np.arange(20))
    assert not counter.rows.any()


def test_plan_does_not_write_to_read_only_results():
    result = np.zeros((4, 10), "float32")
    result.flags.writeable = False
    with pytest.raises(ValueError, match="result 0: the array is read-only"):
        Counter(4, 10).plan.run_batches([whole_numbers(4, 10)], [result], 0, 1)


@pytest.mark.parametrize(
    ("slots", "steps", "text"),
    [
        ([("float32", (4,), "arena", 64)], [], "slot 0: 16 bytes at offset 64 do not fit in an arena of 64 bytes"),
        ([("float32", (4,), "arena", -16)], [], "do not fit"),
        ([("float32", (4,), "stack", 0)], [], "kind of a slot must be 'arena', 'fixed', 'input', 'output' or 'moving'; got 'stack'"),
        ([("float32", (4,), "fixed", np.zeros(5, "float32"))], [], r"slot 0: expected float32 \(4,\), got an array float32 \(5,\)"),
        ([("float32", (4,), "fixed", [1])], [], "slot 0: expected a C-contiguous array"),
        ([("float32", (4,), "input", 1), ("float32", (4,), "arena", 0)], [], "no slot is input 0, but there are slots for later ones"),
        ([("float32", (4,), "input", 1 << 60)], [], "input index 1152921504606846976 is out of range"),
        ([("float32", (4,), "arena")], [], r"a slot is \(dtype, shape, kind, where\); got a tuple of 3"),
        ([], [("reverse", [0], [1], {}, "r")], "a step names slot 0, but there are 0 slots"),
        ([], [("reverse", [])], "a step is .*; got a tuple of 2"),
        ([("float32", (4,), "input", 0)], [("reverse", [0], [0], {"axes": (0,)}, "flip")], "step 'flip' writes to slot 0, which is an input"),
    ],
)
def test_bad_plans(slots, steps, text):
    with pytest.raises(ValueError, match=text):
        _core.Plan(slots, steps, [], _core.Arena(), 64)


def test_plan_does_not_write_to_read_only_arrays():
    array = np.zeros(4, "float32")
    array.flags.writeable = False
    with pytest.raises(ValueError, match="step 'flip' writes to slot 0, whose array is read-only"):
        _core.Plan([("float32", (4,), "fixed", array)], [("reverse", [0], [0], {"axes": (0,)}, "flip")], [], _core.Arena(), 0)
