"""Cases of recurrent layers, shared by the script that asks Keras and by the tests: made in either library, with the same weights and inputs."""

from __future__ import annotations

import zlib

import numpy as np


class Case:
    """One call of a layer.

    Attributes:
        name: Unique; seeds the inputs and weights.
        make: `(layers module, keywords) -> layer`; the keywords are dtype.
        shape: Shape of the sequences.
        masked: Whether a mask [batch, steps] is given: sequences of every length, an empty one, and a gap.
        states: Shapes of the initial states, or None.
        calls: How often the layer is called, one call after the other.
    """

    def __init__(self, name, make, shape=(4, 5, 3), *, masked=False, states=None, calls=1):
        self.name, self.make_layer, self.shape, self.masked, self.states, self.calls = name, make, shape, masked, states, calls

    def _rng(self, what: str):
        return np.random.default_rng(zlib.crc32(f"{self.name}/{what}".encode()))

    def arrays(self) -> list[np.ndarray]:
        """The sequences, then the initial states."""
        rng = self._rng("inputs")
        return [rng.normal(size=shape) for shape in (self.shape, *(self.states or ()))]

    def mask(self):
        batch, steps = self.shape[:2]
        mask = np.arange(steps) < (2 + np.arange(batch)[:, None]) % (steps + 1)
        mask[-1] = False
        mask[0, ::2] = True
        return mask

    def weight(self, path: str, shape):
        return self._rng(path.partition("/")[2]).normal(size=tuple(shape)) * 0.4

    def cotangent(self, i: int, shape):
        return self._rng(f"cotangent{i}").normal(size=tuple(shape))

    def make(self, library, dtype: str):
        return self.make_layer(library.layers, {"dtype": dtype})

    def run(self, layer, tensors, flatten):
        """Outputs and states of all calls, in a flat list."""
        keywords = {"mask": self.mask()} if self.masked else {}
        if self.states:
            keywords["initial_state"] = list(tensors[1:])
        return [y for _ in range(self.calls) for y in flatten(layer(tensors[0], **keywords))]


ALL = {"return_sequences": True, "return_state": True}


def _layer(kind, tag="", *, shape=(4, 5, 3), masked=False, states=None, calls=1, units=4, **arguments):
    def make(layers, keywords):
        return getattr(layers, kind)(units, **arguments, **keywords)

    return Case(kind + (f"-{tag}" if tag else ""), make, shape, masked=masked, states=states, calls=calls)


def _each(kind, states, **more):
    """The options that all three layers share."""
    known = [(4, 4)] * states
    yield _layer(kind, **more)
    yield _layer(kind, "all", **ALL, **more)
    yield _layer(kind, "wide", units=19, shape=(3, 4, 18), **ALL, **more)
    yield _layer(kind, "one-step", shape=(2, 1, 3), **ALL, **more)
    yield _layer(kind, "backwards", go_backwards=True, **ALL, **more)
    yield _layer(kind, "no-bias", use_bias=False, **more)
    yield _layer(kind, "mask", masked=True, **ALL, **more)
    yield _layer(kind, "mask-last", masked=True, **more)
    yield _layer(kind, "mask-backwards", masked=True, go_backwards=True, **ALL, **more)
    yield _layer(kind, "mask-zero", masked=True, zero_output_for_mask=True, **ALL, **more)
    yield _layer(kind, "mask-zero-last", masked=True, zero_output_for_mask=True, **more)
    yield _layer(kind, "states", states=known, **ALL, **more)
    yield _layer(kind, "states-mask", states=known, masked=True, **ALL, **more)
    yield _layer(kind, "states-mask-backwards", states=known, masked=True, go_backwards=True, **ALL, **more)
    yield _layer(kind, "stateful", stateful=True, calls=2, **ALL, **more)
    yield _layer(kind, "relu", activation="relu", **ALL, **more)
    yield _layer(kind, "elu", activation="elu", masked=True, **ALL, **more)


def _both(inner, tag="", *, masked=False, states=None, merge_mode="concat", backward=None, **arguments):
    def make(layers, keywords):
        other = None if backward is None else getattr(layers, backward)(4, name="other", go_backwards=True, **arguments, **keywords)
        forward = getattr(layers, inner)(4, name="inner", **arguments, **keywords)
        return layers.Bidirectional(forward, merge_mode=merge_mode, backward_layer=other, **keywords)

    return Case(f"Bidirectional-{inner}" + (f"-{tag}" if tag else ""), make, masked=masked, states=states)


def _stacked(tag="", *, masked=False, **arguments):
    def make(layers, keywords):
        cells = [layers.LSTMCell(3, **keywords), layers.GRUCell(2, reset_after=False, **keywords), layers.SimpleRNNCell(4, **keywords)]
        return layers.RNN(layers.StackedRNNCells(cells, **keywords), **arguments, **keywords)

    return Case("RNN-stack" + (f"-{tag}" if tag else ""), make, masked=masked)


def _conv(rank, tag="", *, shape, masked=False, **arguments):
    def make(layers, keywords):
        return getattr(layers, f"ConvLSTM{rank}D")(2, 3 if rank < 3 else 2, **arguments, **keywords)

    return Case(f"ConvLSTM{rank}D" + (f"-{tag}" if tag else ""), make, shape, masked=masked)


CASES = [
    *_each("SimpleRNN", 1),
    *_each("LSTM", 2),
    *_each("GRU", 1),
    _layer("LSTM", "hard", recurrent_activation="hard_sigmoid", **ALL),
    _layer("LSTM", "no-forget-bias", unit_forget_bias=False, activation="linear", **ALL),
    _layer("GRU", "before", reset_after=False, **ALL),
    _layer("GRU", "before-mask", reset_after=False, masked=True, go_backwards=True, **ALL),
    _layer("GRU", "before-states", reset_after=False, states=[(4, 4)], masked=True, **ALL),
    _layer("GRU", "before-no-bias", reset_after=False, use_bias=False, **ALL),
    _layer("GRU", "silu-before", reset_after=False, recurrent_activation="tanh", activation="silu", **ALL),
    *(_both("LSTM", str(mode), merge_mode=mode, return_sequences=True) for mode in ("concat", "sum", "ave", "mul", None)),
    _both("LSTM"),
    _both("LSTM", "mask", masked=True, return_sequences=True),
    _both("LSTM", "mask-last", masked=True),
    _both("LSTM", "state", return_state=True, return_sequences=True, merge_mode="sum"),
    _both("LSTM", "states", states=[(4, 4)] * 4, return_state=True, merge_mode=None),
    _both("GRU", "mask-state", masked=True, return_state=True, return_sequences=True),
    _both("GRU", "other", backward="LSTM", return_sequences=True),
    _stacked(),
    _stacked("all", masked=True, **ALL),
    _stacked("backwards", go_backwards=True, return_sequences=True),
    Case("RNN-cell", lambda layers, keywords: layers.RNN(layers.LSTMCell(4, **keywords), **ALL, **keywords), masked=True),
    Case("TimeDistributed", lambda layers, keywords: layers.TimeDistributed(layers.Dense(2, activation="tanh", **keywords), **keywords)),
    Case("TimeDistributed-conv", lambda layers, keywords: layers.TimeDistributed(layers.Conv1D(2, 2, **keywords), **keywords), (2, 3, 4, 3)),
    _conv(1, shape=(2, 3, 6, 2), **ALL),
    _conv(2, shape=(2, 3, 5, 6, 2), padding="same", **ALL),
    _conv(2, "mask", shape=(3, 3, 5, 6, 2), masked=True, strides=2, return_sequences=True),
    _conv(2, "dilated", shape=(1, 2, 7, 8, 2), dilation_rate=2, use_bias=False, go_backwards=True),
    _conv(3, shape=(1, 2, 4, 3, 3, 2), return_state=True),
]
