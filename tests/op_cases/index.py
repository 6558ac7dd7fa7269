"""Cases of take_rows and scatter_add_rows."""

import numpy as np

from .case import Case, bools, floats, ints

# (table, ids)
_SHAPES = (((5, 3), (4,)), ((5, 3), ()), ((5,), (2, 3)), ((7, 2, 3), (4,)), ((10, 33), (3, 5)), ((3, 64), (20,)), ((5, 3), (0,)), ((2, 0), (3,)))


def _cases():
    for table, shape in _SHAPES:
        for dtype in ("int32", "int64"):
            ids = ints(*shape, low=0, high=table[0], dtype=dtype)
            yield Case("take_rows", (floats(*table), ids), second=False)
            yield Case("scatter_add_rows", (ids, floats(*shape, *table[1:])), {"rows": table[0]}, tolerance=16, scale=1.0, second=False)
            yield Case("take_rows", (ints(*table), ids))
            yield Case("take_rows", (bools(*table), ids))
            yield Case("scatter_add_rows", (ids, ints(*shape, *table[1:])), {"rows": table[0]})
            yield Case("scatter_add_rows", (ids, ints(*shape, *table[1:], dtype="int64")), {"rows": table[0]})
    outside = np.array([0, -1, 5, 4, 2**31 - 1, -(2**31)], "int32")
    yield Case("take_rows", (floats(5, 3), outside), gradient=False)
    yield Case("take_rows", (ints(5, 3), outside))
    yield Case("take_rows", (floats(0, 3), outside), gradient=False)
    yield Case("scatter_add_rows", (outside, floats(6, 3)), {"rows": 5}, second=False)
    yield Case("scatter_add_rows", (np.zeros(100, "int32"), floats(100, 3)), {"rows": 2}, tolerance=64, scale=None, second=False)
    yield Case("take_rows", (ints(4, 3, dtype="int64"), ints(6, low=0, high=4)))


CASES = list(_cases())
