"""Texts of errors of preprocessing layers: rule, offender, values, fix."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers


def adapted(layer, data):
    layer.adapt(data)
    return layer


CASES = {
    "max_tokens": (lambda: layers.StringLookup(max_tokens=1), r"`max_tokens` of StringLookup must be greater than 1. Received: max_tokens=1"),
    "integer max_tokens": (lambda: layers.IntegerLookup(max_tokens=1), r"`max_tokens` for IntegerLookup must be greater than 1"),
    "num_oov_indices": (
        lambda: layers.StringLookup(num_oov_indices=-1),
        r"`num_oov_indices` of StringLookup must be greater than or equal to 0. Received: num_oov_indices=-1",
    ),
    "output_mode": (
        lambda: layers.StringLookup(output_mode="x"),
        r"Unknown value for `output_mode` argument of StringLookup. Allowed values are: \('int', .*Received: output_mode=x",
    ),
    "invert and mode": (
        lambda: layers.StringLookup(invert=True, output_mode="count"),
        r"must be 'int' when `invert` is true. Received: output_mode=count",
    ),
    "invert and oov": (
        lambda: layers.StringLookup(invert=True, num_oov_indices=2),
        r"must be 0 or 1 when `invert` is true. Received: num_oov_indices=2",
    ),
    "repeated": (lambda: layers.StringLookup(vocabulary=["a", "a"]), r"has at least one repeated term.*repeated terms are: \['a'\]"),
    "empty": (lambda: layers.StringLookup(vocabulary=[]), r"Cannot set an empty vocabulary in StringLookup"),
    "special": (
        lambda: layers.StringLookup(mask_token="m", vocabulary=["b", "m"]),
        r"reserved mask token 'm' at position 1.*begin the vocabulary with exactly \['m', '\[UNK\]'\]",
    ),
    "too large": (lambda: layers.StringLookup(max_tokens=2, vocabulary=["a", "b"]), r"Received vocabulary size is 3 .*`max_tokens` is 2"),
    "pad": (lambda: layers.StringLookup(pad_to_max_tokens=True), r"must be given `max_tokens`. Received: max_tokens=None"),
    "sparse": (lambda: layers.StringLookup(sparse=True), r"StringLookup was asked for sparse=True with output_mode='int': tensors are dense"),
    "file": (lambda: layers.StringLookup(vocabulary="/no/such"), r"Vocabulary file /no/such of StringLookup .* does not exist"),
    "token": (
        lambda: layers.StringLookup(mask_token=1),
        r"`mask_token` of StringLookup must be a string or None. Received: mask_token=1 of type int",
    ),
    "idf without mode": (
        lambda: layers.StringLookup(vocabulary=["a"], idf_weights=[1.0]),
        r"`idf_weights` of StringLookup should only be set if `output_mode` is 'tf_idf'",
    ),
    "mode without idf": (
        lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"),
        r"needs `idf_weights` as well; StringLookup .* received None",
    ),
    "idf length": (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf", idf_weights=[1.0, 2.0]), r"received 2 weights for 1 terms"),
    "late idf": (lambda: layers.StringLookup().set_vocabulary(["a"], [1.0]), r"has output_mode='int'"),
    "oov": (
        lambda: layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["z"]),
        r"num_oov_indices=0, so all inputs must be in its vocabulary of 1 terms; received 'z'",
    ),
    "numbers": (lambda: layers.StringLookup(vocabulary=["a"])([1, 2]), r"takes strings; received an array of dtype int64 .*Use IntegerLookup"),
    "strings": (lambda: layers.IntegerLookup(vocabulary=[1])(["a"]), r"takes integers; received an array of dtype object .*Use StringLookup"),
    "mixture": (lambda: layers.StringLookup(vocabulary=["a"])(["a", None]), r"arrays of strings or numbers; found None of type NoneType"),
    "ragged": (
        lambda: layers.StringLookup(vocabulary=["a"])([["a"], ["b", "c"]]),
        r"takes rectangular arrays; received rows of unequal length.*pad_sequences",
    ),
    "salt": (lambda: layers.Hashing(3, salt="x"), r"`salt` argument of Hashing must be an integer or a tuple of two integers. Received: salt=x"),
    "salt of integers": (lambda: layers.IntegerLookup(salt=3), r"needs oov_method='farmhash'. Received: oov_method=floormod"),
    "oov_method": (lambda: layers.IntegerLookup(oov_method="x"), r"must be 'floormod' or 'farmhash'. Received: oov_method=x"),
    "vocabulary_dtype": (
        lambda: layers.IntegerLookup(vocabulary_dtype="float32"),
        r"must be 'int32' or 'int64'. Received: vocabulary_dtype='float32'",
    ),
    "compiled lookup": (
        lambda: nnlite.function(layers.IntegerLookup(vocabulary=[1], output_mode="count"))(np.ones((2, 2), "int64")),
        r"is compiled only with output_mode='int'.*it has output_mode='count'",
    ),
    "standardize": (lambda: layers.TextVectorization(standardize="x"), r"Unknown value for `standardize` argument.*Received: standardize=x"),
    "split": (lambda: layers.TextVectorization(split="x"), r"Unknown value for `split` argument.*Received: split=x"),
    "ngrams": (lambda: layers.TextVectorization(ngrams="a"), r"`ngrams` of TextVectorization must be .*Received: ngrams=a"),
    "sequence length": (lambda: layers.TextVectorization(output_sequence_length=0), r"`output_sequence_length` .*Received: output_sequence_length=0"),
    "length of vectors": (
        lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3),
        r"must not be set if `output_mode` is not 'int'",
    ),
    "text max_tokens": (lambda: layers.TextVectorization(max_tokens=1), r"`max_tokens` of TextVectorization must be greater than 1"),
    "ragged texts": (lambda: layers.TextVectorization(ragged=True), r"ragged=True with output_mode='int': tensors have one length"),
    "columns": (
        lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]),
        r"shape \(batch,\) or \(batch, 1\) when it splits them; received shape \(1, 2\)",
    ),
    "texts of numbers": (
        lambda: layers.TextVectorization(vocabulary=["a"])(np.ones(3)),
        r"TextVectorization .* takes strings; received an array of dtype float64",
    ),
    "num_bins": (lambda: layers.Hashing(0), r"`num_bins` for `Hashing` must be a positive integer. Received: num_bins=0"),
    "hashing mode": (lambda: layers.Hashing(3, output_mode="x"), r"`output_mode` of Hashing. Expected one of .*Received: output_mode=x"),
    "crossing one": (lambda: layers.HashedCrossing(3)(np.ones(2, "int64")), r"takes a list or tuple of at least two inputs"),
    "crossing floats": (
        lambda: layers.HashedCrossing(3)((np.ones(2), np.ones(2, "int64"))),
        r"must be integers or strings. Received dtypes: \['float64', 'int64'\]",
    ),
    "crossing shapes": (
        lambda: layers.HashedCrossing(3)((np.ones((2, 2), "int64"),) * 2),
        r"must have the same shape, .*Received shapes: \[\(2, 2\), \(2, 2\)\]",
    ),
    "crossing mode": (lambda: layers.HashedCrossing(3, output_mode="count"), r"argument of HashedCrossing. Allowed values are: \('int', 'one_hot'\)"),
    "num_tokens": (lambda: layers.CategoryEncoding(), r"needs `num_tokens`; received num_tokens=None"),
    "no tokens": (lambda: layers.CategoryEncoding(0), r"must be >= 1. Received: num_tokens=0"),
    "encoding mode": (lambda: layers.CategoryEncoding(3, "int"), r"must be 'count', 'one_hot' or 'multi_hot'. Received: output_mode='int'"),
    "negative": (lambda: layers.CategoryEncoding(3)([[-1, 2]]), r"integers from 0 to num_tokens - 1 = 2; received -1"),
    "count_weights": (
        lambda: layers.CategoryEncoding(3)(np.array([[1]]), count_weights=np.array([[1.0]])),
        r"`count_weights` .* it has output_mode='multi_hot'",
    ),
    "no bins": (lambda: layers.Discretization(), r"needs `num_bins` \(and adapt\(\)\) or `bin_boundaries`"),
    "both bins": (lambda: layers.Discretization([1.0], num_bins=3), r"not both. Received: num_bins=3, bin_boundaries=\[1.0\]"),
    "negative bins": (lambda: layers.Discretization(num_bins=-1), r"greater than or equal to 0. Received: num_bins=-1"),
    "unsorted": (lambda: layers.Discretization([2.0, 1.0]), r"must be sorted. Received: bin_boundaries=\[2.0, 1.0\]"),
    "no borders": (lambda: layers.Discretization(num_bins=3)([1.0]), r"has no borders yet. Call adapt"),
    "fixed borders": (lambda: layers.Discretization([1.0]).adapt([1.0]), r"would replace its bin_boundaries=\[1.0\]"),
    "mean alone": (lambda: layers.Normalization(mean=3.0), r"both `mean` and `variance`, or neither. Received: mean=3.0, variance=None"),
    "axis word": (lambda: layers.Normalization(axis="x"), r"must be an integer, a tuple of integers or None. Received: axis='x'"),
    "axis range": (lambda: layers.Normalization(axis=3).build((None, 3)), r"in the range \[-2, 2\).*Received: axis=\(3,\)"),
    "axis size": (lambda: layers.Normalization().build((None, None)), r"axis 1 of the input shape \(None, None\) is None"),
    "fixed mean": (lambda: layers.Normalization(mean=1.0, variance=2.0).adapt([1.0]), r"made with mean=1.0 and variance=2.0"),
    "no data": (lambda: layers.Normalization().adapt(np.ones((0, 3))), r"was given no data: an array of shape \(0, 3\)"),
    "other data": (
        lambda: adapted(layers.Normalization(), np.ones((2, 3))).adapt(np.ones((2, 4))),
        r"built for inputs \(1, 3\).* data of shape \(2, 4\)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_error_text(name):
    action, pattern = CASES[name]
    with pytest.raises(ValueError, match=pattern):
        action()


def test_layers_without_a_vocabulary():
    for layer in (layers.StringLookup(), layers.TextVectorization()):
        with pytest.raises(RuntimeError, match="has no vocabulary yet.*Call adapt"):
            layer(["a"])
    with pytest.raises(AttributeError, match="has no statistics yet. Call adapt"):
        layers.Normalization().mean


def test_adapting_a_given_vocabulary_warns():
    layer = layers.StringLookup(vocabulary=["a"])
    with pytest.warns(UserWarning, match=r"adapt\(\) of StringLookup .* does nothing: the layer was made with a vocabulary of 1 terms"):
        layer.adapt(["b"])
    assert layer.get_vocabulary() == ["[UNK]", "a"]
    text = layers.TextVectorization(vocabulary=["a"])
    with pytest.warns(UserWarning, match="does nothing"):
        text.adapt(["b"])


def test_strings_behind_compiled_layers():
    inputs = nnlite.Input((2,))
    outputs = layers.Hashing(3)(layers.Rescaling(2.0)(inputs))
    model = nnlite.Model(inputs, layers.Embedding(3, 2)(outputs))
    with pytest.raises(TypeError, match="Hashing .* runs in Python on whole arrays and cannot be compiled.*Call it on the model's Input"):
        model.predict(np.ones((2, 2)), verbose=0)


def test_data_that_a_model_of_strings_cannot_take():
    inputs = nnlite.Input((1,), dtype="string", name="words")
    model = nnlite.Model(inputs, layers.Embedding(3, 2)(layers.StringLookup(vocabulary=["a"])(inputs)), name="m")
    with pytest.raises(ValueError, match="Input 'words' of model 'm' takes strings; received an array of dtype float64"):
        model.predict(np.ones((2, 1)), verbose=0)
    with pytest.raises(ValueError, match=r"input 'words' of model 'm': expected shape \(None, 1\), but received \(2, 2\)"):
        model.predict(np.array([["a", "b"], ["a", "b"]]), verbose=0)
    two = nnlite.Model([inputs, nnlite.Input((1,), name="n")], model.output, name="two")
    with pytest.raises(ValueError, match=r"Model 'two' has 2 inputs named \['words', 'n'\]; received 1"):
        two.predict([np.array(["a"])], verbose=0)


def test_vocabulary_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\né\n", encoding="utf-8")
    layer = layers.StringLookup(vocabulary=str(path))
    assert layer(["é", "a"]).numpy().tolist() == [2, 1] and layer.get_config()["vocabulary"] == str(path)
    path.write_text("7\n-3\n")
    assert layers.IntegerLookup(vocabulary=str(path))([-3]).numpy().tolist() == [2]


def test_functions_of_the_user():
    layer = layers.TextVectorization(
        standardize=lambda texts: [text.replace("-", " ") for text in texts], split=lambda texts: [text.split("x") for text in texts]
    )
    layer.adapt(["a-bxc", "c"])
    assert layer.get_vocabulary() == ["", "[UNK]", "c", "a b"] and layer(["cxz"]).numpy().tolist() == [[2, 1]]


def test_adapt_takes_datasets_and_bytes():
    data = nnlite.utils.Dataset.from_tensor_slices(["a b", "b", "c"]).batch(2)
    layer = layers.TextVectorization()
    layer.adapt(data, steps=1)
    assert layer.get_vocabulary() == ["", "[UNK]", "b", "a"]
    assert layer(np.array([b"a"])).numpy().tolist() == [[3]]
    numbers = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    parts, whole = layers.Normalization(), layers.Normalization()
    parts.adapt(nnlite.utils.Dataset.from_tensor_slices(numbers).batch(7))
    whole.adapt(numbers)
    for a, b in zip(parts.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_inverted_lookup_gives_strings_back():
    words = layers.StringLookup(vocabulary=["a", "b"])
    back = layers.StringLookup(vocabulary=words.get_vocabulary(), invert=True)
    assert back(words([["b", "q"]])).tolist() == [["b", "[UNK]"]] and back([7]).tolist() == ["[UNK]"]
