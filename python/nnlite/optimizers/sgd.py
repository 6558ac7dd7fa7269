"""Gradient descent, with momentum, and RMSprop: the rules with fused updates beside Adam."""

from __future__ import annotations

from nnlite import ops
from nnlite.ops.optimizer import momentum_update, rmsprop_update, sgd_update
from nnlite.optimizers import rules
from nnlite.optimizers.optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent; with `momentum` > 0 a velocity is kept, and with `nesterov` the gradient is taken ahead.

    >>> import nnlite
    >>> v = nnlite.Variable(10.0)
    >>> SGD(learning_rate=0.1).apply([nnlite.ops.convert_to_tensor(3.0)], [v])
    >>> round(float(v), 4)
    9.7
    """

    def __init__(
        self,
        learning_rate=0.01,
        momentum=0.0,
        nesterov=False,
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
        if not isinstance(momentum, (int, float)) or not 0 <= momentum <= 1:
            raise ValueError(f"SGD: `momentum` must be a number between 0 and 1; received momentum={momentum!r}.")
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def _update(self, grads, variables, learning_rate) -> None:
        if type(self).update_step is not SGD.update_step:
            super()._update(grads, variables, learning_rate)
            return
        for gradients, group, index, decay in rules.groups(self, grads, variables):
            if self.momentum:
                slots = [[self.momentums[i] for i in index]]
                rules.fused(
                    momentum_update,
                    (learning_rate,),
                    gradients,
                    group,
                    slots,
                    momentum=float(self.momentum),
                    nesterov=bool(self.nesterov),
                    weight_decay=decay,
                )
            else:
                rules.fused(sgd_update, (learning_rate,), gradients, group, [], weight_decay=decay)

    def update_step(self, gradient, variable, learning_rate):
        step = gradient * learning_rate
        if not self.momentum:
            variable.assign(variable.value - step)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        velocity.assign(velocity.value * self.momentum - step)
        variable.assign(variable.value + (velocity.value * self.momentum - step if self.nesterov else velocity.value))

    def get_config(self) -> dict:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class RMSprop(Optimizer):
    """Steps divided by a running root mean square of the gradients; `centered` subtracts their mean first.

    >>> import nnlite
    >>> v = nnlite.Variable(10.0)
    >>> RMSprop(learning_rate=0.1).apply([nnlite.ops.convert_to_tensor(3.0)], [v])
    >>> round(float(v), 4)
    9.6838
    """

    def __init__(
        self,
        learning_rate=0.001,
        rho=0.9,
        momentum=0.0,
        epsilon=1e-7,
        centered=False,
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
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum > 0 else []
        self._average_gradients = self.add_optimizer_variables(variables, "average_gradient") if self.centered else []

    def _update(self, grads, variables, learning_rate) -> None:
        if self.momentum > 0 or self.centered or type(self).update_step is not RMSprop.update_step:
            super()._update(grads, variables, learning_rate)
            return
        for gradients, group, index, decay in rules.groups(self, grads, variables):
            slots = [[self._velocities[i] for i in index]]
            rules.fused(
                rmsprop_update, (learning_rate,), gradients, group, slots, rho=float(self.rho), epsilon=float(self.epsilon), weight_decay=decay
            )

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        velocity = self._velocities[i]
        velocity.assign(velocity.value * self.rho + ops.square(gradient) * (1 - self.rho))
        variance = velocity.value
        if self.centered:
            mean = self._average_gradients[i]
            mean.assign(mean.value * self.rho + gradient * (1 - self.rho))
            variance = variance - ops.square(mean.value)
        step = learning_rate * gradient / ops.sqrt(variance + self.epsilon)
        if self.momentum > 0:
            momentum = self._momentums[i]
            momentum.assign(momentum.value * self.momentum + step)
            step = momentum.value
        variable.assign(variable.value - step)

    def get_config(self) -> dict:
        return {**super().get_config(), "rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
