"""What all tests share."""

from __future__ import annotations

import pytest
from nnlite import _core

# These scripts make the golden files and need real Keras.
collect_ignore_glob = ["golden/make_*.py"]


@pytest.fixture
def threads():
    """Sets the number of threads for one test."""
    before = _core.get_num_threads()
    yield _core.set_num_threads
    _core.set_num_threads(before)
