"""Fractions of the machine's peak that the kernels reach, with one and with two threads: one table.

    python bench/peak_fractions.py --build BUILD [--isa avx512,avx2] [--threads 1,2] [--only PART-OF-LABEL] [--quick]

BUILD is a build with microbenchmarks. Each row names cases of one of them; where it names several, they run one after another (a forward step and its
gradients), and the fraction is that of their flops in their time. The peak is that of all threads' multiply-add units: the best of the calibrator's windows, which
lie between those of the cases (a single one may meet another process).
Winograd's flops are counted as those of the direct sum.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import tempfile

DENSE = "32x784x512"
# What a training step runs for so many sequences: products of their own, or all in one step.
GRADIENTS = {16: ("gradient", "kernel gradient", "recurrent kernel gradient", "input gradient"), 32: ("gradient and all kernels'",)}
# Label: [(benchmark, case), ...].
ROWS: dict[str, list[tuple[str, str]]] = {
    **{f"matmul n = {n}": [("gemm", f"square {n}")] for n in (128, 256, 512, 1024)},
    **{
        f"Dense 32×784×512, {name}": [("gemm", f"{DENSE} {case}")]
        for name, case in (("forward", "forward"), ("kernel gradient", "dW"), ("input gradient", "dx"))
    },
    "conv2d direct, 3×3, 64→64 at 56 pixels": [("winograd", "conv2d 8x56x56x64->64 3x3 same exact")],
    "the same, input gradient": [("winograd", "conv2d_input_grad 8x56x56x64->64 3x3 same exact")],
    "the same, kernel gradient": [("winograd", "conv2d_kernel_grad 8x56x56x64->64 3x3 same exact")],
    "conv2d direct, 3×3, 32→64 at 13 pixels": [("winograd", "conv2d 64x13x13x32->64 3x3 exact")],
    "conv2d 3×3 by Winograd, 64→64 at 56 pixels": [("winograd", "conv2d 8x56x56x64->64 3x3 same")],
    "the same by Winograd, input gradient": [("winograd", "conv2d_input_grad 8x56x56x64->64 3x3 same")],
    "the same by Winograd, kernel gradient": [("winograd", "conv2d_kernel_grad 8x56x56x64->64 3x3 same")],
    "conv2d 3×3 by Winograd, 128→128 at 28 pixels": [("winograd", "conv2d 8x28x28x128->128 3x3 same")],
    "the same at 28 pixels, input gradient": [("winograd", "conv2d_input_grad 8x28x28x128->128 3x3 same")],
    "the same at 28 pixels, kernel gradient": [("winograd", "conv2d_kernel_grad 8x28x28x128->128 3x3 same")],
    "conv2d 1×1, 64→256 at 28 pixels": [("conv", "conv2d 4x28x28x64->256 1x1 same")],
    "conv2d 1×1, 256→64 at 28 pixels": [("conv", "conv2d 4x28x28x256->64 1x1 same")],
    "first layer, 1→32 at 28 pixels": [("conv", "conv2d 64x28x28x1->32 3x3")],
    "first layer, 3→64 at 32 pixels": [("conv", "conv2d 32x32x32x3->64 3x3 same")],
    **{
        f"depthwise 3×3{' stride 2' if stride else ''}, {size}×{size}×{channels}, {name}": [
            ("depthwise", f"{kernel} 1x{size}x{size}x{channels} 3x3{stride}")
        ]
        for size, channels, stride in ((56, 32, ""), (28, 64, "/2"))
        for name, kernel in (("forward", "conv2d"), ("input gradient", "conv2d_input_grad"), ("kernel gradient", "conv2d_kernel_grad"))
    },
    **{
        f"{cell.upper()}, 64 units, batch {batch}, {name}": [("rnn", f"{cell} {batch} x 100, 64 -> 64 {part}") for part in parts]
        for cell in ("lstm", "gru")
        for batch in (16, 32)
        for name, parts in (
            ("forward", ("projection", "forward")),
            ("forward and gradients", ("projection", "forward", *GRADIENTS[batch])),
        )
    },
    **{
        f"attention, 8×512 tokens, 8 heads of 64{causal.replace(' ', ', ')}, {name}": [("attention", f"8 x 512, 8 heads of 64{causal} {name}")]
        for causal in ("", " causal")
        for name in ("forward", "gradient")
    },
    "bfloat16 product, n = 512, of twice the peak": [("narrow_matmul", "bfloat16 512x512x512")],
    "int8 product, n = 512, of four times the peak": [("narrow_matmul", "int8 512x512x512")],
}
TIMES_THE_PEAK = {"bfloat16": 2, "int8": 4}


def runs_here(build: pathlib.Path, isa: str) -> bool:
    """Whether this machine has the instruction set."""
    return subprocess.run([str(build / "bench" / "bench_gemm"), "--peak", "--isa", isa, "--threads", "1"], capture_output=True).returncode == 0


def run(build: pathlib.Path, benchmark: str, case: str, isa: str, threads: str, more: list[str]) -> dict[int, dict]:
    """{threads: result} of one case."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [str(build / "bench" / f"bench_{benchmark}"), "--only", case, "--isa", isa, "--threads", threads, "--json", file.name, *more]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        results = json.loads(pathlib.Path(file.name).read_text(encoding="utf-8"))["results"]
    found = {result["threads"]: result for result in results if result["name"] == case}
    if not found:
        raise SystemExit(f"bench_{benchmark} has no case {case!r}")
    return found


def fraction(label: str, results: list[dict], peak: float) -> float:
    """Of the peak: all flops in all the time."""
    flops = sum(r["best_us"] * r["gflops"] for r in results)
    return flops / sum(r["best_us"] for r in results) / peak / TIMES_THE_PEAK.get(label.split()[0], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--isa", default="avx512,avx2")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true", help="each case once through: does it run?")
    options = parser.parse_args()
    more = ["--quick"] if options.quick else []
    sets = [isa for isa in options.isa.split(",") if runs_here(options.build, isa)]
    columns = [(isa, int(count)) for isa in sets for count in options.threads.split(",")]
    rows = {label: cases for label, cases in ROWS.items() if options.only in label}
    runs = {label: {isa: [run(options.build, *case, isa, options.threads, more) for case in cases] for isa in sets} for label, cases in rows.items()}
    peaks = {(isa, n): max(result[n]["peak_gflops"] for found in runs.values() for result in found[isa]) for isa, n in columns}
    print("| kernel | " + " | ".join(f"{isa}, {n} thread{'s' * (n > 1)}" for isa, n in columns) + " |\n|---|" + "---|" * len(columns))
    for label, found in runs.items():
        print(f"| {label} | " + " | ".join(f"{fraction(label, [r[n] for r in found[isa]], peaks[isa, n]):.0%}" for isa, n in columns) + " |")


if __name__ == "__main__":
    main()
