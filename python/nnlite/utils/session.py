"""State of the whole library, random seeds and names; and small questions about values."""

from __future__ import annotations

import random

import numpy as np

from nnlite.random.seed_generator import set_global_seed
from nnlite.utils.naming import reset_names


def set_random_seed(seed: int) -> None:
    """Seeds Python's, numpy's and the library's random numbers: what follows is the same in every run.

    >>> set_random_seed(1)
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"set_random_seed() takes an integer of at least 0; received seed={seed!r} of type {type(seed).__name__}.")
    seed = int(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    set_global_seed(seed)


def clear_session(free_memory: bool = True) -> None:
    """Starts the counters of automatic names at zero again. Models and variables stay usable.

    Args:
        free_memory: Whether unreferenced cycles are collected too.
    """
    reset_names()
    if free_memory:
        import gc

        gc.collect()


def is_keras_tensor(x) -> bool:
    """Whether `x` is symbolic: made by `Input` or computed from it.

    >>> is_keras_tensor(np.ones(2))
    False
    """
    from nnlite.graph.symbolic import KerasTensor

    return isinstance(x, KerasTensor)
