"""Random image networks of primitives: training steps compiled equal eager ones, gradients of all weights included."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite.ops  # noqa: F401  declares the primitives
from nnlite.graph.function import compile_function
from nnlite.graph.grad import GradientTape
from nnlite.graph.op import REGISTRY
from nnlite.tensor import from_array
from nnlite.variable import Variable


def op(name):
    return REGISTRY[name]


class Network:
    """A random stack of layers on [N, H, W, C]; its weights are made on the first call and kept."""

    def __init__(self, seed: int):
        self.seed = seed
        self.weights: list[Variable] = []

    def image(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed)
        shape = (int(rng.integers(1, 4)), int(rng.integers(5, 14)), int(rng.integers(5, 14)), int(rng.choice([1, 3, 4, 16])))
        return rng.normal(size=shape).astype("float32")

    def __call__(self, x):
        rng = np.random.default_rng(self.seed + 1)
        self._next = 0
        before = []
        for _ in range(int(rng.integers(2, 7))):
            made = self._layer(rng, x)
            if made is not None:
                x = made
            same = [t for t in before if t.spec == x.spec and t is not x]
            if same and rng.random() < 0.5:
                x = op("add")(x, same[-1])
            before.append(x)
        return op("sum")(op("square")(x), axes=(1, 2, 3), keepdims=False), x

    def _weight(self, rng, *shape):
        values = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]) + 1)
        if self._next == len(self.weights):
            self.weights.append(Variable(values.astype("float32")))
        self._next += 1
        return self.weights[self._next - 1].value

    def _layer(self, rng, x):
        _, h, w, c = x.spec.shape
        kind = rng.integers(6)
        if kind in (0, 1):
            return self._convolution(rng, x, int(kind))
        if kind == 2:
            return op("batch_norm")(x, self._weight(rng, c), self._weight(rng, c), epsilon=1e-3)[0]
        if kind == 3 and min(h, w) >= 2:
            size = int(rng.integers(2, 4)) if min(h, w) >= 3 else 2
            given = {"pool_size": (size, size), "strides": (2, 2), "padding": (0, size - 2, 0, size - 2)}
            if rng.random() < 0.6:
                return op("max_pool2d")(x, **given)[0]
            return op("average_pool2d")(x, **given)
        if kind == 4:
            return op(str(rng.choice(["relu", "tanh", "sigmoid"])))(x)
        return op("multiply")(x, op("sigmoid")(x))

    def _convolution(self, rng, x, depthwise: int):
        _, h, w, c = x.spec.shape
        k, stride = int(rng.choice([1, 3])), int(rng.choice([1, 1, 2]))
        pad = int(rng.integers(0, k // 2 + 1))
        if min(h, w) + 2 * pad < k:
            return None
        given = {"strides": (stride, stride), "padding": (pad,) * 4, "dilation": (1, 1)}
        if depthwise:
            y = op("depthwise_conv2d")(x, self._weight(rng, k, k, c, 1), **given)
        else:
            y = op("conv2d")(x, self._weight(rng, k, k, c, int(rng.choice([1, 4, 8, 17]))), groups=1, **given)
        if rng.random() < 0.7:
            y = op("add")(y, self._weight(rng, y.spec.shape[3]))
        return op("relu")(y) if rng.random() < 0.5 else y


@pytest.mark.parametrize("seed", range(60))
def test_compiled_network_equals_eager(seed):
    network = Network(100 * seed)
    image = network.image()
    network(from_array(image))  # makes the weights

    def step(x):
        with GradientTape() as tape:
            losses, y = network(x)
        return losses, y, tape.gradient(losses, network.weights, unconnected_gradients="zero"), tape.gradient(losses, x, unconnected_gradients="zero")

    expected = nnlite.tree.flatten(step(from_array(image)))
    compiled = compile_function(step, [from_array(image).spec])
    predicting = compile_function(lambda x: network(x)[1], [from_array(image).spec])
    for _ in range(2):
        for i, (ours, theirs) in enumerate(zip(nnlite.tree.flatten(compiled([image])), expected, strict=True)):
            scale = max(1e-3, float(np.abs(theirs.numpy()).max(initial=0.0)))
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-3 * scale, err_msg=f"result {i}")
        np.testing.assert_allclose(predicting([image]).numpy(), expected[1].numpy(), rtol=1e-3, atol=1e-4)
