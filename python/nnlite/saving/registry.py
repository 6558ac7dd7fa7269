"""Custom classes and functions by name, so that configs can mention them."""

from __future__ import annotations

import threading

_registered: dict[str, object] = {}  # "package>name" -> class or function
_names: dict[object, str] = {}
_scopes = threading.local()


def register_keras_serializable(package: str = "Custom", name: str | None = None):
    """Decorator: makes a class or function loadable from model files under "package>name".

    >>> @register_keras_serializable("my_package")
    ... class Scale:
    ...     def get_config(self): return {}
    >>> get_registered_name(Scale)
    'my_package>Scale'
    """

    def decorate(thing):
        if isinstance(thing, type) and not hasattr(thing, "get_config"):
            raise ValueError(f"A registered class needs get_config(), so that it can be made again; {thing.__name__} has none. Add it.")
        full = f"{package}>{name or thing.__name__}"
        _registered[full] = thing
        _names[thing] = full
        return thing

    return decorate


def get_registered_name(thing) -> str:
    """ "package>name" of a registered class or function, else its own name."""
    return _names.get(thing, thing.__name__)


def get_custom_objects() -> dict:
    """The global dict of custom objects; changes take effect at once."""
    return _registered


def get_registered_object(name: str, custom_objects: dict | None = None, module_objects: dict | None = None):
    """The class or function of a name: from open scopes, then `custom_objects`, the registry, `module_objects`; None if unknown."""
    for table in (*reversed(_open_scopes()), custom_objects or {}, _registered, module_objects or {}):
        if name in table:
            return table[name]
    return None


def _open_scopes() -> list[dict]:
    return getattr(_scopes, "stack", [])


class CustomObjectScope:
    """A context in which names in a dict can be loaded.

    >>> with CustomObjectScope({"twice": lambda x: 2 * x}):
    ...     get_registered_object("twice")(4)
    8
    """

    def __init__(self, custom_objects: dict):
        self.custom_objects = custom_objects or {}

    def __enter__(self) -> "CustomObjectScope":
        _scopes.stack = [*_open_scopes(), self.custom_objects]
        return self

    def __exit__(self, *exc) -> None:
        _scopes.stack = _scopes.stack[:-1]


custom_object_scope = CustomObjectScope
