"""Worker of kernels.py: the kernels of nnlite, one op a call."""

from __future__ import annotations

import importlib
import types

import numpy as np
from kernel_cases import build_with, normal, serve, windows

import nnlite
from nnlite.graph.op import REGISTRY
from nnlite.tensor import from_array

for family in ("conv2d", "elementwise", "index", "matrix", "norms", "pool", "softmaxes"):
    importlib.import_module(f"nnlite.ops.{family}")
p = types.SimpleNamespace(**REGISTRY)


def tensor(*shape):
    return from_array(normal(*shape))


def convolution(kind, sizes):
    image, window, strides, padding, out = windows(kind, sizes)
    given = {"strides": strides, "padding": padding, "dilation": (1, 1)}
    x, dy = tensor(*image), tensor(*out)
    if kind == "depthwise_conv2d":
        w = tensor(*window, image[3], out[3] // image[3])
        return {
            "forward": lambda: p.depthwise_conv2d(x, w, **given),
            "input gradient": lambda: p.depthwise_conv2d_input_grad(dy, w, input_shape=image, **given),
            "kernel gradient": lambda: p.depthwise_conv2d_kernel_grad(x, dy, kernel_shape=w.shape, **given),
        }
    w, given["groups"] = tensor(*window, image[3], out[3]), 1
    forward = lambda: p.conv2d(x, w, **given)  # noqa: E731
    back = lambda: p.conv2d_input_grad(dy, w, input_shape=image, **given)  # noqa: E731
    turned = kind == "conv2d_transpose"
    passes = {"forward": back if turned else forward, "input gradient": forward if turned else back}
    passes["kernel gradient"] = lambda: p.conv2d_kernel_grad(x, dy, kernel_shape=w.shape, **given)
    if image[3] <= 3 and not turned:
        del passes["input gradient"]  # of the data: nobody asks for it
    return passes


def dense(sizes):
    x, w = tensor(*sizes["x"]), tensor(*sizes["w"])
    dy = tensor(sizes["x"][0], sizes["w"][1])
    return {
        "forward": lambda: p.matmul(x, w, transpose_a=False, transpose_b=False),
        "input gradient": lambda: p.matmul(dy, w, transpose_a=False, transpose_b=True),
        "kernel gradient": lambda: p.matmul(x, dy, transpose_a=True, transpose_b=False),
    }


def pooling(kind, sizes):
    image, window, strides, padding, out = windows(kind, sizes)
    given = {"pool_size": window, "strides": strides, "padding": padding}
    x, dy = tensor(*image), tensor(*out)
    if kind == "average_pool":
        return {"forward": lambda: p.average_pool2d(x, **given), "gradient": lambda: p.average_pool2d_grad(dy, input_shape=image, **given)}
    _, where = p.max_pool2d(x, **given)
    return {"forward": lambda: p.max_pool2d(x, **given), "gradient": lambda: p.max_pool2d_grad(dy, where, input_shape=image, **given)}


def normalization(kind, sizes):
    x, dy = tensor(*sizes["x"]), tensor(*sizes["x"])
    gamma, beta = tensor(sizes["x"][-1]), tensor(sizes["x"][-1])
    if kind == "batch_norm":
        _, mean, variance = p.batch_norm(x, gamma, beta, epsilon=1e-3)
        back = lambda: p.batch_norm_grad(x, dy, gamma, mean, variance, epsilon=1e-3)  # noqa: E731
        return {"forward": lambda: p.batch_norm(x, gamma, beta, epsilon=1e-3), "gradient": back}
    _, mean, scale = p.layer_norm(x, gamma, beta, epsilon=1e-3)
    return {"forward": lambda: p.layer_norm(x, gamma, beta, epsilon=1e-3), "gradient": lambda: p.layer_norm_grad(x, dy, gamma, mean, scale)}


def activation(kind, sizes):
    x, dy = tensor(*sizes["x"]), tensor(*sizes["x"])
    if kind == "softmax":
        y = p.softmax(x)
        return {"forward": lambda: p.softmax(x), "gradient": lambda: p.softmax_grad(y, dy)}
    if kind == "gelu":
        gelu = nnlite.function(lambda x: nnlite.ops.gelu(x, approximate=False))
        return {"forward": lambda: gelu(x)}
    function = REGISTRY[kind]
    return {"forward": lambda: function(x)}


def embedding(sizes):
    table, rows = tensor(*sizes["table"]), sizes["table"][0]
    ids = from_array(np.random.default_rng(0).integers(0, rows, sizes["ids"]).astype("int32"))
    dy = tensor(*sizes["ids"], sizes["table"][1])
    return {"forward": lambda: p.take_rows(table, ids), "gradient": lambda: p.scatter_add_rows(ids, dy, rows=rows)}


def attention(sizes):
    q, k, v = (tensor(*sizes["q"]) for _ in range(3))
    run = nnlite.function(lambda q, k, v: nnlite.ops.dot_product_attention(q, k, v))

    def both(q, k, v):
        with nnlite.GradientTape() as tape:
            for x in (q, k, v):
                tape.watch(x)
            total = nnlite.ops.sum(nnlite.ops.dot_product_attention(q, k, v))
        return tape.gradient(total, [q, k, v])

    trained = nnlite.function(both)
    return {"forward": lambda: run(q, k, v), "forward and gradient": lambda: trained(q, k, v)}


def adam(sizes):
    size = sizes["x"][0]
    variable = nnlite.Variable(normal(size))
    rule = nnlite.optimizers.Adam()
    rule.build([variable])
    gradient = tensor(size)
    step = nnlite.function(lambda g: rule.apply([g], [variable]))
    return {form: lambda: step(gradient) for form in ("against fused", "against default")}


serve(build_with(convolution, dense, pooling, normalization, activation, embedding, attention, adam))
