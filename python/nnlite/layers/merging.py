"""Layers that join several inputs."""

from __future__ import annotations

import functools
import operator

from nnlite import ops
from nnlite.layers.layer import Layer


class _Merge(Layer):
    """Elementwise combination of inputs that broadcast against each other; lower ranks get axes after the batch axis."""

    least, most = 1, None
    _creates_masks = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        self._check_list(input_shape)
        batches = {shape[0] for shape in input_shape if shape and shape[0] is not None}
        if len(batches) > 1:
            raise ValueError(
                f"Cannot merge tensors with different batch sizes. Layer {self.name!r} received tensors with shapes "
                f"{[tuple(s) for s in input_shape]}."
            )
        self.compute_output_shape(input_shape)

    def _check_list(self, input_shape) -> None:
        kind = type(self).__name__
        if not isinstance(input_shape, (tuple, list)) or (input_shape and not isinstance(input_shape[0], (tuple, list))):
            raise ValueError(
                f"A `{kind}` layer should be called on a list of inputs. Layer {self.name!r} received: input_shape={input_shape} (not a list of "
                "shapes). "
                f"Call it as {self.name}([a, b])."
            )
        count = len(input_shape)
        if count < self.least or (self.most is not None and count > self.most):
            expected = f"exactly {self.least}" if self.least == self.most else f"at least {self.least}"
            raise ValueError(
                f"A `{kind}` layer should be called on {expected} inputs. Layer {self.name!r} received {count}: input_shape={list(input_shape)}."
            )

    def call(self, inputs):
        if not isinstance(inputs, (list, tuple)):
            raise ValueError(
                f"A `{type(self).__name__}` layer should be called on a list of inputs. Layer {self.name!r} received a single tensor of shape "
                f"{tuple(inputs.shape)}."
            )
        rank = max(len(x.shape) for x in inputs)
        return self._merge([_raised(x, rank) for x in inputs])

    def _merge(self, inputs):
        return functools.reduce(self._pair, inputs)

    def compute_output_shape(self, input_shape):
        self._check_list(input_shape)
        rank = max(len(shape) for shape in input_shape)
        shapes = [(*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) for shape in input_shape]
        result = []
        for dims in zip(*shapes):
            known = {dim for dim in dims if dim not in (1, None)}
            if len(known) > 1:
                raise ValueError(
                    f"Inputs have incompatible shapes. Layer {self.name!r} of type {type(self).__name__} received shapes "
                    f"{[tuple(s) for s in input_shape]}, "
                    f"which differ where neither is 1 ({sorted(known)})."
                )
            result.append(known.pop() if known else None if None in dims else 1)
        return tuple(result)

    def compute_mask(self, inputs, mask=None):
        """A position is valid when it is valid in any masked input."""
        if mask is None:
            return None
        masks = [m for m in mask if m is not None]
        if not masks or len(masks) < len(mask):
            return None
        return functools.reduce(ops.logical_or, masks)


def _raised(x, rank: int):
    while len(x.shape) < rank:
        x = ops.expand_dims(x, 1)
    return x


class Add(_Merge):
    """The sum of a list of inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Add()([np.ones(2), np.ones(2)]).numpy().tolist()
    [2.0, 2.0]
    """

    _pair = staticmethod(ops.add)


class Subtract(_Merge):
    """The first input minus the second.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Subtract()([np.ones(2), np.ones(2)]).numpy().tolist()
    [0.0, 0.0]
    """

    least = most = 2
    _pair = staticmethod(ops.subtract)


class Multiply(_Merge):
    """The product of a list of inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Multiply()([2 * np.ones(2), 3 * np.ones(2)]).numpy().tolist()
    [6.0, 6.0]
    """

    _pair = staticmethod(ops.multiply)

    def compute_mask(self, inputs, mask=None):
        """A position is valid when it is valid in every masked input."""
        masks = [m for m in mask or () if m is not None]
        return functools.reduce(ops.logical_and, masks) if masks else None


class Average(_Merge):
    """The mean of a list of inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Average()([np.ones(2), 3 * np.ones(2)]).numpy().tolist()
    [2.0, 2.0]
    """

    def _merge(self, inputs):
        return functools.reduce(ops.add, inputs) / len(inputs)


class Maximum(_Merge):
    """The elementwise maximum of a list of inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Maximum()([np.ones(2), 3 * np.ones(2)]).numpy().tolist()
    [3.0, 3.0]
    """

    _pair = staticmethod(ops.maximum)


class Minimum(_Merge):
    """The elementwise minimum of a list of inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Minimum()([np.ones(2), 3 * np.ones(2)]).numpy().tolist()
    [1.0, 1.0]
    """

    _pair = staticmethod(ops.minimum)


class Concatenate(_Merge):
    """Joins a list of inputs along an axis.

    Args:
        axis: The axis.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Concatenate()([np.ones((2, 3)), np.ones((2, 4))]).shape
    (2, 7)
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        self._check_list(input_shape)
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        return ops.concatenate(inputs, axis=self.axis)

    def compute_output_shape(self, input_shape):
        self._check_list(input_shape)
        shapes = [tuple(shape) for shape in input_shape]
        rank = len(shapes[0])
        if any(len(shape) != rank for shape in shapes) or not -rank <= self.axis < rank:
            raise ValueError(
                f"A `Concatenate` layer requires inputs with matching shapes except for the concatenation axis. Layer {self.name!r} with "
                f"axis={self.axis} "
                f"received: input_shape={shapes}."
            )
        axis = self.axis % rank
        result = []
        for i, dims in enumerate(zip(*shapes)):
            known = {dim for dim in dims if dim is not None}
            if i != axis and len(known) > 1:
                raise ValueError(
                    f"A `Concatenate` layer requires inputs with matching shapes except for the concatenation axis. Layer {self.name!r} with "
                    f"axis={self.axis} "
                    f"received: input_shape={shapes}, which differ in axis {i}."
                )
            result.append(known.pop() if known and i != axis else None if None in dims else sum(dims) if i == axis else dims[0])
        return tuple(result)

    def compute_mask(self, inputs, mask=None):
        if mask is None or all(m is None for m in mask):
            return None
        rank = len(inputs[0].shape)
        parts = []
        for x, m in zip(inputs, mask):
            m = ops.ones_like(x, dtype="bool") if m is None else ops.cast(m, "bool")
            while len(m.shape) < rank:
                m = ops.expand_dims(m, -1)
            parts.append(ops.broadcast_to(m, x.shape))
        joined = ops.concatenate(parts, axis=self.axis)
        return ops.any(joined, axis=-1)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Dot(_Merge):
    """The dot product of two inputs along given axes.

    Args:
        axes: The axis of both inputs, or (axis of the first, axis of the second).
        normalize: Whether both are scaled to norm 1 along it first: the result is the cosine.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Dot(1)([np.ones((2, 3)), np.ones((2, 3))]).numpy().tolist()
    [[3.0], [3.0]]
    """

    least = most = 2

    def __init__(self, axes, normalize=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(axes, int):
            if not isinstance(axes, (list, tuple)):
                raise TypeError(f"Invalid type for argument `axes` of Dot: it should be a list or an int. Received: axes={axes!r}.")
            if len(axes) != 2 or not all(isinstance(axis, int) for axis in axes):
                raise ValueError(f"Invalid format for argument `axes` of Dot: it should contain two integers. Received: axes={axes!r}.")
        self.axes = axes
        self.normalize = normalize

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def _pair_axes(self, a, b) -> tuple[int, int]:
        first, second = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        for axis, shape in ((first, a), (second, b)):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise ValueError(
                    f"`axes` of Dot must name axes after the batch axis. Layer {self.name!r} has axes={self.axes}, but received shapes {tuple(a)} "
                    f"and {tuple(b)}."
                )
        return first % len(a), second % len(b)

    def call(self, inputs):
        x, y = inputs
        i, j = self._pair_axes(x.shape, y.shape)
        if self.normalize:
            x, y = _normalized(x, i), _normalized(y, j)
        x_rest, y_rest = _without(x.shape, i), _without(y.shape, j)
        a = ops.reshape(ops.moveaxis(x, i, -1), (x.shape[0], functools.reduce(operator.mul, x_rest, 1), x.shape[i]))
        b = ops.reshape(ops.moveaxis(y, j, 1), (y.shape[0], y.shape[j], functools.reduce(operator.mul, y_rest, 1)))
        return ops.reshape(ops.matmul(a, b), (x.shape[0], *((*x_rest, *y_rest) or (1,))))

    def compute_output_shape(self, input_shape):
        self._check_list(input_shape)
        a, b = input_shape
        i, j = self._pair_axes(a, b)
        if a[i] != b[j] and None not in (a[i], b[j]):
            raise ValueError(
                f"Incompatible input shapes: axis values {a[i]} (at axis {i}) != {b[j]} (at axis {j}). Layer {self.name!r} received full input "
                "shapes: "
                f"{tuple(a)}, {tuple(b)}. Choose other `axes`."
            )
        return (a[0], *((*_without(a, i), *_without(b, j)) or (1,)))

    def compute_mask(self, inputs, mask=None):
        return None

    def get_config(self):
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _without(shape, axis: int) -> tuple:
    """The shape without the batch axis and without `axis`."""
    return tuple(dim for i, dim in enumerate(shape) if i not in (0, axis))


def _normalized(x, axis: int):
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=axis, keepdims=True), 1e-12))


def _function(cls):
    """The functional form: inputs first, layer arguments after."""

    def merge(inputs, **kwargs):
        return cls(**kwargs)(inputs)

    merge.__name__ = merge.__qualname__ = cls.__name__.lower()
    merge.__doc__ = f"`{cls.__name__}(**kwargs)(inputs)`."
    return merge


add, subtract, multiply, average, maximum, minimum = (_function(cls) for cls in (Add, Subtract, Multiply, Average, Maximum, Minimum))


def concatenate(inputs, axis=-1, **kwargs):
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes=axes, **kwargs)(inputs)
