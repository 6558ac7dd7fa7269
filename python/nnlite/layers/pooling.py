"""Pooling: the largest or mean value of windows, or of everything."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import data_format_of, int_tuple, one_of
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class _Pooling(Layer):
    """Pooling over windows of `rank` axes."""

    rank = 2

    def __init__(self, pool_size, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(name=name, **kwargs)
        self.pool_size = int_tuple(pool_size, self.rank, "pool_size")
        self.strides = int_tuple(self.pool_size if strides is None else strides, self.rank, "strides")
        self.padding = one_of(padding, ("valid", "same"), "padding", type(self).__name__)
        self.data_format = data_format_of(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    def compute_output_shape(self, input_shape):
        first = 1 if self.data_format == "channels_last" else 2
        sizes = [self._length(size, i) for i, size in enumerate(input_shape[first : first + self.rank])]
        if any(size is not None and size < 1 for size in sizes):
            raise ValueError(
                f"Computed output size would be zero or negative. Layer {self.name!r} received input_shape={tuple(input_shape)} with "
                f"pool_size={self.pool_size}, "
                f"strides={self.strides}, padding={self.padding!r}. Use a larger input, a smaller pool, or padding='same'."
            )
        if self.data_format == "channels_last":
            return (input_shape[0], *sizes, input_shape[-1])
        return (input_shape[0], input_shape[1], *sizes)

    def _length(self, size, axis: int):
        if size is None:
            return None
        stride = self.strides[axis]
        return -(-size // stride) if self.padding == "same" else (size - self.pool_size[axis]) // stride + 1

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "padding": self.padding,
            "strides": self.strides,
            "data_format": self.data_format,
        }


class _MaxPooling(_Pooling):
    def call(self, inputs):
        return ops.max_pool(inputs, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)


class _AveragePooling(_Pooling):
    def call(self, inputs):
        return ops.average_pool(inputs, self.pool_size, strides=self.strides, padding=self.padding, data_format=self.data_format)


class MaxPooling1D(_MaxPooling):
    """The largest value of every window.

    Args:
        pool_size: Length of the window.
        strides: Step of the window; `pool_size` by default.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Input: [batch, steps, channels]. Output: [batch, new steps, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.MaxPooling1D(2)(np.ones((1, 8, 3))).shape
    (1, 4, 3)
    """

    rank = 1

    def __init__(self, pool_size=2, strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class MaxPooling2D(_MaxPooling):
    """The largest value of every window of an image.

    Args:
        pool_size: Height and width of the window.
        strides: Steps of the window; `pool_size` by default.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first".

    Input: [batch, height, width, channels]. Output: [batch, new height, new width, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.MaxPooling2D()(np.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    rank = 2

    def __init__(self, pool_size=(2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling1D(_AveragePooling):
    """The mean of every window; padding is left out of the mean. Arguments as in `MaxPooling1D`.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.AveragePooling1D(2)(np.ones((1, 8, 3))).shape
    (1, 4, 3)
    """

    rank = 1


class AveragePooling2D(_AveragePooling):
    """The mean of every window of an image; padding is left out of the mean. Arguments as in `MaxPooling2D`.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.AveragePooling2D(2)(np.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    rank = 2


class _GlobalPooling(Layer):
    """One value per channel."""

    rank = 2

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self._build_at_init()

    @property
    def _axes(self) -> tuple:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def compute_output_shape(self, input_shape):
        return tuple(1 if axis in self._axes else dim for axis, dim in enumerate(input_shape) if self.keepdims or axis not in self._axes)

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, inputs):
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, inputs):
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean over all steps; masked steps are left out.

    Args:
        data_format: "channels_last" or "channels_first".
        keepdims: Whether the pooled axes stay with size 1.

    Input: [batch, steps, channels]. Output: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalAveragePooling1D()(np.ones((2, 8, 3))).shape
    (2, 3)
    """

    rank = 1
    _creates_masks = False

    def __init__(self, data_format=None, keepdims=False, **kwargs):
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            return super().call(inputs)
        steps = self._axes[0]
        mask = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if self.data_format == "channels_last" else 1)
        total = ops.sum(inputs * mask, axis=steps, keepdims=self.keepdims)
        return total / ops.sum(mask, axis=steps, keepdims=self.keepdims)

    def compute_mask(self, inputs, mask=None):
        return None


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean over all pixels. Arguments as in `GlobalAveragePooling1D`.

    Input: [batch, height, width, channels]. Output: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalAveragePooling2D()(np.ones((2, 8, 8, 3))).shape
    (2, 3)
    """

    rank = 2


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest value over all steps. Arguments as in `GlobalAveragePooling1D`.

    Input: [batch, steps, channels]. Output: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalMaxPooling1D()(np.ones((2, 8, 3))).shape
    (2, 3)
    """

    rank = 1


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest value over all pixels. Arguments as in `GlobalAveragePooling1D`.

    Input: [batch, height, width, channels]. Output: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalMaxPooling2D()(np.ones((2, 8, 8, 3))).shape
    (2, 3)
    """

    rank = 2
