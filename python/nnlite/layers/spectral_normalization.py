"""SpectralNormalization: a layer whose kernel has largest singular value 1."""

from __future__ import annotations

from nnlite import ops
from nnlite.initializers import TruncatedNormal
from nnlite.layers.core import Wrapper


class SpectralNormalization(Wrapper):
    """Divides the kernel of a layer by an estimate of its largest singular value at every training step.

    Args:
        layer: A layer with a `kernel` or with `embeddings`.
        power_iterations: Steps of the power method per training step; the estimate is kept from step to step.

    >>> import nnlite, numpy as np
    >>> layer = SpectralNormalization(nnlite.layers.Dense(2), power_iterations=20)
    >>> _ = layer(np.ones((1, 3)), training=True)
    >>> float(np.linalg.norm(layer.kernel.numpy(), 2).round(3))
    1.0
    """

    def __init__(self, layer, power_iterations=1, **kwargs):
        super().__init__(layer, **kwargs)
        if power_iterations <= 0:
            raise ValueError(f"`power_iterations` of SpectralNormalization must be greater than zero. Received: power_iterations={power_iterations}")
        self.power_iterations = power_iterations

    def build(self, input_shape):
        super().build(input_shape)
        kernel = getattr(self.layer, "kernel", getattr(self.layer, "embeddings", None))
        if kernel is None:
            raise ValueError(
                f"SpectralNormalization {self.name!r} needs a layer with a `kernel` or `embeddings`; {type(self.layer).__name__} {self.layer.name!r} "
                "has neither. Wrap the layer that has the weights."
            )
        self.kernel = kernel
        self.vector_u = self.add_weight(
            shape=(1, kernel.shape[-1]), initializer=TruncatedNormal(stddev=0.02), trainable=False, name="vector_u", dtype=kernel.dtype
        )

    def call(self, inputs, training=False):
        if training:
            self._normalize()
        return self.layer(inputs)

    def _normalize(self) -> None:
        kernel = ops.convert_to_tensor(self.kernel)
        flat = ops.stop_gradient(ops.reshape(kernel, (-1, kernel.shape[-1])))
        u = ops.convert_to_tensor(self.vector_u)
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(flat)))
            u = ops.normalize(ops.matmul(v, flat))
        sigma = ops.reshape(ops.matmul(ops.matmul(v, flat), ops.transpose(u)), ())
        self.vector_u.assign(u)
        # The gradient of the new kernel counts for the old one as it is: the division itself is not learned.
        self.kernel.assign(kernel + ops.stop_gradient(kernel / sigma - kernel))

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict:
        return {**super().get_config(), "power_iterations": self.power_iterations}
