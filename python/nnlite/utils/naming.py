"""Names of layers, optimizers, losses and metrics: snake_case of the class plus a counter per name."""

from __future__ import annotations

import re

# snake_case name -> how many objects took it since the start or the last clear_session().
_counters: dict[str, int] = {}


def to_snake_case(name: str) -> str:
    """The snake_case form of a class name.

    >>> to_snake_case("MaxPooling2D"), to_snake_case("RMSprop"), to_snake_case("ReLU")
    ('max_pooling2d', 'rm_sprop', 're_lu')
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def next_count(name: str) -> int:
    """How often the name was taken before; takes it once more."""
    count = _counters.get(name, 0)
    _counters[name] = count + 1
    return count


def unique_name(base: str) -> str:
    """`base` the first time, then base_1, base_2, ..."""
    count = next_count(base)
    return base if count == 0 else f"{base}_{count}"


def auto_name(instance_or_class) -> str:
    """A fresh name for an object without one."""
    cls = instance_or_class if isinstance(instance_or_class, type) else type(instance_or_class)
    return unique_name(to_snake_case(cls.__name__))


def reset_names() -> None:
    """Starts all counters at zero again."""
    _counters.clear()
