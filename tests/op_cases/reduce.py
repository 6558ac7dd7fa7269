"""Cases of reductions, running sums and argsort."""

import numpy as np

from .case import Case, bools, distinct, floats, ints

# (shape, axes): trailing, leading, middle, all, none, outer and inner; tails around vector lengths; size 1 and empty axes.
_SHAPES = (
    ((7,), (0,)),
    ((3, 5), (1,)),
    ((3, 5), (0,)),
    ((3, 5), (0, 1)),
    ((4, 33), (1,)),
    ((33, 4), (0,)),
    ((2, 3, 4), (1,)),
    ((2, 3, 4), (0, 2)),
    ((2, 3, 4), (1, 2)),
    ((2, 17, 3), (0, 1)),
    ((1, 1), (0, 1)),
    ((5, 1), (1,)),
    ((6, 1030), (1,)),
    ((1030, 6), (0,)),
    ((2, 3, 4, 5), (1, 3)),
)


def _cases():
    for shape, axes in _SHAPES:
        for keepdims in (False, True):
            given = {"axes": axes, "keepdims": keepdims}
            yield Case("sum", (floats(*shape),), given, tolerance=16, scale=None, second=False)
            yield Case("prod", (floats(*shape, low=0.9, high=1.1),), given, tolerance=64, scale=None, second=False)
            yield Case("max", (distinct(*shape),), given, second=False)
            yield Case("min", (distinct(*shape),), given, second=False)
        for dtype in ("int32", "int64"):
            for name in ("sum", "max", "min"):
                yield Case(name, (ints(*shape, dtype=dtype),), {"axes": axes, "keepdims": False})
        for name in ("max", "min"):
            yield Case(name, (bools(*shape),), {"axes": axes, "keepdims": False})
    for axes in ((), (0,), (0, 1)):
        yield Case("sum", (floats(0, 4),), {"axes": axes, "keepdims": False})
        yield Case("prod", (floats(0, 4),), {"axes": axes, "keepdims": False})
    yield Case("max", (floats(0, 4),), {"axes": (1,), "keepdims": False})
    yield Case("sum", (floats(),), {"axes": (), "keepdims": False}, second=False)
    yield Case("sum", (floats(3, 4),), {"axes": (), "keepdims": True}, second=False)
    yield Case("max", (floats(3, 4),), {"axes": (), "keepdims": False}, second=False)
    yield Case("prod", (np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 1.0], [1.0, 2.0, 3.0]]),), {"axes": (1,), "keepdims": False}, second=False)
    yield Case("prod", (ints(3, 5, low=1, high=4),), {"axes": (1,), "keepdims": False})
    for name in ("max", "min", "sum"):
        yield Case(name, (np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, -np.inf]]),), {"axes": (1,), "keepdims": False}, gradient=False)
        yield Case(name, (np.array([[1.0, np.nan, 2.0], [np.inf, 1.0, 3.0]]),), {"axes": (0,), "keepdims": False}, gradient=False)
    yield Case("max", (np.array([[2.0, 1.0, 2.0, 2.0]]),), {"axes": (1,), "keepdims": False}, gradient=False)


def _positions():
    for shape, axis in (((7,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 3, 4), 1), ((4, 100), 1), ((100, 4), 0), ((2, 1), 1), ((0, 3), 1), ((5, 1000), 1)):
        for name in ("argmax", "argmin"):
            yield Case(name, (floats(*shape),), {"axis": axis}, gradient=False)
            yield Case(name, (ints(*shape),), {"axis": axis})
            yield Case(name, (ints(*shape, dtype="int64"),), {"axis": axis})
    for name in ("argmax", "argmin"):
        yield Case(name, (np.array([1.0, 3.0, 3.0, -1.0, -1.0]),), {"axis": 0}, gradient=False)
        yield Case(name, (np.array([[1.0, np.nan, 3.0, np.nan], [np.inf, 1.0, np.inf, -np.inf]]),), {"axis": 1}, gradient=False)
        yield Case(name, (bools(4, 9),), {"axis": 1})


def _running():
    for shape, axis in (((7,), 0), ((3, 5), 1), ((3, 5), 0), ((2, 17, 3), 1), ((0, 3), 1), ((0, 3), 0), ((1,), 0), ((3, 40), 1)):
        for reverse in (False, True):
            yield Case("cumsum", (floats(*shape),), {"axis": axis, "reverse": reverse}, tolerance=16, scale=None, second=False)
            yield Case("cumsum", (ints(*shape),), {"axis": axis, "reverse": reverse})


def _orders():
    for shape in ((7,), (3, 5), (2, 3, 40), (0, 3), (3, 0), (4, 1), (2, 300)):
        yield Case("argsort", (floats(*shape),), gradient=False)
        yield Case("argsort", (ints(*shape),))
        yield Case("argsort", (ints(*shape, dtype="int64"),))
    yield Case("argsort", (np.array([2.0, np.nan, -np.inf, 2.0, np.inf, 0.0, -0.0, np.nan, 1.0]),), gradient=False)
    yield Case("argsort", (bools(4, 9),))


CASES = [*_cases(), *_positions(), *_running(), *_orders()]
