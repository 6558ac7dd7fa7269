"""Muon and schedule-free AdamW."""

from __future__ import annotations

import re

from nnlite import ops
from nnlite.optimizers import rules
from nnlite.optimizers.optimizer import Optimizer


class Muon(Optimizer):
    """Momentum whose update matrices are made orthogonal by Newton-Schulz steps (Jordan, 2024); AdamW for all but matrices.

    Args:
        exclude_layers: Regular expressions of paths that AdamW updates.
        exclude_embeddings: Whether AdamW updates embeddings.
        muon_a, muon_b, muon_c: Coefficients of the iteration.
        adam_lr_ratio: Learning rate of AdamW's variables, relative.
        momentum, nesterov, ns_steps: Of the matrices' updates; the last is the number of iterations.
        rms_rate: Scale of the updates relative to the larger side of a matrix; None for none.
    """

    def __init__(
        self,
        learning_rate=0.001,
        adam_beta_1=0.9,
        adam_beta_2=0.999,
        adam_weight_decay=0.004,
        epsilon=1e-7,
        weight_decay=0.004,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        exclude_layers=None,
        exclude_embeddings=True,
        muon_a=3.4445,
        muon_b=-4.775,
        muon_c=2.0315,
        adam_lr_ratio=1,
        momentum=0.95,
        ns_steps=5,
        nesterov=True,
        rms_rate=0.2,
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
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = exclude_layers or []
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def _takes_adam(self, variable) -> bool:
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._slots = []
        for variable in self._trainable_variables:
            first = self.add_variable_from_reference(variable, "momentum")
            self._slots.append((first, self.add_variable_from_reference(variable, "velocity") if self._takes_adam(variable) else None))

    def _update(self, grads, variables, learning_rate) -> None:
        for variable in variables:
            decay = self.adam_weight_decay if self._takes_adam(variable) else self.weight_decay
            if decay and self._use_weight_decay(variable):
                variable.assign(variable.value - variable.value * (ops.cast(learning_rate, variable.dtype) * float(decay)))
        for gradient, variable in zip(grads, variables):
            self.update_step(gradient, variable, ops.cast(learning_rate, variable.dtype))

    def update_step(self, gradient, variable, learning_rate):
        momentum, velocity = self._slots[self._get_variable_index(variable)]
        if velocity is not None:
            self._adam_step(gradient, variable, learning_rate * self.adam_lr_ratio, momentum, velocity)
            return
        momentum.assign(gradient + momentum.value * self.momentum)
        ahead = gradient + momentum.value * self.momentum if self.nesterov else momentum.value
        scale = 1.0 if self.rms_rate is None else max(variable.shape) ** 0.5 * self.rms_rate
        variable.assign(variable.value - self._orthogonal(ahead) * (learning_rate * scale))

    def _adam_step(self, gradient, variable, learning_rate, m, v) -> None:
        step = ops.cast(rules.step_number(self), variable.dtype)
        alpha = learning_rate * ops.sqrt(1.0 - rules.power(self.adam_beta_2, step)) / (1.0 - rules.power(self.adam_beta_1, step))
        m.assign(m.value + (gradient - m.value) * (1 - self.adam_beta_1))
        v.assign(v.value + (ops.square(gradient) - v.value) * (1 - self.adam_beta_2))
        variable.assign(variable.value - m.value * alpha / (ops.sqrt(v.value) + self.epsilon))

    def _orthogonal(self, x):
        """x with its singular values moved towards 1, by a polynomial iteration."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (ops.sqrt(ops.sum(ops.square(x))) + 1e-7)
        for _ in range(self.ns_steps):
            square = ops.matmul(x, ops.transpose(x))
            x = x * self.muon_a + ops.matmul(square * self.muon_b + ops.matmul(square, square) * self.muon_c, x)
        return ops.transpose(x) if tall else x

    def get_config(self) -> dict:
        own = (
            "adam_beta_1",
            "adam_beta_2",
            "adam_weight_decay",
            "epsilon",
            "exclude_layers",
            "exclude_embeddings",
            "muon_a",
            "muon_b",
            "muon_c",
            "adam_lr_ratio",
            "momentum",
            "ns_steps",
            "nesterov",
            "rms_rate",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its iterates instead of following a learning rate schedule (Defazio et al., 2024).

    Args:
        warmup_steps: Over which the learning rate grows from 0.
    """

    def __init__(
        self,
        learning_rate=0.0025,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        warmup_steps=0,
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
        self.warmup_steps = warmup_steps

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        for slot, variable in zip(self._momentums, self._trainable_variables):
            slot.assign(variable.numpy())

    def update_step(self, gradient, variable, learning_rate):
        i = self._get_variable_index(variable)
        # `momentum` holds the plain iterate z; the variable holds y, a mix of z and the average x.
        z, v = self._momentums[i], self._velocities[i]
        step = ops.cast(rules.step_number(self), variable.dtype)
        if self.warmup_steps > 0:
            learning_rate = learning_rate * ops.minimum(step / float(self.warmup_steps), 1.0)
        v.assign(v.value + (ops.square(gradient) - v.value) * (1 - self.beta_2))
        scale = ops.sqrt(v.value / (1.0 - rules.power(self.beta_2, step))) + self.epsilon
        average = (variable.value - z.value * (1 - self.beta_1)) / self.beta_1
        z.assign(z.value - learning_rate * gradient / scale)
        average = average + (z.value - average) / step
        variable.assign(z.value * (1 - self.beta_1) + average * self.beta_1)

    def get_config(self) -> dict:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "warmup_steps": self.warmup_steps}
