"""Every kernel on the shapes of named models: nnlite, PyTorch and, for products, OpenBLAS, in turn; one table.

    python bench/kernels.py --peers FOLDER --build BUILD [--models resnet20,...] [--threads 1] [--rounds 3] [--markdown]

FOLDER holds the virtual environment torch/, as for compare.py; BUILD is a build with microbenchmarks, whose calibrator measures the peak of the
multiply-add units beside every case. The shapes are in bench/shapes. Times are the fastest of all windows of all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

from kernel_cases import flops, load, parse, traffic

HERE = pathlib.Path(__file__).parent


class Worker:
    """A process that measures cases."""

    def __init__(self, python: str, script: str, threads: int):
        environment = {**os.environ, "NNLITE_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen([python, str(HERE / script), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def measure(self, line: str) -> dict[str, float]:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            sys.exit(f"{' '.join(map(str, self.process.args))} failed on: {line}")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def peak(build: pathlib.Path, threads: int) -> float:
    """GF/s of the calibrator, now."""
    done = subprocess.run([str(build / "bench" / "bench_gemm"), "--peak", "--threads", str(threads)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def merge(best: dict, found: dict) -> None:
    for name, seconds in found.items():
        best[name] = min(seconds, best.get(name, seconds))


def measure(line: str, workers: dict[str, Worker], rounds: int, build, threads: int) -> tuple[dict, float]:
    """({worker: {pass: seconds}}, peak)."""
    table: dict[str, dict] = {name: {} for name in workers}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak(build, threads))
        for name, worker in workers.items():
            merge(table[name], worker.measure(line))
    return table, max(peaks)


def rows_of(model: str, line: str, table: dict, top: float) -> list[dict]:
    kind, sizes = parse(line)
    rows = []
    for passed, seconds in table["nnlite"].items():
        row = {"model": model, "case": line, "pass": passed, "us": 1e6 * seconds}
        work = flops(kind, sizes) * (3.5 if passed == "forward and gradient" else 1)
        if work:
            row |= {"rate": work / seconds / 1e9, "fraction": work / seconds / 1e9 / top}
        else:
            row["rate"] = traffic(kind, sizes, passed) / seconds / 1e9
        row |= {f"{name} / nnlite": found[passed] / seconds for name, found in table.items() if name != "nnlite" and passed in found}
        rows.append(row)
    return rows


def show(row: dict, markdown: bool) -> str:
    rate = f"{row['rate']:.0f} {'GF/s' if 'fraction' in row else 'GB/s'}"
    share = f"{row['fraction']:.0%}" if "fraction" in row else ""
    ratio = " ".join(f"{row[key]:.2f}" if key in row else "" for key in ("torch / nnlite", "numpy / nnlite")).strip()
    cells = (row["model"], row["case"], row["pass"], f"{row['us']:.1f}", rate, share, ratio)
    return "| " + " | ".join(cells) + " |" if markdown else "{:13s}{:62s}{:21s}{:>10s}{:>11s}{:>6s}  {}".format(*cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=pathlib.Path, help="without it nnlite and OpenBLAS alone are measured")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent / "build")
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    workers = {"nnlite": Worker(sys.executable, "kernels_nnlite.py", options.threads), "numpy": Worker(sys.executable, "kernels_numpy.py", options.threads)}
    if options.peers:
        workers["torch"] = Worker(str(options.peers.absolute() / "torch" / "bin" / "python"), "kernels_torch.py", options.threads)
    rows = []
    if options.markdown:
        print("| model | shapes | pass | µs | rate | of peak | PyTorch (and OpenBLAS) / nnlite |\n|---|---|---|---|---|---|---|")
    for model, line in load(options.models):
        for row in rows_of(model, line, *measure(line, workers, options.rounds, options.build, options.threads)):
            print(show(row, options.markdown), flush=True)
            rows.append(row)
    for worker in workers.values():
        worker.stop()
    ratios = [row["torch / nnlite"] for row in rows if "torch / nnlite" in row]
    if ratios:
        print(f"\nPyTorch / nnlite: geometric mean {statistics.geometric_mean(ratios):.2f}, {sum(r < 1 for r in ratios)} of {len(ratios)} below 1.")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
