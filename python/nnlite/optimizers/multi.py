"""MultiOptimizer: different optimizers for different variables."""

from __future__ import annotations

import re
from collections.abc import MutableMapping

from nnlite.optimizers.loss_scale import LossScaleOptimizer
from nnlite.optimizers.optimizer import Optimizer


class OptimizerMap(MutableMapping):
    """Which optimizer a variable gets: by its path, or the first regular expression that matches it whole.

    Args:
        default_optimizer: For all other variables.
        optimizer_map: Dict of path or pattern -> Optimizer.

    >>> from nnlite.optimizers import SGD
    >>> rules = OptimizerMap(SGD(), {".*bias": SGD(0.1)})
    >>> len(rules)
    1
    """

    def __init__(self, default_optimizer, optimizer_map=None):
        _check_inner("default_optimizer", default_optimizer)
        self._default = default_optimizer
        self._map: dict = {}
        for key, optimizer in (optimizer_map or {}).items():
            self[key] = optimizer

    @property
    def default_optimizer(self):
        return self._default

    def __getitem__(self, key):
        if key in self._map:
            return self._map[key]
        matching = [pattern for pattern in self._map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(
                f"The variable {key!r} matches {len(matching)} patterns of the OptimizerMap: {matching}. Make the patterns exclude each other."
            )
        return self._map[matching[0]] if matching else self._default

    def __setitem__(self, key, optimizer):
        if not isinstance(key, str):
            raise ValueError(f"An OptimizerMap's keys are paths or patterns; received {key!r} of type {type(key).__name__}.")
        if key in self._map:
            raise ValueError(f"The key {key!r} is already in the OptimizerMap. Delete it first.")
        _check_inner(f"optimizer_map[{key!r}]", optimizer)
        self._map[key] = optimizer

    def __delitem__(self, key):
        del self._map[key]

    def __len__(self):
        return len(self._map)

    def __iter__(self):
        return iter(self._map)

    def __call__(self, variable):
        return self[variable.path]

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {"default_optimizer": serialize_keras_object(self._default), "optimizer_map": serialize_keras_object(self._map)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        return cls(*(deserialize_keras_object(config[key], custom_objects=custom_objects) for key in ("default_optimizer", "optimizer_map")))


def _check_inner(what: str, optimizer) -> None:
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, (LossScaleOptimizer, MultiOptimizer)):
        raise ValueError(f"{what} must be a plain Optimizer; received {optimizer!r}.")


class MultiOptimizer(Optimizer):
    """Hands every variable to the optimizer that `optimizer_map(variable)` names.

    Args:
        optimizer_map: An `OptimizerMap`, or a function of a variable.
        loss_scale_factor: The loss is multiplied, and the gradients divided, by it.
    """

    def __init__(self, optimizer_map, loss_scale_factor=None, name=None):
        super().__init__(learning_rate=0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._optimizer_map = optimizer_map
        self._groups: dict = {}  # optimizer -> its variables
        self._owners: dict = {}  # id of a variable -> optimizer

    def build(self, variables) -> None:
        if self.built:
            return
        for variable in variables:
            optimizer = self._optimizer_map(variable)
            _check_inner(f"The optimizer of variable {variable.path!r}", optimizer)
            self._groups.setdefault(optimizer, []).append(variable)
            self._owners[id(variable)] = optimizer
        for optimizer, group in self._groups.items():
            optimizer.build(group)
        super().build(variables)

    @property
    def optimizers(self) -> list:
        return list(self._groups)

    @property
    def variables(self) -> list:
        return [*self._variables, *(v for optimizer in self._groups for v in optimizer.variables)]

    @property
    def asks_python_each_step(self) -> bool:
        return any(optimizer.asks_python_each_step for optimizer in self._groups)

    def refresh_rate(self) -> None:
        for optimizer in self._groups:
            optimizer.refresh_rate()

    @property
    def learning_rate(self):
        raise AttributeError(f"MultiOptimizer {self.name!r} has no learning rate of its own: use those of its `optimizers`.")

    @learning_rate.setter
    def learning_rate(self, value) -> None:
        raise AttributeError(f"MultiOptimizer {self.name!r} has no learning rate of its own: set those of its `optimizers`.")

    def apply(self, grads, trainable_variables=None) -> None:
        grads = list(grads)
        variables = self._known_variables(grads, trainable_variables)
        if self.loss_scale_factor is not None:
            grads = [None if g is None else g / self.loss_scale_factor for g in grads]
        for optimizer in self._groups:
            mine = [(g, v) for g, v in zip(grads, variables) if self._owners[id(v)] is optimizer]
            if any(g is not None for g, _ in mine):
                optimizer.apply([g for g, _ in mine], [v for _, v in mine])
        self._iterations.assign(self._iterations.value + 1)

    def finalize_variable_values(self, var_list) -> None:
        for optimizer, group in self._groups.items():
            optimizer.finalize_variable_values(group)

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {"optimizer_map": serialize_keras_object(self._optimizer_map), "loss_scale_factor": self.loss_scale_factor, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        return cls(**{**config, "optimizer_map": deserialize_keras_object(config["optimizer_map"], custom_objects=custom_objects)})
