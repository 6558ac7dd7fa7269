"""Bidirectional: a recurrent layer in both directions."""

from __future__ import annotations

import copy

from nnlite import ops
from nnlite.layers.layer import Layer
from nnlite.layers.recurrent import _single_mask

_MODES = ("sum", "mul", "ave", "concat", None)


class Bidirectional(Layer):
    """Runs a recurrent layer forwards and a second one backwards, and merges their outputs.

    Args:
        layer: The recurrent layer; a copy of it runs forwards.
        merge_mode: "concat", "sum", "ave", "mul", or None to return both outputs.
        weights: First values of all weights, those of the forward layer first.
        backward_layer: The layer that runs backwards (`go_backwards=True`); by default one like `layer`.

    Input: as that of `layer`; `initial_state` holds the states of the forward layer, then those of the backward layer.
    Output: the merged outputs, with return_state followed by the states of both.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Bidirectional(nnlite.layers.LSTM(4, return_sequences=True))(np.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    _creates_masks = False

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **kwargs):
        if not isinstance(layer, Layer):
            raise ValueError(f"Please initialize `Bidirectional` layer with a recurrent layer, an instance of `nnlite.Layer`. Received: {layer}")
        if backward_layer is not None and not isinstance(backward_layer, Layer):
            raise ValueError(f"`backward_layer` need to be a recurrent layer, an instance of `nnlite.Layer`. Received: {backward_layer}")
        if merge_mode not in _MODES:
            raise ValueError(f"Invalid merge mode. Received: {merge_mode}. Merge mode should be one of {', '.join(map(repr, _MODES))}")
        super().__init__(**kwargs)
        self.forward_layer = _copied(layer, "forward")
        self.backward_layer = _copied(layer, "backward") if backward_layer is None else backward_layer
        self._check_directions()
        for inner in (self.forward_layer, self.backward_layer):
            if getattr(inner, "zero_output_for_mask", None) is not None:
                inner.zero_output_for_mask = inner.return_sequences
        self.merge_mode = merge_mode
        self.__dict__["_first_weights"] = weights
        self.stateful, self.return_sequences, self.return_state = layer.stateful, layer.return_sequences, layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_directions(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. Received: "
                f"forward_layer.go_backwards {forward.go_backwards}, backward_layer.go_backwards={backward.go_backwards}"
            )
        for name in ("stateful", "return_sequences", "return_state"):
            ours, theirs = getattr(forward, name), getattr(backward, name)
            if ours != theirs:
                raise ValueError(
                    f'Forward layer and backward layer are expected to have the same value for attribute "{name}", got "{ours}" for forward layer '
                    f'and "{theirs}" for backward layer'
                )

    def build(self, sequences_shape, initial_state_shape=None):
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
        if self._first_weights is not None:
            half = len(self._first_weights) // 2
            self.forward_layer.set_weights(self._first_weights[:half])
            self.backward_layer.set_weights(self._first_weights[half:])

    def compute_output_shape(self, sequences_shape, initial_state_shape=None):
        output, states = self.forward_layer.compute_output_shape(sequences_shape), ()
        if self.return_state:
            output, *states = output
        if self.merge_mode == "concat":
            output = (*output[:-1], output[-1] * 2)
        outputs = (output, output) if self.merge_mode is None else (output,)
        return (*outputs, *states, *states) if self.return_state or self.merge_mode is None else output

    def compute_mask(self, sequences, mask):
        mask = _single_mask(mask) if self.return_sequences else None
        outputs = (mask, mask) if self.merge_mode is None else (mask,)
        if self.return_state:
            return (*outputs, *[None] * (2 * len(self.forward_layer.state_size)))
        return outputs if self.merge_mode is None else mask

    def call(self, sequences, initial_state=None, mask=None, training=None):
        half = 0 if initial_state is None else len(initial_state) // 2
        states = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
        y, *forward_states = self._directed(self.forward_layer, sequences, states[0], mask, training)
        y_back, *backward_states = self._directed(self.backward_layer, sequences, states[1], mask, training)
        if self.return_sequences:
            y_back = ops.flip(y_back, axis=1)
        outputs = (y, y_back) if self.merge_mode is None else (self._merged(y, y_back),)
        if self.return_state:
            return (*outputs, *forward_states, *backward_states)
        return outputs if self.merge_mode is None else outputs[0]

    def _directed(self, layer, sequences, states, mask, training) -> tuple:
        keywords = {} if states is None else {"initial_state": states}
        if layer._signature.takes_mask:
            keywords["mask"] = mask
        result = layer(sequences, training=training, **keywords)
        return result if self.return_state else (result,)

    def _merged(self, y, y_back):
        if self.merge_mode == "concat":
            return ops.concatenate([y, y_back], axis=-1)
        if self.merge_mode == "mul":
            return y * y_back
        return y + y_back if self.merge_mode == "sum" else (y + y_back) * 0.5

    @property
    def states(self):
        """The states of both layers, when they are stateful and built."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def reset_state(self) -> None:
        """Sets the states of a stateful layer to zero."""
        if not self.stateful:
            raise AttributeError(f"Layer must be stateful. Layer {self.name!r} keeps no states: make its layer with stateful=True.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        layers = {"layer": self.forward_layer, "backward_layer": self.backward_layer}
        return {**super().get_config(), "merge_mode": self.merge_mode, **{name: serialize_keras_object(layer) for name, layer in layers.items()}}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        for name in ("layer", "backward_layer"):
            if config.get(name) is not None:
                config[name] = deserialize_keras_object(config[name], custom_objects)
        return cls(**config)


def _copied(layer, direction: str):
    """A layer with the same settings, named after its direction."""
    from nnlite.saving import deserialize_keras_object, serialize_keras_object

    config = copy.deepcopy(serialize_keras_object(layer))
    config.pop("build_config", None)
    config["config"]["name"] = f"{direction}_{layer.name.removeprefix(direction + '_')}"
    if direction == "backward":
        config["config"]["go_backwards"] = True
    return deserialize_keras_object(config)
