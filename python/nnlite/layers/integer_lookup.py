"""IntegerLookup: arbitrary integers to 0, 1, 2, ..., and back."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.layers._index_lookup import IndexLookup
from nnlite.tensor import Tensor


class IntegerLookup(IndexLookup):
    """Integers to their places in a vocabulary. On computed tensors it is compiled with the model.

    Args:
        max_tokens: Largest vocabulary size, special tokens included; None for no limit.
        num_oov_indices: Indices for integers that are not in the vocabulary.
        mask_token: Integer with index 0 that stands for nothing; None for none.
        oov_token: What unknown indices become with `invert`.
        vocabulary: Integers, or a text file with one a line; by default `adapt` finds them.
        vocabulary_dtype: "int64" or "int32".
        idf_weights: Weights of the integers, for "tf_idf" with a vocabulary.
        invert: Whether indices become integers of the vocabulary.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        sparse: Must be false.
        pad_to_max_tokens: Whether vectors have `max_tokens` places even if the vocabulary is smaller.
        oov_method: How one of several unknown indices is chosen: "floormod" (the integer modulo their number) or "farmhash".
        salt: One or two integers that choose another hash.

    >>> layer = IntegerLookup(vocabulary=[12, 1138])
    >>> layer([[12, 7], [1138, 12]]).numpy().tolist()
    [[1, 0], [2, 1]]
    """

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token=-1,
        vocabulary=None,
        vocabulary_dtype="int64",
        idf_weights=None,
        invert=False,
        output_mode="int",
        sparse=False,
        pad_to_max_tokens=False,
        oov_method="floormod",
        salt=None,
        name=None,
        **kwargs,
    ):
        if max_tokens is not None and max_tokens <= 1:
            raise ValueError(f"If set, `max_tokens` for IntegerLookup must be greater than 1. Received: max_tokens={max_tokens}")
        if vocabulary_dtype not in ("int32", "int64"):
            raise ValueError(f"`vocabulary_dtype` of IntegerLookup must be 'int32' or 'int64'. Received: vocabulary_dtype={vocabulary_dtype!r}.")
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype=vocabulary_dtype,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            oov_method=oov_method,
            salt=salt,
            name=name,
            **kwargs,
        )

    def _as_host(self, value):
        if isinstance(value, Tensor) and value.data is None:
            return value
        array = super()._as_host(value)
        if array.dtype.kind not in "iubf":
            raise ValueError(
                f"IntegerLookup {self.name!r} takes integers; received an array of dtype {array.dtype} and shape {array.shape}. Use StringLookup for "
                "strings."
            )
        return array.astype("int64")

    def call(self, inputs):
        if not isinstance(inputs, Tensor):
            return super().call(inputs)
        self._check_vocabulary()
        if self.invert or self.output_mode != "int" or self.num_oov_indices == 0 or (self.num_oov_indices > 1 and self.oov_method == "farmhash"):
            raise ValueError(
                f"IntegerLookup {self.name!r} is compiled only with output_mode='int' and hashing by 'floormod'; it has output_mode="
                f"{self.output_mode!r}, invert={self.invert}, num_oov_indices={self.num_oov_indices}, oov_method={self.oov_method!r} and was given "
                "a computed tensor. Call it on the model's Input."
            )
        return self._compiled(ops.cast(inputs, "int64"))

    def _compiled(self, x: Tensor) -> Tensor:
        """Indices of a traced tensor: a search in the sorted vocabulary."""
        terms = np.asarray(self._terms, "int64")
        order = np.argsort(terms)
        place = ops.minimum(ops.searchsorted(terms[order], ops.reshape(x, (-1,))), len(terms) - 1)
        place = ops.reshape(place, x.shape)
        unknown = ops.mod(x, self.num_oov_indices) + self._oov_start if self.num_oov_indices > 1 else ops.full(x.shape, self._oov_start, "int64")
        found = ops.where(ops.equal(ops.take(terms[order], place), x), ops.take((order + self._token_start).astype("int64"), place), unknown)
        return found if self.mask_token is None else ops.where(ops.equal(x, self.mask_token), ops.zeros_like(found), found)
