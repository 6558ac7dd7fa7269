"""What the tests of the compiled module share: small steps and a plan that counts."""

from __future__ import annotations

import numpy as np
from nnlite import _core


def program(code: str, dtype: str = "float32", inputs: int = 2) -> dict:
    """Attributes of the elementwise kernel for one instruction."""
    return {"codes": (code,), "args": (*range(inputs), *(-1,) * (3 - inputs)), "params": (0.0,), "dtypes": (dtype,), "results": (inputs,)}


def eager(code: str, *arrays: np.ndarray) -> _core.EagerStep:
    specs = [(a.shape, str(a.dtype)) for a in arrays]
    return _core.EagerStep("elementwise", specs, [specs[0]], program(code, inputs=len(arrays)))


class Counter:
    """A plan whose step adds the column sums of its batch to `total` and the batch size to `rows`, on any arena."""

    def __init__(self, batch: int, width: int, arena: _core.Arena | None = None, flops: float = 0.0):
        self.total = _core.zeros((1, width))
        self.rows = _core.zeros((1, width))
        self.arena = arena or _core.Arena()
        work = {"flops": flops}
        slots = [
            ("float32", (batch, width), "input", 0),
            ("float32", (batch, width), "arena", 0),
            ("float32", (1, width), "arena", 4 * batch * width),
            ("float32", (1, width), "fixed", self.total),
            ("float32", (1, width), "fixed", self.rows),
            ("float32", (1, width), "fixed", np.full((1, width), batch, "float32")),
            ("float32", (batch, width), "output", 0),
        ]
        steps = [
            ("elementwise", [0], [1], {**program("negative", inputs=1), **work}, "negative"),
            ("sum", [1], [2], {"axes": (0,), "keepdims": 1, **work}, "sum"),
            ("elementwise", [3, 2], [3], program("subtract"), "total"),
            ("elementwise", [4, 5], [4], program("add"), "rows"),
            ("elementwise", [1], [6], {**program("negative", inputs=1), **work}, "output"),
        ]
        self.plan = _core.Plan(slots, steps, [], self.arena, 4 * batch * width + 4 * width)


def whole_numbers(*shape: int) -> np.ndarray:
    """Floats whose sums are exact."""
    return (np.arange(np.prod(shape)) % 13 - 4).astype("float32").reshape(shape)
