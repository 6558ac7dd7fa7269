"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D: LSTM whose products are convolutions, for sequences of images."""

from __future__ import annotations

from nnlite import ops, random, regularizers
from nnlite.layers._arguments import data_format_of, int_tuple, one_of, positive_int
from nnlite.layers._recurrent_settings import RecurrentDropout, RecurrentWeights, config_of, of_cell, rate, take
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer
from nnlite.layers.recurrent import RNN
from nnlite.layers.recurrent_cells import LSTM_SETTINGS

_SETTINGS = ["filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", *LSTM_SETTINGS[1:]]


class ConvLSTMCell(RecurrentDropout, RecurrentWeights, Layer):
    """One step of a convolutional LSTM; arguments as those of `ConvLSTM2D`, and `rank`, the number of spatial axes.

    >>> from nnlite.layers.conv_lstm import ConvLSTMCell
    >>> cell = ConvLSTMCell(2, filters=4, kernel_size=3, padding="same")
    >>> cell.build((None, 8, 8, 3))
    >>> [state.shape for state in cell.get_initial_state(5)]
    [(5, 8, 8, 4), (5, 8, 8, 4)]
    """

    dropout_mask_count = 4

    def __init__(
        self,
        rank,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        arguments = {name: value for name, value in locals().items() if name in _SETTINGS}
        super().__init__(**kwargs)
        take(self, arguments)
        self.rank = rank
        self.filters = positive_int(filters, "filters", "ConvLSTM")
        for name in ("kernel_size", "strides", "dilation_rate"):
            setattr(self, name, int_tuple(arguments[name], rank, name))
        self.padding = one_of(padding, ("valid", "same"), "padding", "ConvLSTM")
        self.data_format = data_format_of(data_format)
        self.dropout, self.recurrent_dropout = rate(dropout), rate(recurrent_dropout)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "Specifying `strides > 1` is not compatible with `dilation_rate > 1`: set one of them to 1. "
                f"Received: strides={self.strides} and dilation_rate={self.dilation_rate}"
            )
        self.seed_generator = random.SeedGenerator(seed)
        self.state_size = -1  # states are images: see get_initial_state
        self.input_spec = InputSpec(ndim=rank + 2)

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, inputs_shape, states_shape=None):
        sizes = list(inputs_shape[1:])
        channels = sizes.pop(-1 if self._channel_axis == -1 else 0)
        if None in sizes or channels is None:
            raise ValueError(
                "ConvLSTM layers only support static input shapes: the spatial axes and the channels must be known. "
                f"Received invalid input shape: input_shape={tuple(inputs_shape)}. Give them in Input(shape=...)."
            )
        self.__dict__["_step_shape"] = tuple(inputs_shape[1:])
        wide = 4 * self.filters
        bias = self._forget_bias(self.filters)
        self._add_recurrent_weights((*self.kernel_size, channels, wide), (*self.kernel_size, self.filters, wide), (wide,), bias)

    def _convolved(self, inputs, kernel, **options) -> list:
        """Convolutions of the inputs of the four gates; of the same inputs at once."""
        if all(x is inputs[0] for x in inputs):
            return ops.split(ops.conv(inputs[0], kernel, data_format=self.data_format, **options), 4, axis=self._channel_axis)
        kernels = ops.split(kernel, 4, axis=-1)
        return [ops.conv(x, part, data_format=self.data_format, **options) for x, part in zip(inputs, kernels)]

    def call(self, inputs, states, training=False):
        state, cell = states
        options = {"strides": self.strides, "padding": self.padding, "dilation_rate": self.dilation_rate}
        x = self._convolved(self._dropped(inputs, 4, training), self.kernel, **options)
        h = self._convolved(self._dropped(state, 4, training, recurrent=True), self.recurrent_kernel, strides=1, padding="same")
        sums = [a + b for a, b in zip(x, h)]
        if self.bias is not None:
            shape = (1,) * (self.rank + 1) + (self.filters,) if self._channel_axis == -1 else (1, self.filters) + (1,) * self.rank
            sums = [total + ops.reshape(part, shape) for total, part in zip(sums, ops.split(self.bias, 4))]
        i, f, o = (self.recurrent_activation(sums[gate]) for gate in (0, 1, 3))
        cell = f * cell + i * self.activation(sums[2])
        state = o * self.activation(cell)
        return state, [state, cell]

    def compute_output_shape(self, inputs_shape, states_shape=None):
        sizes = list(inputs_shape[1:-1] if self._channel_axis == -1 else inputs_shape[2:])
        for i, (size, kernel, stride, dilation) in enumerate(zip(sizes, self.kernel_size, self.strides, self.dilation_rate)):
            lost = 0 if self.padding == "same" else dilation * (kernel - 1)
            sizes[i] = None if size is None else (size - lost + stride - 1) // stride
        shape = (inputs_shape[0], *sizes, self.filters) if self._channel_axis == -1 else (inputs_shape[0], self.filters, *sizes)
        return shape, [shape, shape]

    def get_initial_state(self, batch_size=None) -> list:
        """Two images of zeros."""
        shape = self.compute_output_shape((batch_size, *self._step_shape))[0]
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    def get_config(self):
        return {**super().get_config(), **config_of(self, _SETTINGS)}


@of_cell(*_SETTINGS)
class _ConvLSTM(RNN):
    """Base of the convolutional LSTM layers."""

    _rank = 2

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        **kwargs,
    ):
        given = locals()
        settings = {name: given[name] for name in _SETTINGS}
        cell = ConvLSTMCell(self._rank, **settings, name="conv_lstm_cell", dtype=kwargs.get("dtype"))
        flags = {name: given[name] for name in ("return_sequences", "return_state", "go_backwards", "stateful", "activity_regularizer")}
        RNN.__init__(self, cell, **flags, **kwargs)
        self.input_spec = InputSpec(ndim=self._rank + 3)

    @property
    def state_size(self) -> list:
        return [-1, -1]

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        state = self.cell.compute_output_shape((sequences_shape[0], *sequences_shape[2:]))[0]
        output = (*sequences_shape[:2], *state[1:]) if self.return_sequences else state
        return (output, state, state) if self.return_state else output

    def get_config(self):
        config = {**super().get_config(), **config_of(self, _SETTINGS)}
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        del config["cell"]
        return config

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


class ConvLSTM1D(_ConvLSTM):
    """LSTM over sequences of lines; see `ConvLSTM2D`.

    Input: [batch, steps, length, channels] (channels_last).

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ConvLSTM1D(4, 3)(np.ones((2, 5, 8, 3))).shape
    (2, 6, 4)
    """

    _rank = 1


class ConvLSTM2D(_ConvLSTM):
    """LSTM over sequences of images: inputs and state are convolved instead of multiplied.

    Args:
        filters: Channels of the state and of the output.
        kernel_size, strides, padding, data_format, dilation_rate: Of the convolution of the inputs; that of the state keeps its size.
        activation, recurrent_activation: Of the candidate and the output, and of the gates.
        use_bias, unit_forget_bias: Whether to add a bias, and whether that of the forget gate starts with ones.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each optimizer step.
        dropout, recurrent_dropout, seed: See `LSTMCell`.
        return_sequences, return_state, go_backwards, stateful: See `RNN`.

    Input: [batch, steps, rows, columns, channels] (channels_last). Output: [batch, rows, columns, filters], or those of all steps with
    return_sequences.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ConvLSTM2D(4, 3, padding="same", return_sequences=True)(np.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 8, 8, 4)
    """

    _rank = 2


class ConvLSTM3D(_ConvLSTM):
    """LSTM over sequences of volumes; see `ConvLSTM2D`.

    Input: [batch, steps, depth, rows, columns, channels] (channels_last).

    >>> import nnlite, numpy as np
    >>> nnlite.layers.ConvLSTM3D(2, 2)(np.ones((1, 3, 4, 4, 4, 1))).shape
    (1, 3, 3, 3, 2)
    """

    _rank = 3
