"""Reuters: 11,228 newswires as sequences of word ranks, labelled with one of 46 topics."""

from __future__ import annotations

import numpy as np

from nnlite.datasets._files import ORIGIN, find_file, read_npz
from nnlite.datasets._text import encode, object_array, read_word_index, shorter_than, shuffled

_HASH = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"


def load_data(path="reuters.npz", num_words=None, skip_top=0, maxlen=None, test_split=0.2, seed=113, start_char=1, oov_char=2, index_from=3):
    """Returns `(x_train, y_train), (x_test, y_test)`: object arrays of lists of int, and topics. Arguments as in `imdb.load_data`.

    Args:
        test_split: Share of the newswires used for the test set.
    """
    file = find_file(path, ORIGIN + "reuters.npz", _HASH)
    arrays = read_npz(file, {"x": (None,), "y": (None,)}, "iuO")
    x, labels = shuffled(arrays["x"], arrays["y"], np.random.RandomState(seed))
    sequences = encode(x, None, 0, start_char, None, index_from)
    if maxlen:
        sequences, labels = shorter_than(maxlen, sequences, labels)
    sequences = encode(sequences, num_words, skip_top, None, oov_char, None)
    split = int(len(sequences) * (1 - test_split))
    return (object_array(sequences[:split]), labels[:split]), (object_array(sequences[split:]), labels[split:])


def get_word_index(path="reuters_word_index.json") -> dict[str, int]:
    """Word -> rank by frequency, from 1."""
    return read_word_index(path, ORIGIN + "reuters_word_index.json", "4d44cc38712099c9e383dc6e5f11a921")
