"""Texts of errors: each names the rule, the offender, what came and the fix."""

from __future__ import annotations

import re

import nnlite
import numpy as np
import pytest
from nnlite import callbacks, layers, losses, metrics, optimizers

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype("float32")
Y = rng.integers(0, 3, 50)
REAL = rng.normal(size=50).astype("float32")


def classifier(loss="sparse_categorical_crossentropy", units=3, activation="softmax", optimizer="sgd", **options):
    model = nnlite.Sequential([nnlite.Input((4,)), layers.Dense(units, activation=activation, name="head")], name="net")
    model.compile(optimizer, loss, **options)
    return model


def fit(model, *args, **kwargs):
    return model.fit(*args, **{"verbose": 0, **kwargs})


def batches(*items):
    yield from items


def uncompiled():
    return nnlite.Sequential([nnlite.Input((4,)), layers.Dense(3)], name="net")


# name: (what runs, exception, parts of the text)
CASES = {
    "fit before compile": (lambda: fit(uncompiled(), X, Y), ValueError, "You must call `compile()` before calling `fit()` on model 'net'"),
    "evaluate before compile": (lambda: uncompiled().evaluate(X, Y, verbose=0), ValueError, "before calling `evaluate()`"),
    "train_on_batch before compile": (lambda: uncompiled().train_on_batch(X, Y), ValueError, "before calling `train_on_batch()`"),
    "misspelled optimizer": (lambda: classifier(optimizer="adm"), ValueError, "Unknown optimizer: 'adm'. Did you mean 'adam'"),
    "optimizer class": (lambda: classifier(optimizer=optimizers.Adam), ValueError, "Did you pass the class instead of an instance? Add parentheses."),
    "optimizer number": (lambda: classifier(optimizer=3), ValueError, "An optimizer is a name or an Optimizer; received 3 of type int."),
    "misspelled loss": (lambda: classifier("mean_square_error"), ValueError, "Unknown loss: 'mean_square_error'. Did you mean 'mean_squared_error'"),
    "loss number": (lambda: fit(classifier(3), X, Y), ValueError, "A loss is a name, a function (y_true, y_pred) or a Loss; received 3 of type int."),
    "misspelled metric": (lambda: fit(classifier(metrics=["acuracy"]), X, Y), ValueError, "Unknown metric: 'acuracy'. Did you mean 'accuracy'"),
    "metrics not in a list": (
        lambda: classifier(metrics="accuracy"),
        ValueError,
        "Expected `metrics` argument to be a list, tuple, or dict. Received instead: metrics=accuracy",
    ),
    "loss_weights": (lambda: classifier(loss_weights="a"), ValueError, "`loss_weights` must be a number"),
    "label too large": (
        lambda: fit(classifier(), X, Y + 1),
        ValueError,
        "on output 'head': the predictions have 3 classes, so labels must be in [0, 3); received labels from 1 to 3. Labels that start at 1 need y - 1.",
    ),
    "label too large for units": (
        lambda: fit(classifier(), X, Y * 2),
        ValueError,
        "received labels from 0 to 4. Give the last layer 5 units, or fix the labels.",
    ),
    "negative label": (lambda: fit(classifier(), X, Y - 1), ValueError, "received labels from -1 to 1. Give ignore_class"),
    "label too large in a batch": (lambda: classifier().train_on_batch(X, Y + 3), ValueError, "received labels from 3 to 5"),
    "one-hot to a sparse loss": (
        lambda: fit(classifier(), X, np.eye(3)[Y]),
        ValueError,
        "expects integer labels of shape (32,) for predictions of shape (32, 3) (3 classes); received targets of shape (32, 3). One-hot targets need loss='categorical_crossentropy'",
    ),
    "labels to a one-hot loss": (
        lambda: fit(classifier("categorical_crossentropy"), X, Y),
        ValueError,
        "received targets of shape (32,) and predictions of shape (32, 3). Integer class labels need loss='sparse_categorical_crossentropy', or convert them with nnlite.utils.to_categorical()",
    ),
    "binary crossentropy of classes": (
        lambda: fit(classifier("binary_crossentropy"), X, Y),
        ValueError,
        "binary_crossentropy expects targets of the predictions' shape",
    ),
    "which loss and output": (
        lambda: fit(classifier("binary_crossentropy"), X, Y),
        ValueError,
        "(in loss 'binary_crossentropy' of output 'head': targets int64[32], predictions float32[32, 3])",
    ),
    "regression targets": (
        lambda: fit(classifier("mse"), X, np.ones((50, 2))),
        ValueError,
        "received targets of shape (32, 2) and predictions of shape (32, 3). Reshape the targets, or give the last layer one unit per target.",
    ),
    "sample weights of a wrong shape": (
        lambda: fit(classifier(), X, Y, sample_weight=np.ones((50, 3))),
        ValueError,
        "`sample_weight` must have the shape of the loss values, (32,), or broadcast to it; received shape (32, 3).",
    ),
    "unequal lengths": (
        lambda: fit(classifier(), X, Y[:40]),
        ValueError,
        "Data cardinality is ambiguous. Make sure all arrays contain the same number of samples.\n'x' sizes: 50\n'y' sizes: 40",
    ),
    "too few weights": (lambda: fit(classifier(), X, Y, sample_weight=np.ones(40)), ValueError, "'sample_weight' sizes: 40"),
    "wrong last axis": (
        lambda: fit(classifier(), X[:, :3], Y),
        ValueError,
        "'net' is incompatible with the layer: expected shape=(None, 4), found shape=(32, 3)",
    ),
    "strings": (
        lambda: fit(classifier(), X.astype(str), Y),
        ValueError,
        "The data x must hold numbers; received an array of dtype <U32 and shape (50, 4). Turn strings into numbers first",
    ),
    "objects": (
        lambda: fit(classifier(), np.array([[1, 2], [1]], dtype=object), Y[:2]),
        ValueError,
        "Its elements are list: rows of unequal length or mixed columns?",
    ),
    "complex numbers": (lambda: fit(classifier(), X.astype("complex64"), Y), ValueError, "received an array of dtype complex64"),
    "nested names": (lambda: fit(classifier(), {"a": X.astype(str)}, Y), ValueError, "The data x['a'] must hold numbers"),
    "list of numbers as x": (
        lambda: fit(classifier(), X.tolist(), Y),
        ValueError,
        "Unrecognized data type: x is a Python list of float. Convert it with numpy.array(x) first.",
    ),
    "list of numbers as y": (lambda: fit(classifier(), X, Y.tolist()), ValueError, "Unrecognized data type: y is a Python list of int."),
    "text as x": (lambda: classifier().predict("abc", verbose=0), ValueError, "Unrecognized data type: x='abc' (of type <class 'str'>)"),
    "scalar": (lambda: fit(classifier(), np.float32(3), Y), ValueError, "must have a batch axis"),
    "no targets": (
        lambda: fit(classifier(), X),
        ValueError,
        "The loss 'sparse_categorical_crossentropy' of output 'head' needs targets, but y is None.",
    ),
    "no loss": (lambda: fit(classifier(None), X, Y), ValueError, "No loss to compute. Provide a `loss` argument in `compile()`"),
    "targets in a dict": (lambda: fit(classifier(), X, {"head": Y}), ValueError, "y_true and y_pred have different structures."),
    "two inputs": (lambda: fit(classifier(), [X, X], Y), ValueError, "expects 1 input(s), but it received 2"),
    "empty data": (lambda: fit(classifier(), X[:0], Y[:0]), ValueError, "The data is empty: x has 0 samples."),
    "empty predict": (lambda: classifier().predict(X[:0], verbose=0), ValueError, "The data is empty"),
    "batch_size 0": (
        lambda: fit(classifier(), X, Y, batch_size=0),
        ValueError,
        "`batch_size` must be an integer of at least 1; received batch_size=0.",
    ),
    "batch_size 2.5": (lambda: fit(classifier(), X, Y, batch_size=2.5), ValueError, "received batch_size=2.5"),
    "epochs": (lambda: fit(classifier(), X, Y, epochs=-1), ValueError, "`epochs` must be an integer of at least 0; received epochs=-1."),
    "steps_per_epoch": (lambda: fit(classifier(), X, Y, steps_per_epoch=0), ValueError, "`steps_per_epoch` must be at least 1"),
    "validation_split 1": (
        lambda: fit(classifier(), X, Y, validation_split=1.0),
        ValueError,
        "`validation_split` must be between 0 and 1; received validation_split=1.0.",
    ),
    "validation_split negative": (lambda: fit(classifier(), X, Y, validation_split=-0.5), ValueError, "received validation_split=-0.5"),
    "validation_split too small": (
        lambda: fit(classifier(), X[:3], Y[:3], validation_split=0.9),
        ValueError,
        "Training data contains 3 samples, which is not sufficient",
    ),
    "validation_split of a generator": (
        lambda: fit(classifier(), batches((X, Y)), validation_split=0.1),
        ValueError,
        "`validation_split` is only supported for arrays and tensors; found generator.",
    ),
    "validation_freq": (lambda: fit(classifier(), X, Y, validation_freq="a"), ValueError, "Expected `validation_freq` to be a list or int."),
    "y beside a generator": (
        lambda: fit(classifier(), batches((X, Y)), Y),
        ValueError,
        "When providing `x` as a generator, `y` should not be passed.",
    ),
    "class_weight of a generator": (
        lambda: fit(classifier(), batches((X, Y)), class_weight={0: 1.0}),
        ValueError,
        "Argument `class_weight` is not supported for generator inputs.",
    ),
    "empty generator": (lambda: fit(classifier(), batches(), shuffle=False), ValueError, "The generator yielded no batch at all."),
    "four parts": (
        lambda: fit(classifier(), batches((X, Y, Y, Y)), shuffle=False),
        ValueError,
        "a Python generator must give batches as tuples (x,), (x, y) or (x, y, sample_weight)",
    ),
    "class and sample weights": (
        lambda: fit(classifier(), X, Y, class_weight={0: 1.0}, sample_weight=np.ones(50)),
        ValueError,
        "You cannot give `class_weight` and `sample_weight` at the same time.",
    ),
    "class weights in a list": (
        lambda: fit(classifier(), X, Y, class_weight=[1, 2]),
        ValueError,
        "`class_weight` must be a dict of class number -> weight; received [1, 2] of type list.",
    ),
    "NaN targets": (
        lambda: fit(classifier("mse", 1, None), X, np.where(np.arange(50) == 7, np.nan, REAL)),
        ValueError,
        "y (targets of output 'head') holds 1 NaN values (first in rows [7])",
    ),
    "NaN weights": (lambda: fit(classifier(), X, Y, sample_weight=np.full(50, np.nan)), ValueError, "sample_weight holds 50 NaN values"),
    "callback class": (
        lambda: fit(classifier(), X, Y, callbacks=[callbacks.EarlyStopping]),
        TypeError,
        "A callback must be an instance; received the class EarlyStopping.",
    ),
    "callback function": (lambda: fit(classifier(), X, Y, callbacks=[print]), TypeError, "A callback must derive from nnlite.callbacks.Callback"),
    "evaluate argument": (lambda: classifier().evaluate(X, Y, verbose=0, foo=1), ValueError, "Arguments not recognized: {'foo': 1}"),
    "learning rate by its old name": (
        lambda: optimizers.Adam(lr=0.1),
        ValueError,
        "argument(s) not recognized: {'lr': 0.1}. The learning rate's argument is `learning_rate`.",
    ),
    "learning rate text": (
        lambda: optimizers.Adam("0.1"),
        ValueError,
        "`learning_rate` must be a float, a LearningRateSchedule or a callable; received learning_rate='0.1'",
    ),
    "momentum": (lambda: optimizers.SGD(momentum=2), ValueError, "`momentum` must be a number between 0 and 1; received momentum=2."),
    "two clips": (
        lambda: optimizers.Adam(clipnorm=1.0, clipvalue=1.0),
        ValueError,
        "only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set",
    ),
    "accumulation": (
        lambda: optimizers.Adam(gradient_accumulation_steps=1),
        ValueError,
        "`gradient_accumulation_steps` must be an integer of at least 2",
    ),
    "ema momentum": (lambda: optimizers.Adam(use_ema=True, ema_momentum=2.0), ValueError, "`ema_momentum` must be between 0 and 1; received 2.0."),
    "AdamW without decay": (lambda: optimizers.AdamW(weight_decay=None), ValueError, "Use Adam for training without weight decay."),
    "setting a scheduled rate": (
        lambda: setattr(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)), "learning_rate", 0.1),
        TypeError,
        "was made with a learning rate schedule",
    ),
    "foreign variable": (lambda: classifier_and_foreign_variable(), ValueError, "Unknown variable 'variable'"),
    "boundaries": (
        lambda: optimizers.schedules.PiecewiseConstantDecay([1], [1.0]),
        ValueError,
        "needs one more value than boundaries; received 1 boundaries ([1]) and 1 values",
    ),
    "decay steps": (
        lambda: optimizers.schedules.CosineDecay(0.1, 0),
        ValueError,
        "CosineDecay: `decay_steps` must be greater than 0; received decay_steps=0.",
    ),
    "plateau factor": (lambda: callbacks.ReduceLROnPlateau(factor=1.0), ValueError, "`factor` must be below 1.0; received factor=1.0."),
    "checkpoint name": (lambda: callbacks.ModelCheckpoint("model"), ValueError, "`filepath` must end in `.keras`; received filepath=model."),
    "weights name": (lambda: callbacks.ModelCheckpoint("m.keras", save_weights_only=True), ValueError, "`filepath` must end in `.weights.h5`"),
    "checkpoint frequency": (
        lambda: callbacks.ModelCheckpoint("m.keras", save_freq="batch"),
        ValueError,
        "`save_freq` must be 'epoch' or a number of batches",
    ),
    "unknown direction": (
        lambda: fit(classifier(), X, Y, callbacks=[callbacks.EarlyStopping("size")]),
        ValueError,
        "Pass mode='max' to prefer high values, or mode='min' to prefer low ones.",
    ),
    "schedule of epochs": (
        lambda: fit(classifier(), X, Y, callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: "a")]),
        ValueError,
        "the output of `schedule` must be a float; at epoch 0 it gave 'a'",
    ),
    "NaN loss": (
        lambda: fit(
            classifier("mse", 1, None, optimizer=optimizers.SGD(1e20)), X, REAL, epochs=3, callbacks=[callbacks.TerminateOnNaN(raise_error=True)]
        ),
        RuntimeError,
        "NaN or Inf loss encountered at batch",
    ),
    "EMA": (
        lambda: fit(classifier(), X, Y, validation_split=0.2, callbacks=[callbacks.SwapEMAWeights()]),
        ValueError,
        "SwapEMAWeights needs an optimizer with use_ema=True",
    ),
    "thresholds": (lambda: metrics.Precision(thresholds=2.0), ValueError, "Precision: thresholds must be in [0, 1]; received [2.0]."),
    "AUC curve": (lambda: metrics.AUC(curve="foo"), ValueError, "`curve` must be one of ROC, PR, PRGAIN; received curve='foo'."),
    "IoU classes": (lambda: metrics.IoU(num_classes=2, target_class_ids=[2]), ValueError, "class ids must be in [0, 2)"),
    "F score": (
        lambda: metrics.FBetaScore(average="all"),
        ValueError,
        "`average` must be None, 'micro', 'macro' or 'weighted'; received average='all'.",
    ),
    "metric labels": (
        lambda: metrics.SparseCategoricalAccuracy().update_state(np.eye(3), np.eye(3)),
        ValueError,
        "One-hot labels need the metric 'categorical_accuracy'.",
    ),
    "reduction": (lambda: losses.MeanSquaredError(reduction="all"), ValueError, "`reduction` must be one of 'sum_over_batch_size'"),
    "axis": (lambda: losses.categorical_crossentropy(np.eye(2), np.eye(2), axis=True), ValueError, "`axis` must be an integer; received axis=True"),
    "outputs and losses": (
        lambda: fit(two_outputs(["mse"]), X, [REAL, REAL]),
        ValueError,
        "`loss` must have one entry per output: the model has 2 outputs",
    ),
    "outputs and loss names": (
        lambda: fit(two_outputs({"a": "mse", "c": "mse"}), X, [REAL, REAL]),
        ValueError,
        "Expected keys ['a', 'b'] in loss dict",
    ),
    "outputs and targets": (
        lambda: fit(two_outputs("mse"), X, REAL),
        ValueError,
        "Give one array of targets per output. The outputs are named ['a', 'b'].",
    ),
    "outputs and metrics": (
        lambda: fit(two_outputs("mse", metrics=["mae"]), X, [REAL, REAL]),
        ValueError,
        "For a model with 2 outputs it must be a list with one entry (or list) per output",
    ),
    "outputs and weights": (
        lambda: fit(two_outputs("mse"), X, [REAL, REAL], sample_weight=[REAL]),
        ValueError,
        "`sample_weight` must have one array per output, nested like `y`",
    ),
    "outputs and class weights": (
        lambda: fit(two_outputs("mse"), X, [REAL, REAL], class_weight={0: 1.0}),
        ValueError,
        "`class_weight` is only supported for Models with a single output",
    ),
}


def classifier_and_foreign_variable():
    model = classifier()
    fit(model, X, Y)
    model.optimizer.apply([nnlite.ops.ones(2)], [nnlite.Variable(np.zeros(2, "float32"))])


def two_outputs(loss, **options):
    x = nnlite.Input((4,))
    model = nnlite.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile("sgd", loss, **options)
    return model


@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.parametrize("name", CASES)
def test_text(name):
    run, error, text = CASES[name]
    with pytest.raises(error, match=re.escape(text)):
        run()


def test_there_are_many():
    assert len(CASES) >= 30
