"""Cases of preprocessing layers, shared by the script that asks Keras and by the tests."""

from __future__ import annotations

import numpy as np

TEXTS = ["The cat sat.", "the Dog, sat! on-mat", "a b c the cat", "É\u00a0ÜBER don't"]
WORDS = ["a", "b", "a", "c", "c", "c"]
NUMBERS = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
SERIES = np.arange(12.0).reshape(3, 2, 2)
MANY = np.random.default_rng(1).normal(size=1000).astype("float32")


class Case:
    """A layer: its arguments, what it adapts to, and what it is called on."""

    def __init__(self, layer, *inputs, adapt=None, tag="", **arguments):
        self.layer, self.inputs, self.adapt, self.arguments = layer, inputs, adapt, arguments
        self.name = layer + (f"-{tag}" if tag else "")


CASES = [
    Case("TextVectorization", ["the dog zzz", "cat"], "the dog", [["the dog"], ["cat a b"]], np.array(["É don't", ""]), adapt=TEXTS),
    Case("TextVectorization", ["a b", "q b a"], adapt=["a b a", "b c b a"], max_tokens=6, output_mode="multi_hot", ngrams=2, tag="multi_hot"),
    Case(
        "TextVectorization",
        ["a b", "q b a"],
        adapt=["a b a", "b c b a", "d d"],
        max_tokens=9,
        output_mode="tf_idf",
        pad_to_max_tokens=True,
        tag="tf_idf",
    ),
    Case("TextVectorization", ["ab", "qba"], "ab", [["ab"]], adapt=["ab a", "bcba"], output_mode="count", split="character", tag="count"),
    Case("TextVectorization", ["a b", "a b A b b"], "a b A b b", adapt=["A b a"], output_sequence_length=3, standardize=None, tag="length"),
    Case(
        "TextVectorization",
        [["X"], ["y z"]],
        [["X", "y"], ["y", "z"]],
        ["X", "y"],
        vocabulary=["x", "y"],
        standardize="lower",
        split=None,
        tag="no_split",
    ),
    Case("TextVectorization", ["x y!", "Y, x"], vocabulary=["x", "y"], standardize="strip_punctuation", ngrams=(2,), tag="ngrams"),
    Case("TextVectorization", ["x y x"], vocabulary=["x", "y"], output_mode="tf_idf", idf_weights=[0.5, 0.25], tag="weights"),
    Case("TextVectorization", [["x", "y"], ["z", "z"]], vocabulary=["x", "y"], output_mode="count", split=None, tag="split_count"),
    Case("TextVectorization", ["b a"], adapt=np.array([["a b"], ["b"]]), max_tokens=3, tag="max_tokens"),
    Case("StringLookup", ["a", "z", "c"], "a", [["a", "b"]], adapt=WORDS),
    Case("StringLookup", ["a", "", "zz", "yy", "xx"], vocabulary=["a", "b"], mask_token="", num_oov_indices=2, tag="mask"),
    Case("StringLookup", ["a", "zz", "yy", "xx"], vocabulary=["a", "b"], num_oov_indices=3, salt=[7, 9], tag="salt"),
    Case("StringLookup", ["a", "z", "a"], [["a", "z", "a"]], [["a"], ["z"]], "a", vocabulary=["a", "b"], output_mode="one_hot", tag="one_hot"),
    Case("StringLookup", ["a", "z", "a"], [["a", "z", "a"]], [["a"], ["z"]], "a", vocabulary=["a", "b"], output_mode="multi_hot", tag="multi_hot"),
    Case("StringLookup", ["a", "z", "a"], [["a", "z", "a"]], [["a"], ["z"]], "a", vocabulary=["a", "b"], output_mode="count", tag="count"),
    Case("StringLookup", [["a", "m", "z"]], vocabulary=["a", "b"], output_mode="count", mask_token="m", tag="count_mask"),
    Case(
        "StringLookup",
        [["a", "b"]],
        vocabulary=["a", "b"],
        output_mode="multi_hot",
        num_oov_indices=0,
        max_tokens=5,
        pad_to_max_tokens=True,
        tag="no_oov",
    ),
    Case("StringLookup", [["a", "z", "a"]], adapt=[["a", "b", "a"], ["a", "c", "c"]], output_mode="tf_idf", tag="tf_idf"),
    Case("StringLookup", [["a", "z", "a"]], vocabulary=["a", "b"], idf_weights=[0.3, 0.6], output_mode="tf_idf", tag="weights"),
    Case("StringLookup", ["c", "b"], adapt=WORDS, max_tokens=3, tag="max_tokens"),
    Case("StringLookup", ["b"], vocabulary=["[UNK]", "b"], tag="special"),
    Case("IntegerLookup", [5, 7, 100], np.array([[5, 7, 100]]), 7, adapt=np.array([5, 7, 7, 9, 5, 7])),
    Case("IntegerLookup", [10, 20, 0, 1, 2, 3, -5], vocabulary=[10, 20], num_oov_indices=3, mask_token=0, tag="mask"),
    Case("IntegerLookup", [10, 1, 2, 3, -5], vocabulary=[10, 20], num_oov_indices=3, oov_method="farmhash", tag="farmhash"),
    Case("IntegerLookup", [0, 1, 2], vocabulary=[10, 20], invert=True, tag="invert"),
    Case("IntegerLookup", [10, 5], [[10, 20, 20]], vocabulary=[10, 20], output_mode="one_hot", tag="one_hot"),
    Case("IntegerLookup", [[10, 5, 7, 8]], max_tokens=6, vocabulary=[10, 20], pad_to_max_tokens=True, output_mode="multi_hot", tag="padded"),
    Case("Hashing", ["A", "B", "C", "D", "E"], [["a"], ["bb"]], [1, 2, 3, -4], np.array([[1], [2]]), num_bins=5),
    Case("Hashing", ["A", "", "C"], num_bins=5, mask_value="", tag="mask"),
    Case("Hashing", [1, 2, 3], num_bins=5, mask_value=2, tag="mask_number"),
    Case(
        "Hashing",
        ["A", "B", "a long text that takes more than sixty-four bytes so that the long way is taken"],
        num_bins=100003,
        salt=133,
        tag="salt",
    ),
    Case("Hashing", ["A", "a text of thirty-odd bytes, no more", "a text between"], num_bins=100003, salt=[133, 137], tag="salts"),
    Case("Hashing", ["a", "b", "a"], [["a", "b", "a"]], num_bins=5, output_mode="one_hot", tag="one_hot"),
    Case("Hashing", ["a", "b", "a"], [["a", "b", "a"]], num_bins=5, output_mode="multi_hot", tag="multi_hot"),
    Case("Hashing", ["a", "b", "a"], [["a", "b", "a"]], num_bins=5, output_mode="count", tag="count"),
    Case(
        "HashedCrossing",
        (np.array(["A", "B", "A"]), np.array([101, 101, 102])),
        (np.array([["A"]]), np.array([[-3]]), np.array([["q"]])),
        num_bins=100003,
    ),
    Case("HashedCrossing", (np.array(["A", "B", "A"]), np.array([101, 101, 102])), num_bins=5, output_mode="one_hot", tag="one_hot"),
    Case("CategoryEncoding", [3, 2, 0, 1], [[3], [2]], [[3, 1], [2, 0]], num_tokens=4, output_mode="one_hot", tag="one_hot"),
    Case("CategoryEncoding", [[0, 1], [0, 0], [1, 5]], [1, 2], 1, num_tokens=4),
    Case("CategoryEncoding", [[0, 1], [0, 0]], [1, 1], num_tokens=4, output_mode="count", tag="count"),
    Case("Discretization", np.array([[-1.5, 1.0, 3.4, 0.5]]), [1, 2, 5], bin_boundaries=[0.0, 1.0, 2.0]),
    Case("Discretization", np.array([[-1.5, 1.0, 3.4]]), np.array([[-1.5], [0.5]]), bin_boundaries=[0.0, 1.0], output_mode="one_hot", tag="one_hot"),
    Case("Discretization", np.array([[-1.5, 1.0, 3.4]]), np.array([[-1.5], [0.5]]), bin_boundaries=[0.0, 1.0], output_mode="count", tag="count"),
    Case("Discretization", np.array([[-1.5, 1.0, 3.4]]), bin_boundaries=[0.0, 1.0], output_mode="multi_hot", tag="multi_hot"),
    Case("Discretization", MANY[:40], adapt=MANY, num_bins=5, tag="adapt"),
    Case("Discretization", NUMBERS[:4], adapt=NUMBERS, num_bins=4, epsilon=0.05, tag="epsilon"),
    Case("Normalization", NUMBERS[:2], adapt=NUMBERS),
    Case("Normalization", SERIES, adapt=SERIES, axis=None, tag="all"),
    Case("Normalization", SERIES, adapt=SERIES, axis=1, tag="axis1"),
    Case("Normalization", SERIES, adapt=SERIES, axis=(1, 2), tag="axes"),
    Case("Normalization", SERIES[0], mean=[1.0, 2.0], variance=[4.0, 9.0], tag="given"),
    Case("Normalization", SERIES[0], mean=[1.0, 2.0], variance=[4.0, 9.0], invert=True, tag="invert"),
    Case("Normalization", SERIES[0], mean=3.0, variance=2.0, tag="scalar"),
    Case("Normalization", np.array([[1.0, 2.0, 5.0]]), adapt=np.array([[1.0, 2.0, 3.0]]), tag="constant"),
]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES), "case names must be unique"


def vocabulary(layer):
    """The layer's vocabulary as plain values, or None."""
    if not hasattr(layer, "get_vocabulary"):
        return None
    return [token if isinstance(token, str) else int(token) for token in layer.get_vocabulary()]


def state(layer) -> list:
    """The layer's weights as numbers."""
    return [np.asarray(weight).tolist() for weight in layer.weights]
