"""Cases of recurrent primitives and their gradients."""

import nnlite.ops.recurrent  # noqa: F401  declares the primitives: the module is loaded only when asked for
import numpy as np
from nnlite.ops import _recurrent_formulas as formulas

from .case import Case, floats

# (batch, steps, units), reverse, mask, activation, recurrent activation
_FORMS = [
    ((3, 4, 5), 0, 0, "tanh", "sigmoid"),
    ((1, 1, 1), 0, 0, "tanh", "sigmoid"),
    ((2, 3, 17), 1, 0, "tanh", "sigmoid"),
    ((5, 3, 3), 0, 1, "tanh", "sigmoid"),
    ((2, 4, 2), 1, 1, "sigmoid", "tanh"),
    ((2, 3, 4), 0, 0, "linear", "sigmoid"),
    ((2, 3, 4), 0, 1, "tanh", "linear"),
    ((19, 2, 34), 1, 1, "tanh", "sigmoid"),
    ((2, 0, 3), 0, 0, "tanh", "sigmoid"),
    ((0, 2, 3), 0, 0, "tanh", "sigmoid"),
]
_KINKED = [((3, 3, 6), 0, 1, "relu", "hard_sigmoid"), ((3, 3, 6), 1, 0, "hard_sigmoid", "relu")]


def _mask(batch: int, steps: int) -> np.ndarray:
    """Sequences of every length, one of them empty, and a gap."""
    mask = np.arange(steps) < (np.arange(batch)[:, None] % (steps + 1))
    mask[batch // 2, :: 2] = True
    return mask


def _small(*shape, seed: int):
    return floats(*shape, seed=seed, low=-0.8, high=0.8)


def _cases():
    for forms, smooth in ((_FORMS, True), (_KINKED, False)):
        for (batch, steps, units), reverse, masked, activation, recurrent in forms:
            mask = (_mask(batch, steps),) if masked else ()
            common = {"reverse": reverse, "mask": masked}
            exact = {"tolerance": 64, "scale": None, "gradient": smooth, "second": smooth and units < 10}
            h, c = _small(batch, units, seed=1), _small(batch, units, seed=2)
            dh, dc, dstates = _small(batch, units, seed=3), _small(batch, units, seed=4), _small(batch, steps, units, seed=5)

            def inputs(gates):
                return _small(batch, steps, gates * units, seed=6), _small(units, gates * units, seed=7)

            attributes = {"activation": activation, **common}
            x, u = inputs(1)
            yield Case("simple_rnn", (x, u, h, *mask), attributes, **exact)
            states, _ = formulas.simple_rnn(formulas.NUMPY, x, u, h, *mask, **attributes)
            attributes, both = {**attributes, "recurrent_activation": recurrent}, {**exact, "second": False}
            for sequence, extras in ((1, (dstates, *mask)), (0, mask)):
                simple = {key: value for key, value in attributes.items() if key != "recurrent_activation"}
                yield Case("simple_rnn_grad", (states, u, dh, *extras), {**simple, "sequence": sequence}, **both)
            x, u = inputs(4)
            yield Case("lstm", (x, u, h, c, *mask), attributes, **exact)
            _, gates, cells, _, _ = formulas.lstm(formulas.NUMPY, x, u, h, c, *mask, **attributes)
            for sequence, extras in ((1, (dstates, *mask)), (0, mask)):
                yield Case("lstm_grad", (gates, cells, u, c, dh, dc, *extras), {**attributes, "sequence": sequence}, **both)
            x, u = inputs(3)
            for after in (0, 1):
                settings, bias = {**attributes, "reset_after": after}, (_small(3 * units, seed=8),) * after
                yield Case("gru", (x, u, h, *bias, *mask), settings, **exact)
                states, gates, kept, _ = formulas.gru(formulas.NUMPY, x, u, h, *bias, *mask, **settings)
                for sequence, extras in ((1, (dstates, *mask)), (0, mask)):
                    yield Case("gru_grad", (gates, kept, states, u, h, dh, *extras), {**settings, "sequence": sequence}, **both)


CASES = list(_cases())
