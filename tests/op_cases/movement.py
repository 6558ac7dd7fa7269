"""Cases of primitives that move elements."""

from .case import Case, bools, floats, ints


def _each_dtype(name, shape, attributes):
    """A case in floats, integers of several widths and booleans."""
    yield Case(name, (floats(*shape),), attributes, second=False)
    yield Case(name, (ints(*shape),), attributes)
    yield Case(name, (ints(*shape, dtype="int64"),), attributes)
    yield Case(name, (ints(*shape, low=0, dtype="uint8"),), attributes)
    yield Case(name, (bools(*shape),), attributes)


def _moves():
    for shape, new in (((6,), (2, 3)), ((2, 3, 4), (24,)), ((4,), (1, 4, 1)), ((0, 3), (3, 0)), ((1,), ()), ((), (1, 1))):
        yield from _each_dtype("reshape", shape, {"shape": new})
    for shape, axes in (
        ((5,), (0,)),
        ((3, 5), (1, 0)),
        ((33, 65), (1, 0)),
        ((2, 3, 4), (2, 0, 1)),
        ((2, 3, 4), (0, 2, 1)),
        ((2, 3, 4, 5), (0, 3, 1, 2)),
        ((2, 3, 4, 5), (0, 2, 3, 1)),
        ((2, 0, 3), (2, 1, 0)),
        ((1, 7, 1), (2, 1, 0)),
        ((2, 1, 2, 3, 2), (4, 3, 2, 1, 0)),
        ((2, 3, 4), (0, 1, 2)),
        ((), ()),
    ):
        yield from _each_dtype("transpose", shape, {"axes": axes})
    for shape, new in (
        ((3,), (2, 3)),
        ((3, 1), (3, 17)),
        ((), (5,)),
        ((1, 1), (0, 4)),
        ((2, 1, 3), (2, 4, 3)),
        ((1, 3), (5, 2, 3)),
        ((4,), (4,)),
        ((1,), (100,)),
    ):
        yield from _each_dtype("broadcast_to", shape, {"shape": new})
    for shape, axes in (((7,), (0,)), ((3, 5), (1,)), ((3, 5), (0,)), ((3, 5), (0, 1)), ((2, 3, 40), (2,)), ((0, 3), (1,)), ((4,), ())):
        yield from _each_dtype("reverse", shape, {"axes": axes})


def _slices():
    for shape, starts, sizes, strides in (
        ((7,), (2,), (4,), (1,)),
        ((7,), (1,), (3,), (2,)),
        ((3, 5), (0, 1), (3, 3), (1, 1)),
        ((3, 5), (1, 0), (1, 5), (1, 1)),
        ((6, 8), (1, 2), (2, 3), (2, 2)),
        ((4, 4), (0, 0), (4, 4), (1, 1)),
        ((4, 4), (2, 2), (0, 2), (1, 1)),
        ((2, 3, 4), (0, 1, 1), (2, 2, 2), (1, 1, 2)),
        ((10,), (9,), (1,), (3,)),
        ((5, 100), (0, 50), (5, 50), (1, 1)),
        ((0, 4), (0, 1), (0, 2), (1, 1)),
    ):
        yield from _each_dtype("slice", shape, {"starts": starts, "sizes": sizes, "strides": strides})
    for shape, low, high, interior, value in (
        ((5,), (1,), (2,), (0,), 0.0),
        ((5,), (0,), (0,), (2,), 0.0),
        ((3, 4), (1, 0), (0, 2), (0, 0), 1.5),
        ((3, 4), (1, 2), (1, 1), (1, 2), 0.0),
        ((2, 3, 3, 2), (0, 1, 1, 0), (0, 1, 1, 0), (0, 0, 0, 0), 0.0),
        ((0, 3), (1, 0), (1, 0), (0, 0), 2.0),
        ((1, 1), (0, 0), (3, 0), (4, 4), 1.0),
        ((), (), (), (), 0.0),
        ((4, 33), (0, 1), (0, 0), (0, 0), -1.0),
    ):
        given = {"low": low, "high": high, "interior": interior, "value": value}
        yield Case("pad", (floats(*shape),), given, second=False)
        if value >= 0 and value == int(value):
            yield Case("pad", (ints(*shape),), given)
            yield Case("pad", (ints(*shape, dtype="int64"),), given)
            yield Case("pad", (bools(*shape),), given)
    yield Case("pad", (floats(3, 4),), {"low": (0, 1), "high": (1, 1), "interior": (0, 0), "value": float("-inf")}, gradient=False)


def _joins():
    for shapes, axis in (
        (((3,), (4,)), 0),
        (((2, 3), (2, 5)), 1),
        (((2, 3), (1, 3), (4, 3)), 0),
        (((2, 3, 4), (2, 1, 4)), 1),
        (((2, 0), (2, 3)), 1),
        (((5,),), 0),
        (((3, 17), (3, 16)), 1),
    ):
        yield Case("concatenate", tuple(floats(*s, seed=i) for i, s in enumerate(shapes)), {"axis": axis}, second=False)
        yield Case("concatenate", tuple(ints(*s, seed=i) for i, s in enumerate(shapes)), {"axis": axis})
        yield Case("concatenate", tuple(ints(*s, dtype="int64", seed=i) for i, s in enumerate(shapes)), {"axis": axis})
        yield Case("concatenate", tuple(bools(*s, seed=i) for i, s in enumerate(shapes)), {"axis": axis})
    yield Case("concatenate", tuple(floats(2, 1, seed=i) for i in range(70)), {"axis": 1}, second=False)


def _stops():
    yield Case("stop_gradient", (floats(3, 4),), gradient=False)


CASES = [*_moves(), *_slices(), *_joins(), *_stops()]
