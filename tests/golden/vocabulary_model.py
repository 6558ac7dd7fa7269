"""A model with every preprocessing layer that keeps something, made in either library."""

from __future__ import annotations

import numpy as np

DATA = {
    "text": np.array([["a b"], ["c é a"], ["zzz"]]),
    "word": np.array([["x"], ["y"], ["w"]]),
    "number": np.array([[0.5, 1.0], [2.0, 3.0], [-1.0, 9.0]], "float32"),
    "code": np.array([[4], [7], [5]]),
}


def make(library):
    """The adapted model; its weights are the same in every library."""
    layers = library.layers
    text, word = library.Input((1,), dtype="string", name="text"), library.Input((1,), dtype="string", name="word")
    number, code = library.Input((2,), name="number"), library.Input((1,), dtype="int64", name="code")
    vectorize, bags = layers.TextVectorization(output_sequence_length=3), layers.TextVectorization(output_mode="tf_idf")
    words, codes = layers.StringLookup(), layers.IntegerLookup(num_oov_indices=2)
    normalize, bins = layers.Normalization(), layers.Discretization(num_bins=2)
    for layer in (vectorize, bags):
        layer.adapt(["a b a", "b c é"])
    words.adapt(["x", "y", "y"])
    codes.adapt(np.array([4, 4, 7]))
    normalize.adapt(np.arange(6.0).reshape(3, 2))
    bins.adapt(np.arange(6.0))
    flat = [
        layers.Flatten()(layers.Embedding(6, 2)(vectorize(text))),
        layers.Flatten()(bags(text)),
        layers.Flatten()(layers.Embedding(3, 2)(words(word))),
        normalize(number),
        layers.Flatten()(layers.Embedding(4, 2)(codes(code))),
        layers.Flatten()(layers.Embedding(2, 2)(bins(number))),
    ]
    model = library.Model({"text": text, "word": word, "number": number, "code": code}, layers.Dense(2)(layers.Concatenate()(flat)))
    for i, weight in enumerate(model.trainable_variables):
        weight.assign(np.random.default_rng(i).normal(size=tuple(weight.shape)))
    return model
