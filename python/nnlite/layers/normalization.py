"""Normalization of each sample by itself: LayerNormalization, GroupNormalization, RMSNormalization, UnitNormalization."""

from __future__ import annotations

from nnlite import constraints, initializers, ops, regularizers
from nnlite.layers._arguments import positive_int
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer
from nnlite.ops.normalization import group_normalization


class _Scaled(Layer):
    """gamma and beta: arguments and config."""

    def _start(self, center, scale, beta, gamma) -> None:
        """`beta` and `gamma` are (initializer, regularizer, constraint)."""
        self.center = center
        self.scale = scale
        for name, (initializer, regularizer, constraint) in (("beta", beta), ("gamma", gamma)):
            setattr(self, f"{name}_initializer", initializers.get(initializer))
            setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
            setattr(self, f"{name}_constraint", constraints.get(constraint))
        self.supports_masking = True
        self.gamma = self.beta = None

    def _add_scale(self, shape) -> None:
        if any(dim is None for dim in shape):
            raise ValueError(
                f"The normalized axes must be known. Layer {self.name!r} of type {type(self).__name__} with axis={self.axis} would need weights of "
                f"shape {tuple(shape)}. "
                "Give their sizes in Input(shape=...)."
            )
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer=self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer=self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )

    def _check_axes(self, axes, input_shape) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in axes):
            raise ValueError(
                f"`axis` of {type(self).__name__} must name axes of the input. Layer {self.name!r} has axis={self.axis}, but received "
                f"input_shape={tuple(input_shape)}."
            )

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def _scale_config(self) -> dict:
        config = {"center": self.center, "scale": self.scale}
        for part, module in (("initializer", initializers), ("regularizer", regularizers), ("constraint", constraints)):
            for name in ("beta", "gamma"):
                config[f"{name}_{part}"] = module.serialize(getattr(self, f"{name}_{part}"))
        return config


class LayerNormalization(_Scaled):
    """Normalizes every sample to mean 0 and variance 1 over `axis`, then scales by gamma and shifts by beta.

    Args:
        axis: Axis or axes that are normalized together; gamma and beta have their shape.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta and a gamma.
        beta_*, gamma_*: Initializers, regularizers and constraints.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.LayerNormalization()(np.array([[1.0, 3.0]])).numpy().round(2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis=-1,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else _axis_list(axis, "LayerNormalization")
        self.epsilon = epsilon
        self.rms_scaling = rms_scaling
        self._start(
            center and not rms_scaling,
            scale or rms_scaling,
            (beta_initializer, beta_regularizer, beta_constraint),
            (gamma_initializer, gamma_regularizer, gamma_constraint),
        )

    def build(self, input_shape):
        self.axis = _axis_list(self.axis, "LayerNormalization")
        self._check_axes(self.axis, input_shape)
        self._add_scale(tuple(input_shape[axis] for axis in self.axis))

    def call(self, inputs):
        if self.rms_scaling:
            return ops.rms_normalization(inputs, self.gamma, axis=tuple(self.axis), epsilon=self.epsilon)
        return ops.layer_normalization(inputs, self.gamma, self.beta, axis=tuple(self.axis), epsilon=self.epsilon)

    def get_config(self):
        scale = self._scale_config()
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon, **scale, "rms_scaling": self.rms_scaling}


class GroupNormalization(_Scaled):
    """Normalizes groups of channels of every sample.

    Args:
        groups: Number of groups; -1 makes every channel a group.
        axis: The channels axis.
        epsilon: Added to the variance.
        center, scale: Whether there is a beta and a gamma, one value per channel.
        beta_*, gamma_*: Initializers, regularizers and constraints.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GroupNormalization(2)(np.ones((2, 5, 4))).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        groups=32,
        axis=-1,
        epsilon=0.001,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.groups = groups if groups == -1 else positive_int(groups, "groups", "GroupNormalization")
        self.axis = axis
        self.epsilon = epsilon
        self._start(center, scale, (beta_initializer, beta_regularizer, beta_constraint), (gamma_initializer, gamma_regularizer, gamma_constraint))

    def build(self, input_shape):
        self._check_axes([self.axis], input_shape)
        channels = input_shape[self.axis]
        if channels is not None:
            if self.groups == -1:
                self.groups = channels
            if channels % self.groups:
                raise ValueError(
                    f"The number of channels must be a multiple of `groups`. Layer {self.name!r} has groups={self.groups}, but its input has "
                    f"{channels} channels "
                    f"(input_shape={tuple(input_shape)})."
                )
        self._add_scale((channels,))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs):
        return group_normalization(inputs, self.gamma, self.beta, self.groups, self.axis, self.epsilon)

    def get_config(self):
        return {**super().get_config(), "groups": self.groups, "axis": self.axis, "epsilon": self.epsilon, **self._scale_config()}


class RMSNormalization(Layer):
    """Divides every sample by its root mean square over `axis`, then scales.

    Args:
        axis: Axis or axes; `scale` has their shape.
        epsilon: Added to the mean square.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.RMSNormalization()(np.array([[3.0, -3.0]])).numpy().round(2).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, axis=-1, epsilon=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else _axis_list(axis, "RMSNormalization")
        self.epsilon = epsilon

    def build(self, input_shape):
        self.axis = _axis_list(self.axis, "RMSNormalization")
        self.scale = self.add_weight(name="scale", shape=tuple(input_shape[axis] for axis in self.axis), initializer="ones")

    def call(self, inputs):
        return ops.rms_normalization(inputs, self.scale, axis=tuple(self.axis), epsilon=self.epsilon)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Divides every sample by its L2 norm over `axis`.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.UnitNormalization(dtype="float64")(np.array([[3.0, 4.0]])).numpy().round(2).tolist()
    [[0.6, 0.8]]
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        axes = _axis_list(axis, "UnitNormalization")
        self.axis = axis if isinstance(axis, int) else axes
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs):
        axes = tuple(_axis_list(self.axis, "UnitNormalization"))
        return ops.normalize(inputs, axis=axes, epsilon=1e-6)

    def compute_output_shape(self, input_shape):
        for axis in _axis_list(self.axis, "UnitNormalization"):
            if not -len(input_shape) <= axis < len(input_shape):
                raise ValueError(
                    f"`axis` of UnitNormalization must name axes of the input. Layer {self.name!r} has axis={self.axis}, but received "
                    f"input_shape={tuple(input_shape)}."
                )
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def _axis_list(axis, owner: str) -> list[int]:
    if isinstance(axis, int):
        return [axis]
    if not isinstance(axis, (list, tuple)) or not all(isinstance(a, int) for a in axis):
        raise TypeError(f"Expected an int or a list/tuple of ints for the argument 'axis' of {owner}, but received: {axis!r}.")
    return list(axis)
