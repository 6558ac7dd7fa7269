"""SimpleRNN, LSTM and GRU: recurrent layers that run all their steps in one kernel."""

from __future__ import annotations

from nnlite import activations, ops, regularizers
from nnlite.layers._recurrent_settings import config_of, of_cell
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.recurrent import RNN
from nnlite.layers.recurrent_cells import GRU_SETTINGS, LSTM_SETTINGS, SIMPLE_SETTINGS, GRUCell, LSTMCell, SimpleRNNCell
from nnlite.ops import recurrent


class _BuiltIn(RNN):
    """Base of the layers with a kernel of their own. Activations that it does not know, and recurrent dropout, run step by step."""

    _cell_class: type
    _cell_name = ""
    _settings: list = []

    def _set_up(self, arguments: dict, kwargs: dict, cell_keywords: dict | None = None) -> None:
        """Calls RNN.__init__ with the cell; `arguments` are those of __init__."""
        own = {name: arguments[name] for name in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "activity_regularizer")}
        settings = {name: arguments[name] for name in self._settings}
        common = {"dtype": kwargs.get("dtype"), "trainable": kwargs.get("trainable", True), "name": self._cell_name}
        cell = self._cell_class(**settings, **common, **(cell_keywords or {}))
        RNN.__init__(self, cell, **own, **kwargs)
        self.input_spec = [InputSpec(ndim=3)]

    def _kernel_attributes(self) -> dict | None:
        """Names of the activations; None where the kernel does not know one."""
        names = {name: activations.serialize(getattr(self.cell, name)) for name in ("activation", "recurrent_activation") if hasattr(self.cell, name)}
        return names if all(isinstance(name, str) and name in recurrent.ACTIVATIONS for name in names.values()) else None

    def _run(self, sequences, states, mask, training, started):
        attributes, cell = self._kernel_attributes(), self.cell
        dropped = training and cell.dropout > 0
        if attributes is None or (training and cell.recurrent_dropout > 0) or (dropped and cell.dropout_mask_count) or not sequences.shape[1]:
            return super()._run(sequences, states, mask, training, started)
        sequences = ops.cast(sequences, cell.compute_dtype)
        if dropped:
            sequences = sequences * ops.expand_dims(cell.get_dropout_mask(sequences[:, 0]), 1)
        attributes.update(reverse=int(self.go_backwards), mask=int(mask is not None))
        outputs, states = self._run_kernel(sequences, self._checked_states(states, sequences), () if mask is None else (mask,), attributes)
        return self._masked_outputs(outputs, states, mask, started)

    def _checked_states(self, states, sequences) -> list:
        wanted = (sequences.shape[0], self.cell.units)
        for state in states:
            if tuple(state.shape) != wanted:
                raise ValueError(
                    f"States of layer {self.name!r} have the shape (batch, units), here {wanted}; received an initial_state of shape "
                    f"{tuple(state.shape)}."
                )
        return states

    def _masked_outputs(self, outputs, states, mask, started):
        """What masked steps give: zeros, or the output of the step before, which is zero where no step came before."""
        last = states[0]
        if mask is not None and (self.zero_output_for_mask or started):
            seen = mask if self.zero_output_for_mask else _seen(mask, self.go_backwards)
            end = seen[:, 0] if self.go_backwards else seen[:, -1]
            outputs = ops.where(ops.expand_dims(seen, -1), outputs, ops.zeros_like(outputs))
            last = ops.where(ops.expand_dims(end, -1), last, ops.zeros_like(last))
        if not self.return_sequences:
            return None, last, states
        return ops.flip(outputs, axis=1) if self.go_backwards else outputs, last, states

    def _projected(self, sequences, bias):
        """sequences @ kernel + bias, [batch, steps, gates * units]."""
        dtype, (batch, steps, features) = sequences.dtype, sequences.shape
        # As one matrix of rows: then the bias is added where the product is made.
        x = ops.matmul(ops.reshape(sequences, (batch * steps, features)), ops.convert_to_tensor(self.cell.kernel, dtype=dtype))
        x = x if bias is None else x + ops.convert_to_tensor(bias, dtype=dtype)
        return ops.reshape(x, (batch, steps, x.shape[-1]))

    def _recurrent(self, sequences):
        return ops.convert_to_tensor(self.cell.recurrent_kernel, dtype=sequences.dtype)

    def get_config(self):
        config = {**super().get_config(), **config_of(self, self._settings)}
        config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        del config["cell"]
        return config

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)


def _seen(mask, backwards: bool):
    """Whether a step, or one processed before it, counts."""
    counts = ops.cast(mask, "int32")
    if backwards:
        return ops.flip(ops.cumsum(ops.flip(counts, axis=1), axis=1), axis=1) > 0
    return ops.cumsum(counts, axis=1) > 0


@of_cell(*SIMPLE_SETTINGS)
class SimpleRNN(_BuiltIn):
    """A recurrent layer whose output is its next state: activation(inputs @ kernel + state @ recurrent_kernel + bias).

    Args:
        units, activation, use_bias, ..., dropout, recurrent_dropout, seed: Of the cell, see `SimpleRNNCell`.
        activity_regularizer: Penalty on the outputs, added to the loss.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.

    Input: [batch, steps, features]. Output: [batch, units], or [batch, steps, units] with return_sequences; then the state with return_state.
    Weights: kernel [features, units], recurrent_kernel [units, units], bias [units].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    _cell_class, _cell_name, _settings = SimpleRNNCell, "simple_rnn_cell", SIMPLE_SETTINGS

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        seed=None,
        **kwargs,
    ):
        self._set_up(locals(), kwargs)

    def _run_kernel(self, sequences, states, mask, attributes):
        x = self._projected(sequences, self.cell.bias)
        outputs, last = recurrent.simple_rnn(x, self._recurrent(sequences), states[0], *mask, **attributes)
        return outputs, [last]


@of_cell(*LSTM_SETTINGS)
class LSTM(_BuiltIn):
    """Long short-term memory: a state and a cell state that gates protect (Hochreiter and Schmidhuber 1997).

    Args:
        units, activation, recurrent_activation, use_bias, ..., unit_forget_bias, ..., dropout, recurrent_dropout, seed: Of the cell, see `LSTMCell`.
        activity_regularizer: Penalty on the outputs, added to the loss.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.
        use_cudnn: Accepted for familiarity.

    Input: [batch, steps, features]. Output: [batch, units], or [batch, steps, units] with return_sequences; then state and cell state with
    return_state. Weights: kernel [features, 4 * units], recurrent_kernel [units, 4 * units], bias [4 * units]; gates in the order i, f, c, o.

    >>> import nnlite, numpy as np
    >>> output, state, cell_state = nnlite.layers.LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
    >>> output.shape, state.shape
    ((2, 5, 4), (2, 4))
    """

    _cell_class, _cell_name, _settings = LSTMCell, "lstm_cell", LSTM_SETTINGS

    def __init__(
        self,
        units,
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
        unroll=False,
        use_cudnn="auto",
        **kwargs,
    ):
        self._set_up(locals(), kwargs, {"implementation": kwargs.pop("implementation", 2)})
        self.use_cudnn = use_cudnn

    def _run_kernel(self, sequences, states, mask, attributes):
        x = self._projected(sequences, self.cell.bias)
        outputs, _, _, last, cell = recurrent.lstm(x, self._recurrent(sequences), *states, *mask, **attributes)
        return outputs, [last, cell]


@of_cell(*GRU_SETTINGS)
class GRU(_BuiltIn):
    """Gated recurrent unit (Cho et al. 2014).

    Args:
        units, activation, recurrent_activation, use_bias, ..., dropout, recurrent_dropout, seed, reset_after: Of the cell, see `GRUCell`.
        activity_regularizer: Penalty on the outputs, added to the loss.
        return_sequences, return_state, go_backwards, stateful, unroll: See `RNN`.
        use_cudnn: Accepted for familiarity.

    Input: [batch, steps, features]. Output: [batch, units], or [batch, steps, units] with return_sequences; then the state with return_state.
    Weights: kernel [features, 3 * units], recurrent_kernel [units, 3 * units], bias [2, 3 * units] ([3 * units] without reset_after); gates in
    the order z, r, h.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.GRU(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    _cell_class, _cell_name, _settings = GRUCell, "gru_cell", GRU_SETTINGS

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
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
        unroll=False,
        reset_after=True,
        use_cudnn="auto",
        **kwargs,
    ):
        self._set_up(locals(), kwargs, {"implementation": kwargs.pop("implementation", 2)})
        self.use_cudnn = use_cudnn

    def _run_kernel(self, sequences, states, mask, attributes):
        bias, recurrent_bias = self.cell._biases()
        inputs = [self._projected(sequences, bias), self._recurrent(sequences), states[0]]
        if self.cell.reset_after:
            if recurrent_bias is None:
                recurrent_bias = ops.zeros((3 * self.cell.units,), sequences.dtype)
            inputs.append(ops.convert_to_tensor(recurrent_bias, dtype=sequences.dtype))
        outputs, _, _, last = recurrent.gru(*inputs, *mask, reset_after=int(self.cell.reset_after), **attributes)
        return outputs, [last]
