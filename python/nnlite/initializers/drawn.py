"""Initializers that draw random numbers."""

from __future__ import annotations

import math

import numpy as np

from nnlite import config as settings
from nnlite import ops, random
from nnlite.initializers.fixed import Initializer

# Standard deviation of a normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of the random ones.

    An instance gives the same values on every call, unless its seed is a SeedGenerator; without a seed the instance chooses one.
    """

    def __init__(self, seed=None):
        self._given_seed = seed
        if seed is None:
            seed = random.make_seed()
        elif isinstance(seed, dict):
            from nnlite.saving import deserialize_keras_object

            seed = deserialize_keras_object(seed)
        elif isinstance(seed, bool) or not isinstance(seed, (int, np.integer, random.SeedGenerator)):
            raise ValueError(f"`seed` must be an integer, a SeedGenerator or None; {type(self).__name__} received seed={seed!r}.")
        self.seed = seed

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {"seed": serialize_keras_object(self._given_seed)}


class RandomNormal(RandomInitializer):
    """Normal distribution."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return random.normal(tuple(shape), mean=self.mean, stddev=self.stddev, dtype=dtype or settings.floatx(), seed=self.seed)

    def get_config(self) -> dict:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomInitializer):
    """Normal distribution; values beyond two standard deviations are drawn again."""

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape, dtype=None):
        return random.truncated_normal(tuple(shape), mean=self.mean, stddev=self.stddev, dtype=dtype or settings.floatx(), seed=self.seed)

    def get_config(self) -> dict:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class RandomUniform(RandomInitializer):
    """Uniform distribution over [minval, maxval)."""

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape, dtype=None):
        return random.uniform(tuple(shape), minval=self.minval, maxval=self.maxval, dtype=dtype or settings.floatx(), seed=self.seed)

    def get_config(self) -> dict:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


class VarianceScaling(RandomInitializer):
    """Random values whose variance is `scale / n`, with n the number of inputs or outputs of a unit.

    Args:
        scale: Numerator of the variance.
        mode: n = "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (cut at two standard deviations, and widened so that the variance is right), "untruncated_normal" or
            "uniform".
        seed: Integer, SeedGenerator or None.
        input_axes, output_axes: Axes of the shape that count as inputs and as outputs; by default the last but one and the last.

    >>> VarianceScaling(seed=1)((3, 4)).shape
    (3, 4)
    """

    def __init__(self, scale=1.0, mode="fan_in", distribution="truncated_normal", seed=None, input_axes=None, output_axes=None):
        if not scale > 0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode!r}. Please use one of 'fan_in', 'fan_out', 'fan_avg'.")
        distribution = str(distribution).lower()
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f"Invalid `distribution` argument: {distribution!r}. Please use one of 'uniform', 'truncated_normal', 'untruncated_normal'."
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape, dtype=None):
        shape = tuple(shape)
        dtype = dtype or settings.floatx()
        fan_in, fan_out = self._fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, minval=-limit, maxval=limit, dtype=dtype, seed=self.seed)
        if self.distribution == "truncated_normal":
            return random.truncated_normal(shape, mean=0.0, stddev=math.sqrt(variance) / _TRUNCATED_STDDEV, dtype=dtype, seed=self.seed)
        return random.normal(shape, mean=0.0, stddev=math.sqrt(variance), dtype=dtype, seed=self.seed)

    def _fans(self, shape: tuple) -> tuple:
        if self.input_axes is None and self.output_axes is None:
            return compute_fans(shape)
        rank = len(shape)
        inputs = _axes(self.input_axes, rank, {rank - 2})
        outputs = _axes(self.output_axes, rank, {rank - 1})
        field = math.prod(dim for axis, dim in enumerate(shape) if axis not in inputs | outputs)
        return math.prod(shape[axis] for axis in inputs) * field, math.prod(shape[axis] for axis in outputs) * field

    def get_config(self) -> dict:
        config = {**super().get_config()}
        if type(self) is VarianceScaling:
            config.update(scale=self.scale, mode=self.mode, distribution=self.distribution)
        return {**config, "input_axes": self.input_axes, "output_axes": self.output_axes}


def compute_fans(shape: tuple) -> tuple:
    """Numbers of inputs and outputs of a unit: for a convolution kernel each counts the cells of its window.

    >>> compute_fans((3, 3, 4, 8))
    (36, 72)
    """
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _axes(axes, rank: int, default: set) -> set:
    if axes is None:
        return default
    return {axis % rank for axis in ((axes,) if isinstance(axes, int) else axes)}


def _scaled(name: str, scale: float, mode: str, distribution: str, text: str):
    """A VarianceScaling with everything but the seed fixed."""

    def __init__(self, seed=None, input_axes=None, output_axes=None):
        VarianceScaling.__init__(self, scale, mode, distribution, seed, input_axes, output_axes)

    return type(name, (VarianceScaling,), {"__init__": __init__, "__doc__": text, "__module__": __name__})


GlorotUniform = _scaled("GlorotUniform", 1.0, "fan_avg", "uniform", "Uniform over [-l, l], l = sqrt(6 / (fan_in + fan_out)). The default of kernels.")
GlorotNormal = _scaled("GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Truncated normal, standard deviation sqrt(2 / (fan_in + fan_out)).")
HeUniform = _scaled("HeUniform", 2.0, "fan_in", "uniform", "Uniform over [-l, l], l = sqrt(6 / fan_in).")
HeNormal = _scaled("HeNormal", 2.0, "fan_in", "truncated_normal", "Truncated normal, standard deviation sqrt(2 / fan_in).")
LecunUniform = _scaled("LecunUniform", 1.0, "fan_in", "uniform", "Uniform over [-l, l], l = sqrt(3 / fan_in).")
LecunNormal = _scaled("LecunNormal", 1.0, "fan_in", "truncated_normal", "Truncated normal, standard deviation sqrt(1 / fan_in).")


class Orthogonal(RandomInitializer):
    """A random orthogonal matrix times `gain`. More than two axes count as a matrix of the last one by all others; a flat matrix has orthogonal
    rows.
    """

    def __init__(self, gain=1.0, seed=None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape, dtype=None):
        shape = tuple(shape)
        if len(shape) < 2:
            raise ValueError(
                f"The tensor to initialize must be at least two-dimensional. Received: shape={shape} of rank {len(shape)}. Use another initializer, "
                "e.g. 'glorot_uniform'."
            )
        dtype = dtype or settings.floatx()
        rows, columns = math.prod(shape[:-1]), shape[-1]
        draw = random.normal((max(rows, columns), min(rows, columns)), dtype="float64", seed=self.seed).numpy()
        q, r = np.linalg.qr(draw)
        q = q * np.sign(np.diag(r))  # makes the result uniform over all orthogonal matrices
        matrix = q.T if rows < columns else q
        return ops.cast(ops.convert_to_tensor(np.ascontiguousarray(self.gain * matrix).reshape(shape)), dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "gain": self.gain}


OrthogonalInitializer = orthogonal = Orthogonal
glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal = (
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunUniform,
    LecunNormal,
)
random_normal, random_uniform, truncated_normal, variance_scaling = RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling
