"""Optimizer: the base class. Everything but the update rule: variables, clipping, weight decay, averaging, accumulation."""

from __future__ import annotations

import re

import numpy as np

from nnlite import config, ops
from nnlite.graph.apply import state
from nnlite.optimizers import checks, rules
from nnlite.optimizers.saving import Saving
from nnlite.optimizers.schedules import LearningRateSchedule
from nnlite.tensor import Tensor
from nnlite.utils.naming import auto_name
from nnlite.variable import Variable

# They set a variable, which compiled steps read, or another attribute.
_PROPERTIES = ("learning_rate", "iterations")

# Hyperparameters with bounds: name -> (least, whether the value must stay below 1).
_BOUNDS = {
    "beta_1": (0, True),
    "beta_2": (0, True),
    "rho": (0, True),
    "epsilon": (0, False),
    "weight_decay": (0, False),
    "clipnorm": (0, False),
    "clipvalue": (0, False),
    "global_clipnorm": (0, False),
}


class Optimizer(Saving):
    """Base class of optimizers: override `update_step(gradient, variable, learning_rate)`, and `build(variables)` for slots.

    Args:
        learning_rate: A float, a `LearningRateSchedule`, or a callable without arguments that is asked before every step.
        weight_decay: Share of `learning_rate * variable` taken off every variable each step.
        clipnorm, clipvalue, global_clipnorm: At most one: limit of each gradient's norm, of its elements, of the norm of all.
        use_ema: Whether an exponential moving average of the variables is kept, and put in place after training.
        ema_momentum: Of that average.
        ema_overwrite_frequency: Every so many steps the variables are set to their averages.
        loss_scale_factor: The loss is multiplied, and the gradients divided, by it.
        gradient_accumulation_steps: Variables are updated every so many steps, with the mean of the gradients.
        name: By default the snake_case class name.

    >>> import nnlite
    >>> v = nnlite.Variable(1.0)
    >>> optimizer = nnlite.optimizers.SGD(learning_rate=0.5)
    >>> optimizer.apply([nnlite.ops.convert_to_tensor(1.0)], [v])
    >>> float(v)
    0.5
    """

    def __init__(
        self,
        learning_rate,
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
        self._revision = 0
        self.name = name or auto_name(self)
        checks.check_unknown(self, kwargs)
        checks.check_common(self, clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency, gradient_accumulation_steps)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._index: dict[int, int] = {}
        self._undecayed: set[int] = set()
        self._undecayed_names = None
        self._iterations = self.add_variable((), dtype="int64", name="iteration")
        self._learning_rate = self._initial_rate(learning_rate)

    def __setattr__(self, name, value):
        if name in _BOUNDS:
            _check_bounds(self, name, value)
        object.__setattr__(self, name, value)
        # Steps compiled with the old value of a hyperparameter are made anew; what a step itself sets does not count.
        if name not in _PROPERTIES and state.trace is None:
            object.__setattr__(self, "_revision", self.__dict__.get("_revision", 0) + 1)

    # Variables.

    def _initial_rate(self, learning_rate):
        if callable(learning_rate):
            return learning_rate
        if isinstance(learning_rate, bool) or not isinstance(learning_rate, (int, float, np.floating, np.ndarray, Variable, Tensor)):
            raise ValueError(
                f"{type(self).__name__}: `learning_rate` must be a float, a LearningRateSchedule or a callable; received "
                f"learning_rate={learning_rate!r} "
                f"of type {type(learning_rate).__name__}."
            )
        rate = self.add_variable((), dtype=config.floatx(), name="learning_rate")
        if float(learning_rate) != float(learning_rate):
            raise ValueError(f"{type(self).__name__}: `learning_rate` must be a number; received learning_rate={learning_rate!r}.")
        rate.assign(float(learning_rate))
        return rate

    def add_variable(self, shape, initializer="zeros", dtype=None, aggregation="none", layout=None, name=None) -> Variable:
        """A variable of the optimizer's own, saved with it."""
        if initializer == "zeros":  # without the initializers module: building an optimizer must be quick
            initializer = np.zeros(shape, "float32")
        else:
            from nnlite import initializers

            initializer = initializers.get(initializer)
        variable = Variable(initializer, shape=tuple(shape), dtype=dtype or config.floatx(), trainable=False, name=name)
        variable.path = f"{self.name}/{variable.name}"
        self._variables.append(variable)
        return variable

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros") -> Variable:
        """A variable of the shape and dtype of a trainable one, named after it."""
        path = getattr(reference_variable, "path", reference_variable.name).replace("/", "_").replace(":", "_")
        return self.add_variable(reference_variable.shape, initializer, reference_variable.dtype, name=f"{path}_{name or 'var'}")

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """One slot per variable and name: a list for one name, a tuple of lists for a list of names."""
        names = [name] if isinstance(name, str) else list(name)
        initial = list(initializer) if isinstance(initializer, (list, tuple)) else [initializer] * len(names)
        if len(initial) != len(names):
            raise ValueError(f"add_optimizer_variables() needs one initializer per name; received names {names} and {len(initial)} initializers.")
        slots = tuple([] for _ in names)
        for variable in trainable_variables:
            for slot, slot_name, value in zip(slots, names, initial):
                slot.append(self.add_variable_from_reference(variable, slot_name, value))
        return slots[0] if isinstance(name, str) else slots

    def build(self, variables) -> None:
        """Creates the slots for a list of variables."""
        variables = list(variables)
        self._averages = self.add_optimizer_variables(variables, "average") if self.use_ema else []
        self._accumulated = self.add_optimizer_variables(variables, "gradient_accumulator") if self.gradient_accumulation_steps else []
        self._index = {id(v): i for i, v in enumerate(variables)}
        self._trainable_variables = variables
        self.built = True

    @property
    def variables(self) -> list[Variable]:
        return list(self._variables)

    @property
    def iterations(self):
        """Number of updates so far."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations.value, self.gradient_accumulation_steps)
        return self._iterations

    @iterations.setter
    def iterations(self, variable) -> None:
        if self.built:
            raise RuntimeError(
                f"Optimizer {self.name!r}: `iterations` cannot be replaced after the optimizer was built. Assign to it instead: "
                "optimizer.iterations.assign(value)."
            )
        self._variables = [variable if v is self._iterations else v for v in self._variables]
        self._iterations = variable

    def _get_variable_index(self, variable) -> int:
        return self._index[id(variable)]

    # Learning rate.

    @property
    def learning_rate(self):
        """The current learning rate: a settable variable, or the schedule's value at this step."""
        rate = self._learning_rate
        if isinstance(rate, LearningRateSchedule):
            return rate(self._iterations)
        return rate() if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, value) -> None:
        if callable(value) and not isinstance(value, (Variable, Tensor)):
            if isinstance(self._learning_rate, Variable):
                self._variables = [v for v in self._variables if v is not self._learning_rate]
            self._learning_rate = value
        elif callable(self._learning_rate) and not isinstance(self._learning_rate, Variable):
            raise TypeError(
                f"Optimizer {self.name!r} was made with a learning rate schedule ({self._learning_rate!r}), so its learning rate cannot be set to "
                f"{value!r}. "
                "Make the optimizer with a float learning_rate, or set another schedule."
            )
        else:
            self._learning_rate.assign(value)

    @property
    def asks_python_each_step(self) -> bool:
        """Whether the learning rate comes from a plain callable: compiled steps then run one at a time."""
        return callable(self._learning_rate) and not isinstance(self._learning_rate, LearningRateSchedule)

    def _rate_for_step(self) -> Tensor:
        """The learning rate as a tensor for this step."""
        if not self.asks_python_each_step:
            rate = self.learning_rate
            return rate.value if isinstance(rate, Variable) else ops.convert_to_tensor(rate)
        if "_called_rate" not in self.__dict__:
            object.__setattr__(self, "_called_rate", Variable(np.float32(0.0), dtype=config.floatx(), trainable=False, name="called_learning_rate"))
        if state.trace is None:
            self.refresh_rate()
        return self._called_rate.value

    def refresh_rate(self) -> None:
        """Asks the callable learning rate, before a compiled step runs."""
        if "_called_rate" in self.__dict__:
            self._called_rate.assign(float(self._learning_rate()))

    # One step.

    def apply_gradients(self, grads_and_vars):
        """Updates variables from pairs (gradient, variable). Returns the step counter."""
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self._iterations

    def apply(self, grads, trainable_variables=None) -> None:
        """Updates variables with one gradient each; variables without gradient (None) stay as they are.

        Args:
            grads: Tensors or None.
            trainable_variables: By default the variables the optimizer was built with.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._known_variables(grads, trainable_variables)
        grads, variables = checks.with_gradient(grads, variables)
        grads = [ops.cast(g, v.dtype) if g.dtype != v.dtype else g for g, v in zip(map(ops.convert_to_tensor, grads), variables)]
        if self.loss_scale_factor is not None:
            grads = [g / self.loss_scale_factor for g in grads]
        if self.gradient_accumulation_steps:
            rules.accumulate(self, grads, variables)
        else:
            self.update(grads, variables)
        rules.average(self)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        self._iterations.assign(self._iterations.value + 1)

    def _known_variables(self, grads, variables) -> list:
        if variables is None:
            if not self.built:
                raise ValueError(
                    f"Optimizer {self.name!r}: apply(grads) without variables needs a built optimizer. Pass the variables, or call "
                    "build(variables) first."
                )
            variables = self._trainable_variables
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(
                f"Optimizer {self.name!r}: apply() needs one gradient (or None) per variable; received {len(grads)} gradients for {len(variables)} "
                "variables."
            )
        if not self.built:
            self.build(variables)
        for variable in variables:
            if id(variable) not in self._index:
                raise ValueError(
                    f"Unknown variable {variable.path!r}: optimizer {self.name!r} was built for {len(self._index)} other variables, and its slots "
                    "belong to these. "
                    "Make a new optimizer (compile the model again) for the new set of variables."
                )
        return variables

    def update(self, grads, variables) -> None:
        """Clips, decays and updates, once the gradients of a step are complete."""
        grads = rules.clip(self, grads)
        self._update(grads, variables, self._rate_for_step())

    def _update(self, grads, variables, learning_rate) -> None:
        """The update of all variables; optimizers with a fused rule override it."""
        if self.weight_decay:
            for variable in variables:
                if self._use_weight_decay(variable):
                    rate = ops.cast(learning_rate, variable.dtype) * float(self.weight_decay)
                    variable.assign(variable.value - variable.value * rate)
        for gradient, variable in zip(grads, variables):
            self.update_step(gradient, variable, ops.cast(learning_rate, variable.dtype))

    def update_step(self, gradient, variable, learning_rate):
        raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate).")

    def assign(self, variable, value) -> None:
        variable.assign(value)

    def assign_add(self, variable, value) -> None:
        variable.assign_add(value)

    def assign_sub(self, variable, value) -> None:
        variable.assign_sub(value)

    def scale_loss(self, loss):
        """The loss to differentiate."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    # Weight decay.

    def exclude_from_weight_decay(self, var_list=None, var_names=None) -> None:
        """Names variables (a list, and parts of names) that weight decay leaves alone; before the optimizer is built."""
        if self.built:
            raise ValueError(
                f"Optimizer {self.name!r}: exclude_from_weight_decay() must be called before the optimizer is built (before the first step)."
            )
        self._undecayed = {id(v) for v in var_list or ()}
        self._undecayed_names = re.compile("|".join(sorted(set(var_names)))) if var_names else None

    def _use_weight_decay(self, variable) -> bool:
        if id(variable) in self._undecayed:
            return False
        return self._undecayed_names is None or self._undecayed_names.search(variable.name) is None

    # After training.

    def finalize_variable_values(self, var_list) -> None:
        """Puts the moving averages in place, with `use_ema`."""
        if self.use_ema and self.built:
            for variable, average in zip(self._trainable_variables, self._averages):
                variable.assign(average.value)

    def __repr__(self) -> str:
        return f"<nnlite.optimizers.{type(self).__name__} {self.name!r}>"


def _check_bounds(optimizer, name: str, value) -> None:
    """Raises for a number outside a hyperparameter's bounds; None and False switch some of them off."""
    least, below_one = _BOUNDS[name]
    if isinstance(value, (int, float, np.number)) and not (value >= least and (not below_one or value < 1)):
        expected = f"at least {least} and below 1" if below_one else f"at least {least}"
        raise ValueError(f"{type(optimizer).__name__}: `{name}` must be {expected}; received {name}={value!r}.")
