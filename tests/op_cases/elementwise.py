"""Cases of elementwise primitives."""

import numpy as np

from .case import SPECIALS, Case, bools, distinct, floats, ints

# Shapes around vector lengths: 16 floats, 8 doubles, blocks of 1024 and more.
SHAPES = ((7,), (), (1,), (0, 3), (16,), (33,), (5, 67), (3, 1025))
BROADCASTS = (
    ((4, 5), (4, 5)),
    ((3, 17), (17,)),
    ((3, 17), (3, 1)),
    ((), (4,)),
    ((2, 1, 5), (3, 1)),
    ((1, 33), (33, 1)),
    ((0, 4), (1, 4)),
    ((2, 3, 4, 5), (5,)),
)

# Name -> (domain, tolerance in epsilons of the result).
_UNARY = {
    "negative": ((-2, 2), 1),
    "abs": ((0.1, 2), 1),
    "sign": ((0.1, 2), 1),
    "square": ((-2, 2), 1),
    "exp": ((-4, 4), 4),
    "expm1": ((-2, 2), 6),
    "log": ((0.1, 9), 4),
    "log1p": ((-0.8, 5), 6),
    "sqrt": ((0.1, 9), 2),
    "rsqrt": ((0.1, 9), 4),
    "reciprocal": ((0.2, 5), 3),
    "sin": ((-6, 6), 6),
    "cos": ((-6, 6), 6),
    "tan": ((-1.2, 1.2), 8),
    "sinh": ((-3, 3), 8),
    "cosh": ((-3, 3), 6),
    "tanh": ((-3, 3), 6),
    "asin": ((-0.9, 0.9), 8),
    "acos": ((-0.9, 0.9), 8),
    "atan": ((-5, 5), 8),
    "sigmoid": ((-8, 8), 6),
    "erf": ((-3, 3), 8),
    "gelu": ((-3, 3), 4),
    "relu": ((0.1, 2), 1),
}
_ROUNDING = ("floor", "ceil", "round")
_TESTS = ("isnan", "isinf", "isfinite")
_NO_SECOND = ("abs", "sign", "relu", "negative")
# Where an absolute error is right because the result passes through 0 away from x = 0.
_SCALED = {"log": 1.0, "sin": 1.0, "cos": 1.0, "acos": 1.0, "tan": 1.0, "gelu": 1.0}
# Arguments at which references of float64 are compared with float32 results.
_WIDE = np.concatenate([np.linspace(-20, 20, 401), np.logspace(-20, 1, 50), -np.logspace(-20, 1, 50)])


def _unary_cases():
    for name, ((low, high), tolerance) in _UNARY.items():
        for shape in SHAPES:
            x = floats(*shape, low=low, high=high)
            if name in ("abs", "sign", "relu"):
                x = x * np.where(np.arange(x.size).reshape(x.shape) % 2, 1, -1)
            yield Case(name, (x,), tolerance=tolerance, scale=_SCALED.get(name, 0.0), second=name not in _NO_SECOND)
        specials = SPECIALS if name not in ("sin", "cos", "tan") else SPECIALS[np.abs(SPECIALS) != 3e38]
        yield Case(name, (specials,), tolerance=2 * tolerance, scale=_SCALED.get(name, 0.0), gradient=False)
        yield Case(name, (_WIDE,), tolerance=2 * tolerance, scale=_SCALED.get(name, 0.0), gradient=False)
    for name in _ROUNDING + _TESTS:
        for shape in SHAPES:
            yield Case(name, (floats(*shape, low=-9, high=9),), gradient=False)
        yield Case(name, (np.concatenate([SPECIALS, np.arange(-6, 7) / 2, [1e15, -1e9 + 0.5]]),), gradient=False)
    for name in ("negative", "abs", "sign", "square", "relu"):
        for dtype in ("int32", "int64", "int8"):
            yield Case(name, (ints(3, 21, dtype=dtype),))
    yield Case("logical_not", (bools(35),))
    yield Case("logical_not", (bools(2, 3),))


# Name -> (low, high of both, tolerance).
_BINARY = {
    "add": (-2, 2, 1),
    "subtract": (-2, 2, 1),
    "multiply": (-2, 2, 1),
    "divide": (0.3, 2, 2),
    "power": (0.3, 2, 12),
    "atan2": (0.3, 2, 8),
    "gelu_grad": (0.3, 2, 6),
}
_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_INTEGER = ("add", "subtract", "multiply", "maximum", "minimum", "mod", "floor_divide", *_COMPARISONS)


def _binary_cases():
    for a, b in BROADCASTS:
        for name, (low, high, tolerance) in _BINARY.items():
            yield Case(name, (floats(*a, low=low, high=high), floats(*b, low=low, high=high, seed=1)), tolerance=tolerance)
        for name in ("maximum", "minimum"):
            yield Case(name, (distinct(*a), distinct(*b, seed=3) + 0.013), second=False)
        for name in _COMPARISONS:
            yield Case(name, (np.round(floats(*a)), np.round(floats(*b, seed=1))), gradient=False)
        for name in ("mod", "floor_divide"):
            yield Case(
                name,
                (floats(*a, low=1.1, high=1.4), floats(*b, low=0.4, high=0.5, seed=1)),
                tolerance=4,
                scale=1.0,
                second=False,
                gradient=name == "mod",
            )
        for name in ("logical_and", "logical_or", "logical_xor"):
            yield Case(name, (bools(*a), bools(*b, seed=1)))
        for name in _INTEGER:
            for dtype in ("int32", "int64"):
                yield Case(name, (ints(*a, dtype=dtype), ints(*b, dtype=dtype, low=1, high=4, seed=1)))
    yield Case("power", (ints(9, low=-3, high=4), ints(9, low=0, high=4)))
    for name in ("mod", "floor_divide"):
        yield Case(name, (np.array([7, -7, 7, -7], "int32"), np.array([3, 3, -3, -3], "int32")))
        yield Case(name, (np.array([7.5, -7.5, 7.5, -7.5, 0.0]), np.array([2.0, 2.0, -2.0, -2.0, 3.0])), gradient=False)
    left, right = np.meshgrid(SPECIALS, SPECIALS)
    for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "atan2", *_COMPARISONS):
        yield Case(name, (left, right), tolerance=8, gradient=False, dtypes=("float32",))
    for name in ("uint8", "int8"):
        yield Case("add", (ints(40, low=0, high=100, dtype=name), ints(40, low=0, high=27, dtype=name)))
        yield Case("greater", (ints(40, low=0, high=100, dtype=name), ints(40, low=0, high=27, dtype=name)))
    yield Case("equal", (bools(5, 3), bools(3)))


def _where_cases():
    for c, a, b in (((5,), (5,), (5,)), ((3, 1), (3, 19), (19,)), ((), (4,), (4,)), ((2, 3), (), ()), ((0, 2), (2,), (0, 2))):
        yield Case("where", (bools(*c), floats(*a), floats(*b, seed=1)), second=False)
        yield Case("where", (bools(*c), ints(*a), ints(*b, seed=1)))
    yield Case("where", (bools(SPECIALS.size), SPECIALS, SPECIALS[::-1].copy()), gradient=False)
    yield Case("where", (bools(9), bools(9, seed=2), bools(9, seed=3)))


def _cast_cases():
    numbers = np.array([0.0, 1.0, -1.0, 2.7, -2.7, 100.4, -100.4, 1e-3])
    for target in ("float32", "float64", "int32", "int64", "int8", "bool"):
        yield Case("cast", (numbers,), {"dtype": target}, gradient=False)
        yield Case("cast", (ints(3, 23),), {"dtype": target})
        yield Case("cast", (bools(37),), {"dtype": target})
        yield Case("cast", (ints(37, dtype="int64"),), {"dtype": target})
        yield Case("cast", (ints(37, low=0, high=100, dtype="uint8"),), {"dtype": target})
    yield Case("cast", (np.array([0.0, 1.0, 2.7, 255.0, 100.4]),), {"dtype": "uint8"}, gradient=False)
    yield Case("cast", (floats(6, 5),), {"dtype": "float64"}, second=False, dtypes=("float64",))
    yield Case("cast", (np.concatenate([floats(70), SPECIALS]),), {"dtype": "bfloat16"}, gradient=False)


CASES = [*_unary_cases(), *_binary_cases(), *_where_cases(), *_cast_cases()]
