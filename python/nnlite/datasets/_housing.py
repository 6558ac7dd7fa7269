"""Tables of house prices: shuffle and split."""

from __future__ import annotations

import numpy as np


def split(x: np.ndarray, y: np.ndarray, test_split: float, seed: int):
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split must be at least 0 and below 1; received {test_split}.")
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    x, y = x[order], y[order]
    border = int(len(x) * (1 - test_split))
    return (x[:border], y[:border]), (x[border:], y[border:])
