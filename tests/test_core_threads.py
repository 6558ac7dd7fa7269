"""The compiled module among threads, forks, signals and environment variables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from core_plans import Counter, eager, whole_numbers
from nnlite import _core


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    path = os.path.dirname(os.path.dirname(_core.__file__))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")]), **environment}
    return subprocess.run([sys.executable, "-c", code], check=False, env=env, capture_output=True, text=True, timeout=120)


def test_number_of_threads(threads):
    threads(3)
    assert _core.get_num_threads() == 3
    for wrong in (-1, 257):
        with pytest.raises(ValueError, match=f"must be between 1 and 256, or 0 for the default; got {wrong}"):
            _core.set_num_threads(wrong)
    threads(0)
    assert 1 <= _core.get_num_threads() <= len(os.sched_getaffinity(0))


def test_environment_names_the_number_of_threads():
    code = "from nnlite import _core; print(_core.get_num_threads())"
    assert run_python(code, NNLITE_NUM_THREADS="5").stdout == "5\n"


def test_environment_names_the_instruction_set():
    code = "from nnlite import _core; print(_core.isa(), _core.best_isa())"
    names = ["baseline", "avx2", "avx512"]
    names = names[: names.index(_core.best_isa()) + 1]
    for name in names:
        assert run_python(code, NNLITE_ISA=name).stdout == f"{name} {_core.best_isa()}\n"
    failed = run_python(code, NNLITE_ISA="mmx")
    expected = f"ImportError: NNLITE_ISA must name an instruction set this machine can run ({', '.join(names)}); got 'mmx'"
    assert failed.returncode == 1 and expected in failed.stderr


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("flops", [0.0, 1e9])
def test_plans_run_in_several_python_threads(threads, shared, flops):
    threads(2)
    arena = _core.Arena() if shared else None
    counters = [Counter(4, 500, arena, flops) for _ in range(4)]
    x = whole_numbers(40, 500)

    def work(counter):
        for _ in range(20):
            counter.plan.run_steps([x], np.arange(40), 0, 10)
            np.testing.assert_array_equal(counter.plan.run([x[:4]])[0], x[:4])

    workers = [threading.Thread(target=work, args=(counter,)) for counter in counters]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for counter in counters:
        assert (counter.rows == 20 * 44).all()
        np.testing.assert_array_equal(counter.total[0], 20 * (x.sum(0) + x[:4].sum(0)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_children_train(threads):
    threads(2)
    counter = Counter(4, 2000, flops=1e9)
    x = whole_numbers(40, 2000)
    for i in range(100):
        counter.plan.run_steps([x], np.arange(40), 0, 10)
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # a child that hangs dies
            before = counter.rows[0, 0]
            counter.plan.run_steps([x], np.arange(40), 0, 10)
            os._exit(0 if (counter.rows == before + 40).all() else 1)
        assert os.waitpid(child, 0)[1] == 0, f"child {i} failed"


@pytest.mark.parametrize("flops", [0.0, 1e9])
def test_interrupt_ends_a_run_between_steps(threads, flops):
    threads(2)
    counter = Counter(1, 50_000, flops=flops)
    x = np.ones((1, 50_000), "float32")
    order = np.zeros(300_000, "int64")
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(KeyboardInterrupt):
            counter.plan.run_steps([x], order, 0, len(order))
    finally:
        signal.signal(signal.SIGALRM, previous)
    steps = counter.rows[0, 0]
    assert 0 < steps < len(order)
    assert (counter.rows == steps).all() and (counter.total == steps).all()
    counter.plan.run([x])  # and the plan still works
    assert (counter.rows == steps + 1).all()


def test_signal_handler_cannot_run_the_plan_it_interrupts(threads):
    threads(2)
    counter = Counter(1, 50_000)
    x = np.ones((1, 50_000), "float32")
    order = np.zeros(300_000, "int64")
    previous = signal.signal(signal.SIGALRM, lambda *_: counter.plan.run([x]))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(RuntimeError, match="already running in this thread"):
            counter.plan.run_steps([x], order, 0, len(order))
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_denormals_survive_outside():
    x = np.full(10, 1e-40, "float32")
    assert not eager("add", x, x)(x, x)[0].any()
    assert (x + x).all()


def test_kernels_are_named():
    names = _core.kernels()
    assert names == sorted(set(names))
    assert {"elementwise", "sum", "reverse", "transpose"} <= set(names)
