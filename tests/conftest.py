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


@pytest.fixture
def trains_alike(threads):
    """Checks that the model made by a function has the same weights after two epochs with one, two and three threads."""

    def check(build, x, batch_size):
        y = np.random.default_rng(SEED).integers(0, 4, len(x))
        weights = []
        for count in (1, 2, 3):
            threads(count)
            nnlite.utils.set_random_seed(3)
            model = build()
            model.compile("adam", nnlite.losses.SparseCategoricalCrossentropy(from_logits=True))
            model.fit(x, y, batch_size=batch_size, epochs=2, verbose=0, shuffle=False)
            weights.append(model.get_weights())
        for other in weights[1:]:
            for a, b in zip(weights[0], other, strict=True):
                np.testing.assert_array_equal(a, b)

    return check
