"""Saving: the configuration of an optimizer, and its variables in files."""

from __future__ import annotations

import warnings

import numpy as np

from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.optimizers.schedules import serialize as serialize_schedule
from nnlite.variable import Variable

# Arguments that every optimizer takes, in the order of its configuration.
COMMON = (
    "weight_decay",
    "clipnorm",
    "global_clipnorm",
    "clipvalue",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "loss_scale_factor",
    "gradient_accumulation_steps",
)


class Saving:
    """The part of an optimizer that files need."""

    def set_weights(self, weights) -> None:
        if not self.built:
            raise ValueError(
                f"Optimizer {self.name!r} is not built, so it has no slots to set. Call optimizer.build(model.trainable_variables) first."
            )
        for variable, weight in zip(self._variables, weights):
            variable.assign(weight)

    def save_own_variables(self, store) -> None:
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store) -> None:
        if len(store.keys()) != len(self.variables):
            warnings.warn(
                f"Optimizer {self.name!r}: its variables were not loaded, because it has {len(self.variables)} and the saved optimizer has "
                f"{len(store.keys())}. "
                "Build it first, with the variables it was trained with.",
                stacklevel=2,
            )
            return
        for i, variable in enumerate(self.variables):
            variable.assign(np.asarray(store[str(i)]))

    def get_config(self) -> dict:
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            rate = serialize_schedule(rate)
        elif isinstance(rate, Variable):
            rate = float(rate.numpy())
        else:
            from nnlite.saving import serialize_keras_object

            rate = serialize_keras_object(rate)
        return {"name": self.name, "learning_rate": rate, **{name: getattr(self, name) for name in COMMON}}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from nnlite.optimizers.schedules import deserialize as deserialize_schedule

        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = deserialize_schedule(config["learning_rate"], custom_objects=custom_objects)
        return cls(**config)
