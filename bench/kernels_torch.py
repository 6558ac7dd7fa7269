"""Worker of kernels.py: the same kernels of PyTorch (oneDNN, MKL), images in channels_last."""

from __future__ import annotations

import sys

import torch
from kernel_cases import build_with, normal, serve, windows
from torch.nn import functional as f

torch.set_num_threads(int(sys.argv[1]))
aten = torch.ops.aten


def tensor(*shape):
    return torch.from_numpy(normal(*shape))


def image_tensor(n, h, w, c):
    return tensor(n, h, w, c).permute(0, 3, 1, 2)  # channels_last


def padded(x, padding):
    """PyTorch pads both sides alike; what is left is padded before, and costs it time, as it costs its users."""
    top, bottom, left, right = padding
    same = top == bottom and left == right
    return (x, (top, left)) if same else (f.pad(x, (left, right, top, bottom)), (0, 0))


def convolution(kind, sizes):
    image, window, strides, padding, out = windows(kind, sizes)
    depthwise, turned = kind == "depthwise_conv2d", kind == "conv2d_transpose"
    groups = image[3] if depthwise else 1
    x, dy = image_tensor(*image), image_tensor(*out)
    w = tensor(out[3], image[3] // groups, *window).contiguous(memory_format=torch.channels_last)
    ready, both = padded(x, padding)

    def forward():
        shown, sides = padded(x, padding)
        return f.conv2d(shown, w, stride=strides, padding=sides, groups=groups)

    def back(mask):
        return lambda: aten.convolution_backward(dy, ready, w, None, strides, both, (1, 1), False, (0, 0), groups, mask)

    first, second = back((True, False, False)), back((False, True, False))
    passes = {"forward": first if turned else forward, "input gradient": forward if turned else first, "kernel gradient": second}
    if image[3] <= 3 and not turned:
        del passes["input gradient"]
    return passes


def dense(sizes):
    x, w = tensor(*sizes["x"]), tensor(*sizes["w"])
    dy = tensor(sizes["x"][0], sizes["w"][1])
    return {"forward": lambda: x @ w, "input gradient": lambda: dy @ w.T, "kernel gradient": lambda: x.T @ dy}


def pooling(kind, sizes):
    image, window, strides, padding, out = windows(kind, sizes)
    x, dy = image_tensor(*image), image_tensor(*out)
    sides = (padding[1], padding[3])
    if kind == "average_pool":
        back = lambda: aten.avg_pool2d_backward(dy, x, window, strides, sides, False, False, None)  # noqa: E731
        return {"forward": lambda: f.avg_pool2d(x, window, strides, sides, count_include_pad=False), "gradient": back}
    _, where = f.max_pool2d(x, window, strides, sides, return_indices=True)
    back = lambda: aten.max_pool2d_with_indices_backward(dy, x, window, strides, sides, (1, 1), False, where)  # noqa: E731
    return {"forward": lambda: f.max_pool2d(x, window, strides, sides, return_indices=True), "gradient": back}


def normalization(kind, sizes):
    c = sizes["x"][-1]
    gamma, beta = tensor(c), tensor(c)
    if kind == "batch_norm":
        x, dy = image_tensor(*sizes["x"]), image_tensor(*sizes["x"])
        _, mean, scale = aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-3)
        back = lambda: aten.native_batch_norm_backward(dy, x, gamma, None, None, mean, scale, True, 1e-3, (True, True, True))  # noqa: E731
        return {"forward": lambda: aten.native_batch_norm(x, gamma, beta, None, None, True, 0.1, 1e-3), "gradient": back}
    x, dy = tensor(*sizes["x"]), tensor(*sizes["x"])
    _, mean, scale = aten.native_layer_norm(x, (c,), gamma, beta, 1e-3)
    back = lambda: aten.native_layer_norm_backward(dy, x, (c,), mean, scale, gamma, beta, (True, True, True))  # noqa: E731
    return {"forward": lambda: aten.native_layer_norm(x, (c,), gamma, beta, 1e-3), "gradient": back}


def activation(kind, sizes):
    x, dy = tensor(*sizes["x"]), tensor(*sizes["x"])
    if kind == "softmax":
        y = torch.softmax(x, -1)
        return {"forward": lambda: torch.softmax(x, -1), "gradient": lambda: aten._softmax_backward_data(dy, y, -1, torch.float32)}
    function = f.gelu if kind == "gelu" else getattr(torch, kind)
    return {"forward": lambda: function(x)}


def embedding(sizes):
    table, rows = tensor(*sizes["table"]), sizes["table"][0]
    ids, dy = torch.randint(0, rows, sizes["ids"]), tensor(*sizes["ids"], sizes["table"][1])
    return {"forward": lambda: f.embedding(ids, table), "gradient": lambda: aten.embedding_dense_backward(dy, ids, rows, -1, False)}


def attention(sizes):
    batch, rows, heads, width = sizes["q"]
    q, k, v = (tensor(batch, rows, heads, width).transpose(1, 2).requires_grad_() for _ in range(3))

    def forward():
        with torch.no_grad():
            f.scaled_dot_product_attention(q, k, v)

    return {"forward": forward, "forward and gradient": lambda: torch.autograd.grad(f.scaled_dot_product_attention(q, k, v).sum(), (q, k, v))}


def adam(sizes):
    parameter = tensor(sizes["x"][0]).requires_grad_()
    parameter.grad = tensor(sizes["x"][0])
    return {"against fused": torch.optim.Adam([parameter], fused=True).step, "against default": torch.optim.Adam([parameter]).step}


build = build_with(convolution, dense, pooling, normalization, activation, embedding, attention, adam)


def no_gradients(kind, sizes):
    with torch.set_grad_enabled(kind in ("attention", "adam")):
        passes = build(kind, sizes)
    return passes


serve(no_gradients)
