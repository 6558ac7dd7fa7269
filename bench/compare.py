"""nnlite against Keras on three backends and PyTorch: the same models, one run, ratios.

    python bench/compare.py --peers FOLDER [--work tiny_mlp,seed_cnn] [--rounds 3] [--markdown]

FOLDER holds three virtual environments:
    tf/    pip install tensorflow-cpu keras==3.15.1
    torch/ pip install torch==2.13.0 keras==3.15.1
    jax/   pip install jax jaxlib keras==3.15.1
Every (workload, peer) runs in a process of its own, peers in turn, round by round; the median over rounds is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
WORKLOADS = ("tiny_mlp", "mnist_mlp", "seed_cnn", "resnet20", "wide_conv", "mobilenet", "encoder", "imdb_lstm", "series_gru", "character_lstm")
FIGURES = ("epoch_min", "first_epoch", "predict", "call1", "predict1", "rss_mb", "import")


def peers(folder: pathlib.Path) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Peer -> (command, environment)."""

    def python(name: str) -> str:
        return str(folder / name / "bin" / "python")

    keras, torch = str(HERE / "workloads.py"), str(HERE / "torch_workloads.py")
    return {
        "nnlite": ([sys.executable, keras, "--lib", "nnlite"], {}),
        "keras-jax": ([python("jax"), keras], {"KERAS_BACKEND": "jax"}),
        "keras-tf": ([python("tf"), keras], {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}),
        "keras-torch": ([python("torch"), keras], {"KERAS_BACKEND": "torch"}),
        "torch": ([python("torch"), torch], {}),
        "torch-nhwc": ([python("torch"), torch, "--channels-last"], {}),
        "torch-compile": ([python("torch"), torch, "--compile"], {}),
    }


def measure(command: list[str], environment: dict[str, str], workload: str, timeout: float) -> dict:
    """One process; its JSON line, or {"error": ...}."""
    try:
        done = subprocess.run([*command[:2], workload, *command[2:]], env={**os.environ, **environment}, capture_output=True, text=True, timeout=timeout, cwd=HERE)
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": "timeout"}
    except (IndexError, ValueError):
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:160]}


def median_row(rows: list[dict]) -> dict:
    good = [row for row in rows if "error" not in row]
    return {key: statistics.median(row[key] for row in good) for key in FIGURES} if good else rows[-1]


def run(options) -> dict[str, dict[str, dict]]:
    """workload -> peer -> figures."""
    chosen = peers(pathlib.Path(options.peers).absolute())
    table: dict[str, dict[str, dict]] = {}
    for workload in options.work.split(","):
        rows: dict[str, list[dict]] = {name: [] for name in chosen}
        for _ in range(options.rounds):
            for name, (command, environment) in chosen.items():
                rows[name].append(measure(command, environment, workload, options.timeout))
        table[workload] = {name: median_row(found) for name, found in rows.items()}
        for name, row in table[workload].items():
            print(f"{workload:10s} {name:14s} {row.get('error') or '  '.join(f'{key} {row[key]:.4g}' for key in FIGURES)}", flush=True)
    return table


def ratios(table) -> list[tuple[str, str, float, str]]:
    """(workload, figure, best peer / nnlite, best peer); above 1 nnlite is faster or smaller."""
    result = []
    for workload, by_peer in table.items():
        ours = by_peer.get("nnlite", {})
        for figure in FIGURES:
            others = [(row[figure], name) for name, row in by_peer.items() if name != "nnlite" and figure in row]
            if figure in ours and others:
                best, name = min(others)
                result.append((workload, figure, best / ours[figure], name))
    return result


def markdown(table) -> str:
    """A table of milliseconds per epoch, predict and one-row calls, peers side by side."""
    names = list(next(iter(table.values())))
    lines = ["| model, figure | " + " | ".join(names) + " | best peer / nnlite |", "|---" * (len(names) + 2) + "|"]
    for workload, by_peer in table.items():
        for figure, unit, scale in (("epoch_min", "ms an epoch", 1e3), ("predict", "ms predict", 1e3), ("predict1", "ms one row", 1e3), ("rss_mb", "MB peak", 1)):
            cells = [f"{by_peer[n][figure] * scale:.3g}" if figure in by_peer[n] else "–" for n in names]
            ratio = next((r for w, f, r, _ in ratios({workload: by_peer}) if f == figure), float("nan"))
            lines.append(f"| {workload}, {unit} | " + " | ".join(cells) + f" | {ratio:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="folder with the environments tf, torch and jax")
    parser.add_argument("--work", default=",".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--timeout", type=float, default=400)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    table = run(options)
    print()
    for workload, figure, ratio, name in ratios(table):
        print(f"{workload:10s} {figure:12s} best peer / nnlite = {ratio:.2f} ({name})")
    if options.markdown:
        print("\n" + markdown(table))


if __name__ == "__main__":
    main()
