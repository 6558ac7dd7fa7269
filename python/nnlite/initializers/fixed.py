"""Initializers that draw no random numbers."""

from __future__ import annotations

from nnlite import config as settings
from nnlite import ops


class Initializer:
    """Base class: override `__call__(shape, dtype=None)` to return values, and `get_config()`.

    >>> import nnlite
    >>> class Twos(nnlite.initializers.Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return 2 * nnlite.ops.ones(shape, dtype)
    >>> nnlite.layers.Dense(1, kernel_initializer=Twos())(nnlite.ops.ones((1, 3))).numpy().tolist()
    [[6.0]]
    """

    def __call__(self, shape, dtype=None):
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype=None).")

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)

    def clone(self):
        """A new initializer with the same arguments."""
        return type(self).from_config(self.get_config())


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape, dtype=None):
        return ops.zeros(shape, dtype or settings.floatx())


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape, dtype=None):
        return ops.ones(shape, dtype or settings.floatx())


class Constant(Initializer):
    """The same value (a number, or an array that broadcasts to the shape) everywhere."""

    def __init__(self, value=0.0):
        self.value = value

    def __call__(self, shape, dtype=None):
        value = ops.cast(ops.convert_to_tensor(self.value), dtype or settings.floatx())
        return ops.broadcast_to(value, tuple(shape))

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {"value": serialize_keras_object(self.value)}


class Identity(Initializer):
    """The identity matrix times `gain`; for matrices only."""

    def __init__(self, gain=1.0):
        self.gain = gain

    def __call__(self, shape, dtype=None):
        if len(shape) != 2:
            raise ValueError(
                f"Identity matrix initializer can only be used for 2D matrices. Received: shape={tuple(shape)} of rank {len(shape)}. Use "
                "'orthogonal' instead."
            )
        dtype = dtype or settings.floatx()
        return self.gain * ops.eye(*shape, dtype=dtype)

    def get_config(self) -> dict:
        return {} if self.gain == 1.0 else {"gain": self.gain}


IdentityInitializer = identity = Identity
zeros, ones, constant = Zeros, Ones, Constant
