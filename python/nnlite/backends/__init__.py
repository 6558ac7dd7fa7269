"""Backends execute graphs of primitives.

`native` is the compiled engine; `numpy` runs every op's reference and is the oracle of the tests. `NNLITE_BACKEND` chooses one before import.
A backend module has `run_eager(op, specs, arrays, attributes)`, `compile_graph(graph, label, arena)`, `new_arena()` and `empty(spec)`.
Graphs that never run at the same time can share the working memory of one arena.
"""

from __future__ import annotations

import importlib
import os

NAMES = ("native", "numpy")
_active = None


def active():
    """The backend module in use."""
    global _active
    if _active is None:
        name = os.environ.get("NNLITE_BACKEND", "native")
        if name not in NAMES:
            raise ImportError(f"NNLITE_BACKEND must be one of {', '.join(NAMES)}; received {name!r}.")
        _active = importlib.import_module(f"nnlite.backends.{name}")
    return _active


def empty(spec):
    """An uninitialised, aligned numpy array for `spec`."""
    return active().empty(spec)
