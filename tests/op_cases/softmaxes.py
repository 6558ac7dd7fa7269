"""Cases of softmax, log_softmax and the cross-entropy of labels."""

import numpy as np

from .case import Case, floats, ints

_SHAPES = ((7,), (3, 5), (2, 3, 10), (4, 17), (1, 1), (2, 1000), (0, 4), (5, 64))
_EXTREME = np.array([[0.0, 100.0, -100.0], [1e4, 1e4, 1e4], [-1e4, 0.0, 1e4], [-np.inf, 0.0, 1.0]])


def _softmax(x):
    z = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return z / z.sum(-1, keepdims=True)


def _cases():
    for shape in _SHAPES:
        x, dy = floats(*shape), floats(*shape, seed=1)
        yield Case("softmax", (x,), tolerance=16)
        yield Case("log_softmax", (x,), tolerance=16, scale=1.0)
        yield Case("softmax_grad", (_softmax(x), dy), tolerance=32, scale=None)
        yield Case("log_softmax_grad", (np.log(_softmax(x)), dy), tolerance=32, scale=None)
    yield Case("softmax", (_EXTREME,), tolerance=300, gradient=False)  # exp(-200) magnifies the rounding of its argument
    yield Case("log_softmax", (_EXTREME,), tolerance=16, gradient=False)
    yield Case("softmax", (np.array([[1.0, np.nan, 2.0], [1.0, 2.0, 3.0]]),), tolerance=16, gradient=False)


def _cross_entropy():
    for shape in _SHAPES:
        x, dloss = floats(*shape), floats(*shape[:-1], seed=1)
        for dtype in ("int32", "int64"):
            labels = ints(*shape[:-1], low=0, high=shape[-1], dtype=dtype)
            yield Case("sparse_softmax_cross_entropy", (x, labels), tolerance=16, scale=1.0)
            yield Case("sparse_softmax_cross_entropy_grad", (_softmax(x), labels, dloss), tolerance=16, scale=1.0)
    yield Case("sparse_softmax_cross_entropy", (_EXTREME, np.array([0, 1, 0, 2], "int32")), tolerance=300, scale=1e-30, gradient=False)
    yield Case("sparse_softmax_cross_entropy", (floats(4, 3), np.array([0, 3, -1, 2], "int32")), tolerance=16, scale=1.0, gradient=False)


CASES = [*_cases(), *_cross_entropy()]
