"""Layers that move values around: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math

import numpy as np

from nnlite import ops
from nnlite.layers._arguments import data_format_of
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class Flatten(Layer):
    """Joins all axes but the first.

    Args:
        data_format: With "channels_first" the channels are moved to the end before flattening.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs):
        shape = inputs.shape
        if self.data_format == "channels_first" and len(shape) > 2:
            inputs = ops.transpose(inputs, (0, *range(2, len(shape)), 1))
        return ops.reshape(inputs, (shape[0], math.prod(shape[1:])))

    def compute_output_shape(self, input_shape):
        rest = input_shape[1:]
        return (input_shape[0], None if any(dim is None for dim in rest) else math.prod(rest))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Gives every sample another shape.

    Args:
        target_shape: Shape without the batch axis; one entry may be -1 and is computed.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Reshape((-1, 2))(np.ones((2, 3, 4))).shape
    (2, 6, 2)
    """

    def __init__(self, target_shape, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(target_shape, (list, tuple)) or not all(isinstance(dim, (int, np.integer)) and dim >= -1 for dim in target_shape):
            raise ValueError(f"The `target_shape` of Reshape must be a tuple of integers >= 0, one of them perhaps -1. Received: target_shape={target_shape!r}.")
        self.target_shape = tuple(int(dim) for dim in target_shape)
        if sum(dim == -1 for dim in self.target_shape) > 1:
            raise ValueError(
                f"There must be at most one unknown dimension (-1) in the `target_shape` of Reshape. Received: target_shape={target_shape}."
            )
        self._build_at_init()

    def call(self, inputs):
        return ops.reshape(inputs, (inputs.shape[0], *self._resolved(inputs.shape[1:])))

    def _resolved(self, shape) -> tuple:
        """The target with -1 replaced; None where it depends on an unknown size."""
        known = math.prod(dim for dim in self.target_shape if dim != -1)
        if any(dim is None for dim in shape):
            return tuple(None if dim == -1 else dim for dim in self.target_shape)
        size = math.prod(shape)
        if (-1 in self.target_shape and (known == 0 or size % known)) or (-1 not in self.target_shape and size != known):
            raise ValueError(
                f"The total size of a sample must be unchanged. Layer {self.name!r} received samples of shape {tuple(shape)} ({size} values), "
                f"which cannot become target_shape={self.target_shape}."
            )
        return tuple(size // known if dim == -1 else dim for dim in self.target_shape)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._resolved(input_shape[1:]))

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Reorders the axes of every sample.

    Args:
        dims: The order; 1 is the first axis after the batch axis.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Permute((2, 1))(np.ones((2, 3, 4))).shape
    (2, 4, 3)
    """

    def __init__(self, dims, **kwargs):
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in `dims` must be consecutive and start from 1. "
                f"Received dims={self.dims}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs):
        return ops.transpose(inputs, (0, *self.dims))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def get_config(self):
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """Repeats a vector n times along a new axis: [batch, features] to [batch, n, features].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.RepeatVector(3)(np.ones((2, 4))).shape
    (2, 3, 4)
    """

    def __init__(self, n, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool):
            raise TypeError(f"Expected an integer value for `n` of RepeatVector, got {n!r} of type {type(n)}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs):
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self):
        return {**super().get_config(), "n": self.n}
