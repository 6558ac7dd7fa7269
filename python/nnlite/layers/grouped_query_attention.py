"""GroupQueryAttention (its class is GroupedQueryAttention): several query heads share the keys and values of one head."""

from __future__ import annotations

import math

from nnlite import constraints, initializers, ops, regularizers
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._arguments import positive_int
from nnlite.layers.activation import Softmax
from nnlite.layers.einsum_dense import EinsumDense
from nnlite.layers.multi_head_attention import _built, _Heads
from nnlite.layers.regularization import Dropout


class GroupedQueryAttention(_Heads):
    """Multi-head attention whose query heads share heads of keys and values in groups; one such head is multi-query attention.

    Args:
        head_dim: Size of a head.
        num_query_heads: Number of query heads, a multiple of `num_key_value_heads`.
        num_key_value_heads: Number of heads of keys and values.
        dropout: Part of the scores that is dropped in training. Scores are held as a whole then.
        use_bias: Whether the projections have biases.
        sliding_window: Targets look only at sources less than so many positions away.
        flash_attention: Accepted for familiarity: scores are never held as a whole where nothing asks for them.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint: Of
            all projections.
        use_gate: Whether results are multiplied by a sigmoid projection of the query.
        seed: Makes the dropout repeatable.

    Its call takes the arguments of MultiHeadAttention's.

    >>> import nnlite, numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> nnlite.layers.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)(x, x).shape
    (2, 5, 8)
    """

    _saved_name = "GroupQueryAttention"

    def __init__(
        self,
        head_dim,
        num_query_heads,
        num_key_value_heads,
        dropout=0.0,
        use_bias=True,
        sliding_window=None,
        flash_attention=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        use_gate=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.head_dim = positive_int(head_dim, "head_dim", "GroupQueryAttention")
        self.num_query_heads = positive_int(num_query_heads, "num_query_heads", "GroupQueryAttention")
        self.num_key_value_heads = positive_int(num_key_value_heads, "num_key_value_heads", "GroupQueryAttention")
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(
                f"`num_query_heads` of GroupQueryAttention must be a multiple of `num_key_value_heads`; layer {self.name!r} received "
                f"{num_query_heads} and {num_key_value_heads}."
            )
        self._start(dropout, use_bias, use_gate, sliding_window, flash_attention, seed)
        self.dropout, self.use_bias, self.use_gate, self.sliding_window = self._rate, self._biased, self._gated, self._window
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    @property
    def num_repeats(self) -> int:
        """How many query heads share a head of keys and values."""
        return self.num_query_heads // self.num_key_value_heads

    def build(self, query_shape, value_shape, key_shape=None):
        self.feature_dim = query_shape[-1]
        self._query_dense = self._to_heads("query", query_shape, self.num_query_heads)
        self._key_dense = self._to_heads("key", value_shape if key_shape is None else key_shape, self.num_key_value_heads)
        if self.use_gate:
            self._gate_dense = self._to_heads("gate", query_shape, self.num_query_heads, activation="sigmoid")
        self._value_dense = self._to_heads("value", value_shape, self.num_key_value_heads)
        self._softmax = Softmax(axis=-1, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        output_dense = self._projection("bquh,uhm->bqm", (None, self.feature_dim), "m", "attention_output")
        self._output_dense = _built(output_dense, (None, None, self.num_query_heads, self.head_dim))

    def _to_heads(self, name: str, shape, heads: int, **more) -> EinsumDense:
        """The projection [batch, length, features] to [batch, length, heads, head_dim]."""
        return _built(self._projection("blm,mnh->blnh", (None, heads, self.head_dim), "nh", name, **more), shape)

    def _projection(self, equation: str, output_shape: tuple, bias_axes: str, name: str, **more) -> EinsumDense:
        common = self._projection_arguments(
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.activity_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
        )
        return EinsumDense(equation, output_shape=output_shape, bias_axes=bias_axes if self.use_bias else None, name=name, **more, **common)

    def _compute_attention(self, query, key, value, attention_mask=None, training=None, return_attention_scores=False, use_causal_mask=False):
        """(outputs [batch, targets, query heads, head_dim], scores or None) of projected inputs. A subclass may override it."""
        self._refuse_scores_of_flash(return_attention_scores)
        scale = 1.0 / math.sqrt(self.head_dim)
        if not (training and self.dropout > 0) and not return_attention_scores:
            return self._attend(query, key, value, attention_mask, use_causal_mask, scale), None
        if use_causal_mask:
            causal = self._compute_causal_mask(query, value)
            attention_mask = causal if attention_mask is None else ops.logical_and(ops.cast(attention_mask, "bool"), causal)
        key, value = (ops.repeat(x, self.num_repeats, axis=2) for x in (key, value))
        scores = ops.einsum("bquh,bkuh->buqk", ops.multiply(query, scale), key)
        scores = self._softmax(scores, mask=self._raised(attention_mask, 4, 1))
        dropped = self._dropout_layer(scores, training=training) if self.dropout > 0 else scores
        return ops.einsum("buqk,bkuh->bquh", dropped, value), scores

    def call(
        self,
        query,
        value,
        key=None,
        query_mask=None,
        value_mask=None,
        key_mask=None,
        attention_mask=None,
        return_attention_scores=False,
        training=None,
        use_causal_mask=False,
    ):
        key = value if key is None else key
        mask = self._masks(query, value, query_mask, value_mask, key_mask, attention_mask, False)
        gate = self._gate_dense(query) if self.use_gate else None
        q, k, v = self._query_dense(query), self._key_dense(key), self._value_dense(value)
        output, scores = self._compute_attention(q, k, v, mask, training, return_attention_scores, use_causal_mask)
        output = self._output_dense(output if gate is None else ops.multiply(output, gate))
        return (output, scores) if return_attention_scores else output

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return tuple(query_shape)

    def compute_output_spec(self, query, value, key=None, return_attention_scores=False, **others):
        output = KerasTensor(tuple(query.shape), self.compute_dtype)
        if not return_attention_scores:
            return output
        return output, KerasTensor((query.shape[0], self.num_query_heads, query.shape[1], value.shape[1]), self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "head_dim": self.head_dim,
            "num_query_heads": self.num_query_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "sliding_window": self.sliding_window,
            "dropout": self.dropout,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }
