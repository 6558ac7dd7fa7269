"""Cases of random primitives."""

import numpy as np

from .case import Case, floats

_KEYS = (np.array([0, 0], "int64"), np.array([1337, 5], "int64"), np.array([2**62 + 12345, 2**40 + 7], "int64"))
_SHAPES = ((), (1,), (3,), (4,), (7,), (2, 33), (0, 3), (5, 1001))


def _cases():
    for key in _KEYS:
        for shape in _SHAPES:
            for dtype in ("float32", "float64"):
                yield Case("random_uniform", (key,), {"shape": shape, "dtype": dtype})
                yield Case("random_normal", (key,), {"shape": shape, "dtype": dtype}, tolerance=64, scale=1.0)
            for dtype in ("int32", "int64"):
                yield Case("random_bits", (key,), {"shape": shape, "dtype": dtype})
            for rate in (0.0, 0.3, 0.9):
                yield Case("dropout", (floats(*shape), key), {"rate": rate}, tolerance=2, second=False)


CASES = list(_cases())
