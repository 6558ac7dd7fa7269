"""Sequences of word indices, as in the IMDB and Reuters sets."""

from __future__ import annotations

import json

import numpy as np

from nnlite.datasets._files import find_file


def shuffled(x, labels, rng):
    order = np.arange(len(x))
    rng.shuffle(order)
    return x[order], labels[order]


def encode(sequences, num_words, skip_top, start_char, oov_char, index_from) -> list[list[int]]:
    """Shifts word ranks by `index_from`, puts `start_char` in front, and replaces or drops words outside [skip_top, num_words)."""
    shift = index_from if index_from else 0
    first = [start_char] if start_char is not None else []
    encoded = [first + [word + shift for word in sequence] for sequence in sequences]
    limit = num_words or max(map(max, encoded))
    if oov_char is not None:
        return [[word if skip_top <= word < limit else oov_char for word in sequence] for sequence in encoded]
    return [[word for word in sequence if skip_top <= word < limit] for sequence in encoded]


def shorter_than(maxlen: int, sequences, labels):
    """Keeps sequences of fewer than `maxlen` words."""
    kept = [(x, y) for x, y in zip(sequences, labels) if len(x) < maxlen]
    if not kept:
        raise ValueError(f"maxlen={maxlen} leaves no sequence; increase maxlen.")
    return [x for x, _ in kept], np.asarray([y for _, y in kept])


def object_array(sequences) -> np.ndarray:
    array = np.empty(len(sequences), object)
    array[:] = sequences
    return array


def read_word_index(path: str, origin: str, file_hash: str) -> dict[str, int]:
    with open(find_file(path, origin, file_hash), encoding="utf-8") as file:
        return json.load(file)
