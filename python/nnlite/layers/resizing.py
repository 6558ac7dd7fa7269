"""Layers that add, cut or repeat borders and pixels: ZeroPadding, Cropping, UpSampling."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import data_format_of, int_tuple, one_of
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


def _pairs(value, rank: int, name: str) -> tuple:
    """(before, after) for every axis, from an int, one number per axis, or one pair per axis."""
    if isinstance(value, int):
        return (int_tuple(value, 2, name, least=0),) * rank
    if not hasattr(value, "__len__") or len(value) != rank:
        raise ValueError(f"`{name}` should have {'two' if rank == 2 else 'three'} elements. Received: {name}={value!r}.")
    return tuple(int_tuple(entry, 2, f"{i + 1}th entry of {name}", least=0) for i, entry in enumerate(value))


class _Spatial(Layer):
    """Works on the spatial axes of [batch, *axes, channels] (or channels first)."""

    rank = 2

    def _start(self, data_format) -> None:
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _first_axis(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def _change_sizes(self, input_shape, change) -> tuple:
        """The shape with `change(size, i)` applied to every known spatial size."""
        first = self._first_axis
        return tuple(
            dim if dim is None or not first <= axis < first + self.rank else change(dim, axis - first) for axis, dim in enumerate(input_shape)
        )


class _ZeroPadding(_Spatial):
    def _pad(self, inputs, pairs):
        first = self._first_axis
        widths = [(0, 0)] * len(inputs.shape)
        widths[first : first + self.rank] = pairs
        return ops.pad(inputs, tuple(widths))


class ZeroPadding1D(_ZeroPadding):
    """Zeros at the start and the end.

    Args:
        padding: Number of zeros on both sides, or (start, end).

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ZeroPadding1D((1, 2))(np.ones((1, 5, 3))).shape
    (1, 8, 3)
    """

    rank = 1

    def __init__(self, padding=1, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.padding = int_tuple(padding, 2, "padding", least=0)

    def call(self, inputs):
        return self._pad(inputs, [self.padding])

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size + sum(self.padding))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class ZeroPadding2D(_ZeroPadding):
    """Rows and columns of zeros around an image.

    Args:
        padding: One number for all sides, (vertical, horizontal), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ZeroPadding2D(((1, 0), (0, 2)))(np.ones((1, 4, 4, 3))).shape
    (1, 5, 6, 3)
    """

    rank = 2

    def __init__(self, padding=(1, 1), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.padding = _pairs(padding, 2, "padding")

    def call(self, inputs):
        return self._pad(inputs, self.padding)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size + sum(self.padding[i]))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class _Cropping(_Spatial):
    def _crop(self, inputs, pairs):
        first = self._first_axis
        shape = inputs.shape
        for (before, after), size in zip(pairs, shape[first : first + self.rank]):
            if before + after >= size:
                raise ValueError(
                    f"Values in `cropping` argument should be smaller than the corresponding spatial dimension of the input. Layer {self.name!r} "
                    "received "
                    f"inputs.shape={shape}, cropping={self.cropping}."
                )
        cuts = [slice(None)] * len(shape)
        cuts[first : first + self.rank] = [slice(before, size - after) for (before, after), size in zip(pairs, shape[first : first + self.rank])]
        return inputs[tuple(cuts)]


class Cropping1D(_Cropping):
    """Cuts steps off at the start and the end.

    Args:
        cropping: Number of steps on both sides, or (start, end).

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Cropping1D((1, 2))(np.ones((1, 5, 3))).shape
    (1, 2, 3)
    """

    rank = 1

    def __init__(self, cropping=(1, 1), **kwargs):
        super().__init__(**kwargs)
        self._start("channels_last")
        self.cropping = int_tuple(cropping, 2, "cropping", least=0)

    def call(self, inputs):
        return self._crop(inputs, [self.cropping])

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size - sum(self.cropping))

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping}


class Cropping2D(_Cropping):
    """Cuts rows and columns off an image.

    Args:
        cropping: One number for all sides, (vertical, horizontal), or ((top, bottom), (left, right)).
        data_format: "channels_last" or "channels_first".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Cropping2D(1)(np.ones((1, 4, 5, 3))).shape
    (1, 2, 3, 3)
    """

    rank = 2

    def __init__(self, cropping=((0, 0), (0, 0)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.cropping = _pairs(cropping, 2, "cropping")

    def call(self, inputs):
        return self._crop(inputs, self.cropping)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size - sum(self.cropping[i]))

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class UpSampling1D(_Spatial):
    """Repeats every step.

    Args:
        size: How often.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.UpSampling1D(2)(np.ones((1, 5, 3))).shape
    (1, 10, 3)
    """

    rank = 1

    def __init__(self, size=2, **kwargs):
        super().__init__(**kwargs)
        self._start("channels_last")
        self.size = int(size)

    def call(self, inputs):
        return ops.repeat(inputs, self.size, axis=1)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size * self.size)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


class UpSampling2D(_Spatial):
    """Enlarges images by whole factors.

    Args:
        size: Factors of height and width.
        data_format: "channels_last" or "channels_first".
        interpolation: "nearest" (repeats pixels), "bilinear", "bicubic", "lanczos3" or "lanczos5".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.UpSampling2D()(np.ones((1, 4, 5, 3))).shape
    (1, 8, 10, 3)
    """

    rank = 2

    def __init__(self, size=(2, 2), data_format=None, interpolation="nearest", **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.size = int_tuple(size, 2, "size")
        self.interpolation = one_of(interpolation, ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"), "interpolation", "UpSampling2D")

    def call(self, inputs):
        first = self._first_axis
        if self.interpolation == "nearest":
            return ops.repeat(ops.repeat(inputs, self.size[0], axis=first), self.size[1], axis=first + 1)
        height, width = inputs.shape[first : first + 2]
        return ops.image.resize(inputs, (height * self.size[0], width * self.size[1]), interpolation=self.interpolation, data_format=self.data_format)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size * self.size[i])

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format, "interpolation": self.interpolation}
