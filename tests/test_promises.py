"""What training promises: the same bits at any number of threads and batch size, forks, threads, Ctrl-C, bounded memory."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import nnlite
from nnlite import _core
from nnlite import layers as L

IMAGES = np.random.default_rng(0).random((75, 28, 28, 1), dtype="float32")
LABELS = np.random.default_rng(1).integers(0, 10, 75)
ROWS = np.random.default_rng(2).random((64, 10), dtype="float32")
CLASSES = np.random.default_rng(3).integers(0, 3, 64)


def seed_network(noisy: bool = False):
    """Three convolutions and two dense layers; `noisy` adds batch normalization and dropout."""
    model = nnlite.Sequential([nnlite.Input((28, 28, 1)), L.Conv2D(32, 3, activation="relu")])
    if noisy:
        model.add(L.BatchNormalization())
    for layer in (L.MaxPooling2D(2), L.Conv2D(64, 3, activation="relu"), L.MaxPooling2D(2), L.Conv2D(64, 3, activation="relu"), L.Flatten()):
        model.add(layer)
    model.add(L.Dense(64, activation="relu"))
    if noisy:
        model.add(L.Dropout(0.3))
    model.add(L.Dense(10, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def small_network():
    model = nnlite.Sequential([nnlite.Input((10,)), L.Dense(16, activation="relu"), L.Dropout(0.1), L.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fingerprint(*arrays) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def trained_seed_network(noisy: bool, seed: int = 3, **arguments) -> str:
    """Fingerprint of the weights after an epoch of three steps, the last of them short."""
    nnlite.utils.set_random_seed(seed)
    model = seed_network(noisy)
    history = model.fit(IMAGES, LABELS, verbose=0, **arguments).history
    return fingerprint(*model.get_weights(), history["loss"], history["accuracy"])


@pytest.fixture
def threads():
    """Sets the number of threads for one test."""
    before = _core.get_num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)


def run_python(code: str, **environment: str) -> str:
    """What a fresh Python prints."""
    package = os.path.dirname(os.path.dirname(_core.__file__))
    path = os.pathsep.join([package, os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


# The same bits


@pytest.mark.parametrize("noisy", [False, True])
def test_fit_has_the_same_bits_for_any_number_of_threads(threads, noisy):
    results = []
    for count in (1, 2, 4, 2):
        threads(count)
        results.append(trained_seed_network(noisy))
    assert len(set(results)) == 1


def test_shuffling_depends_on_the_seed_alone():
    def order_dependent(seed, shuffle=True):
        nnlite.utils.set_random_seed(seed)
        model = small_network()
        model.set_weights([np.full(w.shape, 0.1, w.dtype) + np.linspace(0, 0.1, w.size).reshape(w.shape) for w in model.get_weights()])
        model.layers[1].rate = 0.0
        model.fit(ROWS, CLASSES, batch_size=16, verbose=0, shuffle=shuffle)
        return fingerprint(*model.get_weights())

    assert order_dependent(1) == order_dependent(1)
    assert len({order_dependent(1), order_dependent(2), order_dependent(1, shuffle=False)}) == 3


def test_a_fresh_process_repeats_a_fit():
    code = "import test_promises; print(test_promises.trained_seed_network(True))"
    assert run_python(code, NNLITE_NUM_THREADS="3").strip() == trained_seed_network(True)


def test_predict_has_the_same_bits_for_any_batch_size(threads):
    model = seed_network(noisy=True)
    model.fit(IMAGES, LABELS, verbose=0)
    expected = model(IMAGES).numpy()
    for count in (1, 2):
        threads(count)
        for size in (1, 7, 64):
            np.testing.assert_array_equal(model.predict(IMAGES, batch_size=size, verbose=0), expected, strict=True)
        np.testing.assert_array_equal(np.concatenate([model(IMAGES[i : i + 1]).numpy() for i in range(len(IMAGES))]), expected, strict=True)
        np.testing.assert_array_equal(model.predict_on_batch(IMAGES), expected, strict=True)


MANY_LAYERS = """
import numpy as np, nnlite, test_promises
from nnlite import layers as L

print(test_promises.trained_seed_network(True))
r = np.random.default_rng(0)
x = nnlite.Input((16, 16, 3))
h = L.Conv2D(20, 3, strides=2, padding="same", activation="gelu")(x)
h = L.DepthwiseConv2D(3, padding="same", activation="silu")(h)
h = L.LayerNormalization()(h)
h = L.SeparableConv2D(33, 3, activation="elu")(h)
h = L.GroupNormalization(3)(h)
h = L.Conv2DTranspose(7, 3, strides=2, activation="tanh")(h)
h = L.GlobalAveragePooling2D()(L.AveragePooling2D(2)(L.SpatialDropout2D(0.2)(h)))
h = L.Dense(5)(L.GaussianNoise(0.1)(L.Dense(37, activation="softplus", kernel_regularizer="l2")(h)))
images, targets = r.random((40, 16, 16, 3), dtype="float32"), r.dirichlet(np.ones(5), 40).astype("float32")
for optimizer, loss in [("sgd", "mse"), ("rmsprop", "huber"), ("adamw", "log_cosh"), ("lion", "mae"), ("nadam", "categorical_crossentropy")]:
    model = nnlite.Model(x, L.Softmax()(h) if "entropy" in loss else h)
    model.compile(optimizer, loss, metrics=["mae"])
    model.set_weights([r.normal(0, 0.2, w.shape).astype(w.dtype) if w.dtype.kind == "f" else w for w in model.get_weights()])
    model.fit(images, targets, verbose=0)
    print(optimizer, test_promises.fingerprint(*model.get_weights(), model.predict(images, verbose=0)))
"""


@pytest.mark.skipif(_core.best_isa() != "avx512", reason="needs a CPU with AVX-512")
def test_avx2_and_avx512_have_the_same_bits():
    expected = run_python(MANY_LAYERS, NNLITE_ISA="avx512")
    assert len(expected.splitlines()) == 6
    assert run_python(MANY_LAYERS, NNLITE_ISA="avx2") == expected


# Forks, threads, signals


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_children_train_after_a_fork(threads):
    threads(2)
    nnlite.utils.set_random_seed(1)
    model = seed_network()
    model.fit(IMAGES[:32], LABELS[:32], verbose=0)
    before = fingerprint(*model.get_weights())
    for i in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # a child that hangs dies
            model.fit(IMAGES[:32], LABELS[:32], verbose=0)
            moved = fingerprint(*model.get_weights()) != before
            os._exit(0 if moved and np.isfinite(model.predict(IMAGES[:3], verbose=0)).all() else 1)
        assert os.waitpid(child, 0)[1] == 0, f"child {i} failed"
    assert fingerprint(*model.get_weights()) == before


def test_threads_predict_with_one_model_at_once(threads):
    threads(2)
    model = seed_network()
    expected = model.predict(IMAGES, verbose=0)
    wrong = []

    def work(worker):
        for i in range(8):
            first = (7 * worker + i) % 40
            size = 1 + (worker + i) % 5
            results = [
                model.predict(IMAGES[first : first + 20], batch_size=size, verbose=0),
                model.predict_on_batch(IMAGES[first : first + 20]),
                model(IMAGES[first : first + 20]).numpy(),
            ]
            if any(not np.array_equal(result, expected[first : first + 20]) for result in results):
                wrong.append((worker, i))

    workers = [threading.Thread(target=work, args=(i,)) for i in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_threads_train_models_of_their_own(threads):
    threads(2)
    weights = small_network().get_weights()

    def trained():
        model = small_network()
        model.set_weights(weights)
        model.layers[1].rate = 0.0
        model.fit(ROWS, CLASSES, epochs=5, shuffle=False, verbose=0)
        return fingerprint(*model.get_weights())

    expected, results = trained(), []
    workers = [threading.Thread(target=lambda: results.append(trained())) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [expected] * 4


@pytest.fixture
def ctrl_c():
    """Python's own handler, also where the tests run in the background: shells start such processes with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("verbose", [0, 1])
@pytest.mark.parametrize("network", [small_network, seed_network])
def test_interrupted_fit_leaves_a_usable_model(threads, ctrl_c, network, verbose, capsys):
    threads(2)
    x, y = (ROWS, CLASSES) if network is small_network else (IMAGES, LABELS)
    model = network()
    model.fit(x, y, verbose=0)
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=1_000_000, verbose=verbose)
    timer.join()
    assert np.isfinite(model.predict(x, verbose=0)).all()
    assert np.isfinite(model.fit(x, y, epochs=2, verbose=0).history["loss"]).all()


# Memory


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def growth(action, warm_up: int, count: int) -> int:
    """How much memory the process takes more after `count` calls."""
    for _ in range(warm_up):
        action()
    gc.collect()
    before = resident_bytes()
    for _ in range(count):
        action()
    gc.collect()
    return resident_bytes() - before


def test_predict_does_not_leak():
    model = small_network()

    def action():
        model.predict(ROWS[:1], verbose=0)
        model.predict(ROWS, batch_size=7, verbose=0)
        model(ROWS[:3])

    assert growth(action, 100, 1000) < 1_000_000


def test_models_do_not_leak():
    def action():
        model = small_network()
        model.fit(ROWS, CLASSES, verbose=0)
        model.predict(ROWS, verbose=0)

    assert growth(action, 5, 200) < 2_000_000
    in_use = _core.memory_stats()["in_use"]
    action()
    gc.collect()
    assert _core.memory_stats()["in_use"] == in_use


def test_dropped_models_are_collected_by_the_memory_they_hold():
    gc.collect()
    x, most = np.zeros((8, 2000), "float32"), 0
    before = _core.memory_stats()["in_use"]
    for _ in range(40):  # 8 MB of weights and momenta each
        model = nnlite.Sequential([nnlite.Input((2000,)), L.Dense(500), L.Dense(1)])
        model.compile(nnlite.optimizers.SGD(momentum=0.5), "mse")
        model.fit(x, x[:, :1], verbose=0)
        most = max(most, _core.memory_stats()["in_use"] - before)
    assert most < before + 150_000_000


def test_new_shapes_do_not_pile_up():
    from nnlite.backends import native

    model = nnlite.Sequential([L.Dense(3)])
    model(np.ones((1, 4), "float32"))
    held = None
    for i in range(600):
        size = 600 - i // 2 if i % 2 else 1 + i // 2  # a small one, a large one
        model.predict(np.ones((size, 4), "float32"), batch_size=size, verbose=0)
        if i == 300:
            held = _core.memory_stats()["in_use"]
    assert _core.memory_stats()["in_use"] < held + 1_000_000
    for size in range(native._MOST_STEPS + 1):
        nnlite.ops.exp(np.ones(size, "float32"))
    assert len(native._steps) <= native._MOST_STEPS


def test_clear_session_restarts_names_and_keeps_models():
    model = small_network()
    expected = model.predict(ROWS, verbose=0)
    nnlite.utils.clear_session()
    assert L.Dense(1).name == "dense" and L.Dense(1).name == "dense_1"
    nnlite.backend.clear_session()
    assert L.Dense(1).name == "dense"
    np.testing.assert_array_equal(model.predict(ROWS, verbose=0), expected)
    model.fit(ROWS, CLASSES, verbose=0)
