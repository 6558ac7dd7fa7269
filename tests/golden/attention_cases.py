"""Cases of attention layers and EinsumDense, shared by the script that asks Keras and by the tests: the same weights and inputs in either library."""

from __future__ import annotations

import zlib

import numpy as np


class Case:
    """One call of a layer.

    Attributes:
        name: Unique; seeds the inputs and weights.
        layer: Class name.
        arguments: Keyword arguments of the class.
        shapes: Shapes of the inputs.
        listed: Whether the inputs are one list, or positional arguments.
        masks: Keyword name -> shape of a random boolean mask; "mask" -> shapes of a list of them (None for no mask).
        call: Further keyword arguments of the call.
    """

    def __init__(self, layer, shapes, *, tag="", masks=None, call=None, **arguments):
        self.layer = layer
        self.shapes = shapes
        self.listed = layer in ("Attention", "AdditiveAttention")
        self.masks = masks or {}
        self.call = call or {}
        self.arguments = arguments
        self.name = layer + (f"-{tag}" if tag else "")

    def _rng(self, what: str):
        return np.random.default_rng(zlib.crc32(f"{self.name}/{what}".encode()))

    def arrays(self) -> list[np.ndarray]:
        rng = self._rng("inputs")
        return [rng.normal(size=shape) for shape in self.shapes]

    def _mask(self, name: str, shape):
        """Random, but whatever looks somewhere looks at the first source."""
        if shape is None:
            return None
        mask = self._rng(name).random(shape) < 0.6
        mask[..., 0] = True
        return mask

    def keywords(self) -> dict:
        masks = {
            name: [self._mask(f"{name}{i}", shape) for i, shape in enumerate(shapes)] if isinstance(shapes, list) else self._mask(name, shapes)
            for name, shapes in self.masks.items()
        }
        return {**masks, **self.call}

    def weight(self, path: str, shape):
        return self._rng(path.partition("/")[2]).normal(size=tuple(shape)) * 0.5

    def cotangent(self, shape):
        return self._rng("cotangent").normal(size=tuple(shape))

    def make(self, library, dtype: str):
        return getattr(library.layers, self.layer)(**self.arguments, dtype=dtype)

    def run(self, layer, tensors):
        """Outputs as a list, the scores last where they are asked for."""
        outputs = layer(list(tensors), **self.keywords()) if self.listed else layer(*tensors, **self.keywords())
        return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


Q, V, K = (2, 4, 6), (2, 7, 5), (2, 7, 3)
HEADS = {"num_heads": 2, "key_dim": 3}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}

CASES = [
    Case("EinsumDense", [(3, 5)], equation="ab,bc->ac", output_shape=4, bias_axes="c", activation="relu"),
    Case("EinsumDense", [(2, 4, 5)], equation="abc,cde->abde", output_shape=(None, 3, 2), bias_axes="de", tag="heads"),
    Case("EinsumDense", [(2, 4, 3, 2)], equation="abcd,cde->abe", output_shape=(None, 6), bias_axes="e", tag="joined"),
    Case("EinsumDense", [(2, 4, 5)], equation="abc,cde->abde", output_shape=(4, 3, 2), bias_axes="e", tag="narrow-bias"),
    Case("EinsumDense", [(2, 4, 5)], equation="abc,bd->adc", output_shape=(3, 5), bias_axes="d", tag="middle"),
    Case("EinsumDense", [(2, 3, 4, 5)], equation="...x,xy->...y", output_shape=2, bias_axes="y", tag="before"),
    Case("EinsumDense", [(2, 3, 4)], equation="ab...,bc->ac...", output_shape=6, bias_axes="c", tag="after"),
    Case("EinsumDense", [(2, 4, 5)], equation="abc,cd->abd", output_shape=(None, 3), tag="no-bias"),
    Case("Attention", [Q[:2] + (5,), V]),
    Case("Attention", [Q[:2] + (3,), V, K], use_scale=True, tag="scale"),
    Case("Attention", [Q[:2] + (3,), V, K], use_scale=True, score_mode="concat", tag="concat", call={"return_attention_scores": True}),
    Case("Attention", [Q[:2] + (5,), V], tag="masks", masks={"mask": [(2, 4), (2, 7)]}),
    Case("Attention", [Q[:2] + (5,), V], tag="masks-scores", masks={"mask": [(2, 4), (2, 7)]}, call={"return_attention_scores": True}),
    Case("Attention", [Q[:2] + (5,), V], tag="causal", masks={"mask": [None, (2, 7)]}, call={"use_causal_mask": True}),
    Case("Attention", [(2, 3, 4, 5), (2, 3, 7, 5)], tag="rank4"),
    Case("AdditiveAttention", [Q[:2] + (5,), V]),
    Case("AdditiveAttention", [Q[:2] + (3,), V, K], use_scale=False, tag="masks", masks={"mask": [(2, 4), (2, 7)]}),
    Case("MultiHeadAttention", [Q, V], **HEADS),
    Case("MultiHeadAttention", [Q, V, K], **HEADS, value_dim=5, output_shape=4, use_bias=False, tag="key"),
    Case("MultiHeadAttention", [Q, V], **HEADS, tag="scores", call={"return_attention_scores": True}),
    Case("MultiHeadAttention", [Q, Q], **HEADS, tag="causal", call={"use_causal_mask": True}),
    Case("MultiHeadAttention", [Q, Q], **HEADS, tag="causal-scores", call={"use_causal_mask": True, "return_attention_scores": True}),
    Case("MultiHeadAttention", [Q, V], **HEADS, tag="mask", masks={"attention_mask": (2, 4, 7)}),
    Case("MultiHeadAttention", [Q, V], **HEADS, tag="head-mask", masks={"attention_mask": (2, 2, 4, 7), "value_mask": (2, 7)}),
    Case("MultiHeadAttention", [Q, V], **HEADS, tag="mask-scores", masks={"attention_mask": (2, 4, 7)}, call={"return_attention_scores": True}),
    Case("MultiHeadAttention", [Q, Q], **HEADS, tag="value-mask-causal", masks={"value_mask": (2, 4)}, call={"use_causal_mask": True}),
    Case("MultiHeadAttention", [Q, Q], **HEADS, sliding_window=2, use_gate=True, tag="window"),
    Case("MultiHeadAttention", [(2, 3, 4, 5), (2, 3, 4, 5)], **HEADS, tag="image"),
    Case("MultiHeadAttention", [(2, 3, 4, 5), (2, 3, 4, 5)], **HEADS, attention_axes=(2,), output_shape=(2, 3), tag="rows"),
    Case("GroupQueryAttention", [Q, V], **GROUPS),
    Case("GroupQueryAttention", [Q, Q], **GROUPS, use_bias=False, tag="causal", call={"use_causal_mask": True}),
    Case(
        "GroupQueryAttention",
        [Q, V],
        **GROUPS,
        use_gate=True,
        tag="scores",
        masks={"attention_mask": (2, 4, 7)},
        call={"return_attention_scores": True},
    ),
    Case("GroupQueryAttention", [Q, Q], **GROUPS, sliding_window=2, tag="window", masks={"value_mask": (2, 4)}),
]
