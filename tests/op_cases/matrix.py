"""Cases of matrix multiplication."""

from .case import Case, floats, ints

# (M, K, N): single rows and columns, tails of tiles of 6..16 rows and 64 columns, deep sums, empty.
_SIZES = (
    (1, 1, 1),
    (2, 3, 4),
    (1, 7, 1),
    (1, 20, 33),
    (5, 1, 6),
    (7, 9, 17),
    (17, 33, 65),
    (3, 300, 5),
    (64, 64, 64),
    (13, 130, 70),
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
    (100, 3, 2),
    (2, 5, 200),
)
_BATCHES = (((2,), (2,)), ((2,), ()), ((), (3,)), ((2, 1), (1, 3)), ((1,), (4,)), ((0,), (0,)))


def _cases():
    for m, k, n in _SIZES:
        for ta in (False, True):
            for tb in (False, True):
                a, b = floats(*((k, m) if ta else (m, k))), floats(*((n, k) if tb else (k, n)), seed=1)
                yield Case("matmul", (a, b), {"transpose_a": ta, "transpose_b": tb}, tolerance=16, scale=None, second=m < 20)
    for left, right in _BATCHES:
        for ta in (False, True):
            for tb in (False, True):
                a, b = floats(*left, *((5, 3) if ta else (3, 5))), floats(*right, *((4, 5) if tb else (5, 4)), seed=1)
                yield Case("matmul", (a, b), {"transpose_a": ta, "transpose_b": tb}, tolerance=16, scale=None)
    for shape, k, n in (((3,), 5, 7), ((2, 3), 8, 70), ((20,), 33, 16), ((0,), 4, 3), ((4,), 3, 0)):
        b = ints(k, n, low=-128, high=128, dtype="int8")
        yield Case("matmul_int8", (ints(*shape, k, low=-128, high=128, dtype="int8", seed=1), b))
        yield Case("matmul_int8", (ints(*shape, k, low=0, high=256, dtype="uint8", seed=2), b))


CASES = list(_cases())
