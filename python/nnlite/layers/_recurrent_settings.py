"""What SimpleRNN, LSTM, GRU and their cells have in common: arguments, weights, configs, dropout masks."""

from __future__ import annotations

from nnlite import activations, constraints, initializers, ops, random, regularizers
from nnlite.graph.apply import state as graph_state
from nnlite.graph.control import outside_loops

# Arguments of a cell by how they are read and written.
_KINDS = {
    "activation": activations,
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
}


def take(layer, arguments: dict) -> None:
    """Sets attributes from the arguments of __init__: names of activations, initializers and so on become objects."""
    for name, value in arguments.items():
        kind = _KINDS.get(name.rsplit("_", 1)[-1])
        setattr(layer, name, value if kind is None else kind.get(value))


def config_of(layer, names) -> dict:
    """The config of these attributes."""
    config = {}
    for name in names:
        kind = _KINDS.get(name.rsplit("_", 1)[-1])
        value = getattr(layer, name)
        config[name] = value if kind is None else kind.serialize(value)
    return config


def rate(value) -> float:
    """A dropout rate, limited to [0, 1]."""
    return min(1.0, max(0.0, value))


class RecurrentWeights:
    """Makes kernel, recurrent_kernel and bias of a cell."""

    def _add_recurrent_weights(self, kernel_shape, recurrent_shape, bias_shape, bias_initializer=None) -> None:
        shapes = {"kernel": kernel_shape, "recurrent_kernel": recurrent_shape, "bias": bias_shape if self.use_bias else None}
        for name, shape in shapes.items():
            short = name.removesuffix("_kernel")
            weight = None
            if shape is not None:
                weight = self.add_weight(
                    name=name,
                    shape=shape,
                    initializer=bias_initializer if name == "bias" and bias_initializer else getattr(self, f"{short}_initializer"),
                    regularizer=getattr(self, f"{short}_regularizer"),
                    constraint=getattr(self, f"{short}_constraint"),
                )
            setattr(self, name, weight)

    def _forget_bias(self, units: int):
        """An initializer of biases [i, f, c, o] with ones for f."""
        if not self.unit_forget_bias:
            return None

        def initialize(shape, dtype=None):
            first, last = self.bias_initializer((units,), dtype=dtype), self.bias_initializer((2 * units,), dtype=dtype)
            return ops.concatenate([ops.convert_to_tensor(first), ops.ones((units,), dtype=dtype), ops.convert_to_tensor(last)])

        return initialize


class RecurrentDropout:
    """Dropout masks of a cell: drawn once for a sequence and used at each of its steps, until they are reset.

    A cell has `dropout`, `recurrent_dropout`, `seed_generator`, and `dropout_mask_count`: how many masks it draws (None: one, not in a list).
    """

    dropout_mask_count = None

    def get_dropout_mask(self, step_input):
        """The mask of the inputs of a step, or None without dropout."""
        return self._drawn("_dropout_mask", step_input, self.dropout)

    def get_recurrent_dropout_mask(self, step_input):
        """The mask of the state, or None without recurrent dropout."""
        return self._drawn("_recurrent_dropout_mask", step_input, self.recurrent_dropout)

    def reset_dropout_mask(self) -> None:
        """The next step draws a new mask."""
        self.__dict__["_dropout_mask"] = None

    def reset_recurrent_dropout_mask(self) -> None:
        """The next step draws a new mask."""
        self.__dict__["_recurrent_dropout_mask"] = None

    def _drawn(self, name: str, step_input, dropout: float):
        if dropout <= 0:
            return None
        with outside_loops():  # one mask for all steps
            kept = self.__dict__.get(name)
            if kept is None or kept[0] is not graph_state.trace:  # masks of another trace mean nothing here
                ones = ops.ones(step_input.shape, dtype=step_input.dtype)
                count = self.dropout_mask_count
                masks = [random.dropout(ones, rate=dropout, seed=self.seed_generator) for _ in range(count or 1)]
                kept = self.__dict__[name] = (graph_state.trace, masks if count else masks[0])
        return kept[1]

    def _dropped(self, inputs, count: int, training, recurrent: bool = False) -> list:
        """`inputs` times each of the masks of `count` gates; the inputs themselves when nothing is dropped."""
        dropout = self.recurrent_dropout if recurrent else self.dropout
        if not training or not 0.0 < dropout < 1.0:
            return [inputs] * count
        masks = self.get_recurrent_dropout_mask(inputs) if recurrent else self.get_dropout_mask(inputs)
        if self.dropout_mask_count is None:
            return [inputs * masks] * count
        return [inputs * mask for mask in masks]


def of_cell(*names):
    """A class decorator: attributes that are those of the layer's cell."""

    def decorate(cls):
        for name in names:
            setattr(cls, name, property(lambda self, name=name: getattr(self.cell, name), doc=f"`{name}` of the cell."))
        return cls

    return decorate
