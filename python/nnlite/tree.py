"""Nested structures of tuples, lists and dicts (dicts in sorted key order)."""

from __future__ import annotations

from typing import Any, Callable


def is_nested(structure) -> bool:
    """Whether `structure` is a tuple, list or dict."""
    return isinstance(structure, (tuple, list, dict))


def flatten(structure) -> list:
    """The leaves in order.

    >>> flatten({"b": [1, 2], "a": 3})
    [3, 1, 2]
    """
    leaves: list = []
    _flatten_into(structure, leaves)
    return leaves


def _flatten_into(structure, leaves: list) -> None:
    if isinstance(structure, dict):
        for key in sorted(structure):
            _flatten_into(structure[key], leaves)
    elif isinstance(structure, (tuple, list)):
        for item in structure:
            _flatten_into(item, leaves)
    else:
        leaves.append(structure)


def map_structure(function: Callable[..., Any], *structures):
    """Applies `function` to corresponding leaves; the result is shaped like the first structure.

    >>> map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    first = structures[0]
    if isinstance(first, dict):
        _check_same(first, structures, lambda s: isinstance(s, dict) and s.keys() == first.keys())
        return _rebuild_dict(first, {key: map_structure(function, *(s[key] for s in structures)) for key in first})
    if isinstance(first, (tuple, list)):
        _check_same(first, structures, lambda s: isinstance(s, (tuple, list)) and len(s) == len(first))
        return _rebuild_sequence(first, [map_structure(function, *items) for items in zip(*structures)])
    return function(*structures)


def _check_same(first, structures, matches) -> None:
    for other in structures[1:]:
        if not matches(other):
            raise ValueError(f"The structures must have the same nesting; received {first!r} and {other!r}.")


def _rebuild_dict(like: dict, items: dict):
    return items if type(like) is dict else type(like)(items)


def _rebuild_sequence(like, items: list):
    if isinstance(like, list):
        return items
    return type(like)(*items) if hasattr(like, "_fields") else tuple(items)


def pack_sequence_as(structure, flat_sequence):
    """Puts the leaves of `flat_sequence` into the shape of `structure`.

    >>> pack_sequence_as({"b": 0, "a": (0,)}, [1, 2])
    {'b': 2, 'a': (1,)}
    """
    leaves = list(flat_sequence)
    expected = len(flatten(structure))
    if expected != len(leaves):
        raise ValueError(f"The structure has {expected} leaves, but {len(leaves)} were given.")
    iterator = iter(leaves)
    return _pack(structure, iterator)


def _pack(structure, iterator):
    if isinstance(structure, dict):
        packed = {key: _pack(structure[key], iterator) for key in sorted(structure)}
        return _rebuild_dict(structure, {key: packed[key] for key in structure})
    if isinstance(structure, (tuple, list)):
        return _rebuild_sequence(structure, [_pack(item, iterator) for item in structure])
    return next(iterator)


def assert_same_structure(a, b) -> None:
    """Raises ValueError when two structures differ in nesting."""
    map_structure(lambda x, y: None, a, b)


def lists_to_tuples(structure):
    """The same structure with every list made a tuple."""
    if isinstance(structure, dict):
        return {key: lists_to_tuples(value) for key, value in structure.items()}
    if isinstance(structure, (tuple, list)):
        return tuple(lists_to_tuples(item) for item in structure)
    return structure
