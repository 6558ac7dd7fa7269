"""IMDB: 50,000 film reviews as sequences of word ranks, labelled 0 (negative) or 1 (positive) (Maas et al., 2011)."""

from __future__ import annotations

import numpy as np

from nnlite.datasets._files import ORIGIN, find_file, read_npz
from nnlite.datasets._text import encode, object_array, read_word_index, shorter_than, shuffled

_HASH = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"


def load_data(path="imdb.npz", num_words=None, skip_top=0, maxlen=None, seed=113, start_char=1, oov_char=2, index_from=3, **kwargs):
    """Returns `(x_train, y_train), (x_test, y_test)`: object arrays of lists of int, and int64 labels; 25,000 each.

    Args:
        num_words: Keep only words of index below it; the others become `oov_char`.
        skip_top: Skip this many most frequent words.
        maxlen: Keep only reviews shorter than this.
        seed: Of the shuffle.
        start_char: Marks the start of every review.
        oov_char: Replaces words left out; None drops them.
        index_from: Index of the most frequent word.
    """
    if kwargs:
        raise TypeError(f"imdb.load_data() takes no argument {', '.join(map(repr, kwargs))}.")
    file = find_file(path, ORIGIN + "imdb.npz", _HASH)
    arrays = read_npz(file, {"x_train": (None,), "y_train": (None,), "x_test": (None,), "y_test": (None,)}, "iuO")
    rng = np.random.RandomState(seed)
    x_train, y_train = shuffled(arrays["x_train"], arrays["y_train"], rng)
    x_test, y_test = shuffled(arrays["x_test"], arrays["y_test"], rng)
    labels = np.concatenate([y_train, y_test])
    sequences = [*x_train, *x_test]
    limit = num_words
    encoded = encode(sequences, None, 0, start_char, None, index_from) if maxlen else None
    split = len(x_train)
    if maxlen:
        kept_train, y_train = shorter_than(maxlen, encoded[:split], y_train)
        kept_test, y_test = shorter_than(maxlen, encoded[split:], y_test)
        labels, split = np.concatenate([y_train, y_test]), len(kept_train)
        final = encode(kept_train + kept_test, limit, skip_top, None, oov_char, None)
    else:
        final = encode(sequences, limit, skip_top, start_char, oov_char, index_from)
    return (object_array(final[:split]), labels[:split]), (object_array(final[split:]), labels[split:])


def get_word_index(path="imdb_word_index.json") -> dict[str, int]:
    """Word -> rank by frequency, from 1; add `index_from` to get the indices of `load_data`."""
    return read_word_index(path, ORIGIN + "imdb_word_index.json", "bfafd718b763782e994055a2d397834f")
