"""Embedding: a table of vectors, looked up by integers."""

from __future__ import annotations

from nnlite import constraints, initializers, ops, regularizers
from nnlite.layers._arguments import positive_int
from nnlite.layers.layer import Layer


class Embedding(Layer):
    """Replaces integers 0 ... input_dim - 1 by vectors.

    Args:
        input_dim: Number of rows of the table.
        output_dim: Length of the vectors.
        embeddings_initializer: Uniform over [-0.05, 0.05] by default.
        embeddings_regularizer, embeddings_constraint: Penalty and projection of the table.
        mask_zero: Whether 0 means padding: later layers then get a mask that is False there.
        weights: Values of the table, or a list that holds them.

    Input: integers [batch, ...]. Output: [batch, ..., output_dim]. Weights: embeddings [input_dim, output_dim].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Embedding(10, 3)(np.array([[1, 2]])).shape
    (1, 2, 3)
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        weights=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        input_length = kwargs.pop("input_length", None)
        super().__init__(**kwargs)
        if lora_rank is not None or quantization_config is not None:
            raise ValueError(
                f"Embedding has no low-rank or quantized form here; received lora_rank={lora_rank!r}, quantization_config={quantization_config!r}. "
                "Leave them out."
            )
        self.input_dim = positive_int(input_dim, "input_dim", "Embedding")
        self.output_dim = positive_int(output_dim, "output_dim", "Embedding")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        self.autocast = False
        if input_length is not None:
            self.__dict__["_batch_input_shape"] = (None, input_length)
        if weights is not None:
            self.build()
            self.set_weights(weights if isinstance(weights, (list, tuple)) else [weights])

    def build(self, input_shape=None):
        if self.built:
            return
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs):
        if inputs.dtype not in ("int32", "int64", "uint8", "int8"):
            inputs = ops.cast(inputs, "int32")
        return ops.take(self.embeddings, inputs, axis=0)

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
