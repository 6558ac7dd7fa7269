"""Cases of normalizations."""

import numpy as np

from .case import Case, floats

_SHAPES = ((6, 3), (2, 4, 4, 5), (8, 17), (3, 5, 64), (2, 1), (40, 33))
_LOOSE = {"tolerance": 128, "scale": None}


def _cases():
    for shape in _SHAPES:
        c = shape[-1]
        x, dy, gamma, beta = floats(*shape) + 0.5, floats(*shape, seed=1), floats(c, seed=2), floats(c, seed=3)
        axes = tuple(range(len(shape) - 1))
        mean, variance = x.mean(axes), x.var(axes)
        second = x.size < 200
        yield Case("batch_norm", (x, gamma, beta), {"epsilon": 1e-3}, second=second, **_LOOSE)
        yield Case("batch_norm_grad", (x, dy, gamma, mean, variance), {"epsilon": 1e-3}, second=False, gradient=second, **_LOOSE)
        rows, rstd = x.mean(-1), 1 / np.sqrt(x.var(-1) + 1e-3)
        yield Case("layer_norm", (x, gamma, beta), {"epsilon": 1e-3}, second=second and c > 1, **_LOOSE)
        # One channel: dx is 0, the rest of terms about as large as rstd.
        size = None if c > 1 else float(np.abs(rstd).max())
        yield Case("layer_norm_grad", (x, dy, gamma, rows, rstd), {}, tolerance=128, scale=size, second=False, gradient=second)
        for unit in (False, True):
            given = {"epsilon": 1e-3, "unit": unit}
            norm = np.square(x).sum(-1) if unit else np.square(x).mean(-1) + 1e-3
            yield Case("rms_norm", (x, gamma), given, second=second, **_LOOSE)
            size = None if c > 1 else float(np.abs(norm).min() ** -0.5)
            yield Case("rms_norm_grad", (x, dy, gamma, 1 / np.sqrt(norm)), given, tolerance=128, scale=size, second=False, gradient=second)
    yield Case("rms_norm", (floats(3, 5) * 1e-3, floats(5, seed=1)), {"epsilon": 1e-3, "unit": True}, second=False, **_LOOSE)
    for shape, groups in (((2, 6), 3), ((2, 3, 4), 2), ((3, 4, 5, 6), 1), ((2, 9, 8), 8), ((2, 5, 5, 40), 5)):
        x, dy, gamma, beta = floats(*shape) + 0.5, floats(*shape, seed=1), floats(shape[-1], seed=2), floats(shape[-1], seed=3)
        cut = x.reshape(shape[0], -1, groups, shape[-1] // groups)
        mean, rstd = cut.mean((1, 3)), 1 / np.sqrt(cut.var((1, 3)) + 1e-3)
        second = x.size < 100
        yield Case("group_norm", (x, gamma, beta), {"groups": groups, "epsilon": 1e-3}, second=second, **_LOOSE)
        yield Case("group_norm_grad", (x, dy, gamma, mean, rstd), {"groups": groups}, second=False, gradient=second, **_LOOSE)
    yield Case("layer_norm", (floats(7), floats(7, seed=1), floats(7, seed=2)), {"epsilon": 1e-5}, **_LOOSE)
    yield Case("batch_norm", (np.full((4, 3), 2.0), floats(3), floats(3, seed=1)), {"epsilon": 1e-3}, gradient=False, tolerance=128, scale=1.0)


CASES = list(_cases())
