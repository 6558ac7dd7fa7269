"""Checks of vocabularies and of the arguments of lookup layers."""

from __future__ import annotations

import os
from collections import Counter

OUTPUT_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


def check_output_mode(mode, allowed, owner) -> None:
    if mode not in allowed:
        raise ValueError(
            f"Unknown value for `output_mode` argument of {type(owner).__name__}. Allowed values are: {allowed}. Received: output_mode={mode}"
        )


def check_dense(sparse, mode, owner) -> None:
    """Outputs are dense: `sparse=True` is refused."""
    if sparse:
        raise ValueError(
            f"{type(owner).__name__} was asked for sparse=True with output_mode={mode!r}: tensors are dense. Leave out `sparse`, or use "
            "output_mode='int' with an Embedding."
        )


def check_arguments(layer, idf_weights) -> None:
    """What a lookup layer is made with must fit together."""
    name, mode = type(layer).__name__, layer.output_mode
    check_output_mode(mode, OUTPUT_MODES, layer)
    check_dense(layer.sparse, mode, layer)
    if layer.max_tokens is not None and layer.max_tokens <= 1:
        raise ValueError(f"If set, `max_tokens` of {name} must be greater than 1. Received: max_tokens={layer.max_tokens}")
    if layer.pad_to_max_tokens and layer.max_tokens is None:
        raise ValueError(f"If pad_to_max_tokens is True, {name} must be given `max_tokens`. Received: max_tokens={layer.max_tokens}")
    if layer.num_oov_indices < 0:
        raise ValueError(f"`num_oov_indices` of {name} must be greater than or equal to 0. Received: num_oov_indices={layer.num_oov_indices}")
    if layer.invert and mode != "int":
        raise ValueError(f"`output_mode` of {name} must be 'int' when `invert` is true. Received: output_mode={mode}")
    if layer.invert and layer.num_oov_indices > 1:
        raise ValueError(f"`num_oov_indices` of {name} must be 0 or 1 when `invert` is true. Received: num_oov_indices={layer.num_oov_indices}")
    if idf_weights is not None and mode != "tf_idf":
        raise ValueError(f"`idf_weights` of {name} should only be set if `output_mode` is 'tf_idf'. Received: output_mode={mode}")
    if layer.oov_method not in ("floormod", "farmhash"):
        raise ValueError(f"`oov_method` of {name} must be 'floormod' or 'farmhash'. Received: oov_method={layer.oov_method}")
    if layer.salt is not None and layer.vocabulary_dtype != "string" and layer.oov_method != "farmhash":
        raise ValueError(f"`salt` of {name} needs oov_method='farmhash'. Received: oov_method={layer.oov_method}")


def salt_pair(salt, layer):
    """A salt as a list of two integers, or None."""
    if salt is None:
        return None
    if isinstance(salt, int) and not isinstance(salt, bool):
        return [salt, salt]
    if isinstance(salt, (tuple, list)) and len(salt) == 2 and all(isinstance(s, int) for s in salt):
        return list(salt)
    raise ValueError(f"The `salt` argument of {type(layer).__name__} must be an integer or a tuple of two integers. Received: salt={salt}.")


def read_vocabulary(path, layer) -> list:
    """The terms of a text file, one a line."""
    if not os.path.exists(path):
        raise ValueError(f"Vocabulary file {os.fspath(path)} of {type(layer).__name__} {layer.name!r} does not exist. Check the path.")
    with open(path, encoding=getattr(layer, "encoding", None) or "utf-8") as file:
        lines = file.read().splitlines()
    return lines if layer.vocabulary_dtype == "string" else [int(line) for line in lines]


def split_special(vocabulary: list, layer) -> tuple[list, list]:
    """(terms, special tokens they began with): the latter are either all there, in order, or all left out."""
    special = layer._special_tokens
    if special and vocabulary[: len(special)] == special:
        return vocabulary[len(special) :], special
    return vocabulary, []


def check_terms(terms: list, special: list, given: int, idf_weights, layer) -> None:
    """Terms must be new, not special, and no more than `max_tokens`; weights must match them."""
    name = f"{type(layer).__name__} {layer.name!r}"
    if not given:
        raise ValueError(f"Cannot set an empty vocabulary in {name}. Received: vocabulary=[]. Pass at least one term.")
    repeated = [term for term, count in Counter(terms).items() if count > 1]
    if repeated:
        raise ValueError(f"The vocabulary passed to {name} has at least one repeated term. Make the terms unique. The repeated terms are: {repeated}")
    if layer.mask_token is not None and layer.mask_token in terms:
        raise ValueError(
            f"Found reserved mask token {layer.mask_token!r} at position {terms.index(layer.mask_token)} of the vocabulary of {name}. Leave out the "
            f"special tokens, or begin the vocabulary with exactly {layer._special_tokens}."
        )
    size = layer._token_start + len(terms)
    if layer.max_tokens is not None and size > layer.max_tokens:
        raise ValueError(
            f"Attempted to set a vocabulary larger than the maximum size in {name}. Received vocabulary size is {size} (special tokens included); "
            f"`max_tokens` is {layer.max_tokens}. Shorten the vocabulary or raise `max_tokens`."
        )
    if layer.output_mode == "tf_idf":
        if idf_weights is None:
            raise ValueError(f"A vocabulary for output_mode='tf_idf' needs `idf_weights` as well; {name} received None. Pass one weight per term.")
        if len(idf_weights) != given:
            raise ValueError(f"`idf_weights` must have one weight per term; {name} received {len(idf_weights)} weights for {given} terms.")
    elif idf_weights is not None:
        raise ValueError(f"`idf_weights` should only be set if `output_mode` is 'tf_idf'; {name} has output_mode={layer.output_mode!r}.")
