"""Finding losses, metrics, optimizers by name, with helpful texts for misspelled ones."""

from __future__ import annotations

import difflib


def close_matches(name: str, known) -> str:
    """A sentence that suggests names like `name`, or lists all when there are few.

    >>> close_matches("adm", ["adam", "sgd"])
    "Did you mean 'adam'?"
    """
    known = sorted({str(k) for k in known})
    by_lower = {k.lower(): k for k in known}
    found = list(dict.fromkeys(by_lower[k] for k in difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)))
    if found:
        return f"Did you mean {' or '.join(repr(f) for f in found)}?"
    return f"Known names: {', '.join(known)}."


def unknown_name(kind: str, name, known) -> ValueError:
    """The error for a name nobody knows."""
    return ValueError(f"Unknown {kind}: {name!r}. {close_matches(str(name), known)}")


def custom_object(name: str):
    """The class or function registered under `name` (with or without its package), or None."""
    from nnlite.saving.registry import get_custom_objects, get_registered_object

    found = get_registered_object(name)
    if found is not None:
        return found
    return next((value for key, value in get_custom_objects().items() if key.rpartition(">")[2] == name), None)
