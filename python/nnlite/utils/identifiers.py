"""Turning names, classes and configs into objects: the common part of every `get` function."""

from __future__ import annotations

import inspect

from nnlite.utils.lookup import close_matches, custom_object


def names_of(*classes, **more) -> dict:
    """Name -> class, for the class name and its snake_case form, and for the extra names given.

    >>> sorted(names_of(int, whole=int))
    ['int', 'whole']
    """
    from nnlite.utils.naming import to_snake_case

    found = {}
    for cls in classes:
        found[cls.__name__] = found[to_snake_case(cls.__name__)] = cls
    found.update(more)
    return found


def resolve(identifier, kind: str, known: dict, base: type):
    """The object meant by a name, a config dict, a class, an instance or a function.

    Raises:
        ValueError: Nothing is known under that name, or the value cannot be used.
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return from_config(identifier, kind, known)
    if isinstance(identifier, str):
        found = known.get(identifier) or custom_object(identifier)
        if found is None:
            raise ValueError(f"Could not interpret {kind} identifier: {identifier!r}. {close_matches(identifier, known)}")
        return found() if inspect.isclass(found) else found
    if inspect.isclass(identifier) and issubclass(identifier, base):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret {kind} identifier: {identifier!r} (of type {type(identifier).__name__}). Pass a name, an instance or a function."
    )


def from_config(config: dict, kind: str, known: dict, custom_objects: dict | None = None):
    """The object of a config dict {"class_name": ..., "config": ...}."""
    from nnlite.saving import deserialize_keras_object

    name = config.get("class_name")
    cls = (custom_objects or {}).get(name) or known.get(name)
    if cls is not None and inspect.isclass(cls) and isinstance(config.get("config"), dict):
        inner = {
            key: deserialize_keras_object(value, custom_objects) if isinstance(value, dict) else value for key, value in config["config"].items()
        }
        return cls.from_config(inner)
    return deserialize_keras_object(config, custom_objects)
