"""Mistakes that users make, from end to end: every message names the offender, what was expected and what came."""

from __future__ import annotations

import numpy as np
import pytest

import nnlite
from nnlite import activations, callbacks, constraints, initializers, losses, metrics, ops, optimizers, regularizers, saving
from nnlite import layers as L

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
Y = rng.integers(0, 3, 50)
IMAGES = rng.random((8, 12, 12, 3), dtype="float32")


def classifier(loss="sparse_categorical_crossentropy", units=3, optimizer="sgd", **arguments):
    model = nnlite.Sequential([nnlite.Input((4,)), L.Dense(units, activation="softmax", name="head")], name="net")
    model.compile(optimizer, loss, **arguments)
    return model


def fit(x=X, y=Y, loss="sparse_categorical_crossentropy", units=3, **arguments):
    return classifier(loss, units).fit(x, y, **{"verbose": 0, **arguments})


def batches(*items):
    yield from items


def image_model(*layers):
    return nnlite.Sequential([nnlite.Input((12, 12, 3)), *layers])


class ForgetsSuper(nnlite.Layer):
    def __init__(self):
        self.dense = L.Dense(2)

    def call(self, x):
        return self.dense(x)


class NoCall(nnlite.Layer):
    pass


def saved(folder, content=None, units=4):
    """A model file with the given bytes, or weights of another model."""
    if content is None:
        path = folder / "other.weights.h5"
        classifier(units=units).save_weights(path)
    else:
        path = folder / "bad.keras"
        path.write_bytes(content)
    return path


def disconnected():
    a, b = nnlite.Input((3,), name="a"), nnlite.Input((3,), name="b")
    return nnlite.Model(a, L.Dense(2, name="d")(b), name="m")


def two_outputs():
    x = nnlite.Input((4,))
    model = nnlite.Model(x, [L.Dense(1, name="a")(x), L.Dense(1, name="b")(x)])
    model.compile("sgd", "mse")
    return model


# name: (what runs, exception, parts of the text in order)
CASES = {
    # arguments of layers
    "no units": (lambda: L.Dense(0), ValueError, ["`units` of Dense", "positive integer", "units=0"]),
    "units as text": (lambda: L.Dense("3"), ValueError, ["`units` of Dense", "units='3'"]),
    "misspelled argument": (lambda: L.Dense(3, activatoin="relu"), ValueError, ["Dense", "activatoin", "Check the spelling"]),
    "misspelled activation": (lambda: L.Dense(3, activation="rleu"), ValueError, ["activation function", "'rleu'", "Did you mean 'relu'"]),
    "misspelled initializer": (lambda: L.Dense(3, kernel_initializer="glorot"), ValueError, ["initializer", "'glorot'", "Did you mean"]),
    "unknown regularizer": (lambda: L.Dense(3, kernel_regularizer="l3"), ValueError, ["regularizer", "'l3'", "l1", "l2"]),
    "unknown constraint": (lambda: L.Dense(3, kernel_constraint="max"), ValueError, ["constraint", "'max'", "maxnorm"]),
    "name of a layer": (lambda: L.Dense(3, name="a/b"), ValueError, ["`name`", "a/b", "Use '_'"]),
    "dtype of a layer": (lambda: L.Dense(3, dtype="float99"), ValueError, ["dtype policy", "'float32'", "'float99'"]),
    "filters": (lambda: L.Conv2D(0, 3), ValueError, ["`filters` of Conv2D", "filters=0"]),
    "kernel of three sizes": (lambda: L.Conv2D(3, (3, 3, 3)), ValueError, ["`kernel_size`", "tuple of 2 integers", "(3, 3, 3)"]),
    "strides": (lambda: L.Conv2D(3, 3, strides=0), ValueError, ["`strides`", ">= 1", "strides=0"]),
    "padding": (lambda: L.Conv2D(3, 3, padding="full"), ValueError, ["`padding`", "'valid', 'same'", "'full'"]),
    "data format": (lambda: L.Conv2D(3, 3, data_format="NHWC"), ValueError, ["`data_format`", "'channels_last'", "'NHWC'"]),
    "strides and dilation": (lambda: L.Conv2D(3, 3, strides=2, dilation_rate=2), ValueError, ["strides=(2, 2)", "dilation_rate=(2, 2)", "Set one of them to 1"]),
    "groups": (lambda: L.Conv2D(3, 3, groups=2), ValueError, ["divisible", "groups=2, filters=3"]),
    "pool size": (lambda: L.MaxPooling2D((2, -1)), ValueError, ["`pool_size`", "(2, -1)"]),
    "dropout rate": (lambda: L.Dropout(50), ValueError, ["`rate` of Dropout", "between 0 and 1", "rate=50"]),
    "momentum of batch normalization": (lambda: L.BatchNormalization(momentum=2), ValueError, ["`momentum` of BatchNormalization", "momentum=2"]),
    "epsilon of batch normalization": (lambda: L.BatchNormalization(epsilon=-1), ValueError, ["`epsilon` of BatchNormalization", "epsilon=-1"]),
    "axis of batch normalization": (lambda: L.BatchNormalization(axis="c"), ValueError, ["`axis` of BatchNormalization", "integer", "axis='c'"]),
    "vocabulary": (lambda: L.Embedding(0, 3), ValueError, ["`input_dim` of Embedding", "input_dim=0"]),
    "two unknown sizes": (lambda: L.Reshape((-1, -1)), ValueError, ["at most one unknown", "(-1, -1)"]),
    "target shape as text": (lambda: L.Reshape("ab"), ValueError, ["`target_shape` of Reshape", "tuple of integers", "'ab'"]),
    "permutation with the batch": (lambda: L.Permute((0, 1)), ValueError, ["`dims`", "start from 1", "(0, 1)"]),
    "negative padding": (lambda: L.ZeroPadding2D(-1), ValueError, ["`padding`", ">= 0", "padding=-1"]),
    "negative cropping": (lambda: L.Cropping2D(-1), ValueError, ["`cropping`", ">= 0", "cropping=-1"]),
    "lambda of a number": (lambda: L.Lambda(3), TypeError, ["Lambda takes a function", "3 of type int"]),
    "noise": (lambda: L.GaussianNoise(-1), ValueError, ["`stddev` of GaussianNoise", "stddev=-1"]),
    "shape of an input": (lambda: nnlite.Input(4), ValueError, ["Cannot convert 4 to a shape", "Input(shape=(4,))"]),
    "negative size of an input": (lambda: nnlite.Input((-4,)), ValueError, ["(-4,)", "ints >= 0 or None"]),
    # data and layers
    "vector for a dense layer": (lambda: L.Dense(3, name="d")(X[0]), ValueError, ["'d'", "min_ndim=2", "ndim=1", "(4,)"]),
    "image without channels": (lambda: L.Conv2D(3, 3, name="c")(IMAGES[..., 0]), ValueError, ["'c'", "min_ndim=4", "ndim=3", "(8, 12, 12)"]),
    "None for a layer": (lambda: L.Dense(3, name="d")(None), ValueError, ["'d'", "must be a tensor", "None"]),
    "nothing for a layer": (lambda: L.Dense(3, name="d")(), TypeError, ["'d'", "missing", "inputs"]),
    "window larger than the image": (lambda: image_model(L.Conv2D(2, 13, name="c")), ValueError, ["'c'", "kernel_size=(13, 13)", "padding='same'"]),
    "merge of one tensor": (lambda: L.Concatenate(name="join")(X), ValueError, ["`Concatenate`", "list of inputs", "'join'", "join([a, b])"]),
    "merge of unequal shapes": (lambda: L.Add(name="sum")([X, X[:, :2]]), ValueError, ["'sum'", "(50, 4)", "(50, 2)"]),
    "layer without call": (lambda: NoCall()(X), NotImplementedError, ["NoCall", "`call()`"]),
    "forgotten super().__init__()": (lambda: ForgetsSuper()(X), RuntimeError, ["'ForgetsSuper'", "super().__init__()"]),
    # models
    "text in a model": (lambda: nnlite.Sequential(["dense"]), ValueError, ["Only instances of `Layer`", "'dense'"]),
    "class in a model": (lambda: nnlite.Sequential([L.Dense]), ValueError, ["Only instances of `Layer`", "Dense"]),
    "names twice": (lambda: nnlite.Sequential([L.Dense(2, name="a"), L.Dense(2, name="a")]), ValueError, ["unique names", "'a'"]),
    "empty model": (lambda: nnlite.Sequential(name="e").predict(X, verbose=0), ValueError, ["'e'", "no layers", "model.add(layer)"]),
    "unknown layer": (lambda: classifier().get_layer("tail"), ValueError, ["No such layer: tail", "'head'"]),
    "unbuilt count": (lambda: nnlite.Sequential([L.Dense(2)], name="u").count_params(), ValueError, ["'u'", "isn't built"]),
    "unbuilt save": (lambda: nnlite.Sequential([L.Dense(2)], name="u").save_weights("u.weights.h5"), ValueError, ["'u'", "no weights", "data first"]),
    "disconnected graph": (disconnected, ValueError, ["'m'", "disconnected", "'b'", "Add the missing Input"]),
    "arrays as inputs": (lambda: nnlite.Model(1, 2), ValueError, ["`inputs`", "KerasTensors", "Start from Input()"]),
    "too few weights": (lambda: classifier().set_weights([X]), ValueError, ["'net'", "length 1", "expecting 2"]),
    "weights of another shape": (lambda: classifier().set_weights([X, X]), ValueError, ["(4, 3)", "'net/head/kernel'", "(50, 4)"]),
    # fit
    "never compiled": (lambda: nnlite.Sequential([L.Dense(3)], name="u").fit(X, Y), ValueError, ["`compile()`", "`fit()`", "'u'"]),
    "labels from 1": (lambda: fit(y=Y + 1), ValueError, ["'head'", "3 classes", "[0, 3)", "from 1 to 3", "y - 1"]),
    "labels of a larger range": (lambda: fit(y=Y * 20), ValueError, ["'head'", "from 0 to 40", "41 units"]),
    "labels with fractions": (lambda: fit(y=Y + 0.5), ValueError, ["'head'", "class numbers", ".5", "'mse'"]),
    "validation labels": (lambda: fit(validation_data=(X, Y + 5)), ValueError, ["from 5 to 7", "8 units"]),
    "one-hot labels": (lambda: fit(y=np.eye(3)[Y]), ValueError, ["integer labels", "(32, 3)", "loss='categorical_crossentropy'"]),
    "labels for a one-hot loss": (lambda: fit(loss="categorical_crossentropy"), ValueError, ["(32,)", "(32, 3)", "to_categorical"]),
    "text labels": (lambda: fit(y=Y.astype(str)), ValueError, ["y must hold numbers", "<U", "strings"]),
    "ragged data": (lambda: fit(x=np.array([[1, 2], [1]], dtype=object), y=Y[:2]), ValueError, ["unequal length", "pad_sequences"]),
    "unequal lengths": (lambda: fit(y=Y[:40]), ValueError, ["same number of samples", "'x' sizes: 50", "'y' sizes: 40"]),
    "wrong number of features": (lambda: fit(x=X[:, :2]), ValueError, ["'net'", "(None, 4)", "(32, 2)"]),
    "validation of another shape": (lambda: fit(validation_data=(X[:, :2], Y)), ValueError, ["'net'", "(None, 4)", "(32, 2)"]),
    "lists of numbers": (lambda: fit(x=X.tolist()), ValueError, ["x is a Python list", "numpy.array(x)"]),
    "NaN targets": (lambda: fit(y=np.where(np.arange(50) == 9, np.nan, 0.0)), ValueError, ["'head'", "1 NaN", "rows [9]"]),
    "empty data": (lambda: fit(x=X[:0], y=Y[:0]), ValueError, ["empty", "0 samples"]),
    "epochs as text": (lambda: fit(epochs="3"), ValueError, ["`epochs`", "epochs='3'"]),
    "batch size as text": (lambda: fit(batch_size="32"), ValueError, ["`batch_size`", "batch_size='32'"]),
    "verbose": (lambda: fit(verbose=7), ValueError, ["`verbose`", "'auto', 0, 1 or 2", "verbose=7"]),
    "shuffle": (lambda: fit(shuffle="yes"), ValueError, ["`shuffle`", "'batch'", "shuffle='yes'"]),
    "misspelled argument of fit": (lambda: fit(nb_epoch=3), TypeError, ["fit()", "nb_epoch"]),
    "sample weights as text": (lambda: fit(sample_weight="balanced"), ValueError, ["sample_weight='balanced'", "array"]),
    "class weights by name": (lambda: fit(class_weight={"cat": 1.0}), ValueError, ["`class_weight`", "class number -> weight", "'cat': 1.0"]),
    "a generator of lengths that differ": (lambda: classifier().fit(batches((X, Y[:3])), shuffle=False, verbose=0), ValueError, ["50", "3"]),
    "a generator of numbers": (lambda: classifier().fit(batches(1, 2), shuffle=False, verbose=0), ValueError, ["generator", "(x, y)", "1 of type int"]),
    "a generator whose shapes change": (
        lambda: classifier().fit(batches((X, Y), (X[:, :2], Y)), shuffle=False, verbose=0), ValueError, ["'net'", "(None, 4)", "(50, 2)"]),
    "one target for two outputs": (lambda: two_outputs().fit(X, Y, verbose=0), ValueError, ["one array of targets per output", "['a', 'b']"]),
    "callback class": (lambda: fit(callbacks=[callbacks.EarlyStopping]), TypeError, ["instance", "EarlyStopping"]),
    # predict, evaluate, compile
    "predict a sample": (lambda: classifier().predict(X[0], verbose=0), ValueError, ["'net'", "(None, 4)", "(4,)"]),
    "predict None": (lambda: classifier().predict(None, verbose=0), ValueError, ["x=None", "Pass arrays"]),
    "predict no step": (lambda: classifier().predict(X, steps=0, verbose=0), ValueError, ["`steps`", "steps=0"]),
    "predict color with a gray model": (
        lambda: nnlite.Sequential([nnlite.Input((12, 12, 1)), L.Conv2D(2, 3)], name="gray").predict(IMAGES, verbose=0),
        ValueError, ["'gray'", "(None, 12, 12, 1)", "(8, 12, 12, 3)"]),
    "misspelled optimizer": (lambda: classifier(optimizer="adm"), ValueError, ["'adm'", "'adam'"]),
    "misspelled loss": (lambda: classifier("mean_square_error"), ValueError, ["'mean_square_error'", "'mean_squared_error'"]),
    "steps per execution": (lambda: classifier(steps_per_execution=0), ValueError, ["`steps_per_execution`", "steps_per_execution=0"]),
    # optimizers, losses, metrics and other parts
    "learning rate NaN": (lambda: optimizers.SGD(float("nan")), ValueError, ["SGD", "`learning_rate`", "nan"]),
    "beta": (lambda: optimizers.Adam(beta_1=1.5), ValueError, ["Adam", "`beta_1`", "below 1", "beta_1=1.5"]),
    "rho": (lambda: optimizers.RMSprop(rho=2), ValueError, ["RMSprop", "`rho`", "rho=2"]),
    "epsilon": (lambda: optimizers.Adam(epsilon=-1.0), ValueError, ["Adam", "`epsilon`", "epsilon=-1.0"]),
    "clipnorm": (lambda: optimizers.SGD(clipnorm=-1.0), ValueError, ["SGD", "`clipnorm`", "clipnorm=-1.0"]),
    "weight decay": (lambda: optimizers.SGD(weight_decay=-1.0), ValueError, ["SGD", "`weight_decay`", "weight_decay=-1.0"]),
    "label smoothing": (lambda: losses.CategoricalCrossentropy(label_smoothing=2), ValueError, ["CategoricalCrossentropy", "`label_smoothing`", "=2"]),
    "delta": (lambda: losses.Huber(delta=-1), ValueError, ["Huber", "`delta`", "delta=-1"]),
    "loss of unequal shapes": (lambda: losses.MeanSquaredError()(X, X[:, :3]), ValueError, ["(50, 4)", "(50, 3)", "Reshape the targets"]),
    "classes of a metric": (lambda: metrics.MeanIoU(0), ValueError, ["MeanIoU", "`num_classes`", "num_classes=0"]),
    "k": (lambda: metrics.TopKCategoricalAccuracy(k=0), ValueError, ["`k`", "k=0"]),
    "initializer mode": (lambda: initializers.VarianceScaling(mode="x"), ValueError, ["`mode`", "'x'", "fan_in"]),
    "regularizer factor": (lambda: regularizers.L1("a"), ValueError, ["`l1`", "l1='a'"]),
    "unknown activation": (lambda: activations.get("sotfmax"), ValueError, ["'sotfmax'", "'softmax'"]),
    "constraint by number": (lambda: constraints.get(3), ValueError, ["constraint", "3"]),
    "random seed": (lambda: nnlite.utils.set_random_seed(-1), ValueError, ["set_random_seed()", "at least 0", "seed=-1"]),
    "negative categories": (lambda: nnlite.utils.to_categorical([-1], 3), IndexError, ["to_categorical()", "-1", "num_classes=3"]),
    # ops and variables
    "matmul": (lambda: ops.matmul(X, X), ValueError, ["matmul()", "(50, 4)"]),
    "broadcasting": (lambda: ops.add(X, X[:3]), ValueError, ["add()", "(50, 4)", "(3, 4)", "expand_dims"]),
    "reshape": (lambda: ops.reshape(X, (7, 3)), ValueError, ["reshape()", "200", "21"]),
    "axis": (lambda: ops.sum(X, axis=3), ValueError, ["sum()", "axis=3", "between -2 and 1"]),
    "one-hot classes": (lambda: ops.one_hot(Y, -1), ValueError, ["one_hot()", "num_classes=-1"]),
    "text as a tensor": (lambda: ops.exp("a"), TypeError, ["tensor of str", "'a'"]),
    "assigning another shape": (lambda: nnlite.Variable(X).assign(X[:3]), ValueError, ["assign()", "(50, 4)", "(3, 4)"]),
    "too much memory": (lambda: L.Dense(10**12)(X), MemoryError, ["allocate", "16000000000000 bytes"]),
    # files
    "missing model": (lambda: saving.load_model("missing.keras"), FileNotFoundError, ["missing.keras"]),
    "missing weights": (lambda: classifier().load_weights("missing.weights.h5"), FileNotFoundError, ["missing.weights.h5"]),
    "name of a weights file": (lambda: classifier().save_weights("a.txt"), ValueError, [".weights.h5", "'a.txt'"]),
}
FILES = {
    "empty file": (lambda folder: saving.load_model(saved(folder, b"")), ValueError, ["bad.keras", "damaged"]),
    "cut file": (lambda folder: saving.load_model(saved(folder, b"PK\x03\x04garbage")), ValueError, ["bad.keras", "damaged"]),
    "folder": (lambda folder: saving.load_model(folder), ValueError, ["must end in", ".keras"]),
    "file name": (lambda folder: classifier().save(folder / "a.txt"), ValueError, ['must end in ".keras"', "a.txt"]),
    "missing folder": (lambda folder: classifier().save(folder / "no" / "a.keras"), FileNotFoundError, ["no", "a.keras", "make it first"]),
    "weights of another model": (lambda folder: classifier().load_weights(saved(folder)), ValueError, ["'head'", "(4, 3)", "(4, 4)", "skip_mismatch"]),
}


def check_text(text: str, parts: list[str]) -> None:
    position = 0
    for part in parts:
        found = text.find(part, position)
        assert found >= 0, f"{part!r} is missing (or comes too early) in: {text}"
        position = found


@pytest.mark.parametrize("name", CASES)
def test_messages(name):
    action, error, parts = CASES[name]
    with pytest.raises(error) as caught:
        action()
    check_text(str(caught.value), parts)


@pytest.mark.parametrize("name", FILES)
def test_messages_about_files(name, tmp_path):
    action, error, parts = FILES[name]
    with pytest.raises(error) as caught:
        action(tmp_path)
    check_text(str(caught.value), parts)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_features_are_named(value):
    x = X.copy()
    x[7, 1] = value
    with pytest.warns(RuntimeWarning, match=r"The loss is NaN: x holds NaN or infinite values in 1 of 50 rows \(first in rows \[7\]\)"):
        fit(x=x)


def test_ids_out_of_an_embedding_are_named():
    model = nnlite.Sequential([L.Embedding(5, 3, name="words"), L.Flatten(), L.Dense(1)])
    model.compile("sgd", "mse")
    ids = np.arange(10).reshape(5, 2)
    with pytest.warns(RuntimeWarning, match="integers up to 9, but Embedding 'words' has input_dim=5.*input_dim=10 or more"):
        model.fit(ids, np.ones((5, 1)), verbose=0)


@pytest.mark.parametrize("name", ["labels from 1", "wrong number of features", "unequal lengths", "NaN targets"])
def test_a_model_works_after_a_mistake(name):
    model = classifier()
    before = model.get_weights()
    mistake = {"labels from 1": (X, Y + 1), "wrong number of features": (X[:, :2], Y), "unequal lengths": (X, Y[:40]), "NaN targets": (X, Y * np.nan)}
    with pytest.raises(ValueError):
        model.fit(*mistake[name], verbose=0)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])
