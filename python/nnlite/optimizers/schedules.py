"""Learning rate schedules: functions of the step number, computed inside the compiled step."""

from __future__ import annotations

import math

from nnlite import config, ops
from nnlite.utils.lookup import unknown_name


class LearningRateSchedule:
    """Base class: override `__call__(step)` and `get_config()`.

    >>> import nnlite
    >>> class Halving(nnlite.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** nnlite.ops.cast(step, "float32")
    >>> round(float(Halving()(2)), 4)
    0.025
    """

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step).")

    def get_config(self) -> dict:
        raise NotImplementedError(f"{type(self).__name__} must define get_config() to be saved.")

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _float(step):
    step = getattr(step, "value", step)
    return ops.cast(ops.convert_to_tensor(step), config.floatx())


class _Configured(LearningRateSchedule):
    """The configuration is the constructor's arguments, kept in attributes of the same names."""

    _arguments: tuple[str, ...] = ()

    def get_config(self) -> dict:
        return {name: getattr(self, name) for name in self._arguments}


class ExponentialDecay(_Configured):
    """`initial * decay_rate ** (step / decay_steps)`; with `staircase` the exponent is rounded down.

    >>> round(float(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)), 4)
    0.025
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        _check_steps("ExponentialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step):
        exponent = _float(step) / float(self.decay_steps)
        if self.staircase:
            exponent = ops.floor(exponent)
        return ops.power(ops.cast(float(self.decay_rate), config.floatx()), exponent) * float(self.initial_learning_rate)


class InverseTimeDecay(_Configured):
    """`initial / (1 + decay_rate * step / decay_steps)`; with `staircase` the quotient is rounded down.

    >>> round(float(InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(2)), 4)
    0.05
    """

    _arguments = ("initial_learning_rate", "decay_steps", "decay_rate", "staircase", "name")

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        _check_steps("InverseTimeDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step):
        quotient = _float(step) / float(self.decay_steps)
        if self.staircase:
            quotient = ops.floor(quotient)
        return float(self.initial_learning_rate) / (quotient * float(self.decay_rate) + 1.0)


class PiecewiseConstantDecay(_Configured):
    """`values[i]` while `step <= boundaries[i]`, then the last value.

    >>> [round(float(PiecewiseConstantDecay([2], [0.1, 0.01])(s)), 4) for s in (2, 3)]
    [0.1, 0.01]
    """

    _arguments = ("boundaries", "values", "name")

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay needs one more value than boundaries; received {len(boundaries)} boundaries ({boundaries}) and "
                f"{len(values)} values ({values})."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step):
        step = _float(step)
        rate = ops.cast(float(self.values[-1]), config.floatx())
        for boundary, value in zip(reversed(list(self.boundaries)), reversed(list(self.values)[:-1])):
            rate = ops.where(ops.less_equal(step, float(boundary)), ops.cast(float(value), config.floatx()), rate)
        return rate


class PolynomialDecay(_Configured):
    """From `initial` to `end` in `decay_steps` along a polynomial; with `cycle` it starts again, each time longer.

    >>> round(float(PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)), 4)
    0.05
    """

    _arguments = ("initial_learning_rate", "decay_steps", "end_learning_rate", "power", "cycle", "name")

    def __init__(self, initial_learning_rate, decay_steps, end_learning_rate=0.0001, power=1.0, cycle=False, name="PolynomialDecay"):
        _check_steps("PolynomialDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step):
        step, length = _float(step), float(self.decay_steps)
        if self.cycle:
            # At step 0 the first cycle counts as one.
            share = step / (ops.maximum(ops.ceil(step / length), 1.0) * length)
        else:
            share = ops.minimum(step, length) / length
        span = float(self.initial_learning_rate) - float(self.end_learning_rate)
        return ops.power(1.0 - share, float(self.power)) * span + float(self.end_learning_rate)


class CosineDecay(_Configured):
    """Half a cosine from the initial rate to `alpha` times it in `decay_steps`; before it a linear warm-up to `warmup_target`.

    >>> round(float(CosineDecay(0.1, decay_steps=10)(5)), 4)
    0.05
    """

    _arguments = ("initial_learning_rate", "decay_steps", "alpha", "name", "warmup_target", "warmup_steps")

    def __init__(self, initial_learning_rate, decay_steps, alpha=0.0, name="CosineDecay", warmup_target=None, warmup_steps=0):
        _check_steps("CosineDecay", "decay_steps", decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step):
        step = _float(step)
        initial = float(self.initial_learning_rate)
        if self.warmup_target is None:
            return self._decayed(step, initial)
        target, warmup = float(self.warmup_target), float(self.warmup_steps)
        warming = ops.minimum(step, warmup) / warmup * (target - initial) + initial if warmup else ops.cast(initial, config.floatx())
        return ops.where(ops.less(step, warmup), warming, self._decayed(ops.maximum(step - warmup, 0.0), target))

    def _decayed(self, step, start: float):
        share = ops.minimum(step, float(self.decay_steps)) / float(self.decay_steps)
        cosine = (ops.cos(share * math.pi) + 1.0) * 0.5
        return (cosine * (1.0 - self.alpha) + self.alpha) * start


class CosineDecayRestarts(_Configured):
    """Cosine decay that starts again and again: each period `t_mul` times longer and `m_mul` times as high.

    >>> round(float(CosineDecayRestarts(0.1, first_decay_steps=10)(10)), 4)
    0.1
    """

    _arguments = ("initial_learning_rate", "first_decay_steps", "t_mul", "m_mul", "alpha", "name")

    def __init__(self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay"):
        _check_steps("CosineDecayRestarts", "first_decay_steps", first_decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step):
        position = _float(step) / float(self.first_decay_steps)
        if self.t_mul == 1.0:
            period = ops.floor(position)
            share = position - period
        else:
            # Periods have lengths 1, t, t², ...: period number by the sum of the geometric series.
            period = ops.floor(ops.log(1.0 - position * (1.0 - self.t_mul)) / math.log(self.t_mul))
            length = ops.power(ops.cast(float(self.t_mul), config.floatx()), period)
            share = (position - (1.0 - length) / (1.0 - self.t_mul)) / length
        height = ops.power(ops.cast(float(self.m_mul), config.floatx()), period)
        cosine = height * 0.5 * (ops.cos(share * math.pi) + 1.0)
        return (cosine * (1.0 - self.alpha) + self.alpha) * float(self.initial_learning_rate)


def _check_steps(schedule: str, argument: str, value) -> None:
    if value <= 0:
        raise ValueError(f"{schedule}: `{argument}` must be greater than 0; received {argument}={value}.")


_TABLE = {
    cls.__name__: cls for cls in (CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay)
}


def serialize(learning_rate_schedule):
    """The configuration of a schedule."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(learning_rate_schedule)


def deserialize(config, custom_objects=None):
    """The schedule of a configuration."""
    if isinstance(config, str):
        raise unknown_name("learning rate schedule (a configuration is needed, not a name)", config, _TABLE)
    from nnlite.saving import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects=custom_objects)
