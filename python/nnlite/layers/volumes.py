"""Layers for volumes: [batch, depth, height, width, channels]."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import int_tuple
from nnlite.layers.convolution import _Conv, _ConvTranspose
from nnlite.layers.pooling import _AveragePooling, _GlobalAveragePooling, _GlobalMaxPooling, _MaxPooling
from nnlite.layers.regularization import SpatialDropout2D
from nnlite.layers.resizing import _Cropping, _pairs, _Spatial, _ZeroPadding


class Conv3D(_Conv):
    """Convolution over volumes; arguments as in `Conv2D`, with three sizes.

    Weights: kernel [*kernel_size, channels / groups, filters], bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv3D(4, 3)(np.ones((1, 5, 6, 7, 2))).shape
    (1, 3, 4, 5, 4)
    """

    rank = 3

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            groups,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution over volumes; arguments as in `Conv2DTranspose`, with three sizes.

    Weights: kernel [*kernel_size, filters, channels], bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv3DTranspose(4, 3, strides=2, padding="same")(np.ones((1, 2, 3, 4, 2))).shape
    (1, 4, 6, 8, 4)
    """

    rank = 3

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        padding="valid",
        data_format=None,
        output_padding=None,
        dilation_rate=(1, 1, 1),
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides,
            padding,
            output_padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            **kwargs,
        )


class MaxPooling3D(_MaxPooling):
    """The largest value of every window of a volume; arguments as in `MaxPooling2D`.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.MaxPooling3D()(np.ones((1, 4, 6, 8, 2))).shape
    (1, 2, 3, 4, 2)
    """

    rank = 3

    def __init__(self, pool_size=(2, 2, 2), strides=None, padding="valid", data_format=None, name=None, **kwargs):
        super().__init__(pool_size, strides, padding, data_format, name, **kwargs)


class AveragePooling3D(_AveragePooling):
    """The mean of every window of a volume; arguments as in `MaxPooling3D`.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.AveragePooling3D(2)(np.ones((1, 4, 6, 8, 2))).shape
    (1, 2, 3, 4, 2)
    """

    rank = 3


class GlobalAveragePooling3D(_GlobalAveragePooling):
    """The mean over a whole volume: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalAveragePooling3D()(np.ones((1, 4, 6, 8, 2))).shape
    (1, 2)
    """

    rank = 3


class GlobalMaxPooling3D(_GlobalMaxPooling):
    """The largest value of a whole volume: [batch, channels].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GlobalMaxPooling3D()(np.ones((1, 4, 6, 8, 2))).shape
    (1, 2)
    """

    rank = 3


class ZeroPadding3D(_ZeroPadding):
    """Zeros around a volume.

    Args:
        padding: One number for all sides, one per axis, or a pair (before, after) per axis.
        data_format: "channels_last" or "channels_first".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ZeroPadding3D()(np.ones((1, 2, 3, 4, 2))).shape
    (1, 4, 5, 6, 2)
    """

    rank = 3

    def __init__(self, padding=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.padding = _pairs(padding, 3, "padding")

    def call(self, inputs):
        return self._pad(inputs, self.padding)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size + sum(self.padding[i]))

    def get_config(self):
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


class Cropping3D(_Cropping):
    """Cuts off the borders of a volume.

    Args:
        cropping: One number for all sides, one per axis, or a pair (before, after) per axis.
        data_format: "channels_last" or "channels_first".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Cropping3D(1)(np.ones((1, 4, 5, 6, 2))).shape
    (1, 2, 3, 4, 2)
    """

    rank = 3

    def __init__(self, cropping=((1, 1), (1, 1), (1, 1)), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.cropping = _pairs(cropping, 3, "cropping")

    def call(self, inputs):
        return self._crop(inputs, self.cropping)

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size - sum(self.cropping[i]))

    def get_config(self):
        return {**super().get_config(), "cropping": self.cropping, "data_format": self.data_format}


class UpSampling3D(_Spatial):
    """Repeats the cells of a volume.

    Args:
        size: How often along each axis.
        data_format: "channels_last" or "channels_first".

    >>> import nnlite, numpy as np
    >>> nnlite.layers.UpSampling3D()(np.ones((1, 2, 3, 4, 2))).shape
    (1, 4, 6, 8, 2)
    """

    rank = 3

    def __init__(self, size=(2, 2, 2), data_format=None, **kwargs):
        super().__init__(**kwargs)
        self._start(data_format)
        self.size = int_tuple(size, 3, "size")

    def call(self, inputs):
        for i, times in enumerate(self.size):
            inputs = ops.repeat(inputs, times, axis=self._first_axis + i)
        return inputs

    def compute_output_shape(self, input_shape):
        return self._change_sizes(input_shape, lambda size, i: size * self.size[i])

    def get_config(self):
        return {**super().get_config(), "size": self.size, "data_format": self.data_format}


class SpatialDropout3D(SpatialDropout2D):
    """In training, drops whole channels of volumes.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SpatialDropout3D(0.5)(np.ones((1, 2, 3, 4, 2))).shape
    (1, 2, 3, 4, 2)
    """

    rank = 3
