"""Depthwise and separable convolutions."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import known_channels, positive_int
from nnlite.layers._convolution import ConvolutionBase


class _DepthwiseConv(ConvolutionBase):
    """Each channel convolved with its own `depth_multiplier` kernels."""

    kernel_names = ("depthwise",)

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier", type(self).__name__)
        self._set_up(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            [(depthwise_initializer, depthwise_regularizer, depthwise_constraint)],
        )
        self.kernel = None

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format, self.name)
        self.kernel = self._add("depthwise", "kernel", (*self.kernel_size, channels, self.depth_multiplier))
        if self.use_bias:
            self.bias = self._add("bias", "bias", (channels * self.depth_multiplier,))
        self._expect_channels(channels)
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        return self._finish(
            ops.depthwise_conv(
                inputs, self.kernel, strides=self.strides, padding=self.padding, data_format=self.data_format, dilation_rate=self.dilation_rate
            )
        )

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.depth_multiplier * known_channels(input_shape, self.data_format, self.name), self._window_length)

    def get_config(self):
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier, **self._window_config(), **self._kernel_config()}


class DepthwiseConv1D(_DepthwiseConv):
    """Convolution along one axis, each channel by itself.

    Args:
        depth_multiplier: Number of outputs per channel.
        kernel_size, strides, padding, ...: As in `Conv1D`; "causal" is not available.

    Input: [batch, steps, channels]. Output: [batch, new steps, channels * depth_multiplier]. Weights: kernel [kernel_size, channels,
    depth_multiplier], bias.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.DepthwiseConv1D(3)(np.ones((2, 8, 5))).shape
    (2, 6, 5)
    """

    rank = 1


class DepthwiseConv2D(_DepthwiseConv):
    """Convolution over images, each channel by itself.

    Args:
        depth_multiplier: Number of outputs per channel.
        kernel_size, strides, padding, ...: As in `Conv2D`.

    Input: [batch, height, width, channels]. Output: [batch, new height, new width, channels * depth_multiplier]. Weights: kernel [*kernel_size,
    channels, depth_multiplier], bias.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.DepthwiseConv2D(3, padding="same")(np.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    rank = 2

    def __init__(
        self,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=(1, 1),
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(
            kernel_size,
            strides,
            padding,
            depth_multiplier,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            depthwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            bias_constraint,
            **kwargs,
        )


class _SeparableConv(ConvolutionBase):
    """A depthwise convolution, then a pointwise one."""

    kernel_names = ("depthwise", "pointwise")

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(filters, "filters", type(self).__name__)
        self.depth_multiplier = positive_int(depth_multiplier, "depth_multiplier", type(self).__name__)
        self._set_up(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            [
                (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
                (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            ],
        )
        self.depthwise_kernel = self.pointwise_kernel = None

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format, self.name)
        self.depthwise_kernel = self._add("depthwise", "depthwise_kernel", (*self.kernel_size, channels, self.depth_multiplier))
        self.pointwise_kernel = self._add("pointwise", "pointwise_kernel", (*(1,) * self.rank, channels * self.depth_multiplier, self.filters))
        if self.use_bias:
            self.bias = self._add("bias", "bias", (self.filters,))
        self._expect_channels(channels)
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        return self._finish(
            ops.separable_conv(
                inputs,
                self.depthwise_kernel,
                self.pointwise_kernel,
                strides=self.strides,
                padding=self.padding,
                data_format=self.data_format,
                dilation_rate=self.dilation_rate,
            )
        )

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters, self._window_length)

    def get_config(self):
        return {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "filters": self.filters,
            **self._window_config(),
            **self._kernel_config(),
        }


class SeparableConv1D(_SeparableConv):
    """A depthwise convolution along one axis, then a mix of the channels.

    Args:
        filters: Number of output channels.
        depth_multiplier: Number of depthwise outputs per channel.
        kernel_size, strides, padding, ...: As in `Conv1D`; "causal" is not available.

    Input: [batch, steps, channels]. Output: [batch, new steps, filters]. Weights: depthwise_kernel, pointwise_kernel, bias.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SeparableConv1D(4, 3)(np.ones((2, 8, 5))).shape
    (2, 6, 4)
    """

    rank = 1


class SeparableConv2D(_SeparableConv):
    """A depthwise convolution over images, then a mix of the channels.

    Args:
        filters: Number of output channels.
        depth_multiplier: Number of depthwise outputs per channel.
        kernel_size, strides, padding, ...: As in `Conv2D`.

    Input: [batch, height, width, channels]. Output: [batch, new height, new width, filters]. Weights: depthwise_kernel, pointwise_kernel, bias.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SeparableConv2D(4, 3)(np.ones((2, 8, 8, 3))).shape
    (2, 6, 6, 4)
    """

    rank = 2

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        depth_multiplier=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        pointwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        pointwise_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        depthwise_constraint=None,
        pointwise_constraint=None,
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
            depth_multiplier,
            activation,
            use_bias,
            depthwise_initializer,
            pointwise_initializer,
            bias_initializer,
            depthwise_regularizer,
            pointwise_regularizer,
            bias_regularizer,
            activity_regularizer,
            depthwise_constraint,
            pointwise_constraint,
            bias_constraint,
            **kwargs,
        )
