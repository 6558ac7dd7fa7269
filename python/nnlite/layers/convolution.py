"""Conv1D, Conv2D and their transposes."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import int_tuple, known_channels, positive_int
from nnlite.layers._convolution import ConvolutionBase


class _Conv(ConvolutionBase):
    """A convolution with a kernel [*window, channels / groups, filters]."""

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(filters, "filters", type(self).__name__)
        self.groups = positive_int(groups, "groups", type(self).__name__)
        if self.filters % self.groups:
            raise ValueError(f"The number of filters must be evenly divisible by the number of groups. Received: groups={groups}, filters={filters}.")
        self._set_up(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            [(kernel_initializer, kernel_regularizer, kernel_constraint)],
        )
        self.kernel = None

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format, self.name)
        if channels % self.groups:
            raise ValueError(
                f"The number of input channels must be evenly divisible by the number of groups. Layer {self.name!r} has groups={self.groups}, but "
                "the input has "
                f"{channels} channels (full input shape is {tuple(input_shape)})."
            )
        self.kernel = self._add("kernel", "kernel", (*self.kernel_size, channels // self.groups, self.filters))
        if self.use_bias:
            self.bias = self._add("bias", "bias", (self.filters,))
        self._expect_channels(channels)
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        x, padding = inputs, self.padding
        if padding == "causal":
            x, padding = self._pad_causally(x), "valid"
        return self._finish(
            ops.conv(x, self.kernel, strides=self.strides, padding=padding, data_format=self.data_format, dilation_rate=self.dilation_rate)
        )

    def _pad_causally(self, x):
        """Zeros in front, so that no output sees later inputs."""
        before = (self.dilation_rate[0] * (self.kernel_size[0] - 1), 0)
        return ops.pad(x, ((0, 0), before, (0, 0)) if self.data_format == "channels_last" else ((0, 0), (0, 0), before))

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters, self._window_length)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters, **self._window_config(), "groups": self.groups, **self._kernel_config()}


class Conv1D(_Conv):
    """Convolution along one axis.

    Args:
        filters: Number of output channels.
        kernel_size: Length of the window.
        strides: Step of the window.
        padding: "valid" (none), "same" (output as long as the input divided by the stride) or "causal" (outputs see only earlier inputs).
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance between the cells of the window.
        groups: Channels are split into that many groups, each convolved alone.
        activation, use_bias, kernel_*, bias_*: As in `Dense`.

    Input: [batch, steps, channels]. Output: [batch, new steps, filters]. Weights: kernel [kernel_size, channels / groups, filters], bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv1D(4, 3)(np.ones((2, 8, 5))).shape
    (2, 6, 4)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """Convolution over images.

    Args:
        filters: Number of output channels.
        kernel_size: Height and width of the window, or one int for both.
        strides: Steps of the window.
        padding: "valid" (none) or "same" (output as large as the input divided by the strides).
        data_format: "channels_last" or "channels_first".
        dilation_rate: Distance between the cells of the window.
        groups: Channels are split into that many groups, each convolved alone.
        activation, use_bias, kernel_*, bias_*: As in `Dense`.

    Input: [batch, height, width, channels]. Output: [batch, new height, new width, filters]. Weights: kernel [*kernel_size, channels / groups,
    filters], bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv2D(4, 3, padding="same")(np.ones((2, 8, 8, 3))).shape
    (2, 8, 8, 4)
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


class _ConvTranspose(ConvolutionBase):
    """The gradient of a convolution as a layer: the kernel is [*window, filters, channels]."""

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=1,
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters = positive_int(filters, "filters", type(self).__name__)
        self._set_up(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation,
            use_bias,
            (bias_initializer, bias_regularizer, bias_constraint),
            [(kernel_initializer, kernel_regularizer, kernel_constraint)],
        )
        self.output_padding = None if output_padding is None else int_tuple(output_padding, self.rank, "output_padding", least=0)
        if self.output_padding is not None and any(pad >= stride for pad, stride in zip(self.output_padding, self.strides)):
            raise ValueError(
                f"`output_padding` must be smaller than `strides`. {type(self).__name__} received output_padding={self.output_padding}, "
                f"strides={self.strides}."
            )
        self.kernel = None

    def build(self, input_shape):
        channels = known_channels(input_shape, self.data_format, self.name)
        self.kernel = self._add("kernel", "kernel", (*self.kernel_size, self.filters, channels))
        if self.use_bias:
            self.bias = self._add("bias", "bias", (self.filters,))
        self._expect_channels(channels)

    def call(self, inputs):
        return self._finish(
            ops.conv_transpose(
                inputs,
                self.kernel,
                strides=self.strides,
                padding=self.padding,
                output_padding=self.output_padding,
                data_format=self.data_format,
                dilation_rate=self.dilation_rate,
            )
        )

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters, self._spread_length)

    def _spread_length(self, size: int, axis: int) -> int:
        window = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        stride = self.strides[axis]
        if self.output_padding is None:
            return size * stride + (max(window - stride, 0) if self.padding == "valid" else 0)
        cut = 0 if self.padding == "valid" else window // 2
        return (size - 1) * stride + window - 2 * cut + self.output_padding[axis]

    def get_config(self):
        window = self._window_config()
        config = {**super().get_config(), "filters": self.filters}
        for key, value in window.items():
            config[key] = value
            if key == "padding":
                config["output_padding"] = self.output_padding
        return {**config, **self._kernel_config()}


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution along one axis: makes sequences longer by the stride.

    Args:
        output_padding: Extra length of the output, smaller than the stride; chosen by itself when None.
        filters, kernel_size, strides, padding, ...: As in `Conv1D`.

    Input: [batch, steps, channels]. Output: [batch, new steps, filters]. Weights: kernel [kernel_size, filters, channels], bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv1DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 8, 5))).shape
    (2, 16, 4)
    """

    rank = 1


class Conv2DTranspose(_ConvTranspose):
    """Transposed convolution over images: makes them larger by the strides.

    Args:
        output_padding: Extra height and width of the output, smaller than the strides; chosen by itself when None.
        filters, kernel_size, strides, padding, ...: As in `Conv2D`.

    Input: [batch, height, width, channels]. Output: [batch, new height, new width, filters]. Weights: kernel [*kernel_size, filters, channels],
    bias [filters].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Conv2DTranspose(4, 3, strides=2, padding="same")(np.ones((2, 8, 8, 3))).shape
    (2, 16, 16, 4)
    """

    rank = 2

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        output_padding=None,
        data_format=None,
        dilation_rate=(1, 1),
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
