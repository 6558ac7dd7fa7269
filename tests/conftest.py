"""What all tests share."""

from __future__ import annotations

import os

import nnlite
import numpy as np
import pytest
from nnlite import _core

# These scripts make the golden files and need real Keras.
collect_ignore_glob = ["golden/make_*.py"]

SEED = int(os.environ.get("NNLITE_TEST_SEED", "0"))


@pytest.fixture(autouse=True)
def same_draws(request):
    """Every test draws the same numbers, in whichever order and process it runs; NNLITE_TEST_SEED tries others."""
    nnlite.utils.set_random_seed(SEED)
    for name in ("rng", "RNG", "RANDOM"):
        if isinstance(getattr(request.module, name, None), np.random.Generator):
            setattr(request.module, name, np.random.default_rng(SEED))


@pytest.fixture
def threads():
    """Sets the number of threads for one test."""
    before = _core.get_num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)
