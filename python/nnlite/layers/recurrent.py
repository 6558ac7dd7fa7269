"""RNN: any cell over the steps of a sequence; StackedRNNCells: several cells as one."""

from __future__ import annotations

from nnlite import ops, tree
from nnlite.graph.apply import state as graph_state
from nnlite.graph.control import BodyTrace
from nnlite.layers._recurrent_settings import RecurrentDropout
from nnlite.layers.layer import Layer
from nnlite.variable import Variable


def as_list(states) -> list:
    """States of a cell as a list, also where there is just one."""
    return list(states) if isinstance(states, (list, tuple)) else [states]


def call_cell(cell, inputs, states, training):
    """Output and new states of one step."""
    keywords = {"training": training} if isinstance(cell, Layer) and cell._takes_training else {}
    output, states = (cell if callable(cell) else cell.call)(inputs, states, **keywords)
    return output, states


def check_cell(cell, what: str) -> None:
    """Cells have `call` and `state_size`."""
    for attribute, meaning in (("call", "method"), ("state_size", "attribute (an integer, or a list of one integer per state)")):
        if not hasattr(cell, attribute):
            raise ValueError(f"{what} should have a `{attribute}` {meaning}. Received: cell={cell}")


def zero_states(cell, batch_size, dtype):
    """The first states of a cell."""
    if getattr(cell, "get_initial_state", None) is not None:
        return cell.get_initial_state(batch_size=batch_size)
    if isinstance(cell.state_size, int):
        return ops.zeros((batch_size, cell.state_size), dtype=dtype)
    return [ops.zeros((batch_size, size), dtype=dtype) for size in cell.state_size]


def output_size_of(cell) -> int:
    """Size of a cell's output: by default that of its first state."""
    size = getattr(cell, "output_size", None)
    if size is None:
        size = cell.state_size[0] if isinstance(cell.state_size, (list, tuple)) else cell.state_size
    return size


class StackedRNNCells(Layer):
    """Several cells as one: the output of each is the input of the next.

    Args:
        cells: The cells.

    >>> import nnlite
    >>> cells = nnlite.layers.StackedRNNCells([nnlite.layers.LSTMCell(4), nnlite.layers.GRUCell(3)])
    >>> cells.state_size, cells.output_size
    ([[4, 4], 3], 3)
    """

    def __init__(self, cells, **kwargs):
        super().__init__(**kwargs)
        for cell in cells:
            check_cell(cell, "All cells")
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        return [tree.map_structure(lambda size: size, cell.state_size) for cell in self.cells]

    @property
    def output_size(self) -> int:
        return output_size_of(self.cells[-1])

    def build(self, input_shape):
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], output_size_of(cell))

    def get_initial_state(self, batch_size=None) -> list:
        """The first states of each cell."""
        return [zero_states(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def call(self, inputs, states, training=False):
        new_states = []
        for cell, own in zip(self.cells, states):
            inputs, new = call_cell(cell, inputs, as_list(own), training)
            new = as_list(new)
            new_states.append(new[0] if len(new) == 1 and not isinstance(own, (list, tuple)) else new)
        return inputs, new_states[0] if len(new_states) == 1 else new_states

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        return {**super().get_config(), "cells": [serialize_keras_object(cell) for cell in self.cells]}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        return cls([deserialize_keras_object(cell, custom_objects) for cell in config.pop("cells")], **config)


class RNN(Layer):
    """A cell over all steps of sequences.

    A cell is an object, usually a layer, with `call(inputs, states) -> (output, new states)` and `state_size`; `output_size` and
    `get_initial_state(batch_size)` where the defaults do not fit.

    Args:
        cell: The cell, or a list of cells, one after the other.
        return_sequences: Whether to return the outputs of all steps; else only the last one.
        return_state: Whether to return the last states, too.
        go_backwards: Whether to start with the last step; outputs then come in that order.
        stateful: Whether a batch starts with the last states of the one before.
        unroll: Whether a compiled model repeats the cell's operations for each step, instead of a loop over them.
        zero_output_for_mask: Whether the output of masked steps is zero, and not that of the step before.

    Input: sequences [batch, steps, ...], `initial_state` (a list of states), `mask` [batch, steps]: steps where it is False keep the states.
    Output: [batch, steps, units] or [batch, units], then the states.

    >>> import nnlite, numpy as np
    >>> layer = nnlite.layers.RNN([nnlite.layers.LSTMCell(4), nnlite.layers.GRUCell(3)], return_sequences=True)
    >>> layer(np.ones((2, 5, 6))).shape
    (2, 5, 3)
    """

    _creates_masks = False  # only passes on the mask of its input

    def __init__(
        self,
        cell,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        stateful=False,
        unroll=False,
        zero_output_for_mask=False,
        **kwargs,
    ):
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        check_cell(cell, "Argument `cell`")
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.__dict__["states"] = None

    @property
    def state_size(self) -> list:
        return as_list(self.cell.state_size)

    @property
    def single_state(self) -> bool:
        return isinstance(self.cell.state_size, int)

    # Building

    def build(self, sequences_shape, initial_state_shape=None):
        if isinstance(self.cell, Layer) and not self.cell.built:
            self._build_cell(sequences_shape)
        if not self.stateful:
            return
        if self.states is not None:
            return self.reset_state()
        if sequences_shape[0] is None:
            raise ValueError(
                "When using `stateful=True` in a RNN, the batch size must be static. Found dynamic batch size: "
                f"sequence.shape={tuple(sequences_shape)}. Give it with Input(batch_shape=...)."
            )

        def variable(value):
            return Variable(value, trainable=False, dtype=self.variable_dtype, name="rnn_state")

        # Not tracked: states belong to the data at hand, files of weights do not hold them.
        self.__dict__["states"] = tree.map_structure(variable, self.get_initial_state(sequences_shape[0]))

    def _build_cell(self, sequences_shape) -> None:
        features = tuple(sequences_shape[2:])
        if type(self.cell).build is not Layer.build:
            return self.cell.build((sequences_shape[0], *features))
        # Layers inside a cell without a `build` of its own build themselves in a step, which needs a state besides the input.
        with _NewLosses(self):
            self.cell(ops.zeros((1, *features), dtype=self.compute_dtype), self.get_initial_state(1))

    def get_initial_state(self, batch_size) -> list:
        """Zeros, or what the cell gives."""
        return as_list(zero_states(self.cell, batch_size, self.compute_dtype))

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        for variable in tree.flatten(self.states) if self.states is not None else []:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))

    reset_states = reset_state

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        batch, steps, *_ = sequences_shape
        size = (output_size_of(self.cell),)
        output = (batch, steps, *size) if self.return_sequences else (batch, *size)
        if not self.return_state:
            return output
        return (output, *[[(batch, s) for s in size] if isinstance(size, (list, tuple)) else (batch, size) for size in self.state_size])

    def compute_mask(self, sequences, mask):
        mask = _single_mask(mask)
        output_mask = mask if self.return_sequences else None
        return [output_mask, *[None for _ in self.state_size]] if self.return_state else output_mask

    # Calling

    def call(self, sequences, initial_state=None, mask=None, training=False):
        states = self._first_states(sequences, initial_state)
        mask = self._checked_mask(mask, sequences)
        started = initial_state is not None or self.stateful
        try:
            outputs, last, states = self._run(sequences, states, mask, training, started)
        finally:
            _reset_masks(self.cell)
        if self.stateful:
            for variable, state in zip(tree.flatten(self.states), tree.flatten(states)):
                variable.assign(ops.stop_gradient(state))
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _first_states(self, sequences, initial_state) -> list:
        batch = sequences.shape[0]
        if self.stateful:
            expected = tree.flatten(self.states)[0].shape[0]
            if batch != expected:
                raise ValueError(
                    "If an RNN is stateful, the batch size of the input sequences must be the same as the batch size of the initial state. \n"
                    f"- Expected batch size: {expected}\n- Received batch size: {batch}"
                )
        if initial_state is None:
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
        states = as_list(initial_state)
        if len(states) != len(self.state_size):
            raise ValueError(
                f"Layer {self.name!r} has {len(self.state_size)} states of sizes {self.state_size}; received an initial_state of {len(states)}. "
                "Pass one tensor [batch, size] for each."
            )
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda state: ops.convert_to_tensor(state, dtype=dtype), states)

    def _checked_mask(self, mask, sequences):
        mask = _single_mask(mask)
        if mask is None:
            return None
        mask = ops.cast(mask, "bool")
        if tuple(mask.shape) == (*sequences.shape[:2], 1):
            mask = ops.reshape(mask, sequences.shape[:2])
        if tuple(mask.shape) != tuple(sequences.shape[:2]):
            raise ValueError(
                f"The mask of layer {self.name!r} must have one value for each step, shape {tuple(sequences.shape[:2])}; received shape "
                f"{tuple(mask.shape)}."
            )
        return mask

    def _run(self, sequences, states, mask, training, started: bool):
        """All outputs in the order of processing (None if they are not returned), the last output, and the last states."""
        steps = sequences.shape[1]
        if steps < 1:
            raise ValueError(f"Layer {self.name!r} needs sequences of at least one step; received inputs of shape {tuple(sequences.shape)}.")
        if graph_state.trace is not None and not self.unroll and steps > 1:
            return self._run_loop(sequences, states, mask, training)
        outputs, previous = [], None
        for t in reversed(range(steps)) if self.go_backwards else range(steps):
            blank = previous is None or self.zero_output_for_mask
            counts = None if mask is None else mask[:, t]
            previous, states = self._step(sequences[:, t], states, counts, None if blank else previous, training)
            outputs.append(previous)
        return self._stacked(outputs) if self.return_sequences else None, previous, states

    def _step(self, x, states, counts, previous, training):
        """Output and states after a step. Rows where `counts` is False keep the states, and the previous output (None: zeros)."""
        output, new_states = call_cell(self.cell, x, states, training)
        new_states = as_list(new_states)
        if counts is not None:
            held = tree.map_structure(ops.zeros_like, output) if previous is None else previous
            output = tree.map_structure(lambda new, old: _where(counts, new, old), output, held)
            new_states = tree.map_structure(lambda new, old: _where(counts, new, old), new_states, states)
        return output, new_states

    def _run_loop(self, sequences, states, mask, training):
        """`_run` in a compiled function: a loop of its plan."""
        holds = mask is not None and not self.zero_output_for_mask
        previous = self._blank_output(sequences, states, training) if holds else None
        same = []  # the number of the state that is the output, if one is: then the last output needs no buffer of all outputs
        added = _NewLosses(self)

        def step(carry, row):
            states, previous = carry
            with added:
                output, new_states = self._step(row[0], states, row[1], previous, training)
            same[:] = [k for k, state in enumerate(tree.flatten(new_states)) if state is output]
            new_states = tree.map_structure(lambda new, old: ops.cast(new, old.dtype), new_states, states)
            needed = self.return_sequences or not (holds or same)
            return (new_states, output if holds else None), (output if needed else None, added.losses)

        rows = (_steps_first(sequences), None if mask is None else _steps_first(mask))
        (states, last), (outputs, losses) = ops.scan(step, (states, previous), rows, reverse=self.go_backwards)
        for layer, of_steps in zip(added.layers, losses):
            layer.add_loss(ops.sum(of_steps, axis=0))
        if not holds:
            last = tree.flatten(states)[same[0]] if same else tree.map_structure(lambda y: y[0 if self.go_backwards else -1], outputs)
        if not self.return_sequences:
            return None, last, states
        if self.go_backwards:
            outputs = tree.map_structure(lambda y: ops.flip(y, axis=0), outputs)
        return tree.map_structure(_steps_first, outputs), last, states

    def _blank_output(self, sequences, states, training):
        """Zeros of the shape of an output: the cell is traced for it, and nothing of that is kept."""
        with BodyTrace(), _NewLosses(self):
            output, _ = call_cell(self.cell, sequences[:, 0], states, training)
        return tree.map_structure(lambda y: ops.zeros(y.shape, dtype=y.dtype), output)

    def _stacked(self, outputs):
        return tree.map_structure(lambda *steps: ops.stack(steps, axis=1), *outputs)

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        return {**super().get_config(), **self._own_config(), "cell": serialize_keras_object(self.cell)}

    def _own_config(self) -> dict:
        names = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        return cls(deserialize_keras_object(config.pop("cell"), custom_objects), **config)


class _NewLosses:
    """A context that takes away the losses that a layer, and layers in it, add meanwhile: those of a traced step are not those of all steps.

    Attributes:
        losses, layers: What was added last time, and by which layer.
    """

    def __init__(self, layer: Layer):
        self.layer = layer
        self.losses: list = []
        self.layers: list[Layer] = []

    def __enter__(self) -> None:
        self._before = {id(layer): len(layer._losses) for layer in self.layer._flatten_layers()}

    def __exit__(self, *exc) -> None:
        self.losses, self.layers = [], []
        for layer in self.layer._flatten_layers():
            first = self._before.get(id(layer), 0)
            self.losses += layer._losses[first:]
            self.layers += [layer] * (len(layer._losses) - first)
            del layer._losses[first:]


def _steps_first(x):
    """[batch, steps, ...] as [steps, batch, ...], and back."""
    return ops.swapaxes(x, 0, 1)


def _where(counts, new, old):
    """`new` in rows that count, `old` in others."""
    return ops.where(ops.reshape(counts, (-1,) + (1,) * (len(new.shape) - 1)), new, old)


def _single_mask(mask):
    """All inputs share one mask, [batch, steps]."""
    return next((m for m in tree.flatten(mask) if m is not None), None) if isinstance(mask, (list, tuple, dict)) else mask


def _reset_masks(cell) -> None:
    """The next sequence draws its own dropout masks."""
    if isinstance(cell, RecurrentDropout):
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()
    for inner in getattr(cell, "cells", ()):
        _reset_masks(inner)
