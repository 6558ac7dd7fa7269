"""StringLookup: strings to integers, and back."""

from __future__ import annotations

from nnlite.layers._index_lookup import IndexLookup


class StringLookup(IndexLookup):
    """Strings to their places in a vocabulary.

    It runs in Python, in a model before everything that is compiled; `Input(dtype="string")` begins such a model.

    Args:
        max_tokens: Largest vocabulary size, special tokens included; None for no limit.
        num_oov_indices: Indices for strings that are not in the vocabulary; with more than one, a hash chooses.
        mask_token: String with index 0 that stands for nothing; None for none.
        oov_token: What unknown indices become with `invert`.
        vocabulary: Strings, or a text file with one a line; by default `adapt` finds them.
        idf_weights: Weights of the strings, for "tf_idf" with a vocabulary.
        invert: Whether indices become strings.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        pad_to_max_tokens: Whether vectors have `max_tokens` places even if the vocabulary is smaller.
        sparse: Must be false.
        encoding: Of bytes in the data and of vocabulary files.
        salt: One or two integers that choose another hash.

    >>> layer = StringLookup()
    >>> layer.adapt(["a", "b", "b"])
    >>> layer.get_vocabulary(), layer(["b", "z"]).numpy().tolist()
    (['[UNK]', 'b', 'a'], [1, 0])
    """

    def __init__(
        self,
        max_tokens=None,
        num_oov_indices=1,
        mask_token=None,
        oov_token="[UNK]",
        vocabulary=None,
        idf_weights=None,
        invert=False,
        output_mode="int",
        pad_to_max_tokens=False,
        sparse=False,
        encoding="utf-8",
        name=None,
        salt=None,
        **kwargs,
    ):
        self.__dict__["encoding"] = encoding
        for word, token in (("mask_token", mask_token), ("oov_token", oov_token)):
            if token is not None and not isinstance(token, str):
                raise ValueError(f"`{word}` of StringLookup must be a string or None. Received: {word}={token!r} of type {type(token).__name__}.")
        kwargs.pop("vocabulary_dtype", None)
        super().__init__(
            max_tokens=max_tokens,
            num_oov_indices=num_oov_indices,
            mask_token=mask_token,
            oov_token=oov_token,
            vocabulary_dtype="string",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            invert=invert,
            output_mode=output_mode,
            sparse=sparse,
            pad_to_max_tokens=pad_to_max_tokens,
            name=name,
            salt=salt,
            **kwargs,
        )

    def _as_host(self, value):
        array = super()._as_host(value)
        if not self.invert and array.dtype.kind not in "UO":
            raise ValueError(
                f"StringLookup {self.name!r} takes strings; received an array of dtype {array.dtype} and shape {array.shape}. Use IntegerLookup for "
                "integers, or convert with astype(str)."
            )
        return array

    def get_config(self) -> dict:
        config = {**super().get_config(), "encoding": self.encoding}
        del config["vocabulary_dtype"]
        return config
