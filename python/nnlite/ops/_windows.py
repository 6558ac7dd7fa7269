"""Sizes of strided windows: what convolutions and poolings share."""

from __future__ import annotations

import numpy as np


def output_size(size: int, window: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Number of positions of a dilated window on a padded axis."""
    reach = (window - 1) * dilation + 1
    return max((size + before + after - reach) // stride + 1, 0)


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """(before, after) so that ceil(size / stride) positions fit; the odd cell goes after."""
    reach = (window - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def output_hw(shape, window, strides, padding, dilation=(1, 1)) -> tuple[int, int]:
    """Height and width of the output for an NHWC input shape and padding (top, bottom, left, right)."""
    return (
        output_size(shape[1], window[0], strides[0], padding[0], padding[1], dilation[0]),
        output_size(shape[2], window[1], strides[1], padding[2], padding[3], dilation[1]),
    )


def padded(x: np.ndarray, padding, value=0) -> np.ndarray:
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=value)


def cells(window):
    """The cells of a window in row-major order."""
    return [(i, j) for i in range(window[0]) for j in range(window[1])]


def cell_view(x: np.ndarray, cell, out_hw, strides, dilation=(1, 1)) -> np.ndarray:
    """What window cell (i, j) sees at every output position, as a view of the padded NHWC array."""
    (i, j), (oh, ow), (sh, sw), (dh, dw) = cell, out_hw, strides, dilation
    top, left = i * dh, j * dw
    return x[:, top : top + (oh - 1) * sh + 1 : sh, left : left + (ow - 1) * sw + 1 : sw] if oh and ow else x[:, :0, :0]


def unpadded(x: np.ndarray, padding) -> np.ndarray:
    top, bottom, left, right = padding
    return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
