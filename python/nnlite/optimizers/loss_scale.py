"""LossScaleOptimizer: keeps small gradients from vanishing in half precision."""

from __future__ import annotations

from nnlite import ops
from nnlite.optimizers import rules
from nnlite.optimizers.optimizer import Optimizer


class LossScaleOptimizer(Optimizer):
    """Wraps an optimizer: the loss is scaled up before differentiation, gradients are scaled down again.

    Steps whose gradients are not finite are left out and halve the scale; `dynamic_growth_steps` good steps double it.

    Args:
        inner_optimizer: The optimizer that makes the updates.
        initial_scale: The first scale.
    """

    def __init__(self, inner_optimizer, initial_scale=2.0**15, dynamic_growth_steps=2000, name=None, **kwargs):
        super().__init__(learning_rate=0.0, name=name, **kwargs)
        self.inner_optimizer = inner_optimizer
        self.initial_scale = initial_scale
        self.dynamic_growth_steps = dynamic_growth_steps

    def build(self, variables) -> None:
        if self.built:
            return
        self.step_counter = self.add_variable((), dtype="int64", name="step_counter")
        self.dynamic_scale = self.add_variable((), dtype="float32", name="dynamic_scale")
        self.dynamic_scale.assign(float(self.initial_scale))
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self):
        return [*self._variables, *self.inner_optimizer.variables]

    @property
    def learning_rate(self):
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def asks_python_each_step(self) -> bool:
        return self.inner_optimizer.asks_python_each_step

    def refresh_rate(self) -> None:
        self.inner_optimizer.refresh_rate()

    @property
    def iterations(self):
        return self.inner_optimizer.iterations

    def scale_loss(self, loss):
        return loss * (self.dynamic_scale.value if self.built else self.initial_scale)

    def apply(self, grads, trainable_variables=None) -> None:
        grads = list(grads)
        variables = self._known_variables(grads, trainable_variables)
        present = [g for g in grads if g is not None]
        finite = ops.isfinite(rules.global_norm_of(present))
        scale = self.dynamic_scale.value
        scaled = [None if g is None else g / ops.cast(scale, g.dtype) for g in grads]
        rules.update_if(finite, [*variables, *self.inner_optimizer.variables], lambda: self.inner_optimizer.apply(scaled, variables))
        grown = ops.greater_equal(self.step_counter.value, self.dynamic_growth_steps - 1)
        self.dynamic_scale.assign(ops.where(finite, ops.where(grown, scale * 2.0, scale), scale * 0.5))
        good = ops.logical_and(finite, ops.logical_not(grown))
        self.step_counter.assign(ops.where(good, self.step_counter.value + 1, ops.zeros_like(self.step_counter.value)))

    def finalize_variable_values(self, var_list) -> None:
        self.inner_optimizer.finalize_variable_values(var_list)

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {
            "name": self.name,
            "inner_optimizer": serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        inner = deserialize_keras_object(config.pop("inner_optimizer"), custom_objects=custom_objects)
        return cls(inner, **config)
