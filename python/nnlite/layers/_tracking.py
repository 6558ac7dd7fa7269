"""Finding the layers, variables and metrics that are assigned to a layer's attributes."""

from __future__ import annotations

from nnlite.graph.apply import state
from nnlite.layers._state import calls, clock
from nnlite.random import SeedGenerator
from nnlite.variable import Variable

_MISSING = object()
_SIMPLE = (int, float, str, bool, type(None))
# Attributes that change while training and that no compiled plan reads.
_QUIET = frozenset(("built", "stop_training", "optimizer", "history", "compiled", "loss", "trainable"))


class _Owned:
    """A container in a layer's attribute; copies of it (owner None) are plain containers."""

    _owner = None

    def _track(self, value):
        return value if self._owner is None else self._owner._track(value)

    def _forget(self, values):
        if self._owner is not None:
            for value in values:
                self._owner._untrack(value)


class TrackedList(_Owned, list):
    """A list attribute of a layer: layers and variables put into it later are tracked too."""

    def __init__(self, values=(), owner=None):
        super().__init__(values)
        self._owner = owner

    def append(self, value):
        super().append(self._track(value))

    def insert(self, index, value):
        super().insert(index, self._track(value))

    def extend(self, values):
        super().extend([self._track(value) for value in values])

    def __iadd__(self, values):
        self.extend(values)
        return self

    def __setitem__(self, index, value):
        old = self[index]
        if isinstance(index, slice):
            value = [self._track(v) for v in value]
        else:
            value = self._track(value)
            old = [old]
        super().__setitem__(index, value)
        self._forget(old)

    def __delitem__(self, index):
        old = self[index] if isinstance(index, slice) else [self[index]]
        super().__delitem__(index)
        self._forget(old)

    def pop(self, index=-1):
        value = super().pop(index)
        self._forget([value])
        return value

    def remove(self, value):
        super().remove(value)
        self._forget([value])

    def clear(self):
        old = list(self)
        super().clear()
        self._forget(old)

    def __reduce__(self):
        return (list, (list(self),))


class TrackedDict(_Owned, dict):
    """A dict attribute of a layer: layers and variables put into it later are tracked too."""

    def __init__(self, values=(), owner=None):
        super().__init__(values)
        self._owner = owner

    def __setitem__(self, key, value):
        old = self.get(key)
        super().__setitem__(key, self._track(value))
        if old is not value:
            self._forget([old])

    def __delitem__(self, key):
        old = self[key]
        super().__delitem__(key)
        self._forget([old])

    def update(self, *args, **kwargs):
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def setdefault(self, key, default=None):
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key, *default):
        value = super().pop(key, *default)
        self._forget([value])
        return value

    def clear(self):
        for key in list(self):
            del self[key]

    def __reduce__(self):
        return (dict, (dict(self),))


def is_metric(value) -> bool:
    """Metrics are known by their methods: layers do not import the metrics package."""
    cls = type(value)
    return callable(getattr(cls, "update_state", None)) and callable(getattr(cls, "reset_state", None)) and hasattr(cls, "variables")


class Tracking:
    """The attribute side of a layer. `_layers`, `_metrics` and the like keep what was assigned, in order."""

    def _start_tracking(self) -> None:
        self.__dict__.update(
            _layers=[],
            _trainable_variables=[],
            _non_trainable_variables=[],
            _metrics=[],
            _seed_generators=[],
            _locked=False,
            _own_revision=clock.tick(),
            _revision_seen=-1,
            _revision_found=0,
            _signature_seen=-1,
            _signature_found=(),
        )

    def __setattr__(self, name, value):
        attributes = self.__dict__
        old = attributes.get(name, _MISSING)
        if old is value:
            return
        value = self._track(value)
        object.__setattr__(self, name, value)
        if old is not _MISSING and not isinstance(old, _SIMPLE):
            self._untrack(old)
        if attributes.get("built") and name[0] != "_" and name not in _QUIET and not _equal(old, value):
            self._changed()

    def __delattr__(self, name):
        old = self.__dict__.get(name)
        object.__delattr__(self, name)
        self._untrack(old)

    def _changed(self) -> None:
        """Compiled plans and known input signatures of this layer are made anew. What `call` itself sets does not count."""
        if state.trace is None and not calls.stack:
            self._bump()

    def _bump(self) -> None:
        self.__dict__["_own_revision"] = clock.tick()
        self.__dict__["_known_specs"] = set()

    def _track(self, value):
        """Registers what is inside `value`; lists and dicts come back as tracked ones."""
        if isinstance(value, _SIMPLE):
            return value
        if isinstance(value, Tracking):
            self._add_state("_layers", value)
        elif isinstance(value, Variable):
            self._add_state("_trainable_variables" if value.trainable else "_non_trainable_variables", value)
        elif type(value) in (list, TrackedList):
            return TrackedList([self._track(item) for item in value], self)
        elif type(value) in (dict, TrackedDict):
            return TrackedDict({key: self._track(item) for key, item in value.items()}, self)
        elif isinstance(value, tuple):
            items = [self._track(item) for item in value]
            if any(a is not b for a, b in zip(items, value)):
                return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        elif isinstance(value, SeedGenerator):
            _add_once(self._seed_generators, value)
        elif is_metric(value):
            _add_once(self._metrics, value)
        return value

    def _add_state(self, where: str, value) -> None:
        found = self.__dict__[where]
        if value is self or any(value is item for item in found):
            return
        if self._locked:
            raise ValueError(
                f"Layers and variables cannot be added to a layer that is already built; layer {self.name!r} ({type(self).__name__}) is built and "
                "was given "
                f"{getattr(value, 'name', value)!r} ({type(value).__name__}). Create it in __init__() or in build()."
            )
        found.append(value)
        if isinstance(value, Variable):
            value._on_change = clock.tick
            if not self._trainable:
                value.trainable = False  # made with trainable=False: a model around it must not train it either
        self._bump()

    def _untrack(self, value) -> None:
        if isinstance(value, Tracking):
            _remove(self._layers, value)
            self._bump()
        elif isinstance(value, Variable):
            _remove(self._trainable_variables, value)
            _remove(self._non_trainable_variables, value)
            self._bump()
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._untrack(item)
        elif isinstance(value, dict):
            for item in value.values():
                self._untrack(item)
        elif isinstance(value, SeedGenerator):
            _remove(self._seed_generators, value)
        elif value is not None and is_metric(value):
            _remove(self._metrics, value)

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list:
        """This layer and those inside it, each once, in the order of their weights."""
        found = {id(self): self}
        stack = list(reversed(self._layers))
        while stack:
            layer = stack.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                if recursive:
                    stack.extend(reversed(layer._layers))
        layers = list(found.values())
        return layers if include_self else layers[1:]

    @property
    def _revision(self) -> int:
        """Grows whenever something that a compiled plan of this layer may depend on has changed, settings included, trainable flags excepted."""
        if self._revision_seen != clock.now:
            self.__dict__["_revision_found"] = max(clock.settings, *[layer._own_revision for layer in self._flatten_layers()])
            self.__dict__["_revision_seen"] = clock.now
        return self._revision_found

    @property
    def _trainable_signature(self) -> tuple:
        """The trainable flags of all layers and variables: part of the key of training plans, so that toggling back finds the old plan."""
        if self._signature_seen != clock.now:
            layers = self._flatten_layers()
            flags = [layer._trainable for layer in layers]
            flags += [v.trainable for layer in layers for v in layer._trainable_variables]
            self.__dict__["_signature_found"] = tuple(flags)
            self.__dict__["_signature_seen"] = clock.now
        return self._signature_found

    @property
    def variables(self) -> list:
        """All state: weights and the states of random generators. Metrics are not included."""
        found = {id(v): v for v in [*self._trainable_variables, *self._non_trainable_variables, *[g.state for g in self._seed_generators]]}
        for layer in self._layers:
            found.update((id(v), v) for v in layer.variables)
        return list(found.values())

    @property
    def weights(self) -> list:
        """Weights of this layer and of those inside it: what `get_weights` returns and files hold."""
        found = {id(v): v for v in [*self._trainable_variables, *self._non_trainable_variables]}
        for layer in self._layers:
            found.update((id(v), v) for v in layer.weights)
        return list(found.values())

    @property
    def trainable_variables(self) -> list:
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list:
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self) -> list:
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list:
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def metrics(self) -> list:
        """Metrics of this layer and of those inside it."""
        found = {id(m): m for layer in self._flatten_layers() for m in layer._metrics}
        return list(found.values())

    @property
    def metrics_variables(self) -> list:
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def trainable(self) -> bool:
        """Whether optimizers change this layer's weights. Setting it sets all layers inside, too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value) -> None:
        value = bool(value)
        for layer in self._flatten_layers():
            layer.__dict__["_trainable"] = value
            for variable in layer._trainable_variables:
                variable.trainable = value
        clock.tick()


def _equal(old, new) -> bool:
    """Whether two plain values are the same."""
    return isinstance(new, (*_SIMPLE, tuple)) and type(old) is type(new) and old == new


def _add_once(items: list, value) -> None:
    if not any(value is item for item in items):
        items.append(value)


def _remove(items: list, value) -> None:
    items[:] = [item for item in items if item is not value]
