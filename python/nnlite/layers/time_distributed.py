"""TimeDistributed: the same layer at every step."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers.core import Wrapper


class TimeDistributed(Wrapper):
    """Applies a layer to every step of a sequence.

    Args:
        layer: The layer.

    Input: [batch, steps, ...], and a mask whose first axes are batch and steps. Output: [batch, steps, ...].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.TimeDistributed(nnlite.layers.Conv2D(4, 3))(np.ones((2, 5, 8, 8, 3))).shape
    (2, 5, 6, 6, 4)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def _step_shape(self, input_shape) -> tuple:
        if not isinstance(input_shape, (tuple, list)) or len(input_shape) < 3:
            raise ValueError(
                f"`TimeDistributed` Layer should be passed an `input_shape` with at least 3 dimensions, [batch, steps, ...]; received: {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def build(self, input_shape):
        super().build(self._step_shape(input_shape))

    def compute_output_shape(self, input_shape):
        batch, *rest = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (batch, input_shape[1], *rest)

    def call(self, inputs, training=None, mask=None):
        if mask is not None and tuple(mask.shape[:2]) != tuple(inputs.shape[:2]):
            raise ValueError(
                f"The `mask` passed to the `TimeDistributed` layer has a shape {tuple(mask.shape)} that is incompatible with the input shape "
                f"{tuple(inputs.shape)}: the first two axes, batch and steps, must be the same, {tuple(inputs.shape[:2])}."
            )
        keywords = {"training": training} if self.layer._takes_training else {}
        outputs = []
        for t in range(inputs.shape[1]):
            if mask is not None and self.layer._signature.takes_mask:
                keywords["mask"] = mask[:, t]
            outputs.append(self.layer(inputs[:, t], **keywords))
        return ops.stack(outputs, axis=1)
