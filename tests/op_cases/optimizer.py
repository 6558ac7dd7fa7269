"""Cases of optimizer updates and the global norm."""

import numpy as np

from .case import Case, floats

_GROUPS = (((3, 4),), ((5,), ()), ((17, 3), (40,), (1, 1)), ((0, 3), (2,)), ((1030,), (7, 5)))
_RATE = np.array(0.1)


def _tensors(shapes, groups: int):
    """Groups of tensors: params, grads, slots; the last slot (second moments) is positive."""
    tensors = [floats(*shape, seed=10 * g + i) for g in range(groups) for i, shape in enumerate(shapes)]
    n = len(shapes)
    return tensors[:-n] + [np.abs(t) for t in tensors[-n:]]


def _cases():
    for shapes in _GROUPS:
        n = len(shapes)
        for decay in (0.0, 0.01):
            exact = {"gradient": False, "tolerance": 16, "scale": 1.0}
            yield Case("sgd_update", (_RATE, *_tensors(shapes, 2)), {"n": n, "weight_decay": decay}, **exact)
            for nesterov in (False, True):
                given = {"n": n, "momentum": 0.9, "nesterov": nesterov, "weight_decay": decay}
                yield Case("momentum_update", (_RATE, *_tensors(shapes, 3)), given, **exact)
            yield Case("rmsprop_update", (_RATE, *_tensors(shapes, 3)), {"n": n, "rho": 0.9, "epsilon": 1e-7, "weight_decay": decay}, **exact)
            for step in (1, 7, 2000):
                given = {"n": n, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "weight_decay": decay}
                loose = {"gradient": False, "tolerance": 64, "scale": 1.0}
                yield Case("adam_update", (_RATE, np.array(step, "int64"), *_tensors(shapes, 4)), given, **loose)
        yield Case("global_norm", tuple(_tensors(shapes, 1)), tolerance=32)
    yield Case("global_norm", (np.zeros(3),), gradient=False)


CASES = list(_cases())
