"""What the convolution layers share."""

from __future__ import annotations

from nnlite import activations, constraints, initializers, regularizers
from nnlite.layers._arguments import channel_axis, data_format_of, int_tuple, one_of
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class ConvolutionBase(Layer):
    """Arguments, bias and activation of a convolution over `rank` axes.

    `kernel_names` are the prefixes of its kernels' initializer, regularizer and constraint arguments.
    """

    rank = 2
    kernel_names: tuple[str, ...] = ("kernel",)
    paddings: tuple[str, ...] = ("valid", "same")

    def _set_up(self, kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, bias, kernels) -> None:
        """Checks and keeps the common arguments; `bias` and each entry of `kernels` are (initializer, regularizer, constraint)."""
        self.kernel_size = int_tuple(kernel_size, self.rank, "kernel_size")
        self.strides = int_tuple(strides, self.rank, "strides")
        self.dilation_rate = int_tuple(dilation_rate, self.rank, "dilation_rate")
        self.padding = one_of(padding, self.paddings, "padding", type(self).__name__)
        self.data_format = data_format_of(data_format)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"`strides > 1` not supported in conjunction with `dilation_rate > 1`. {type(self).__name__} received: strides={self.strides} and "
                f"dilation_rate={self.dilation_rate}. Set one of them to 1."
            )
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        for name, (initializer, regularizer, constraint) in zip((*self.kernel_names, "bias"), (*kernels, bias)):
            setattr(self, f"{name}_initializer", initializers.get(initializer))
            setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
            setattr(self, f"{name}_constraint", constraints.get(constraint))
        self.input_spec = InputSpec(min_ndim=self.rank + 2)
        self.bias = None

    def _add(self, prefix: str, name: str, shape):
        """A weight with the initializer, regularizer and constraint arguments of that prefix."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{prefix}_initializer"),
            regularizer=getattr(self, f"{prefix}_regularizer"),
            constraint=getattr(self, f"{prefix}_constraint"),
        )

    def _expect_channels(self, channels: int) -> None:
        self.input_spec = InputSpec(min_ndim=self.rank + 2, axes={channel_axis(self.data_format): channels})

    def _finish(self, x):
        """Bias and activation."""
        if self.bias is not None:
            x = x + (self.bias if self.data_format == "channels_last" else _across(self.bias, self.rank))
        return self.activation(x)

    def _output_shape(self, input_shape, channels: int, length) -> tuple:
        """Output shape with `length(size, axis)` for every spatial axis."""
        first = 1 if self.data_format == "channels_last" else 2
        sizes = [None if size is None else length(size, i) for i, size in enumerate(input_shape[first : first + self.rank])]
        bad = [size for size in sizes if size is not None and size < 1]
        if bad:
            raise ValueError(
                f"Computed output size would be zero or negative. Layer {self.name!r} received input_shape={tuple(input_shape)} with "
                f"kernel_size={self.kernel_size}, "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}, padding={self.padding!r}. Use a larger input, a smaller kernel, or "
                "padding='same'."
            )
        return (input_shape[0], *sizes, channels) if self.data_format == "channels_last" else (input_shape[0], channels, *sizes)

    def _window_length(self, size: int, axis: int) -> int:
        """Output size of an axis of an ordinary convolution."""
        stride = self.strides[axis]
        if self.padding in ("same", "causal"):
            return -(-size // stride)
        return (size - (self.kernel_size[axis] - 1) * self.dilation_rate[axis] - 1) // stride + 1

    def _kernel_config(self) -> dict:
        config = {"use_bias": self.use_bias}
        for part, module in (("initializer", initializers), ("regularizer", regularizers), ("constraint", constraints)):
            for name in (*self.kernel_names, "bias"):
                config[f"{name}_{part}"] = module.serialize(getattr(self, f"{name}_{part}"))
            if part == "regularizer":
                config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    def _window_config(self) -> dict:
        return {
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "activation": activations.serialize(self.activation),
        }


def _across(bias, rank: int):
    from nnlite import ops

    return ops.reshape(bias, (1, -1, *(1,) * rank))
