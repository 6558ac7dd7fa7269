"""Adam and its relatives."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.ops.optimizer import adam_update
from nnlite.optimizers import rules
from nnlite.optimizers.optimizer import Optimizer
from nnlite.variable import Variable


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014): steps scaled by running means of gradients and squared gradients.

    >>> import nnlite
    >>> v = nnlite.Variable(10.0)
    >>> Adam(learning_rate=0.1).apply([nnlite.ops.convert_to_tensor(3.0)], [v])
    >>> round(float(v), 4)
    9.9
    """

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat") if self.amsgrad else []

    def _update(self, grads, variables, learning_rate) -> None:
        if self.amsgrad or type(self).update_step is not Adam.update_step:
            super()._update(grads, variables, learning_rate)
            return
        step = rules.step_number(self)
        for gradients, group, index, decay in rules.groups(self, grads, variables):
            slots = [[self._momentums[i] for i in index], [self._velocities[i] for i in index]]
            rules.fused(
                adam_update,
                (learning_rate, step),
                gradients,
                group,
                slots,
                beta_1=float(self.beta_1),
                beta_2=float(self.beta_2),
                epsilon=float(self.epsilon),
                weight_decay=decay,
            )

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        m, v = self._momentums[i], self._velocities[i]
        step = ops.cast(rules.step_number(self), variable.dtype)
        m.assign(m.value + (gradient - m.value) * (1 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1 - self.beta_2))
        alpha = learning_rate * ops.sqrt(1.0 - rules.power(self.beta_2, step)) / (1.0 - rules.power(self.beta_1, step))
        velocity = v.value
        if self.amsgrad:
            hat = self._velocity_hats[i]
            hat.assign(ops.maximum(hat.value, velocity))
            velocity = hat.value
        variable.assign(variable.value - m.value * alpha / (ops.sqrt(velocity) + self.epsilon))

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017), 0.004 by default.

    >>> import nnlite
    >>> v = nnlite.Variable(10.0)
    >>> AdamW(learning_rate=0.1).apply([nnlite.ops.convert_to_tensor(3.0)], [v])
    >>> round(float(v), 4)
    9.896
    """

    def __init__(
        self,
        learning_rate=0.001,
        weight_decay=0.004,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
        amsgrad=False,
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
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
        if self.weight_decay is None:
            raise ValueError("AdamW: `weight_decay` must be a float; received None. Use Adam for training without weight decay.")


class Adamax(Optimizer):
    """Adam with the maximum norm (Kingma and Ba, 2014, section 7)."""

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            self._m, self._u = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        m, u = self._m[i], self._u[i]
        correction = 1.0 - rules.power(self.beta_1, ops.cast(rules.step_number(self), variable.dtype))
        m.assign(m.value + (gradient - m.value) * (1 - self.beta_1))
        u.assign(ops.maximum(u.value * self.beta_2, ops.absolute(gradient)))
        variable.assign(variable.value - learning_rate * m.value / (correction * (u.value + self.epsilon)))

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat, 2015)."""

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        dtype = self._trainable_variables[0].dtype if self._trainable_variables else None
        self._u_product = Variable(np.float32(1.0), dtype=dtype, trainable=False, name="variable")
        self._variables.append(self._u_product)

    def _update(self, grads, variables, learning_rate) -> None:
        step = ops.cast(rules.step_number(self), self._u_product.dtype)
        self._u_product.assign(self._u_product.value * self._mu(step))
        super()._update(grads, variables, learning_rate)

    def _mu(self, step):
        """The momentum schedule at a step."""
        return (1.0 - rules.power(0.96, step) * 0.5) * self.beta_1

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        m, v = self._momentums[i], self._velocities[i]
        step = ops.cast(rules.step_number(self), variable.dtype)
        mu, mu_next = self._mu(step), self._mu(step + 1.0)
        product = ops.cast(self._u_product.value, variable.dtype)
        m.assign(m.value + (gradient - m.value) * (1 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1 - self.beta_2))
        m_hat = mu_next * m.value / (1.0 - product * mu_next) + (1.0 - mu) * gradient / (1.0 - product)
        v_hat = v.value / (1.0 - rules.power(self.beta_2, step))
        variable.assign(variable.value - m_hat * learning_rate / (ops.sqrt(v_hat) + self.epsilon))

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Lamb(Optimizer):
    """Adam whose step is scaled per variable by the ratio of norms of weights and update (You et al., 2019)."""

    def __init__(
        self,
        learning_rate=0.001,
        beta_1=0.9,
        beta_2=0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables) -> None:
        if not self.built:
            super().build(variables)
            self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        m, v = self._momentums[i], self._velocities[i]
        step = ops.cast(rules.step_number(self), variable.dtype)
        m.assign(m.value + (gradient - m.value) * (1 - self.beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1 - self.beta_2))
        m_hat = m.value / (1.0 - rules.power(self.beta_1, step))
        v_hat = v.value / (1.0 - rules.power(self.beta_2, step))
        update = m_hat / (ops.sqrt(v_hat) + self.epsilon)
        weight_norm, update_norm = ops.sqrt(ops.sum(ops.square(variable.value))), ops.sqrt(ops.sum(ops.square(update)))
        both = ops.logical_and(ops.greater(weight_norm, 0.0), ops.greater(update_norm, 0.0))
        ratio = ops.where(both, weight_norm / ops.where(both, update_norm, 1.0), 1.0)
        variable.assign(variable.value - ratio * learning_rate * update)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
