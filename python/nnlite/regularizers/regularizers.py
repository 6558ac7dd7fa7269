"""Penalties on weights and activations, added to the loss."""

from __future__ import annotations

import math

from nnlite import ops
from nnlite.utils.identifiers import from_config, names_of, resolve


class Regularizer:
    """Base class: override `__call__(x)` to return a scalar, and `get_config()`.

    >>> import nnlite
    >>> class Count(nnlite.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return nnlite.ops.sum(nnlite.ops.abs(x) > 0)
    >>> int(Count()(nnlite.ops.ones(3)))
    3
    """

    def __call__(self, x):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x).")

    def get_config(self) -> dict:
        """Arguments that make the same regularizer."""
        raise NotImplementedError(f"{type(self).__name__} does not implement get_config(), so it cannot be saved.")

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


class L1L2(Regularizer):
    """l1 * sum(abs(x)) + l2 * sum(square(x)).

    >>> import numpy as np
    >>> float(L1L2(l1=1.0, l2=0.5)(np.ones(2, "float32")))
    3.0
    """

    def __init__(self, l1=0.0, l2=0.0):
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x):
        x = ops.convert_to_tensor(x)
        penalty = None
        if self.l1:
            penalty = self.l1 * ops.sum(ops.abs(x))
        if self.l2:
            squares = self.l2 * ops.sum(ops.square(x))
            penalty = squares if penalty is None else penalty + squares
        return ops.zeros((), x.dtype) if penalty is None else penalty

    def get_config(self) -> dict:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """l1 * sum(abs(x)); 0.01 by default."""

    def __init__(self, l1=0.01):
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x):
        return self.l1 * ops.sum(ops.abs(x))

    def get_config(self) -> dict:
        return {"l1": self.l1}


class L2(Regularizer):
    """l2 * sum(square(x)); 0.01 by default."""

    def __init__(self, l2=0.01):
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x):
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """Pushes the rows (or columns) of a matrix towards being orthogonal: the mean absolute cosine between different ones, times `factor` and half
    their number of pairs.

    Args:
        factor: Strength.
        mode: "rows" or "columns".
    """

    def __init__(self, factor=0.01, mode="rows"):
        if mode not in ("rows", "columns"):
            raise ValueError(f"Invalid value for argument `mode`. Expected one of 'rows', 'columns'; received mode={mode!r}.")
        self.factor = _factor("factor", factor)
        self.mode = mode

    def __call__(self, x):
        x = ops.convert_to_tensor(x)
        if len(x.shape) != 2:
            raise ValueError(f"Inputs to OrthogonalRegularizer must have rank 2; received a tensor of shape {x.shape}. Reshape it to a matrix.")
        axis = 1 if self.mode == "rows" else 0
        norms = ops.sqrt(ops.sum(ops.square(x), axis=axis, keepdims=True))
        x = x / ops.maximum(norms, 1e-12)
        cosines = ops.matmul(x, ops.transpose(x)) if self.mode == "rows" else ops.matmul(ops.transpose(x), x)
        size = cosines.shape[0]
        others = ops.sum(ops.abs(cosines * (1.0 - ops.eye(size, dtype=x.dtype))))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * others / pairs if pairs else 0.0 * others

    def get_config(self) -> dict:
        return {"factor": self.factor, "mode": self.mode}


def _factor(name: str, value) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__") or not math.isfinite(float(value)):
        raise ValueError(f"Invalid value for argument `{name}`: expected a finite float; received {name}={value!r}.")
    return float(value)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer
_KNOWN = names_of(L1, L2, L1L2, OrthogonalRegularizer, l1=L1, l2=L2, l1l2=L1L2, l1_l2=L1L2)


def serialize(regularizer):
    """The config dict that `deserialize` reads."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(regularizer)


def deserialize(config, custom_objects=None):
    """The regularizer of a config dict."""
    return from_config(config, "regularizer", _KNOWN, custom_objects)


def get(identifier):
    """A regularizer from an instance, a name ("l2" has strength 0.01), a config dict, a function or None.

    >>> get("l2").l2
    0.01
    """
    return resolve(identifier, "regularizer", _KNOWN, Regularizer)
