"""TextVectorization: texts to sequences of token numbers, or to bags of words."""

from __future__ import annotations

import re

import numpy as np

from nnlite import ops
from nnlite.layers._host import HostLayer
from nnlite.layers._vocabulary import OUTPUT_MODES, check_dense, check_output_mode
from nnlite.layers.string_lookup import StringLookup
from nnlite.utils.dataset import batches_of

_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
# Only ASCII letters have small forms here, and only ASCII white space separates words, as in Keras.
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
_SPLIT = ("whitespace", "character")


class TextVectorization(HostLayer):
    """Texts to integer sequences [batch, time], or to vectors of counts.

    It runs in Python, in a model before everything that is compiled; `Input(shape=(1,), dtype="string")` begins such a model.

    Args:
        max_tokens: Largest vocabulary size, special tokens included; None for no limit.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation", None, or a function of an array of texts.
        split: "whitespace", "character", None, or a function of an array of texts that returns a list of tokens for each.
        ngrams: Longest runs of words that count as tokens, or a tuple of lengths.
        output_mode: "int", "multi_hot", "count" or "tf_idf".
        output_sequence_length: Length of the integer sequences; by default that of the longest text.
        pad_to_max_tokens: Whether vectors have `max_tokens` places even if the vocabulary is smaller.
        vocabulary: Tokens, or a text file with one a line; by default `adapt` finds them.
        idf_weights: Weights of the tokens, for "tf_idf" with a vocabulary.
        sparse, ragged: Must be false.
        encoding: Of bytes in the data and of vocabulary files.

    >>> layer = TextVectorization(output_sequence_length=3)
    >>> layer.adapt(["the cat", "The dog!"])
    >>> layer.get_vocabulary(), layer(["the bird"]).numpy().tolist()
    (['', '[UNK]', 'the', 'dog', 'cat'], [[2, 1, 0]])
    """

    _keeps_own_variables = True

    def __init__(
        self,
        max_tokens=None,
        standardize="lower_and_strip_punctuation",
        split="whitespace",
        ngrams=None,
        output_mode="int",
        output_sequence_length=None,
        pad_to_max_tokens=False,
        vocabulary=None,
        idf_weights=None,
        sparse=False,
        ragged=False,
        encoding="utf-8",
        name=None,
        **kwargs,
    ):
        size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, **kwargs)
        self.standardize = standardize
        self.split = split
        self.ngrams = ngrams
        self.output_mode = output_mode
        self.output_sequence_length = output_sequence_length
        self.sparse = sparse
        self.ragged = ragged
        self.encoding = encoding
        _check(self, max_tokens)
        self.__dict__["_ngram_sizes"] = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams
        self._lookup_layer = StringLookup(
            max_tokens=max_tokens,
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            pad_to_max_tokens=pad_to_max_tokens,
            mask_token="" if output_mode == "int" else None,
            output_mode=output_mode,
            encoding=encoding,
            vocabulary_size=size,
        )
        self.supports_masking = True
        self._build_at_init()

    @property
    def dtype(self) -> str:
        return "string"

    @property
    def compute_dtype(self) -> str:
        return "string"

    # The vocabulary

    def adapt(self, data, steps=None) -> None:
        """Finds the vocabulary in texts: an array, a list, or a dataset of batches (`steps` of them, all by default)."""
        if self._lookup_layer.input_vocabulary is not None:
            self._lookup_layer.adapt(data, steps)  # warns that it does nothing
            return
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data) -> None:
        """Counts the tokens of a batch of texts."""
        self._lookup_layer._count(self._tokens(self._as_host(data)))

    def finalize_state(self) -> None:
        """Makes the vocabulary of what was counted."""
        self._lookup_layer.finalize_state()
        self._bump()

    def reset_state(self) -> None:
        """Forgets what `adapt` has seen."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list:
        """The tokens in the order of their numbers."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """Number of tokens, padding and the unknown token included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary, idf_weights=None) -> None:
        """Sets the tokens, and in "tf_idf" mode their weights."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    # Texts to tokens to numbers

    def _as_host(self, value):
        array = super()._as_host(value)
        if array.dtype.kind not in "UO":
            raise ValueError(
                f"TextVectorization {self.name!r} takes strings; received an array of dtype {array.dtype} and shape {array.shape}. Call it on the "
                "texts themselves."
            )
        if self.split is not None and (array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1)):
            raise ValueError(
                f"TextVectorization {self.name!r} takes texts of shape (batch,) or (batch, 1) when it splits them; received shape {array.shape}. "
                "Join the columns, or pass split=None for texts that are split already."
            )
        return array

    def _tokens(self, texts: np.ndarray) -> list:
        """A list of tokens for each text."""
        shape = texts.shape
        flat = self._standardized(texts.reshape(-1))
        if self.split is None:
            width = shape[1] if len(shape) == 2 else 1
            tokens = [list(flat[i : i + width]) for i in range(0, len(flat), width)]
        elif self.split == "whitespace":
            tokens = [[word for word in re.split("[ \t\n\r\f\v]+", text) if word] for text in flat]
        elif self.split == "character":
            tokens = [list(text) for text in flat]
        else:
            tokens = [[str(token) for token in row] for row in _plain(self.split(np.asarray(flat, dtype=object)))]
        return tokens if self._ngram_sizes is None else [_ngrams(row, self._ngram_sizes) for row in tokens]

    def _standardized(self, flat: np.ndarray) -> list:
        if callable(self.standardize):
            return [str(text) for text in _plain(self.standardize(flat))]
        texts = flat.tolist()
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            texts = [text.translate(_LOWER) for text in texts]
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            texts = [_PUNCTUATION.sub("", text) for text in texts]
        return texts

    def call(self, inputs):
        self._lookup_layer._check_vocabulary()
        rows = [self._lookup_layer._ids(tokens) for tokens in self._tokens(inputs)]
        single = inputs.ndim == 0 or (inputs.ndim == 1 and self.split is None)
        found = self._sequences(rows) if self.output_mode == "int" else self._vectors(rows)
        if inputs.ndim == 1 and self.split is None:
            found = found[:, 0] if self.output_mode == "int" else self._vectors([[i for row in rows for i in row]])[0]
        elif single:
            found = found[0]
        return ops.convert_to_tensor(found)

    def _sequences(self, rows: list) -> np.ndarray:
        """Rows of numbers, padded with 0 and cut to one length."""
        length = self.output_sequence_length
        length = max(map(len, rows), default=0) if length is None else length
        padded = np.zeros((len(rows), length), "int64")
        for i, row in enumerate(rows):
            kept = row[:length]
            padded[i, : len(kept)] = kept
        return padded

    def _vectors(self, rows: list) -> np.ndarray:
        lookup = self._lookup_layer
        depth = lookup._depth()
        counts = np.stack([np.bincount(np.asarray(row, "int64"), minlength=depth) for row in rows]) if rows else np.zeros((0, depth), "int64")
        if self.output_mode == "tf_idf":
            weights = np.zeros(depth, "float32")
            weights[: len(lookup._idf)] = lookup._idf
            return (counts * weights).astype("float32")
        return np.minimum(counts, 1) if self.output_mode == "multi_hot" else counts

    def _output_dtype(self) -> str:
        return self._lookup_layer._output_dtype()

    def compute_output_shape(self, input_shape):
        if self.output_mode != "int":
            return (input_shape[0], self._lookup_layer._depth())
        if self.split is None:
            return tuple(input_shape) if self.output_sequence_length is None else (input_shape[0], self.output_sequence_length)
        return (input_shape[0], self.output_sequence_length)

    # Configs and files

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        lookup = self._lookup_layer.get_config()
        return {
            **super().get_config(),
            "max_tokens": lookup["max_tokens"],
            "standardize": serialize_keras_object(self.standardize),
            "split": serialize_keras_object(self.split),
            "ngrams": self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": lookup["pad_to_max_tokens"],
            "sparse": self.sparse,
            "ragged": self.ragged,
            "vocabulary": lookup["vocabulary"],
            "idf_weights": lookup["idf_weights"],
            "encoding": self.encoding,
            "vocabulary_size": self.vocabulary_size(),
        }

    @classmethod
    def from_config(cls, config: dict):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        for key in ("standardize", "split"):
            if isinstance(config.get(key), dict):
                config[key] = deserialize_keras_object(config[key])
        if isinstance(config.get("ngrams"), list):
            config["ngrams"] = tuple(config["ngrams"])
        return super().from_config(config)

    def save_assets(self, folder) -> None:
        self._lookup_layer.save_assets(folder)

    def load_assets(self, folder) -> None:
        self._lookup_layer.load_assets(folder)

    def save_own_variables(self, store) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store) -> None:
        self._lookup_layer.load_own_variables(store)


def _check(layer, max_tokens) -> None:
    mode, length, ngrams = layer.output_mode, layer.output_sequence_length, layer.ngrams
    for word, value, allowed in (("standardize", layer.standardize, _STANDARDIZE), ("split", layer.split, _SPLIT)):
        if value is not None and value not in allowed and not callable(value):
            raise ValueError(
                f"Unknown value for `{word}` argument of TextVectorization. Allowed are {allowed}, None or a function. Received: {word}={value}"
            )
    check_output_mode(mode, OUTPUT_MODES, layer)
    check_dense(layer.sparse, mode, layer)
    if layer.ragged:
        raise ValueError(
            f"TextVectorization was asked for ragged=True with output_mode={mode!r}: tensors have one length in each axis. Leave it out; shorter "
            "texts are padded with 0, which Embedding(mask_zero=True) masks."
        )
    sizes = (ngrams,) if isinstance(ngrams, int) else ngrams
    if sizes is not None and not (isinstance(sizes, tuple) and all(isinstance(n, int) and n >= 1 for n in sizes)):
        raise ValueError(f"`ngrams` of TextVectorization must be None, a positive integer or a tuple of them. Received: ngrams={ngrams}")
    if length is not None and mode != "int":
        raise ValueError(
            f"`output_sequence_length` must not be set if `output_mode` is not 'int'. Received: output_mode={mode}, output_sequence_length={length}."
        )
    if length is not None and not (isinstance(length, int) and length >= 1):
        raise ValueError(
            f"`output_sequence_length` of TextVectorization must be None or a positive integer. Received: output_sequence_length={length}"
        )
    if max_tokens is not None and max_tokens <= 1:
        raise ValueError(f"If set, `max_tokens` of TextVectorization must be greater than 1. Received: max_tokens={max_tokens}")


def _ngrams(tokens: list, sizes: tuple) -> list:
    """Runs of tokens joined by spaces, shorter runs first."""
    return [" ".join(tokens[i : i + n]) for n in sizes for i in range(len(tokens) - n + 1)]


def _plain(value):
    """What a user's function returned, as a list."""
    return value.tolist() if hasattr(value, "tolist") else list(value)
