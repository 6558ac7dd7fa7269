"""Cells: what recurrent layers do at each step."""

from __future__ import annotations

from nnlite import ops, random, tree
from nnlite.layers._arguments import positive_int
from nnlite.layers._recurrent_settings import RecurrentDropout, RecurrentWeights, config_of, rate, take
from nnlite.layers.layer import Layer

SIMPLE_SETTINGS = (
    "units activation use_bias kernel_initializer recurrent_initializer bias_initializer kernel_regularizer recurrent_regularizer bias_regularizer "
    "kernel_constraint recurrent_constraint bias_constraint dropout recurrent_dropout seed"
).split()
LSTM_SETTINGS = [*SIMPLE_SETTINGS[:2], "recurrent_activation", *SIMPLE_SETTINGS[2:6], "unit_forget_bias", *SIMPLE_SETTINGS[6:]]
GRU_SETTINGS = [*SIMPLE_SETTINGS[:2], "recurrent_activation", *SIMPLE_SETTINGS[2:14], "reset_after", "seed"]


class _Cell(RecurrentDropout, RecurrentWeights, Layer):
    """Base of the cells with one kernel for the inputs and one for the state."""

    _gates = 1
    _settings: list = []
    implementation = 2

    def _set_up(self, arguments: dict, implementation: int = 2) -> None:
        take(self, arguments)
        self.units = positive_int(self.units, "units", type(self).__name__)
        self.dropout, self.recurrent_dropout = rate(self.dropout), rate(self.recurrent_dropout)
        self.seed_generator = random.SeedGenerator(self.seed)
        self.state_size = self.output_size = self.units
        if self._gates > 1 and (implementation == 1 or self.recurrent_dropout != 0.0):
            self.implementation = 1
            self.dropout_mask_count = self._gates

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                f"The last axis of the inputs to {type(self).__name__} must be known; layer {self.name!r} received "
                f"input_shape={tuple(input_shape)}. Give it in Input(shape=...)."
            )
        wide = self.units * self._gates
        self._add_recurrent_weights((input_shape[-1], wide), (self.units, wide), self._bias_shape(), self._bias_initializer())

    def _bias_shape(self) -> tuple:
        return (self.units * self._gates,)

    def _bias_initializer(self):
        return None

    def _columns(self, matrix, gate: int):
        return matrix[..., gate * self.units : (gate + 1) * self.units]

    def _sums(self, inputs, kernel, bias) -> list:
        """One product (inputs of that gate) @ (kernel of that gate) a gate. The same inputs for all gates are multiplied at once."""
        if all(x is inputs[0] for x in inputs):
            products = ops.matmul(inputs[0], kernel)
            products = products if bias is None else products + bias
            return [self._columns(products, gate) for gate in range(self._gates)]
        products = [ops.matmul(x, self._columns(kernel, gate)) for gate, x in enumerate(inputs)]
        return products if bias is None else [product + self._columns(bias, gate) for gate, product in enumerate(products)]

    def get_initial_state(self, batch_size=None):
        """Zeros for each state."""
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in sizes]

    def compute_output_shape(self, inputs_shape, states_shape=None):
        state = (inputs_shape[0], self.units)
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        return state, [state for _ in sizes]

    def get_config(self):
        return {**super().get_config(), **config_of(self, self._settings)}


class SimpleRNNCell(_Cell):
    """One step of SimpleRNN: activation(inputs @ kernel + state @ recurrent_kernel + bias).

    Args:
        units: Size of the state and of the output.
        activation: Name or function.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each optimizer step.
        dropout, recurrent_dropout: Shares of inputs and states that are dropped in training, the same ones at every step of a sequence.
        seed: Of the dropout.

    Input: [batch, features] and a state [batch, units]. Output: [batch, units] and a list of the new state.

    >>> import nnlite, numpy as np
    >>> output, states = nnlite.layers.SimpleRNNCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape
    (2, 4)
    """

    _settings = SIMPLE_SETTINGS

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        arguments = {name: value for name, value in locals().items() if name in SIMPLE_SETTINGS}
        super().__init__(**kwargs)
        self._set_up(arguments)

    def call(self, sequence, states, training=False):
        previous = states[0] if tree.is_nested(states) else states
        x = ops.matmul(self._dropped(sequence, 1, training)[0], self.kernel)
        if self.bias is not None:
            x = x + self.bias
        output = self.activation(x + ops.matmul(self._dropped(previous, 1, training, recurrent=True)[0], self.recurrent_kernel))
        return output, [output] if tree.is_nested(states) else output


class LSTMCell(_Cell):
    """One step of LSTM: gates i, f and o from inputs and state, a candidate c; cell = f * cell + i * c, state = o * activation(cell).

    Args:
        units: Size of the states and of the output.
        activation, recurrent_activation: Of the candidate and the output, and of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        unit_forget_bias: Whether the bias of f starts with ones.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each optimizer step.
        dropout, recurrent_dropout: Shares of inputs and states that are dropped in training, the same ones at every step of a sequence.
        seed: Of the dropout.

    Input: [batch, features] and two states [batch, units]. Output: [batch, units] and a list of the new states.

    >>> import nnlite, numpy as np
    >>> cell = nnlite.layers.LSTMCell(4)
    >>> output, (state, cell_state) = cell(np.ones((2, 3)), cell.get_initial_state(2))
    >>> output.shape
    (2, 4)
    """

    _gates = 4
    _settings = LSTM_SETTINGS

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        arguments = {name: value for name, value in locals().items() if name in LSTM_SETTINGS}
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(arguments, implementation)
        self.state_size = [self.units, self.units]

    def _bias_initializer(self):
        return self._forget_bias(self.units)

    def call(self, inputs, states, training=False):
        state, cell = states
        x = self._sums(self._dropped(inputs, 4, training), self.kernel, self.bias)
        h = self._sums(self._dropped(state, 4, training, recurrent=True), self.recurrent_kernel, None)
        i, f, o = (self.recurrent_activation(x[gate] + h[gate]) for gate in (0, 1, 3))
        cell = f * cell + i * self.activation(x[2] + h[2])
        state = o * self.activation(cell)
        return state, [state, cell]


class GRUCell(_Cell):
    """One step of GRU: gates z and r from inputs and state, a candidate h; state = z * state + (1 - z) * h.

    Args:
        units: Size of the state and of the output.
        activation, recurrent_activation: Of the candidate and of the gates.
        use_bias: Whether to add a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, recurrent_regularizer, bias_regularizer: Penalties added to the loss.
        kernel_constraint, recurrent_constraint, bias_constraint: Projections after each optimizer step.
        dropout, recurrent_dropout: Shares of inputs and states that are dropped in training, the same ones at every step of a sequence.
        reset_after: Whether r multiplies the product of state and recurrent kernel (then the bias has two rows) or the state before it.
        seed: Of the dropout.

    Input: [batch, features] and a state [batch, units]. Output: [batch, units] and a list of the new state.

    >>> import nnlite, numpy as np
    >>> cell = nnlite.layers.GRUCell(4)
    >>> cell(np.ones((2, 3)), cell.get_initial_state(2))[0].shape
    (2, 4)
    """

    _gates = 3
    _settings = GRU_SETTINGS

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
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        reset_after=True,
        seed=None,
        **kwargs,
    ):
        arguments = {name: value for name, value in locals().items() if name in GRU_SETTINGS}
        implementation = kwargs.pop("implementation", 2)
        super().__init__(**kwargs)
        self._set_up(arguments, implementation)

    def _bias_shape(self) -> tuple:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _biases(self):
        """Biases of the inputs and of the state."""
        if self.bias is None or not self.reset_after:
            return self.bias, None
        return self.bias[0], self.bias[1]

    def call(self, inputs, states, training=False):
        state = states[0] if tree.is_nested(states) else states
        bias, recurrent_bias = self._biases()
        x = self._sums(self._dropped(inputs, 3, training), self.kernel, bias)
        dropped = self._dropped(state, 3, training, recurrent=True)
        if self.reset_after:
            h = self._sums(dropped, self.recurrent_kernel, recurrent_bias)
        else:
            h = [ops.matmul(dropped[gate], self._columns(self.recurrent_kernel, gate)) for gate in (0, 1)]
        z, r = (self.recurrent_activation(x[gate] + h[gate]) for gate in (0, 1))
        inner = r * h[2] if self.reset_after else ops.matmul(r * dropped[2], self._columns(self.recurrent_kernel, 2))
        new = z * state + (1 - z) * self.activation(x[2] + inner)
        return new, [new] if tree.is_nested(states) else new
