"""The kernels of named models: reads `shapes/*.txt`, counts flops and bytes, and measures what a worker built from a case.

A line is a kind and its sizes, such as `conv2d x=8x56x56x64 w=3x3x64x64 strides=1 padding=same`. Images are [N,H,W,C], kernels Keras's.
"""

from __future__ import annotations

import json
import math
import pathlib
import sys
import time

import numpy as np

SHAPES = pathlib.Path(__file__).parent / "shapes"
WINDOW_SECONDS, WINDOWS = 4e-3, 8


def load(names=None) -> list[tuple[str, str]]:
    """(model, line) of all models, or of those named."""
    found = []
    for path in sorted(SHAPES.glob("*.txt")):
        if names is None or path.stem in names:
            found += [(path.stem, line) for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return found


def parse(line: str) -> tuple[str, dict]:
    """(kind, {name: sizes or word})."""
    kind, *fields = line.split()
    sizes = {}
    for field in fields:
        name, text = field.split("=")
        sizes[name] = text if text.isalpha() else tuple(int(part) for part in text.split("x"))
    return kind, sizes


def windows(kind: str, sizes: dict):
    """Of a convolution or pooling: (input shape, window, stride, (top, bottom, left, right), output shape). One dimension counts as height 1."""
    n, *space, c = sizes["x"]
    window = list(sizes["w"][: len(space)] if "w" in sizes else sizes["pool"] * len(space))
    stride = [sizes["strides"][0]] * len(space)
    if len(space) == 1:
        space, window, stride = [1, *space], [1, *window], [1, *stride]
    if kind == "conv2d_transpose":  # x is what the convolution gives
        space = [size * step for size, step in zip(space, stride)]
    out, padding = [], []
    for size, taps, step in zip(space, window, stride):
        count = -(-size // step) if sizes["padding"] == "same" else (size - taps) // step + 1
        total = max((count - 1) * step + taps - size, 0) if sizes["padding"] == "same" else 0
        out.append(count)
        padding += [total // 2, total - total // 2]
    channels = sizes["w"][-2] if kind == "conv2d_transpose" else c
    filters = {"conv2d_transpose": c, "depthwise_conv2d": c * sizes.get("w", (1,))[-1]}.get(kind, sizes["w"][-1] if "w" in sizes else c)
    return (n, *space, channels), tuple(window), tuple(stride), tuple(padding), (n, *out, filters)


def flops(kind: str, sizes: dict) -> float:
    """Of one pass; 0 where memory is the limit. A multiply-add counts two; taps in the padding count, too."""
    if kind == "dense":
        return 2.0 * math.prod(sizes["x"]) * sizes["w"][1]
    if kind == "attention":
        batch, rows, heads, width = sizes["q"]
        return 4.0 * batch * heads * rows * rows * width
    if "conv" in kind:
        image, window, _, _, out = windows(kind, sizes)
        each = math.prod(out[:3]) * math.prod(window) * 2.0
        return each * out[3] if kind == "depthwise_conv2d" else each * image[3] * out[3]
    return 0.0


def traffic(kind: str, sizes: dict, passed: str) -> float:
    """Bytes that a pass must read and write once, for kinds that are bound by memory."""
    if kind == "adam":
        return 28.0 * sizes["x"][0]
    if kind == "embedding":
        return 8.0 * math.prod(sizes["ids"]) * sizes["table"][1] + 4.0 * math.prod(sizes["ids"])
    image = 4.0 * math.prod(sizes["x"])
    out = 4.0 * math.prod(windows(kind, sizes)[4]) if "pool" in kind else image
    if kind == "max_pool":
        return image + out * 1.25  # the position in the window is one byte
    if kind == "average_pool" or passed == "forward":
        return image + out
    return image * 3 if kind in ("softmax", "layer_norm", "batch_norm") else image + out


def seconds_of(function) -> float:
    """Seconds of one call: the fastest of several windows."""
    start = time.perf_counter()
    function()
    once = max(time.perf_counter() - start, 1e-7)
    repeat, best = max(1, int(WINDOW_SECONDS / once)), math.inf
    for _ in range(WINDOWS):
        start = time.perf_counter()
        for _ in range(repeat):
            function()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best


def build_with(*makers):
    """What makes the passes of a kernel: the maker of its name or of its family, else `activation`."""
    named = {maker.__name__: maker for maker in makers}

    def build(kind, sizes):
        if kind in named:
            return named[kind](sizes)
        families = {"conv": "convolution", "pool": "pooling", "norm": "normalization"}
        family = next((family for part, family in families.items() if part in kind), "activation")
        return named[family](kind, sizes)

    return build


def serve(build) -> None:
    """A worker: for every line on stdin, prints {pass: seconds} of what `build(kind, sizes)` gives as {pass: function}."""
    made: dict = {}
    for line in sys.stdin:
        line = line.strip()
        if line not in made:
            made.clear()
            made[line] = build(*parse(line))
            for function in made[line].values():
                function()
        print(json.dumps({name: seconds_of(function) for name, function in made[line].items()}), flush=True)


rng = np.random.default_rng(0)


def normal(*shape) -> np.ndarray:
    return rng.standard_normal(shape, dtype=np.float32)
