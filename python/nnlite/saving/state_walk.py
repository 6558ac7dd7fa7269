"""Which objects of a model hold state, and under which name a file keeps each: the names real Keras gives its HDF5 groups."""

from __future__ import annotations

from nnlite.utils.naming import to_snake_case

_CONTAINERS = (list, tuple, dict, set)
# Attributes of our own that lead to layers by another way than Keras's.
_PRIVATE = frozenset(
    (
        "_layers",
        "_functional_model",
        "_metrics",
        "_losses",
        "_seed_generators",
        "_inference",
        "_graph",
        "_init_arguments",
        "_compile_arguments",
        "inbound_nodes",
    )
)


def walk(model):
    """(path, object) of every layer, model and optimizer, each once, in the order real Keras visits them."""
    yield from _walk("", model, set())


def _walk(path: str, owner, visited: set[int]):
    if id(owner) in visited:
        return
    visited.add(id(owner))
    yield path, owner
    for name, child in _attributes(owner):
        inner = f"{path}/{name}" if path else name
        if isinstance(child, _CONTAINERS):
            yield from _walk_container(inner, child, visited)
        else:
            yield from _walk(inner, child, visited)


def _walk_container(path: str, container, visited: set[int]):
    """Members are named after their classes, with _1, _2, ... for repeats; those met before count, too."""
    counts: dict[str, int] = {}
    for member in container.values() if isinstance(container, dict) else container:
        if isinstance(member, _CONTAINERS):
            yield from _walk_container(f"{path}/{_numbered('container', counts)}", member, visited)
        elif holds_state(member):
            yield from _walk(f"{path}/{_numbered(to_snake_case(type(member).__name__), counts)}", member, visited)


def _numbered(name: str, counts: dict[str, int]) -> str:
    count = counts.get(name, 0)
    counts[name] = count + 1
    return f"{name}_{count}" if count else name


def _attributes(owner):
    """Named children in Keras's order: the layers of a Sequential or functional model first, else by name; private names come last."""
    if is_optimizer(owner):
        inner = getattr(owner, "inner_optimizer", None)
        return [("inner_optimizer", inner)] if inner is not None else []
    found = {name: value for name, value in vars(owner).items() if name not in _PRIVATE and (holds_state(value) or isinstance(value, _CONTAINERS))}
    chain = {cls.__name__ for cls in type(owner).__mro__}
    if "Model" in chain:
        found["layers"] = owner.layers
    first = "layers" if chain & {"Sequential", "Functional"} else None
    return sorted(found.items(), key=lambda item: (item[0] != first, item[0].startswith("_"), item[0]))


def holds_state(value) -> bool:
    """Whether an object has a place of its own in a weights file."""
    return is_optimizer(value) or (hasattr(value, "_trainable_variables") and hasattr(value, "call"))


def is_optimizer(value) -> bool:
    return hasattr(value, "apply_gradients") and hasattr(value, "variables")
