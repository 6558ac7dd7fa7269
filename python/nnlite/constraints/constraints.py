"""Projections that keep weights where they should be."""

from __future__ import annotations

from nnlite import config as settings
from nnlite import ops
from nnlite.utils.identifiers import from_config, names_of, resolve


class Constraint:
    """Base class: override `__call__(w)` to return the projected weights, and `get_config()`.

    >>> import nnlite
    >>> class Half(nnlite.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return w / 2
    >>> Half()(nnlite.ops.ones(2)).numpy().tolist()
    [0.5, 0.5]
    """

    def __call__(self, w):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w).")

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


def _norms(w, axis):
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class MaxNorm(Constraint):
    """Scales down vectors along `axis` whose norm exceeds `max_value`.

    Args:
        max_value: Largest norm.
        axis: Axis or axes of the norm: 0 for dense kernels, (0, 1, 2) for image kernels.
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (settings.epsilon() + norms))

    def get_config(self) -> dict:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """Sets negative weights to zero."""

    def __call__(self, w):
        return ops.maximum(w, 0)


class UnitNorm(Constraint):
    """Scales vectors along `axis` to norm 1."""

    def __init__(self, axis=0):
        self.axis = axis

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        return w / (settings.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Keeps norms along `axis` between two values.

    Args:
        min_value, max_value: Limits of the norm.
        rate: 1 projects at once, less moves only part of the way each step.
        axis: Axis or axes of the norm.
    """

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w):
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        return w * (wanted / (settings.epsilon() + norms))

    def get_config(self) -> dict:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
_KNOWN = names_of(MaxNorm, NonNeg, UnitNorm, MinMaxNorm, nonneg=NonNeg, unitnorm=UnitNorm, maxnorm=MaxNorm)


def serialize(constraint):
    """The config dict that `deserialize` reads."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(constraint)


def deserialize(config, custom_objects=None):
    """The constraint of a config dict."""
    return from_config(config, "constraint", _KNOWN, custom_objects)


def get(identifier):
    """A constraint from an instance, a name, a config dict, a function or None.

    >>> type(get("non_neg")).__name__
    'NonNeg'
    """
    return resolve(identifier, "constraint", _KNOWN, Constraint)
