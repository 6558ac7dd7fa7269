"""ReversibleEmbedding: an embedding that also turns vectors into scores of its rows."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers.embedding import Embedding


class ReversibleEmbedding(Embedding):
    """An Embedding; with `reverse=True` it multiplies vectors by its table instead, for the scores of a language model's tokens.

    Args:
        input_dim: Number of rows of the table.
        output_dim: Length of the vectors.
        tie_weights: Whether both directions share the table; otherwise there are weights `reverse_embeddings` [output_dim, input_dim].
        embeddings_initializer, embeddings_regularizer, embeddings_constraint, mask_zero: As for `Embedding`.
        reverse_dtype: Dtype of the scores; by default that of the computation.
        logit_soft_cap: Scores are kept within +- this number by cap * tanh(score / cap).

    >>> import numpy as np
    >>> layer = ReversibleEmbedding(10, 3)
    >>> layer(layer(np.array([[1, 2]])), reverse=True).shape
    (1, 2, 10)
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        tie_weights=True,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        embeddings_constraint=None,
        mask_zero=False,
        reverse_dtype=None,
        logit_soft_cap=None,
        **kwargs,
    ):
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer=embeddings_initializer,
            embeddings_regularizer=embeddings_regularizer,
            embeddings_constraint=embeddings_constraint,
            mask_zero=mask_zero,
            **kwargs,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        self.__dict__["_reversed"] = False

    def build(self, input_shape=None):
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_embeddings = self.add_weight(
                name="reverse_embeddings", shape=(self.output_dim, self.input_dim), initializer=self.embeddings_initializer
            )

    def call(self, inputs, reverse=False):
        self.__dict__["_reversed"] = reverse
        if not reverse:
            return super().call(inputs)
        if inputs.shape[-1] != self.output_dim:
            raise ValueError(
                f"ReversibleEmbedding {self.name!r} with reverse=True takes vectors of length output_dim={self.output_dim}; received shape "
                f"{tuple(inputs.shape)}. Project them with Dense({self.output_dim}) first."
            )
        dtype = self.reverse_dtype or self.compute_dtype
        kernel = ops.transpose(self.embeddings) if self.tie_weights else ops.convert_to_tensor(self.reverse_embeddings)
        scores = ops.matmul(ops.cast(inputs, dtype), ops.cast(kernel, dtype))
        cap = self.logit_soft_cap
        return scores if cap is None else ops.tanh(scores / cap) * cap

    def compute_mask(self, inputs, mask=None):
        return mask if self._reversed else super().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape, reverse=False):
        return (*input_shape[:-1], self.input_dim) if reverse else (*input_shape, self.output_dim)

    def compute_output_spec(self, inputs, reverse=False):
        from nnlite.graph.symbolic import KerasTensor

        self.__dict__["_reversed"] = reverse
        dtype = self.reverse_dtype if reverse and self.reverse_dtype else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape, reverse), dtype)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "tie_weights": self.tie_weights,
            "reverse_dtype": self.reverse_dtype,
            "logit_soft_cap": self.logit_soft_cap,
        }
