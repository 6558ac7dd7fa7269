"""Loops and branches in plain numpy: what other backends and the tests compare with."""

from __future__ import annotations

import numpy as np
from nnlite.graph.spec import NUMPY_DTYPE


def run_body(body, arrays) -> list[np.ndarray]:
    """The outputs of a body, one reference after the other."""
    from nnlite.backends.numpy import GraphRunner

    return GraphRunner(body.graph()).run(list(arrays))


def run_loop(arrays, body, condition, carries: int, xs: int, length: int, reverse: bool, counted: bool) -> tuple:
    """The reference of a loop: arrays in storage form, as in `LOOP`."""
    arrays = list(arrays)
    rounds = min(max(int(arrays.pop(0)), 0), length) if counted else length
    state, stacks = arrays[:carries], arrays[carries : carries + xs]
    end = len(body.inputs)
    outside, of_condition = arrays[carries + xs : end], arrays[end:]
    ys = [np.zeros((length, *t.spec.shape), NUMPY_DTYPE[t.spec.dtype]) for t in body.outputs[carries:]]
    k = 0
    while rounds < 0 or k < rounds:
        if condition is not None and not run_body(condition, [*state, *of_condition])[0]:
            break
        row = rounds - 1 - k if reverse else k
        results = run_body(body, [*state, *[x[row] for x in stacks], *outside])
        state = results[:carries]
        for y, value in zip(ys, results[carries:]):
            y[row] = value
        k += 1
    return (*[np.array(value) for value in state], *ys)


def run_branch(index, arrays, bodies, outside) -> tuple:
    """The reference of a branch."""
    number = min(max(int(index), 0), len(bodies) - 1)
    first = sum(outside[:number])
    return tuple(run_body(bodies[number], arrays[first : first + outside[number]]))
