"""The `@public` decorator: what every function of `nnlite.ops` shares."""

from __future__ import annotations

import functools

from nnlite.graph.symbolic import FunctionOperation, KerasTensor
from nnlite.tensor import Tensor

# Every public function by name.
PUBLIC: dict = {}
_CONTAINERS = (tuple, list, dict)
_PLAIN = frozenset((Tensor, int, float, bool, str, type(None)))


def public(function=None, *, name: str | None = None, aliases: tuple[str, ...] = (), home: dict | None = None):
    """Registers a function as `nnlite.ops.<name>`; called on KerasTensors it records itself in the functional model.

    Args:
        name: Public name, when the Python name had to differ (it would hide a builtin used in the file).
        aliases: Further public names.
        home: Where it is registered, for functions that are public in a module of their own (default: `nnlite.ops`).
    """
    if function is None:
        return lambda f: public(f, name=name, aliases=aliases, home=home)
    public_name = name or function.__name__

    @functools.wraps(function)
    def call(*args, **kwargs):
        for value in args:
            if type(value) not in _PLAIN and is_symbolic(value):
                return _record(public_name, call, args, kwargs)
        if kwargs:
            for value in kwargs.values():
                if type(value) not in _PLAIN and is_symbolic(value):
                    return _record(public_name, call, args, kwargs)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = public_name
    for known in (public_name, *aliases):
        (PUBLIC if home is None else home)[known] = call
    return call


def register(function, name: str | None = None, aliases: tuple[str, ...] = ()):
    """Registers a function that never records itself (control flow, creation, queries)."""
    for known in (name or function.__name__, *aliases):
        PUBLIC[known] = function
    return function


def is_symbolic(value) -> bool:
    """Whether a KerasTensor is or stands in `value`."""
    if isinstance(value, KerasTensor):
        return True
    if isinstance(value, _CONTAINERS):
        return any(is_symbolic(item) for item in (value.values() if isinstance(value, dict) else value))
    return False


def _record(name: str, function, args, kwargs):
    from nnlite.utils.naming import unique_name

    return FunctionOperation(function, unique_name(name)).symbolic_call(*args, **kwargs)


def in_model(functions, operands=()) -> list:
    """Functions that give KerasTensors are replaced by what they give: what they do is then part of the functional model."""
    results = [function(*operands) if callable(function) else function for function in functions]
    return [result if is_symbolic(result) else function for function, result in zip(functions, results)]
