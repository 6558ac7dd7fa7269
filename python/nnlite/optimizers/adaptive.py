"""Adagrad, Adadelta, Adafactor, Ftrl, Lion: update rules written with ops."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.optimizers import rules
from nnlite.optimizers.optimizer import Optimizer
from nnlite.variable import Variable


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients (Duchi et al., 2011)."""

    def __init__(
        self,
        learning_rate=0.001,
        initial_accumulator_value=0.1,
        epsilon=1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            self._accumulators = self.add_optimizer_variables(variables, "accumulator", initializer=_constant(self.initial_accumulator_value))

    def update_step(self, gradient, variable, learning_rate):
        accumulator = self._accumulators[self._get_variable_index(variable)]
        accumulator.assign(accumulator.value + ops.square(gradient))
        variable.assign(variable.value - learning_rate * gradient / ops.sqrt(accumulator.value + self.epsilon))

    def get_config(self) -> dict:
        return {**super().get_config(), "initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}


class Adadelta(Optimizer):
    """Steps scaled by the ratio of running means of squared steps and squared gradients (Zeiler, 2012)."""

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.95,
        epsilon=1e-7,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            self._squares, self._deltas = self.add_optimizer_variables(variables, ["accumulated_grad", "accumulated_delta_var"])

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        squares, deltas = self._squares[i], self._deltas[i]
        squares.assign(squares.value * self.rho + ops.square(gradient) * (1 - self.rho))
        delta = -gradient * ops.sqrt(deltas.value + self.epsilon) / ops.sqrt(squares.value + self.epsilon)
        deltas.assign(deltas.value * self.rho + ops.square(delta) * (1 - self.rho))
        variable.assign(variable.value + learning_rate * delta)

    def get_config(self) -> dict:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}


class Lion(Optimizer):
    """Steps by the sign of an interpolated momentum (Chen et al., 2023)."""

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.99,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        if not 0 < beta_1 <= 1:
            raise ValueError(f"Lion: `beta_1` must be greater than 0 and at most 1; received beta_1={beta_1}.")
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        m = self._momentums[self._get_variable_index(variable)]
        direction = ops.sign(m.value * self.beta_1 + gradient * (1.0 - self.beta_1))
        variable.assign(variable.value - learning_rate * direction)
        m.assign(m.value * self.beta_2 + gradient * (1.0 - self.beta_2))

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}


class Ftrl(Optimizer):
    """Follow the regularized leader (McMahan et al., 2013), for sparse linear models."""

    def __init__(
        self,
        learning_rate=0.001,
        learning_rate_power=-0.5,
        initial_accumulator_value=0.1,
        l1_regularization_strength=0.0,
        l2_regularization_strength=0.0,
        l2_shrinkage_regularization_strength=0.0,
        beta=0.0,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        _check_ftrl(self)

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            initializers = [_constant(self.initial_accumulator_value), "zeros"]
            self._accumulators, self._linears = self.add_optimizer_variables(variables, ["accumulator", "linear"], initializer=initializers)

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        accumulator, linear = self._accumulators[i], self._linears[i]
        weights = variable.value
        l2 = self.l2_regularization_strength + self.beta / (2.0 * learning_rate)
        total = accumulator.value + ops.square(gradient)
        new_root, old_root = ops.power(total, -self.learning_rate_power), ops.power(accumulator.value, -self.learning_rate_power)
        shrunk = gradient + weights * (2.0 * self.l2_shrinkage_regularization_strength)
        linear.assign(linear.value + shrunk - (new_root - old_root) / learning_rate * weights)
        clipped = ops.clip(linear.value, -self.l1_regularization_strength, self.l1_regularization_strength)
        variable.assign((clipped - linear.value) / (new_root / learning_rate + 2.0 * l2))
        accumulator.assign(total)

    def get_config(self) -> dict:
        own = (
            "learning_rate_power",
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
            "beta",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _check_ftrl(optimizer: Ftrl) -> None:
    if optimizer.learning_rate_power > 0:
        raise ValueError(f"Ftrl: `learning_rate_power` must be at most 0; received learning_rate_power={optimizer.learning_rate_power}.")
    for name in ("initial_accumulator_value", "l1_regularization_strength", "l2_regularization_strength", "l2_shrinkage_regularization_strength"):
        if getattr(optimizer, name) < 0:
            raise ValueError(f"Ftrl: `{name}` must be at least 0; received {name}={getattr(optimizer, name)}.")


class Adafactor(Optimizer):
    """Adam-like steps whose second moments are kept as row and column means (Shazeer and Stern, 2018)."""

    def __init__(
        self,
        learning_rate=0.001,
        beta_2_decay=-0.8,
        epsilon_1=1e-30,
        epsilon_2=1e-3,
        clip_threshold=1.0,
        relative_step=True,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._rows, self._columns, self._velocities = [], [], []
        for v in self._trainable_variables:
            if len(v.shape) < 2:
                # Vectors have no rows and columns; the saved layout holds two integers in their places.
                for slots in (self._rows, self._columns):
                    slots.append(Variable(np.int32(0), trainable=False, name=v.name))
                    self._variables.append(slots[-1])
            else:
                self._rows.append(self.add_variable(v.shape[:-1], dtype=v.dtype, name=v.name))
                self._columns.append(self.add_variable((*v.shape[:-2], v.shape[-1]), dtype=v.dtype, name=v.name))
            self._velocities.append(self.add_variable_from_reference(v, "velocity"))

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        step = ops.cast(rules.step_number(self), variable.dtype)
        rho = ops.minimum(learning_rate, ops.rsqrt(step))
        keep = 1.0 - ops.power(step, self.beta_2_decay)
        squares = ops.square(gradient) + self.epsilon_1
        velocity = self._velocities[i]
        if len(variable.shape) < 2:
            velocity.assign(keep * velocity.value + (1.0 - keep) * squares)
        else:
            rows, columns = self._rows[i], self._columns[i]
            rows.assign(keep * rows.value + (1.0 - keep) * ops.mean(squares, axis=-1))
            columns.assign(keep * columns.value + (1.0 - keep) * ops.mean(squares, axis=-2))
            share = rows.value / ops.mean(rows.value, axis=-1, keepdims=True)
            velocity.assign(ops.expand_dims(share, -1) * ops.expand_dims(columns.value, -2))
        update = gradient / ops.sqrt(velocity.value)
        update = update / ops.maximum(_rms(update) / self.clip_threshold, 1.0)
        variable.assign(variable.value - ops.maximum(_rms(variable.value), self.epsilon_2) * rho * update)

    def get_config(self) -> dict:
        own = ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def _rms(x):
    return ops.sqrt(ops.mean(ops.square(x)))


def _constant(value):
    from nnlite import initializers

    return initializers.Constant(value)
