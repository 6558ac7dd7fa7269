"""What the engine promises besides speed, measured: a busy machine, more threads than cores, Ctrl-C, idle threads, forks, memory, start-up.

    python bench/promises.py [--only busy,threads,...] [--quick] [--json FILE]

Every line names what was measured, the value and the promise it is held to.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time

import numpy as np
from steps import seed_cnn, tiny_mlp

import nnlite

SPIN = "while True: pass"
FIRST_STEP = """
import time, numpy as np
start = time.perf_counter()
import nnlite
imported = time.perf_counter()
from steps import seed_cnn
model, x, y, batch = seed_cnn()
ready = time.perf_counter()
model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0)
print(1e3 * (imported - start), 1e3 * (time.perf_counter() - ready))
"""


def seconds_of(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def trained(make):
    """A model that has trained already, and a function that trains it for one more epoch."""
    model, x, y, batch = make()
    epoch = lambda: model.fit(x, y, batch_size=batch, verbose=0)  # noqa: E731
    epoch()
    epoch()
    return model, epoch


def busy(quick: bool):
    """Time of `fit` beside a process that spins on every core, against idle; pairs in turn."""
    _, epoch = trained(seed_cnn)
    work, ratios = (lambda: [epoch() for _ in range(2 if quick else 8)]), []
    for _ in range(1 if quick else 7):
        idle = seconds_of(work)
        spinners = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(os.cpu_count() or 1)]
        time.sleep(0.2)
        try:
            ratios.append(seconds_of(work) / idle)
        finally:
            for spinner in spinners:
                spinner.kill()
                spinner.wait()
    yield "fit on a busy machine / idle, median", statistics.median(ratios), "<= 2.5"
    yield "fit on a busy machine / idle, worst", max(ratios), ""


def threads(quick: bool):
    """Epochs with 1, 2 and twice as many threads as cores."""
    before, cores = nnlite.config.get_num_threads(), os.cpu_count() or 1
    _, epoch = trained(seed_cnn)
    medians = {}
    for _ in range(1 if quick else 5):
        for count in (1, cores, 2 * cores):
            nnlite.config.set_num_threads(count)
            epoch()
            medians.setdefault(count, []).append(seconds_of(epoch))
    nnlite.config.set_num_threads(before)
    seconds = {count: statistics.median(values) for count, values in medians.items()}
    yield f"epoch with 1 thread / {cores} threads", seconds[1] / seconds[cores], ""
    yield f"epoch with {2 * cores} threads / {cores} threads", seconds[2 * cores] / seconds[cores], "near 1"


def ctrl_c(quick: bool):
    """Seconds from the signal to KeyboardInterrupt out of `fit`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background starts with the signal ignored
    for name, make in (("tiny_mlp", tiny_mlp), ("seed_cnn", seed_cnn)):
        model, x, y, batch = make()
        model.fit(x, y, batch_size=batch, verbose=0)
        delays, sent = [], [0.0]

        def interrupt(sent=sent):
            sent[0] = time.perf_counter()
            os.kill(os.getpid(), signal.SIGINT)

        for _ in range(2 if quick else 20):
            threading.Timer(0.1, interrupt).start()
            try:
                model.fit(x, y, batch_size=batch, epochs=1_000_000, verbose=0)
            except KeyboardInterrupt:
                delays.append(time.perf_counter() - sent[0])
        assert np.isfinite(model.predict(x[:batch], verbose=0)).all()
        yield f"Ctrl-C in fit of {name}, worst delay, s", max(delays), "<= 0.2"


def idle(quick: bool):
    """CPU time that the process takes while it does nothing, all threads counted."""
    _, epoch = trained(seed_cnn)
    epoch()
    time.sleep(0.05)
    start, wait = time.process_time(), 0.5 if quick else 3.0
    time.sleep(wait)
    yield "CPU in use after training, %", 100 * (time.process_time() - start) / wait, "0"


def forks(quick: bool):
    """Children of a process that has trained, which train themselves."""
    _, epoch = trained(seed_cnn)
    count, good = 5 if quick else 100, 0
    for _ in range(count):
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            epoch()
            os._exit(0)
        good += os.waitpid(child, 0)[1] == 0
        epoch()
    yield f"of {count} forks after training, trained", good, f"{count}"


def resident_megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory(quick: bool):
    """Growth of the process by `predict` calls, and by models built, fitted and dropped."""
    model, x, y, batch = tiny_mlp()

    def cycle():
        model, x, y, batch = tiny_mlp()
        model.fit(x[:128], y[:128], batch_size=batch, verbose=0)

    cases = (("predict calls", lambda: model.predict(x[:1], verbose=0), 10000), ("models built, fitted, dropped", cycle, 200))
    for name, action, count in cases:
        for _ in range(10):
            action()
        gc.collect()
        before, count = resident_megabytes(), count // 50 if quick else count
        for _ in range(count):
            action()
        gc.collect()
        yield f"growth by {count} {name}, MB", resident_megabytes() - before, "< 2"


def start(quick: bool):
    """Fresh processes: the import on top of numpy's, and compile and first step of the seed network."""
    runs = []
    for _ in range(1 if quick else 7):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path])}
        output = subprocess.run([sys.executable, "-c", FIRST_STEP], env=environment, capture_output=True, text=True, check=True).stdout
        runs.append([float(word) for word in output.split()])
    imports, firsts = zip(*runs)
    yield "import nnlite after numpy, ms, median", statistics.median(imports), "< 30"
    yield "compile and first step of seed_cnn, ms, median", statistics.median(firsts), "<= 50"
    yield "compile and first step of seed_cnn, ms, worst", max(firsts), ""


MEASURES = {function.__name__: function for function in (busy, threads, ctrl_c, idle, forks, memory, start)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(MEASURES), help=f"comma-separated, of {', '.join(MEASURES)}")
    parser.add_argument("--quick", action="store_true", help="one small round: shows that everything runs, measures little")
    parser.add_argument("--json", help="also write the results here")
    arguments = parser.parse_args()
    results = []
    for name in arguments.only.split(","):
        for what, value, promise in MEASURES[name](arguments.quick):
            print(f"{what:55s} {value:8.2f}   {promise}", flush=True)
            results.append({"what": what, "value": value, "promise": promise})
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
