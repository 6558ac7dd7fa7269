"""Functions of the bits of integers. They run outside of compiled functions."""

from __future__ import annotations

import numpy as np

from nnlite.ops import elementwise as e
from nnlite.ops._convert import pair, to_tensor
from nnlite.ops._dtypes import standardize
from nnlite.ops._public import public
from nnlite.ops.indexing import eager_array

_BOOLEAN = {"and": e.logical_and, "or": e.logical_or, "xor": e.logical_xor}


def _integers(name: str, *tensors) -> list[np.ndarray]:
    for tensor in tensors:
        if tensor.spec.dtype in ("float32", "float64", "bfloat16"):
            raise TypeError(f"{name}() takes integers or booleans; received dtype {tensor.spec.dtype}. Cast first.")
    return [eager_array(name, t) for t in tensors]


def _binary(name: str, function, text: str, aliases=()):
    def bits(x, y):
        a, b = pair(x, y)
        if a.spec.dtype == "bool" and name.removeprefix("bitwise_") in _BOOLEAN:
            return _BOOLEAN[name.removeprefix("bitwise_")](a, b)
        return to_tensor(function(*_integers(name, a, b)))

    bits.__name__ = name
    bits.__doc__ = text
    return public(name=name, aliases=aliases)(bits)


bitwise_and = _binary("bitwise_and", np.bitwise_and, "Bits set in both x and y.")
bitwise_or = _binary("bitwise_or", np.bitwise_or, "Bits set in x or y.")
bitwise_xor = _binary("bitwise_xor", np.bitwise_xor, "Bits set in exactly one of x and y.")
bitwise_left_shift = _binary("bitwise_left_shift", np.left_shift, "x with its bits moved up by y places.", ("left_shift",))
bitwise_right_shift = _binary("bitwise_right_shift", np.right_shift, "x with its bits moved down by y places, keeping the sign.", ("right_shift",))


@public(aliases=("bitwise_not",))
def bitwise_invert(x):
    """All bits turned round; booleans: not."""
    x = to_tensor(x)
    return e.logical_not(x) if x.spec.dtype == "bool" else to_tensor(np.invert(*_integers("bitwise_invert", x)))


@public
def gcd(x1, x2):
    """Greatest common divisor."""
    return to_tensor(np.gcd(*_integers("gcd", *pair(x1, x2, "int"))))


@public
def lcm(x1, x2):
    """Least common multiple."""
    return to_tensor(np.lcm(*_integers("lcm", *pair(x1, x2, "int"))))


@public
def view(x, dtype=None):
    """The same bytes read as another dtype; the last axis changes with the size of an element."""
    array = np.ascontiguousarray(eager_array("view", x))
    return to_tensor(array.copy() if dtype is None else array.view(standardize(dtype)).copy())


@public
def nextafter(x1, x2):
    """The next floating-point number after x1 towards x2."""
    from nnlite.ops._convert import float_pair

    a, b = float_pair(x1, x2)
    return to_tensor(np.nextafter(eager_array("nextafter", a), eager_array("nextafter", b)))
