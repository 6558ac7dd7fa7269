"""Case: one call of a primitive, and how exactly it must be met."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Case:
    """A call of a primitive.

    Attributes:
        op: Name of the primitive.
        inputs: Arrays; float64 ones stand for any floating-point dtype.
        attributes: Keyword attributes.
        tolerance: Allowed error, in units of the dtype's epsilon, of `|reference| + scale`.
        scale: Size that sets the error of sums: None takes the largest absolute value of the reference (right for sums, where terms cancel); 0 for
            ops that are exact element by element.
        gradient: Whether finite differences make sense here (not at kinks, infinities or jumps).
        second: Whether second derivatives are checked, too.
        dtypes: Floating-point dtypes to run in.
    """

    op: str
    inputs: tuple
    attributes: dict = field(default_factory=dict)
    tolerance: float = 8.0
    scale: float | None = 0.0
    gradient: bool = True
    second: bool = True
    dtypes: tuple[str, ...] = ("float32", "float64")

    def __post_init__(self):
        self.inputs = tuple(np.asarray(x) for x in self.inputs)
        if not any(x.dtype == np.float64 for x in self.inputs):
            self.dtypes, self.gradient = ("float32",), False

    @property
    def label(self) -> str:
        shapes = "-".join(f"{x.dtype.char}{'x'.join(map(str, x.shape))}" for x in self.inputs)
        return f"{self.op}-{shapes}"

    def arrays(self, dtype: str) -> list[np.ndarray]:
        """The inputs with floats in `dtype`."""
        return [x.astype(dtype) if x.dtype == np.float64 else x for x in self.inputs]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def floats(*shape, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Evenly distributed numbers, none of them near a kink at 0."""
    return rng(seed + sum(shape)).uniform(low, high, shape)


def distinct(*shape, seed: int = 0) -> np.ndarray:
    """Numbers at least 0.01 apart from each other and from 0, in random order: for ops with kinks where elements are equal."""
    n = int(np.prod(shape))
    values = (np.arange(n) - n // 2 + 0.5) * 0.05
    return rng(seed + n).permutation(values).reshape(shape)


def ints(*shape, low: int = -5, high: int = 6, dtype: str = "int32", seed: int = 0) -> np.ndarray:
    return rng(seed + sum(shape)).integers(low, high, shape).astype(dtype)


def bools(*shape, seed: int = 0) -> np.ndarray:
    return rng(seed + sum(shape)).random(shape) < 0.5


SPECIALS = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 3e38, 0.5, -0.5, 88.0, -88.0, 1e-8, 2.5, 3.5])
