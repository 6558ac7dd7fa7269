"""IndexLookup: what StringLookup and IntegerLookup share: a vocabulary, found or given, and the encoding of its indices."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections import Counter

import numpy as np

from nnlite import ops
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._fingerprint import fingerprint64, siphash64
from nnlite.layers._host import HostLayer, encode, encoded_shape
from nnlite.layers._vocabulary import check_arguments, check_terms, read_vocabulary, salt_pair, split_special
from nnlite.utils.dataset import batches_of


class IndexLookup(HostLayer):
    """Terms to their places in a vocabulary: mask token, out-of-vocabulary indices, then the terms by falling frequency."""

    # Weights of terms are kept under a name of their own in files.
    _keeps_own_variables = True

    def __init__(
        self,
        max_tokens,
        num_oov_indices,
        mask_token,
        oov_token,
        vocabulary_dtype,
        vocabulary=None,
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
        given_dtype = kwargs.pop("dtype", None)
        vocabulary_size = kwargs.pop("vocabulary_size", None)
        super().__init__(name=name, dtype=given_dtype if isinstance(given_dtype, str) and "float" in given_dtype else None, **kwargs)
        self.invert = invert
        self.max_tokens = max_tokens
        self.num_oov_indices = num_oov_indices
        self.mask_token = mask_token
        self.oov_token = oov_token
        self.output_mode = output_mode
        self.sparse = sparse
        self.pad_to_max_tokens = pad_to_max_tokens
        self.vocabulary_dtype = vocabulary_dtype
        self.oov_method = oov_method
        self.salt = salt_pair(salt, self)
        self.supports_masking = True
        self.__dict__["_given_dtype"] = given_dtype
        check_arguments(self, idf_weights)
        self.input_vocabulary = vocabulary if vocabulary is None or isinstance(vocabulary, str) else np.asarray(vocabulary).tolist()
        self.input_idf_weights = None if idf_weights is None else np.asarray(idf_weights, "float64").tolist()
        self.__dict__.update(_terms=[], _table={}, _idf=None, _counts=Counter(), _documents=Counter(), _document_count=0)
        self.__dict__["_size_in_file"] = None
        self._build_at_init()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        else:
            self.__dict__["_size_in_file"] = vocabulary_size

    # The vocabulary

    @property
    def dtype(self) -> str:
        return self.vocabulary_dtype

    @property
    def compute_dtype(self) -> str:
        return self.vocabulary_dtype if not self.invert else "int64"

    @property
    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _token_start(self) -> int:
        return self._oov_start + self.num_oov_indices

    @property
    def _special_tokens(self) -> list:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list:
        """The terms in the order of their indices."""
        return (self._special_tokens if include_special_tokens else []) + list(self._terms)

    def vocabulary_size(self) -> int:
        """Number of terms, mask and out-of-vocabulary tokens included."""
        return self._token_start + len(self._terms)

    def set_vocabulary(self, vocabulary, idf_weights=None) -> None:
        """Sets the vocabulary, and in "tf_idf" mode the weight of each term.

        Args:
            vocabulary: Terms (special tokens may come first), or the path of a text file with one term a line.
            idf_weights: One weight per term.

        Raises:
            ValueError: Repeated terms, special tokens in the middle, more than `max_tokens`, or missing or superfluous weights.
        """
        if isinstance(vocabulary, (str, os.PathLike)):
            vocabulary = read_vocabulary(vocabulary, self)
        if not isinstance(vocabulary, (list, tuple)):
            vocabulary = np.asarray(vocabulary).tolist()
        terms, special = split_special(list(vocabulary), self)
        check_terms(terms, special, len(vocabulary), idf_weights, self)
        if idf_weights is not None:
            idf_weights = np.asarray(idf_weights, "float64")
            idf_weights = idf_weights[len(idf_weights) - len(terms) :]
        self._set_terms(terms, idf_weights)

    def _set_terms(self, terms: list, idf_weights=None) -> None:
        convert = str if self.vocabulary_dtype == "string" else int
        terms = [convert(term) for term in terms]
        table = {term: i for i, term in enumerate(terms, self._token_start)}
        if self.mask_token is not None:
            table[self.mask_token] = 0 if self._oov_start else -1
        self.__dict__.update(_terms=terms, _table=table)
        if idf_weights is not None:
            front = [float(np.mean(idf_weights))] * self._token_start if len(idf_weights) else []
            self.__dict__["_idf"] = np.asarray([*front, *idf_weights], "float32")
        self._bump()

    # Adapting

    def adapt(self, data, steps=None) -> None:
        """Finds the vocabulary in data: arrays, lists, or a dataset of batches (`steps` of them, all by default)."""
        if self.input_vocabulary is not None:
            warnings.warn(
                f"adapt() of {type(self).__name__} {self.name!r} does nothing: the layer was made with a vocabulary of {len(self._terms)} terms. "
                "Leave out the argument `vocabulary` to find one in the data.",
                stacklevel=2,
            )
            return
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets what `adapt` has seen."""
        self.__dict__.update(_terms=[], _table={}, _idf=None, _counts=Counter(), _documents=Counter(), _document_count=0)

    def update_state(self, data) -> None:
        """Counts the terms of a batch; every row is one document."""
        rows = self._as_host(data)
        rows = rows.reshape(1, -1) if rows.ndim < 2 else rows.reshape(len(rows), -1)
        self._count(rows.tolist())

    def _count(self, documents: list) -> None:
        for terms in documents:
            self._counts.update(terms)
            self._documents.update(set(terms))
        self.__dict__["_document_count"] += len(documents)

    def finalize_state(self) -> None:
        """Makes the vocabulary of what was counted."""
        if self.input_vocabulary is not None or not self._document_count:
            return
        reserved = {self.mask_token, self.oov_token}
        terms = sorted((term for term in self._counts if term not in reserved), reverse=True)
        terms.sort(key=lambda term: -self._counts[term])
        if self.max_tokens is not None:
            terms = terms[: max(self.max_tokens - self._token_start, 0)]
        idf = None
        if self.output_mode == "tf_idf":
            idf = [np.log(1 + self._document_count / (1 + self._documents[term])) for term in terms]
        self._set_terms(terms, idf)
        self.__dict__.update(_counts=Counter(), _documents=Counter(), _document_count=0)

    # Looking up

    def call(self, inputs):
        self._check_vocabulary()
        if self.invert:
            return self._terms_of(inputs)
        ids = np.asarray(self._ids(inputs.reshape(-1).tolist()), "int64").reshape(inputs.shape)
        return ops.convert_to_tensor(self._encoded(ids))

    def _check_vocabulary(self) -> None:
        if not self._terms:
            raise RuntimeError(
                f"{type(self).__name__} {self.name!r} has no vocabulary yet, so it finds nothing. Call adapt(data), set_vocabulary(), or pass "
                "`vocabulary` when making the layer."
            )

    def _ids(self, terms: list) -> list:
        """The index of every term of a flat list; masks are -1 in the encoding modes."""
        table = self._table
        return [found if (found := table.get(term)) is not None else self._unknown(term) for term in terms]

    def _unknown(self, term) -> int:
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} has num_oov_indices=0, so all inputs must be in its vocabulary of {len(self._terms)} terms; "
                f"received {term!r}. Use num_oov_indices=1, or clean the data."
            )
        if self.num_oov_indices == 1:
            return self._oov_start
        if isinstance(term, int) and self.oov_method == "floormod":
            return self._oov_start + term % self.num_oov_indices
        data = str(term).encode()
        hashed = fingerprint64(data) if self.salt is None else siphash64(data, self.salt)
        return self._oov_start + hashed % self.num_oov_indices

    def _depth(self):
        if self.pad_to_max_tokens:
            return self.max_tokens
        return self.vocabulary_size() if self._terms else self._size_in_file or self._token_start

    def _encoded(self, ids: np.ndarray) -> np.ndarray:
        if self.output_mode == "int":
            return ids
        if self.output_mode == "tf_idf":
            counts = encode(ids, "count", self._depth(), "float32")
            weights = np.zeros(self._depth(), "float32")
            weights[: len(self._idf)] = self._idf
            return (counts * weights).astype(self._output_dtype())
        return encode(ids, self.output_mode, self._depth(), self._output_dtype())

    def _terms_of(self, ids: np.ndarray):
        ids = np.asarray(ids, "int64")
        words = self.get_vocabulary()
        found = [words[i] if 0 <= i < len(words) else self.oov_token for i in ids.reshape(-1).tolist()]
        if self.vocabulary_dtype != "string":
            return ops.convert_to_tensor(np.asarray(found, "int64").reshape(ids.shape))
        terms = np.empty(len(found), dtype=object)
        terms[:] = found
        return terms.reshape(ids.shape)

    # Shapes and configs

    def _output_dtype(self) -> str:
        if self.invert:
            return self.vocabulary_dtype
        if self.output_mode == "tf_idf" or (self.output_mode != "int" and self._dtype_policy_is_given()):
            return self._dtype_policy.compute_dtype
        return "int64"

    def _dtype_policy_is_given(self) -> bool:
        return isinstance(self._given_dtype, str) and "float" in self._given_dtype

    def compute_output_shape(self, input_shape):
        if self.output_mode == "int":
            return tuple(input_shape)
        return encoded_shape(tuple(input_shape), self.output_mode, self._depth())

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), self._output_dtype())

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "invert": self.invert,
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "oov_token": self.oov_token,
            "mask_token": self.mask_token,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "vocabulary_dtype": self.vocabulary_dtype,
            "idf_weights": None if self.input_idf_weights is None else list(self.input_idf_weights),
            "vocabulary": list(self.input_vocabulary) if isinstance(self.input_vocabulary, list) else self.input_vocabulary,
            "vocabulary_size": self.vocabulary_size() if self._terms else None,
            "oov_method": self.oov_method,
            "salt": self.salt,
        }

    # Files

    def get_build_config(self):
        return None

    def save_assets(self, folder) -> None:
        """Writes an adapted vocabulary into `folder`; one given in the config is not written twice."""
        if self.input_vocabulary is None and self._terms:
            text = "\n".join(str(term) for term in self.get_vocabulary())
            pathlib.Path(folder, "vocabulary.txt").write_bytes(text.encode("utf-8"))

    def load_assets(self, folder) -> None:
        """Takes the vocabulary from what `save_assets` wrote."""
        path = pathlib.Path(folder, "vocabulary.txt")
        if self.input_vocabulary is None and path.exists():
            convert = str if self.vocabulary_dtype == "string" else int
            terms = [convert(line) for line in path.read_bytes().decode("utf-8").split("\n")]
            self._set_terms(terms[self._token_start :])

    def save_own_variables(self, store) -> None:
        if self.output_mode == "tf_idf" and self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store) -> None:
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self.__dict__["_idf"] = np.asarray(store["idf_weights"], "float32")
            self._bump()
