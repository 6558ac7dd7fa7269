"""Convolution primitives: NHWC images, HWIO kernels, explicit padding (top, bottom, left, right)."""

from __future__ import annotations

import math

import numpy as np

from nnlite.graph.op import Traits, primitive
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops._windows import cell_view, cells, output_hw, padded, unpadded


def _given(node) -> dict:
    """The attributes that a convolution and its two gradients share."""
    return {key: node.attributes[key] for key in ("strides", "padding", "dilation", "groups") if key in node.attributes}


def _groups(x, groups):
    return np.split(x, groups, axis=-1)


def _conv2d_reference(x, w, strides, padding, dilation, groups):
    kh, kw, _, _ = w.shape
    hw = output_hw(x.shape, (kh, kw), strides, padding, dilation)
    xp = padded(x, padding)
    parts = []
    for xg, wg in zip(_groups(xp, groups), _groups(w, groups)):
        out = np.zeros((x.shape[0], *hw, wg.shape[3]), x.dtype)
        for i, j in cells((kh, kw)):
            out += cell_view(xg, (i, j), hw, strides, dilation) @ wg[i, j]
        parts.append(out)
    return np.concatenate(parts, axis=-1)


def _conv2d_input_grad_reference(dy, w, input_shape, strides, padding, dilation, groups):
    n, h, width, _ = input_shape
    top, bottom, left, right = padding
    parts = []
    for dyg, wg in zip(_groups(dy, groups), _groups(w, groups)):
        dx = np.zeros((n, h + top + bottom, width + left + right, wg.shape[2]), dy.dtype)
        for i, j in cells(w.shape[:2]):
            view = cell_view(dx, (i, j), dy.shape[1:3], strides, dilation)
            view += dyg @ wg[i, j].T
        parts.append(unpadded(dx, padding))
    return np.concatenate(parts, axis=-1)


def _conv2d_kernel_grad_reference(x, dy, kernel_shape, strides, padding, dilation, groups):
    xp = padded(x, padding)
    parts = []
    for xg, dyg in zip(_groups(xp, groups), _groups(dy, groups)):
        dw = np.zeros((*kernel_shape[:2], xg.shape[-1], dyg.shape[-1]), x.dtype)
        for i, j in cells(kernel_shape[:2]):
            seen = cell_view(xg, (i, j), dy.shape[1:3], strides, dilation)
            dw[i, j] = seen.reshape(-1, seen.shape[-1]).T @ dyg.reshape(-1, dyg.shape[-1])
        parts.append(dw)
    return np.concatenate(parts, axis=-1)


def _check(name: str, x: Spec, w_shape, strides, padding, dilation) -> None:
    if len(x.shape) != 4 or len(w_shape) != 4 or x.dtype not in FLOATS:
        raise ValueError(f"{name}() takes a float image [N,H,W,C] and a kernel of 4 axes; received {x} and kernel shape {tuple(w_shape)}.")
    if min(strides) < 1 or min(dilation) < 1 or min(padding) < 0:
        raise ValueError(
            f"{name}() takes strides and dilation >= 1 and padding >= 0; received strides={strides}, dilation={dilation}, padding={padding}."
        )


def conv2d_shape(name: str, x: Spec, w_shape, strides, padding, dilation, groups) -> tuple[int, int, int, int]:
    """[N, OH, OW, K]."""
    _check(name, x, w_shape, strides, padding, dilation)
    kh, kw, c, k = w_shape
    if c * groups != x.shape[3] or k % groups:
        raise ValueError(
            f"{name}() with groups={groups} needs kernel [kh, kw, channels / groups, filters] with filters divisible by groups: "
            f"the input has {x.shape[3]} channels, the kernel shape is {tuple(w_shape)}."
        )
    return (x.shape[0], *output_hw(x.shape, (kh, kw), strides, padding, dilation), k)


def _conv_cost(inputs, outputs, attributes):
    kh, kw, c, _ = inputs[1].shape
    return 2.0 * kh * kw * c * outputs[0].size


def _input_grad_cost(inputs, outputs, attributes):
    kh, kw, c, _ = inputs[1].shape
    return 2.0 * kh * kw * c * inputs[0].size


def _kernel_grad_cost(inputs, outputs, attributes):
    kh, kw, c, _ = outputs[0].shape
    return 2.0 * kh * kw * c * inputs[1].size


@primitive(
    gradients=(
        lambda node, dy: conv2d_input_grad(dy, node.inputs[1], input_shape=node.inputs[0].spec.shape, **_given(node)),
        lambda node, dy: conv2d_kernel_grad(node.inputs[0], dy, kernel_shape=node.inputs[1].spec.shape, **_given(node)),
    ),
    reference=_conv2d_reference,
    traits=Traits(widen=True, cost=_conv_cost, epilogue=("bias", "activation", "packed")),
)
def conv2d(x, w, *, strides, padding, dilation, groups):
    """Correlation of x [N,H,W,C] with w [kh,kw,C/groups,K]: [N,OH,OW,K]."""
    if x.dtype != w.dtype:
        raise ValueError(f"conv2d() takes image and kernel of one dtype; received {x} and {w}.")
    return Spec(conv2d_shape("conv2d", x, w.shape, strides, padding, dilation, groups), x.dtype)


@primitive(
    gradients=(
        lambda node, g: conv2d(g, node.inputs[1], **_given(node)),
        lambda node, g: conv2d_kernel_grad(g, node.inputs[0], kernel_shape=node.inputs[1].spec.shape, **_given(node)),
    ),
    reference=_conv2d_input_grad_reference,
    traits=Traits(widen=True, cost=_input_grad_cost),
)
def conv2d_input_grad(dy, w, *, input_shape, strides, padding, dilation, groups):
    """Gradient of conv2d with respect to its image: also the transposed convolution."""
    expected = conv2d_shape("conv2d_input_grad", Spec(tuple(input_shape), dy.dtype), w.shape, strides, padding, dilation, groups)
    if dy.shape != expected:
        raise ValueError(f"conv2d_input_grad() needs dy of the shape that conv2d gives, {expected}; received {dy.shape}.")
    return Spec(tuple(input_shape), dy.dtype)


@primitive(
    gradients=(
        lambda node, g: conv2d_input_grad(node.inputs[1], g, input_shape=node.inputs[0].spec.shape, **_given(node)),
        lambda node, g: conv2d(node.inputs[0], g, **_given(node)),
    ),
    reference=_conv2d_kernel_grad_reference,
    traits=Traits(widen=True, cost=_kernel_grad_cost),
)
def conv2d_kernel_grad(x, dy, *, kernel_shape, strides, padding, dilation, groups):
    """Gradient of conv2d with respect to its kernel."""
    expected = conv2d_shape("conv2d_kernel_grad", x, kernel_shape, strides, padding, dilation, groups)
    if dy.shape != expected:
        raise ValueError(f"conv2d_kernel_grad() needs dy of the shape that conv2d gives, {expected}; received {dy.shape}.")
    return Spec(tuple(kernel_shape), x.dtype)


def _depthwise_conv2d_reference(x, w, strides, padding, dilation):
    kh, kw, c, m = w.shape
    hw = output_hw(x.shape, (kh, kw), strides, padding, dilation)
    xp = padded(x, padding)
    out = np.zeros((x.shape[0], *hw, c, m), x.dtype)
    for i, j in cells((kh, kw)):
        out += cell_view(xp, (i, j), hw, strides, dilation)[..., None] * w[i, j]
    return out.reshape(*out.shape[:3], c * m)


def _depthwise_conv2d_input_grad_reference(dy, w, input_shape, strides, padding, dilation):
    n, h, width, c = input_shape
    top, bottom, left, right = padding
    dyc = dy.reshape(*dy.shape[:3], c, w.shape[3])
    dx = np.zeros((n, h + top + bottom, width + left + right, c), dy.dtype)
    for i, j in cells(w.shape[:2]):
        view = cell_view(dx, (i, j), dy.shape[1:3], strides, dilation)
        view += (dyc * w[i, j]).sum(-1)
    return unpadded(dx, padding)


def _depthwise_conv2d_kernel_grad_reference(x, dy, kernel_shape, strides, padding, dilation):
    xp = padded(x, padding)
    dyc = dy.reshape(*dy.shape[:3], *kernel_shape[2:])
    dw = np.zeros(kernel_shape, x.dtype)
    for i, j in cells(kernel_shape[:2]):
        dw[i, j] = (cell_view(xp, (i, j), dy.shape[1:3], strides, dilation)[..., None] * dyc).sum((0, 1, 2))
    return dw


def _depthwise_shape(name: str, x: Spec, w_shape, strides, padding, dilation) -> tuple[int, int, int, int]:
    _check(name, x, w_shape, strides, padding, dilation)
    kh, kw, c, m = w_shape
    if c != x.shape[3]:
        raise ValueError(
            f"{name}() needs kernel [kh, kw, channels, multiplier]: the input has {x.shape[3]} channels, the kernel shape is {tuple(w_shape)}."
        )
    return (x.shape[0], *output_hw(x.shape, (kh, kw), strides, padding, dilation), c * m)


def _depthwise_cost(inputs, outputs, attributes):
    return 2.0 * math.prod(inputs[1].shape[:2]) * outputs[0].size


@primitive(
    gradients=(
        lambda node, dy: depthwise_conv2d_input_grad(dy, node.inputs[1], input_shape=node.inputs[0].spec.shape, **_given(node)),
        lambda node, dy: depthwise_conv2d_kernel_grad(node.inputs[0], dy, kernel_shape=node.inputs[1].spec.shape, **_given(node)),
    ),
    reference=_depthwise_conv2d_reference,
    traits=Traits(widen=True, cost=_depthwise_cost, epilogue=("bias", "activation")),
)
def depthwise_conv2d(x, w, *, strides, padding, dilation):
    """Correlation of every channel of x [N,H,W,C] with its own w[:, :, c, :] of [kh,kw,C,M]: [N,OH,OW,C*M]."""
    if x.dtype != w.dtype:
        raise ValueError(f"depthwise_conv2d() takes image and kernel of one dtype; received {x} and {w}.")
    return Spec(_depthwise_shape("depthwise_conv2d", x, w.shape, strides, padding, dilation), x.dtype)


@primitive(
    gradients=(
        lambda node, g: depthwise_conv2d(g, node.inputs[1], **_given(node)),
        lambda node, g: depthwise_conv2d_kernel_grad(g, node.inputs[0], kernel_shape=node.inputs[1].spec.shape, **_given(node)),
    ),
    reference=_depthwise_conv2d_input_grad_reference,
    traits=Traits(widen=True, cost=lambda inputs, outputs, attributes: 2.0 * math.prod(inputs[1].shape[:2]) * inputs[0].size),
)
def depthwise_conv2d_input_grad(dy, w, *, input_shape, strides, padding, dilation):
    """Gradient of depthwise_conv2d with respect to its image."""
    expected = _depthwise_shape("depthwise_conv2d_input_grad", Spec(tuple(input_shape), dy.dtype), w.shape, strides, padding, dilation)
    if dy.shape != expected:
        raise ValueError(f"depthwise_conv2d_input_grad() needs dy of the shape that depthwise_conv2d gives, {expected}; received {dy.shape}.")
    return Spec(tuple(input_shape), dy.dtype)


@primitive(
    gradients=(
        lambda node, g: depthwise_conv2d_input_grad(node.inputs[1], g, input_shape=node.inputs[0].spec.shape, **_given(node)),
        lambda node, g: depthwise_conv2d(node.inputs[0], g, **_given(node)),
    ),
    reference=_depthwise_conv2d_kernel_grad_reference,
    traits=Traits(widen=True, cost=lambda inputs, outputs, attributes: 2.0 * math.prod(outputs[0].shape[:2]) * inputs[1].size),
)
def depthwise_conv2d_kernel_grad(x, dy, *, kernel_shape, strides, padding, dilation):
    """Gradient of depthwise_conv2d with respect to its kernel."""
    expected = _depthwise_shape("depthwise_conv2d_kernel_grad", x, kernel_shape, strides, padding, dilation)
    if dy.shape != expected:
        raise ValueError(f"depthwise_conv2d_kernel_grad() needs dy of the shape that depthwise_conv2d gives, {expected}; received {dy.shape}.")
    return Spec(tuple(kernel_shape), x.dtype)
