"""Metric: the base class. Its state lives in variables, so that compiled steps update it without Python."""

from __future__ import annotations

from nnlite import config
from nnlite.losses.loss import dtype_name
from nnlite.utils.naming import auto_name
from nnlite.variable import Variable


class Metric:
    """Base class of metrics: override `update_state(y_true, y_pred, sample_weight=None)` and `result()`.

    Args:
        dtype: Of the state and the result; by default `nnlite.config.floatx()`.
        name: Shown in logs; by default the snake_case class name.

    >>> import nnlite
    >>> class Positives(nnlite.metrics.Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.count = self.add_variable(shape=(), initializer="zeros", name="count")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.count.assign_add(nnlite.ops.sum(nnlite.ops.cast(y_pred > 0, "float32")))
    ...     def result(self):
    ...         return self.count
    >>> metric = Positives()
    >>> metric.update_state(None, nnlite.ops.convert_to_tensor([1.0, -1.0]))
    >>> float(metric.result())
    1.0
    """

    def __init__(self, dtype=None, name=None):
        self.name = name or auto_name(self)
        self._dtype = dtype_name(dtype)
        self._variables: list[Variable] = []
        self._metrics: list[Metric] = []

    def __setattr__(self, name, value):
        known = self.__dict__.get("_variables")
        if known is not None and name != "_variables":
            if isinstance(value, Variable) and not any(v is value for v in known):
                known.append(value)
            elif isinstance(value, Metric) and not any(m is value for m in self._metrics):
                self._metrics.append(value)
        object.__setattr__(self, name, value)

    @property
    def dtype(self) -> str:
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state, that of metrics kept in attributes included."""
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def add_variable(self, shape, initializer, dtype=None, aggregation=None, name=None) -> Variable:
        """A state variable; `initializer` is a name, an initializer or a number."""
        from nnlite import initializers

        if isinstance(initializer, (int, float)):
            initializer = initializers.Constant(initializer)
        variable = Variable(initializers.get(initializer), shape=tuple(shape), dtype=dtype or self._dtype, trainable=False, name=name)
        variable.path = f"{self.name}/{variable.name}"
        if not any(v is variable for v in self._variables):
            self._variables.append(variable)
        return variable

    def add_weight(self, shape=(), initializer=None, dtype=None, name=None) -> Variable:
        return self.add_variable(shape=shape, initializer="zeros" if initializer is None else initializer, dtype=dtype, name=name)

    def reset_state(self) -> None:
        """Sets the state back to zeros."""
        for variable in self.variables:
            set_to_zero(variable)

    def update_state(self, *args, **kwargs):
        raise NotImplementedError(f"{type(self).__name__} must define update_state().")

    def result(self):
        raise NotImplementedError(f"{type(self).__name__} must define result().")

    def result_reader(self):
        """A function that gives the result as a float from the state's buffers alone, or None where that needs tensor operations.

        Reading logs after every batch goes through it: a call must take no more than a microsecond.
        """
        return

    def __call__(self, *args, **kwargs):
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(self, metric_variables, *args, **kwargs):
        """The state after an update, given the state before, without changing the metric."""
        return self._with_state(metric_variables, lambda: self.update_state(*args, **kwargs))[1]

    def stateless_result(self, metric_variables):
        """The result for a given state."""
        return self._with_state(metric_variables, self.result)[0]

    def stateless_reset_state(self):
        """The state after a reset."""
        return self._with_state([v.value for v in self.variables], self.reset_state)[1]

    def _with_state(self, values, action):
        variables = self.variables
        if len(values) != len(variables):
            raise ValueError(
                f"Metric {self.name!r} has {len(variables)} state variables; received {len(values)} values. Pass one value per entry of "
                "`metric.variables`."
            )
        kept = [v.numpy() for v in variables]
        try:
            for variable, value in zip(variables, values):
                variable.assign(value)
            result = action()
            return result, [v.value for v in variables]
        finally:
            for variable, value in zip(variables, kept):
                variable.assign(value)

    def get_config(self) -> dict:
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def __str__(self) -> str:
        return self.__repr__()


def set_to_zero(variable: Variable) -> None:
    """Zeros a variable; outside of traces by filling its buffer."""
    from nnlite.graph.apply import state

    if state.trace is not None:
        from nnlite import ops

        variable.assign(ops.zeros(variable.shape, variable.dtype))
        return
    variable.detach()
    variable._buffer.fill(0)


def default_dtype(dtype):
    """None means `config.floatx()`."""
    return dtype or config.floatx()
