"""Convolutions over three spatial axes against plain loops, their transposes against the adjoint identity, and all gradients by differences."""

from __future__ import annotations

import itertools

import nnlite
import numpy as np
import pytest
from nnlite import ops

RANDOM = np.random.default_rng(0)


def _same_padding(x, window, strides, dilation):
    pads = []
    for size, k, stride, rate in zip(x.shape[1:-1], window, strides, dilation):
        missing = max((-(-size // stride) - 1) * stride + (k - 1) * rate + 1 - size, 0)
        pads.append((missing // 2, missing - missing // 2))
    return np.pad(x, [(0, 0), *pads, (0, 0)])


def _convolution(x, w, strides, padding, dilation):
    """The definition, window cell by window cell."""
    if padding == "same":
        x = _same_padding(x, w.shape[:3], strides, dilation)
    sizes = [(size - (k - 1) * d - 1) // s + 1 for size, k, s, d in zip(x.shape[1:-1], w.shape, strides, dilation)]
    groups, filters = x.shape[-1] // w.shape[3], w.shape[4]
    y = np.zeros((x.shape[0], *sizes, filters))
    for cell in itertools.product(*map(range, w.shape[:3])):
        seen = x[(slice(None), *[slice(c * d, c * d + (n - 1) * s + 1, s) for c, d, n, s in zip(cell, dilation, sizes, strides)])]
        parts = np.split(seen, groups, -1), np.split(w[cell], groups, -1)
        y += np.concatenate([part @ kernel for part, kernel in zip(*parts)], -1)
    return y


_GEOMETRIES = [
    # (depth, height, width), window, strides, dilation, groups
    ((6, 7, 8), (3, 3, 3), (1, 1, 1), (1, 1, 1), 1),
    ((7, 6, 5), (2, 3, 1), (2, 1, 2), (1, 1, 1), 1),
    ((8, 8, 6), (2, 2, 2), (2, 2, 2), (1, 1, 1), 1),
    ((6, 6, 6), (1, 3, 3), (1, 2, 2), (1, 1, 1), 1),
    ((9, 7, 7), (2, 2, 2), (3, 3, 1), (1, 1, 1), 1),
    ((9, 9, 8), (3, 2, 3), (1, 1, 1), (2, 3, 1), 1),
    ((6, 5, 7), (3, 3, 2), (1, 1, 1), (1, 1, 1), 2),
    ((6, 5, 7), (2, 3, 3), (1, 2, 1), (1, 1, 1), 3),
]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("sizes", "window", "strides", "dilation", "groups"), _GEOMETRIES)
def test_convolution_of_volumes(sizes, window, strides, dilation, groups, padding):
    x, w = RANDOM.normal(size=(2, *sizes, 6)), RANDOM.normal(size=(*window, 6 // groups, 6))
    expected = _convolution(x, w, strides, padding, dilation)
    np.testing.assert_allclose(ops.conv(x, w, strides, padding, dilation_rate=dilation), expected, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("sizes", "window", "strides", "dilation", "groups"), [g for g in _GEOMETRIES if g[-1] == 1])
def test_transposed_convolution_is_the_adjoint(sizes, window, strides, dilation, groups, padding):
    z, w = RANDOM.normal(size=(2, *sizes, 4)), RANDOM.normal(size=(*window, 3, 4))
    result = np.asarray(ops.conv_transpose(z, w, strides, padding, dilation_rate=dilation))
    u = RANDOM.normal(size=result.shape)
    seen = _convolution(u, w, strides, padding, dilation)
    assert seen.shape == z.shape
    np.testing.assert_allclose((seen * z).sum(), (u * result).sum(), rtol=1e-10)


_FUNCTIONS = {
    "stride 2": lambda x, w: ops.conv(x, w, 2, "same"),
    "groups": lambda x, w: ops.conv(x, ops.reshape(w, (3, 2, 3, 1, 6)), 1, "valid"),
    "depthwise": lambda x, w: ops.depthwise_conv(x, w, (1, 2, 1), "same"),
    "transposed": lambda x, w: ops.conv_transpose(x, ops.transpose(w, (0, 1, 2, 4, 3)), (2, 1, 2), "same"),
    "transposed, gaps": lambda x, w: ops.conv_transpose(x, ops.transpose(w, (0, 1, 2, 4, 3)), (4, 3, 1), "valid"),
    "transposed, output padding": lambda x, w: ops.conv_transpose(x, ops.transpose(w, (0, 1, 2, 4, 3)), 2, "same", output_padding=1),
}


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_gradients_of_volumes(name):
    x, w = nnlite.Variable(RANDOM.normal(size=(1, 4, 5, 4, 2))), nnlite.Variable(RANDOM.normal(size=(3, 2, 3, 2, 3)))

    def loss():
        return ops.sum(ops.square(_FUNCTIONS[name](x, w)))

    with nnlite.GradientTape() as tape:
        value = loss()
    for variable, gradient in zip((x, w), tape.gradient(value, [x, w])):
        before, step = np.array(variable), RANDOM.normal(size=variable.shape) * 1e-5
        variable.assign(before + step)
        high = float(loss())
        variable.assign(before - step)
        low = float(loss())
        variable.assign(before)
        np.testing.assert_allclose((high - low) / 2, (np.asarray(gradient) * step).sum(), rtol=1e-6)


def test_groups_of_one_channel_are_a_depthwise_convolution():
    x, w = RANDOM.normal(size=(2, 7, 6, 5)), RANDOM.normal(size=(3, 3, 1, 10))
    np.testing.assert_array_equal(ops.conv(x, w, padding="same"), ops.depthwise_conv(x, w.reshape(3, 3, 5, 2), padding="same"))
