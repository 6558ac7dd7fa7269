"""MultiHeadAttention and GroupQueryAttention: projections to heads, attention in each, and back."""

from __future__ import annotations

import math
import string

from nnlite import constraints, initializers, ops, regularizers
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._arguments import fraction, positive_int
from nnlite.layers.activation import Softmax
from nnlite.layers.einsum_dense import EinsumDense
from nnlite.layers.layer import Layer
from nnlite.layers.regularization import Dropout


class _Heads(Layer):
    """What both layers share: arguments of the projections, masks, and the two ways to compute: fused, or with the scores at hand."""

    def _start(self, dropout, use_bias, use_gate, sliding_window, flash_attention, seed) -> None:
        name = type(self).__name__
        self.supports_masking = True
        self._rate = fraction(dropout, "dropout", name)
        self._biased, self._gated = bool(use_bias), bool(use_gate)
        self._window = None if sliding_window is None else positive_int(sliding_window, "sliding_window", name)
        self._flash_attention = bool(flash_attention)
        self.seed = seed
        if self._flash_attention and self._rate > 0:
            raise ValueError(f"{name} with flash_attention=True cannot drop scores; received dropout={dropout}. Set one of them to 0 or None.")

    def _projection_arguments(self, **given) -> dict:
        """Arguments of every projection; each gets its own copy of the initializers, so that their first values differ."""
        copies = {key: type(value).from_config(value.get_config()) for key, value in given.items() if key.endswith("initializer")}
        return {**given, **copies, "dtype": self.dtype_policy}

    def _masks(self, query, value, query_mask, value_mask, key_mask, attention_mask, causal: bool):
        """All masks as one, [batch or 1, targets, sources] or broadcast to that, or None."""
        parts = []
        for mask, axis in ((query_mask, -1), (value_mask, -2), (key_mask, -2)):
            if mask is not None:
                parts.append(ops.expand_dims(ops.cast(mask, "bool"), axis))
        if causal:
            parts.append(self._compute_causal_mask(query, value))
        if self._window is not None:
            parts.append(self._compute_sliding_window_mask(query, value))
        if attention_mask is not None:
            parts.append(ops.cast(attention_mask, "bool"))
        joined = None
        for part in parts:
            joined = part if joined is None else ops.logical_and(joined, part)
        return joined

    def _compute_causal_mask(self, query, value=None):
        """[1, targets, sources]: whether a source lies at or before the target."""
        targets = query.shape[1]
        return ops.expand_dims(ops.cast(ops.tri(targets, targets if value is None else value.shape[1]), "bool"), 0)

    def _compute_sliding_window_mask(self, query, value=None):
        """[1, targets, sources]: whether a source lies less than `sliding_window` positions from the target."""
        targets = query.shape[1]
        sources = targets if value is None else value.shape[1]
        rows = ops.reshape(ops.arange(targets, dtype="int32"), (1, targets, 1))
        columns = ops.reshape(ops.arange(sources, dtype="int32"), (1, 1, sources))
        return ops.less(ops.absolute(ops.subtract(rows, columns)), self._window)

    def _raised(self, mask, rank: int, attention_axes: int):
        """The mask with axes of size 1 for the heads, and for batch axes it lacks."""
        while mask is not None and len(mask.shape) < rank:
            mask = ops.expand_dims(mask, -2 * attention_axes - 1)
        return mask

    def _attend(self, query, key, value, mask, causal: bool, scale: float):
        mask = None if mask is None else self._raised(ops.cast(mask, "bool"), 4, 1)
        return ops.dot_product_attention(query, key, value, mask=mask, scale=scale, is_causal=causal)

    def _refuse_scores_of_flash(self, return_attention_scores: bool) -> None:
        if self._flash_attention and return_attention_scores:
            raise ValueError(f"{type(self).__name__} with flash_attention=True holds no scores to return; set flash_attention=None.")


class MultiHeadAttention(_Heads):
    """Attention in several heads: each projects queries, keys and values on its own; the results are projected back together.

    Args:
        num_heads: Number of heads.
        key_dim: Size of a head for queries and keys.
        value_dim: Size of a head for values; `key_dim` by default.
        dropout: Part of the scores that is dropped in training. Scores are held as a whole then.
        use_bias: Whether the projections have biases.
        output_shape: Sizes of the output's last axes; that of the query by default.
        attention_axes: Axes (0 is the batch) over which attention goes; all but the batch and the features by default.
        sliding_window: Targets look only at sources less than so many positions away.
        flash_attention: Accepted for familiarity: scores are never held as a whole where nothing asks for them.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer, kernel_constraint, bias_constraint: Of
            all projections.
        use_gate: Whether results are multiplied by a sigmoid projection of the query.
        seed: Makes the dropout repeatable.

    Call arguments:
        query: [batch, targets, features].
        value: [batch, sources, features].
        key: Like value, which it is by default.
        query_mask, value_mask, key_mask: [batch, length], True where valid; by default the masks that travel with the inputs. (Keras 3.15 ignores a
            `query_mask` that is given; only outputs at masked positions differ.)
        attention_mask: [batch, targets, sources] (or with the heads as second axis), True where a target may look.
        return_attention_scores: Whether to give the scores after the softmax, too: [batch, heads, targets, sources].
        use_causal_mask: Whether a target looks only at sources up to its own position.

    >>> import nnlite, numpy as np
    >>> x = np.ones((2, 5, 8), "float32")
    >>> nnlite.layers.MultiHeadAttention(num_heads=2, key_dim=4)(x, x, use_causal_mask=True).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        num_heads,
        key_dim,
        value_dim=None,
        dropout=0.0,
        use_bias=True,
        output_shape=None,
        attention_axes=None,
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
        super().__init__(**kwargs)
        self.num_heads = positive_int(num_heads, "num_heads", "MultiHeadAttention")
        self.key_dim = positive_int(key_dim, "key_dim", "MultiHeadAttention")
        self.value_dim = self.key_dim if value_dim is None else positive_int(value_dim, "value_dim", "MultiHeadAttention")
        self._start(dropout, use_bias, use_gate, sliding_window, flash_attention, seed)
        self._output_shape = _axes_of(output_shape, "output_shape")
        self.attention_axes = _axes_of(attention_axes, "attention_axes")
        self._kernel_initializer = initializers.get(kernel_initializer)
        self._bias_initializer = initializers.get(bias_initializer)
        self._kernel_regularizer = regularizers.get(kernel_regularizer)
        self._bias_regularizer = regularizers.get(bias_regularizer)
        self._activity_regularizer = regularizers.get(activity_regularizer)
        self._kernel_constraint = constraints.get(kernel_constraint)
        self._bias_constraint = constraints.get(bias_constraint)

    @property
    def dropout(self) -> float:
        return self._rate

    @property
    def use_bias(self) -> bool:
        return self._biased

    def build(self, query_shape, value_shape, key_shape=None):
        key_shape = value_shape if key_shape is None else key_shape
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                f"Key and value of MultiHeadAttention must have equal axes between batch and features; layer {self.name!r} received "
                f"value_shape={tuple(value_shape)} and key_shape={tuple(key_shape)}."
            )
        self.query_dense = self._to_heads("query", query_shape, self.key_dim)
        self.key_dense = self._to_heads("key", key_shape, self.key_dim)
        if self._gated:
            self._gate_dense = self._to_heads("gate", query_shape, self.value_dim, activation="sigmoid")
        self.value_dense = self._to_heads("value", value_shape, self.value_dim)
        self._build_attention(len(value_shape) + 1)
        self.output_dense = self._from_heads(query_shape)

    def _common(self) -> dict:
        return self._projection_arguments(
            kernel_initializer=self._kernel_initializer,
            bias_initializer=self._bias_initializer,
            kernel_regularizer=self._kernel_regularizer,
            bias_regularizer=self._bias_regularizer,
            activity_regularizer=self._activity_regularizer,
            kernel_constraint=self._kernel_constraint,
            bias_constraint=self._bias_constraint,
        )

    def _to_heads(self, name: str, shape, size: int, **more) -> EinsumDense:
        """The projection [..., features] to [..., heads, size]."""
        free = string.ascii_lowercase[: len(shape) - 1]
        layer = EinsumDense(
            f"{free}x,xyz->{free}yz",
            output_shape=(*(None,) * (len(free) - 1), self.num_heads, size),
            bias_axes="yz" if self._biased else None,
            name=name,
            **more,
            **self._common(),
        )
        return _built(layer, shape)

    def _from_heads(self, query_shape) -> EinsumDense:
        """The projection [..., heads, size] to the output."""
        free, made = string.ascii_lowercase[: len(query_shape) - 1], self._output_shape or (query_shape[-1],)
        out = string.ascii_uppercase[: len(made)]
        layer = EinsumDense(
            f"{free}yz,yz{out}->{free}{out}",
            output_shape=(*(None,) * (len(free) - 1), *made),
            bias_axes=out if self._biased else None,
            name="attention_output",
            **self._common(),
        )
        return _built(layer, (*query_shape[:-1], self.num_heads, self.value_dim))

    def _attended(self, rank: int) -> tuple:
        """The axes over which attention goes, for inputs with `rank` axes."""
        if self.attention_axes is None:
            return tuple(range(1, rank - 1))
        return tuple(axis if axis >= 0 else rank + axis for axis in self.attention_axes)

    def _build_attention(self, rank: int) -> None:
        """Equations and layers for scores of projections with `rank` axes."""
        axes = self.attention_axes = self._attended(rank - 1)
        letters = string.ascii_lowercase[:rank]
        sources = "".join(letter.upper() if i in axes else letter for i, letter in enumerate(letters))
        batch = "".join(letter for i, letter in enumerate(letters[:-1]) if i not in axes)
        scores = batch + "".join(letters[i] for i in axes) + "".join(sources[i] for i in axes)
        self._score_equation = f"{letters},{sources}->{scores}"
        self._combine_equation = f"{scores},{sources}->{letters}"
        count = len(axes)
        self._softmax = Softmax(axis=tuple(range(len(scores) - count, len(scores))), dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self._rate, dtype=self.dtype_policy, seed=self.seed)

    def _compute_attention(self, query, key, value, attention_mask=None, training=None, return_attention_scores=False, use_causal_mask=False):
        """(outputs [batch, targets, heads, value_dim], scores or None) of projected inputs. A subclass may override it."""
        self._refuse_scores_of_flash(return_attention_scores)
        scale, axes = 1.0 / math.sqrt(self.key_dim), self.attention_axes
        drops = training and self._rate > 0
        if not drops and not return_attention_scores and len(query.shape) == 4 and axes == (1,):
            return self._attend(query, key, value, attention_mask, use_causal_mask, scale), None
        if use_causal_mask:
            causal = self._compute_causal_mask(query, value)
            attention_mask = causal if attention_mask is None else ops.logical_and(ops.cast(attention_mask, "bool"), causal)
        scores = ops.einsum(self._score_equation, ops.multiply(query, scale), key)
        scores = self._softmax(scores, mask=self._raised(attention_mask, len(scores.shape), len(axes)))
        dropped = self._dropout_layer(scores, training=training) if self._rate > 0 else scores
        return ops.einsum(self._combine_equation, dropped, value), scores

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
        ours = type(self)._compute_attention is MultiHeadAttention._compute_attention
        mask = self._masks(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask and not ours)
        gate = self._gate_dense(query) if self._gated else None
        q, k, v = self.query_dense(query), self.key_dense(key), self.value_dense(value)
        causal = {"use_causal_mask": True} if ours and use_causal_mask else {}
        output, scores = self._compute_attention(q, k, v, mask, training, return_attention_scores, **causal)
        output = self.output_dense(output if gate is None else ops.multiply(output, gate))
        return (output, scores) if return_attention_scores else output

    def compute_output_shape(self, query_shape, value_shape, key_shape=None):
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def compute_output_spec(self, query, value, key=None, return_attention_scores=False, **others):
        output = KerasTensor(self.compute_output_shape(query.shape, value.shape), self.compute_dtype)
        if not return_attention_scores:
            return output
        axes = self._attended(len(query.shape))
        kept = [dim for i, dim in enumerate(query.shape[:-1]) if i not in axes]
        shape = (*kept, self.num_heads, *(query.shape[i] for i in axes), *(value.shape[i] for i in axes))
        return output, KerasTensor(shape, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self._gated,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self._window,
            "kernel_initializer": initializers.serialize(self._kernel_initializer),
            "bias_initializer": initializers.serialize(self._bias_initializer),
            "kernel_regularizer": regularizers.serialize(self._kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self._bias_regularizer),
            "activity_regularizer": regularizers.serialize(self._activity_regularizer),
            "kernel_constraint": constraints.serialize(self._kernel_constraint),
            "bias_constraint": constraints.serialize(self._bias_constraint),
            "seed": self.seed,
        }


def _built(layer: EinsumDense, shape) -> EinsumDense:
    """A projection with its weights. Masks pass it: they are used by the layer around it."""
    layer.supports_masking = True
    layer.build(shape)
    return layer


def _axes_of(value, name: str):
    """An int or several as a tuple; None stays."""
    if value is None:
        return None
    try:
        return (int(value),) if not hasattr(value, "__iter__") else tuple(int(v) for v in value)
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` of MultiHeadAttention must be an integer or several; received {name}={value!r}.") from None
