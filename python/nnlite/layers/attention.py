"""Attention over one sequence of values: Attention (dot products) and AdditiveAttention (tanh)."""

from __future__ import annotations

from nnlite import ops, random
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._arguments import fraction, one_of
from nnlite.layers.layer import Layer

# Subtracted from the scores of masked values.
_MASKED = 1e9


class Attention(Layer):
    """softmax(query . key) . value, after Luong.

    Called on a list [query [batch, targets, size], value [batch, sources, value size]] or [query, value, key [batch, sources, size]]; without a
    key, the value is the key. Gives [batch, targets, value size].

    Args:
        use_scale: Whether scores are multiplied by a weight.
        score_mode: "dot", or "concat" for a weight times sum(tanh(query + key)).
        dropout: Part of the scores that is dropped in training.
        seed: Makes the dropout repeatable.

    Call arguments:
        mask: A list [query mask [batch, targets], value mask [batch, sources]], True where valid: masked values are not looked at, outputs of masked
            queries are 0.
        return_attention_scores: Whether to give the scores after the softmax, too: [batch, targets, sources].
        use_causal_mask: Whether a target looks only at sources up to its own position.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Attention()([np.ones((2, 3, 4)), np.ones((2, 5, 4))]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale=False, score_mode="dot", dropout=0.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.use_scale = use_scale
        self.score_mode = one_of(score_mode, ("dot", "concat"), "score_mode", type(self).__name__)
        self.dropout = fraction(dropout, "dropout", type(self).__name__)
        self.seed = seed
        if self.dropout > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.scale = self.concat_score_weight = None

    def build(self, input_shape):
        self._check_list("inputs", input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(name="concat_score_weight", shape=(), initializer="ones")

    def _check_list(self, what: str, value) -> None:
        names = "[query, value] or [query, value, key]" if what == "inputs" else "[query_mask, value_mask]"
        if not isinstance(value, list) or len(value) not in (2, 3):
            received = f"{len(value)} of them" if isinstance(value, (list, tuple)) else repr(value)
            raise ValueError(f"{what} of {type(self).__name__} must be a list of length 2 or 3, {names}; layer {self.name!r} received {received}.")

    def _calculate_scores(self, query, key):
        """Scores [batch, targets, sources] before mask and softmax."""
        if self.score_mode == "dot":
            scores = ops.matmul(query, ops.swapaxes(key, -2, -1))
            return scores if self.scale is None else ops.multiply(scores, self.scale)
        pairs = ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3))
        pairs = pairs if self.scale is None else ops.multiply(pairs, self.scale)
        return ops.multiply(ops.sum(ops.tanh(pairs), axis=-1), self.concat_score_weight)

    def _apply_scores(self, scores, value, scores_mask=None, training=False):
        """(weights . value, weights), with the weights from scores and mask."""
        if scores_mask is not None:
            scores_mask = ops.cast(scores_mask, "bool")
            scores_mask = ops.expand_dims(scores_mask, -2) if len(scores_mask.shape) == 2 else scores_mask
            scores = ops.where(scores_mask, scores, ops.subtract(scores, _MASKED))
        weights = ops.softmax(scores, axis=-1)
        if training and self.dropout > 0:
            weights = random.dropout(weights, self.dropout, seed=self.seed_generator)
        return ops.matmul(weights, value), weights

    def _score_mask(self, scores, value_mask, use_causal_mask: bool):
        if not use_causal_mask:
            return value_mask
        targets, sources = scores.shape[-2:]
        causal = ops.expand_dims(ops.cast(ops.tri(targets, sources), "bool"), 0)
        return causal if value_mask is None else ops.logical_and(ops.expand_dims(ops.cast(value_mask, "bool"), -2), causal)

    def _fuses(self, inputs, training, return_attention_scores) -> bool:
        """Whether the scores need never be held as a whole."""
        plain = type(self)._calculate_scores is Attention._calculate_scores and type(self)._apply_scores is Attention._apply_scores
        plain = plain and self.score_mode == "dot" and not return_attention_scores and not (training and self.dropout > 0)
        return plain and all(len(x.shape) == 3 for x in inputs)

    def _fused(self, query, value, key, value_mask, use_causal_mask):
        query = query if self.scale is None else ops.multiply(query, self.scale)
        query, value, key = (ops.expand_dims(x, 2) for x in (query, value, key))
        mask = None if value_mask is None else ops.reshape(value_mask, (value_mask.shape[0], 1, 1, value_mask.shape[1]))
        return ops.squeeze(ops.dot_product_attention(query, key, value, mask=mask, scale=1.0, is_causal=use_causal_mask), 2)

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        self._check_list("inputs", inputs)
        if mask is not None:
            self._check_list("mask", mask)
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask = mask[:2] if mask else (None, None)
        scores = None
        if self._fuses(inputs, training, return_attention_scores):
            output = self._fused(query, value, key, value_mask, use_causal_mask)
        else:
            raw = self._calculate_scores(query, key)
            output, scores = self._apply_scores(raw, value, self._score_mask(raw, value_mask, use_causal_mask), training)
        if query_mask is not None:
            output = ops.where(ops.expand_dims(ops.cast(query_mask, "bool"), -1), output, 0)
        return (output, scores) if return_attention_scores else output

    def compute_mask(self, inputs, mask=None):
        self._check_list("inputs", inputs)
        return None if mask is None or mask[0] is None else ops.convert_to_tensor(mask[0])

    def compute_output_shape(self, input_shape):
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False, training=None, use_causal_mask=False):
        self._check_list("inputs", inputs)
        output = KerasTensor(self.compute_output_shape([x.shape for x in inputs]), self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, KerasTensor((*inputs[0].shape[:-1], inputs[-1].shape[-2]), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "use_scale": self.use_scale, "score_mode": self.score_mode, "dropout": self.dropout, "seed": self.seed}


class AdditiveAttention(Attention):
    """Attention with scores sum(scale * tanh(query + key)), after Bahdanau.

    Args:
        use_scale: Whether `scale`, one number per feature, is a weight; without it, it is 1.
        dropout: Part of the scores that is dropped in training.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.AdditiveAttention()([np.ones((2, 3, 4)), np.ones((2, 5, 4))]).shape
    (2, 3, 4)
    """

    def __init__(self, use_scale=True, dropout=0.0, **kwargs):
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)

    def build(self, input_shape):
        self._check_list("inputs", input_shape)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(input_shape[0][-1],), initializer="glorot_uniform")

    def _calculate_scores(self, query, key):
        """Scores [batch, targets, sources] before mask and softmax."""
        pairs = ops.tanh(ops.add(ops.expand_dims(query, -2), ops.expand_dims(key, -3)))
        return ops.sum(pairs if self.scale is None else ops.multiply(pairs, self.scale), axis=-1)

    def get_config(self):
        config = super().get_config()
        del config["score_mode"]
        return config
