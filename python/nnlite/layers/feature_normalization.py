"""Normalization: features shifted and scaled to mean 0 and variance 1, by statistics of data seen before training."""

from __future__ import annotations

import numpy as np

from nnlite import config as settings
from nnlite import ops
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers.layer import Layer
from nnlite.tensor import Tensor
from nnlite.utils.dataset import batches_of

# Numbers that are summed up in float64 at once.
_CHUNK = 1 << 20


class Normalization(Layer):
    """(inputs - mean) / sqrt(variance), per position of the kept axes.

    Args:
        axis: Axis or axes that have statistics of their own; None for one mean of all.
        mean, variance: Statistics; by default `adapt` finds them.
        invert: Whether the inverse is computed.

    >>> import numpy as np
    >>> layer = Normalization()
    >>> layer.adapt(np.array([[0.0], [2.0]]))
    >>> layer(np.array([[0.0], [1.0]])).numpy().tolist()
    [[-1.0], [0.0]]
    """

    def __init__(self, axis=-1, mean=None, variance=None, invert=False, **kwargs):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if not all(isinstance(a, int) for a in self.axis):
            raise ValueError(f"`axis` of Normalization must be an integer, a tuple of integers or None. Received: axis={axis!r}")
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization takes both `mean` and `variance`, or neither. Received: mean={mean}, variance={variance}")
        self.input_mean = mean if mean is None else np.asarray(mean, "float32").tolist()
        self.input_variance = variance if variance is None else np.asarray(variance, "float32").tolist()
        self.invert = invert
        self.supports_masking = True
        self.__dict__["_sums"] = None

    def build(self, input_shape):
        if input_shape is None:
            return
        rank = len(input_shape)
        if any(a < -rank or a >= rank for a in self.axis):
            raise ValueError(
                f"All `axis` values of Normalization {self.name!r} must be in the range [-{rank}, {rank}) of its inputs of shape {input_shape}. "
                f"Received: axis={self.axis}"
            )
        kept = sorted(a % rank for a in self.axis)
        unknown = [a for a in kept if input_shape[a] is None]
        if unknown:
            raise ValueError(
                f"All `axis` values of Normalization {self.name!r} must have a known size; axis {unknown[0]} of the input shape {tuple(input_shape)} "
                f"is None. Received: axis={self.axis}. Give the size in Input(shape=...)."
            )
        shape = tuple(input_shape[a] for a in kept)
        self.__dict__["_kept"] = tuple(kept)
        self.__dict__["_broadcast"] = tuple(input_shape[a] if a in kept else 1 for a in range(rank))
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
            self.adapt_variance = self.add_weight(shape=shape, initializer="ones", trainable=False, name="variance")
            self.count = self.add_weight(shape=(), initializer="zeros", dtype="int64", trainable=False, name="count")

    # Statistics

    @property
    def mean(self):
        """The mean, shaped to broadcast against the inputs."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self):
        """The variance, shaped to broadcast against the inputs."""
        return self._statistic(self.input_variance, "adapt_variance")

    def _statistic(self, given, name: str):
        if not self.built:
            raise AttributeError(f"Normalization {self.name!r} has no statistics yet. Call adapt(data), or the layer itself on data.")
        if given is None:
            value = ops.convert_to_tensor(getattr(self, name))
        else:
            value = ops.convert_to_tensor(np.asarray(given, "float32"))
            if value.size == 1 and self.axis:
                return ops.reshape(value, (1,) * len(self._broadcast))
        return ops.reshape(ops.broadcast_to(value, tuple(self._broadcast[a] for a in self._kept)), self._broadcast)

    def adapt(self, data, steps=None) -> None:
        """Finds mean and variance in data: an array, or a dataset of batches (`steps` of them, all by default)."""
        if self.input_mean is not None:
            raise ValueError(
                f"Cannot adapt() Normalization {self.name!r}: it was made with mean={self.input_mean} and variance={self.input_variance}. Leave "
                "these out to find them in the data."
            )
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets what `adapt` has seen."""
        self.__dict__["_sums"] = None

    def update_state(self, data) -> None:
        """Adds a batch: means and variances of parts combine exactly."""
        x = np.asarray(data.numpy() if hasattr(data, "numpy") else data)
        if not self.built:
            self.build(x.shape)
        elif any(self._broadcast[a] != x.shape[a] for a in self._kept) or x.ndim != len(self._broadcast):
            raise ValueError(
                f"Normalization {self.name!r} was built for inputs {self._broadcast} (1 stands for any size), but adapt() was given data of shape "
                f"{x.shape}. Make a new layer for other data."
            )
        if not x.size:
            raise ValueError(f"adapt() of Normalization {self.name!r} was given no data: an array of shape {x.shape}. Check how it was loaded.")
        if x.ndim == 0 or 0 in self._kept:
            self._add(np.asarray(x, "float64"))
            return
        rows = max(1, _CHUNK // x[:1].size)
        for i in range(0, len(x), rows):
            self._add(np.asarray(x[i : i + rows], "float64"))

    def _add(self, x: np.ndarray) -> None:
        """Adds the mean and variance of a part."""
        axes = tuple(a for a in range(x.ndim) if a not in self._kept)
        count = int(np.prod([x.shape[a] for a in axes])) if axes else 1
        mean, variance = x.mean(axis=axes), x.var(axis=axes)
        if self._sums is not None:
            before, old_mean, old_variance = self._sums
            total = before + count
            joined = (before * old_mean + count * mean) / total
            variance = (before * (old_variance + (old_mean - joined) ** 2) + count * (variance + (mean - joined) ** 2)) / total
            mean, count = joined, total
        self.__dict__["_sums"] = (count, mean, variance)

    def finalize_state(self) -> None:
        """Puts what was found into the weights."""
        if self._sums is not None:
            _, mean, variance = self._sums
            self.adapt_mean.assign(mean.astype("float32"))
            self.adapt_variance.assign(variance.astype("float32"))
            self.__dict__["_sums"] = None

    # Calling

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        mean, deviation = ops.cast(self.mean, x.dtype), ops.sqrt(ops.cast(self.variance, x.dtype))
        deviation = ops.maximum(deviation, settings.epsilon())
        return x * deviation + mean if self.invert else (x - mean) / deviation

    def compute_output_shape(self, input_shape):
        return input_shape

    def compute_output_spec(self, inputs):
        return KerasTensor(inputs.shape, self.compute_dtype)

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, (Tensor, KerasTensor)):
            inputs = np.asarray(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": self.input_mean,
            "variance": self.input_variance,
        }
