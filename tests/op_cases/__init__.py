"""Cases of every primitive: what `test_ops` runs forward, backward, eagerly, compiled, and against the references.

A case gives inputs as float64 arrays where the op takes floats (tests run them in float32 and float64), and as arrays of their own dtype where
it takes integers, booleans or keys. To add an op, add its cases to the family's file; a test fails while an op has none.
"""

from __future__ import annotations

import importlib

from .case import Case

FAMILIES = (
    "elementwise",
    "reduce",
    "movement",
    "matrix",
    "conv2d",
    "pool",
    "softmaxes",
    "norms",
    "index",
    "random_ops",
    "optimizer",
    "packing",
    "attention",
    "recurrent",
)


def all_cases() -> list[Case]:
    """Every case of every family."""
    return [case for family in FAMILIES for case in importlib.import_module(f"{__name__}.{family}").CASES]
