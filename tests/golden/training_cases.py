"""Cases shared by make_training.py, which asks Keras, and the tests, which ask nnlite. Nothing here imports either."""

from __future__ import annotations

import numpy as np


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)  # the legacy generator gives the same numbers with every numpy


def _probabilities(rows: int, classes: int, seed: int) -> np.ndarray:
    scores = np.exp(_random(seed).normal(size=(rows, classes)))
    return (scores / scores.sum(-1, keepdims=True)).astype("float32")


def data(kind: str):
    """(targets, predictions, sample weights) of a kind."""
    r = _random(7)
    weights = (r.randint(1, 5, size=6) / 2).astype("float32")
    if kind == "regression":
        return r.normal(size=(6, 3)).astype("float32"), r.normal(size=(6, 3)).astype("float32"), weights
    if kind == "positive":
        return r.uniform(0.1, 3, size=(6, 3)).astype("float32"), r.uniform(0.1, 3, size=(6, 3)).astype("float32"), weights
    if kind == "binary":
        return r.randint(0, 2, size=(6, 1)).astype("float32"), r.uniform(0.02, 0.98, size=(6, 1)).astype("float32"), weights
    if kind == "binary_logits":
        return r.randint(0, 2, size=(6, 1)).astype("float32"), r.normal(size=(6, 1)).astype("float32"), weights
    if kind == "multi_label":
        return r.randint(0, 2, size=(6, 4)).astype("float32"), r.uniform(0.02, 0.98, size=(6, 4)).astype("float32"), weights
    if kind == "one_hot":
        return np.eye(4, dtype="float32")[r.randint(0, 4, size=6)], _probabilities(6, 4, 3), weights
    if kind == "one_hot_logits":
        return np.eye(4, dtype="float32")[r.randint(0, 4, size=6)], r.normal(size=(6, 4)).astype("float32"), weights
    if kind == "sparse":
        return r.randint(0, 4, size=6).astype("int64"), _probabilities(6, 4, 3), weights
    if kind == "sparse_logits":
        return r.randint(0, 4, size=6).astype("int64"), r.normal(size=(6, 4)).astype("float32"), weights
    if kind == "distributions":
        return _probabilities(6, 4, 5), _probabilities(6, 4, 3), weights
    if kind == "signs":
        return (r.randint(0, 2, size=(6, 1)) * 2 - 1).astype("float32"), r.normal(size=(6, 1)).astype("float32"), weights
    if kind == "segmentation":
        return r.randint(0, 3, size=(6, 5)).astype("int64"), r.randint(0, 3, size=(6, 5)).astype("int64"), None
    if kind == "sequences":
        return np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]], "int32"), r.normal(size=(3, 6, 4)).astype("float32"), weights[:3]
    if kind == "embeddings":
        vectors = r.normal(size=(6, 4))
        return r.randint(0, 2, size=6).astype("int64"), (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype("float32"), None
    raise KeyError(kind)


# (class, arguments, kind of data)
LOSSES = [
    ("MeanSquaredError", {}, "regression"),
    ("MeanAbsoluteError", {}, "regression"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "regression"),
    ("CosineSimilarity", {"axis": 1}, "regression"),
    ("Huber", {}, "regression"),
    ("Huber", {"delta": 0.5}, "regression"),
    ("LogCosh", {}, "regression"),
    ("Poisson", {}, "positive"),
    ("Hinge", {}, "signs"),
    ("Hinge", {}, "binary"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "one_hot"),
    ("KLDivergence", {}, "distributions"),
    ("BinaryCrossentropy", {}, "binary"),
    ("BinaryCrossentropy", {"from_logits": True}, "binary_logits"),
    ("BinaryCrossentropy", {"label_smoothing": 0.1}, "multi_label"),
    ("BinaryFocalCrossentropy", {}, "binary"),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 3.0}, "multi_label"),
    ("BinaryFocalCrossentropy", {"from_logits": True}, "binary_logits"),
    ("CategoricalCrossentropy", {}, "one_hot"),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, "one_hot"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one_hot_logits"),
    ("CategoricalCrossentropy", {}, "distributions"),
    ("CategoricalFocalCrossentropy", {}, "one_hot"),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "alpha": 0.5}, "one_hot_logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, "sparse_logits"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, "sparse"),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0, "from_logits": True}, "sparse_logits"),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.3}, "sparse"),
    ("Dice", {}, "multi_label"),
    ("Dice", {"axis": [1]}, "multi_label"),
    ("Tversky", {"alpha": 0.3, "beta": 0.7}, "multi_label"),
    ("Circle", {"gamma": 2.0}, "embeddings"),
    ("CTC", {}, "sequences"),
]
LOSS_REDUCTIONS = ("sum_over_batch_size", "sum", "none", "mean_with_sample_weight")

METRICS = [
    ("Mean", {}, "values"),
    ("Sum", {}, "values"),
    ("Accuracy", {}, "segmentation"),
    ("BinaryAccuracy", {}, "binary"),
    ("BinaryAccuracy", {"threshold": 0.3}, "multi_label"),
    ("CategoricalAccuracy", {}, "one_hot"),
    ("SparseCategoricalAccuracy", {}, "sparse"),
    ("TopKCategoricalAccuracy", {"k": 2}, "one_hot"),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, "sparse"),
    ("MeanSquaredError", {}, "regression"),
    ("RootMeanSquaredError", {}, "regression"),
    ("MeanAbsoluteError", {}, "regression"),
    ("MeanAbsolutePercentageError", {}, "positive"),
    ("MeanSquaredLogarithmicError", {}, "positive"),
    ("CosineSimilarity", {}, "regression"),
    ("LogCoshError", {}, "regression"),
    ("R2Score", {}, "regression"),
    ("R2Score", {"class_aggregation": None}, "regression"),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 2}, "regression"),
    ("PearsonCorrelation", {}, "regression"),
    ("ConcordanceCorrelation", {}, "regression"),
    ("Poisson", {}, "positive"),
    ("KLDivergence", {}, "distributions"),
    ("BinaryCrossentropy", {}, "binary"),
    ("CategoricalCrossentropy", {"from_logits": True}, "one_hot_logits"),
    ("SparseCategoricalCrossentropy", {}, "sparse"),
    ("Hinge", {}, "signs"),
    ("SquaredHinge", {}, "signs"),
    ("CategoricalHinge", {}, "one_hot"),
    ("TruePositives", {}, "binary"),
    ("FalsePositives", {"thresholds": [0.2, 0.8]}, "binary"),
    ("TrueNegatives", {}, "multi_label"),
    ("FalseNegatives", {}, "multi_label"),
    ("Precision", {}, "multi_label"),
    ("Precision", {"thresholds": [0.3, 0.6]}, "multi_label"),
    ("Precision", {"top_k": 2}, "multi_label"),
    ("Precision", {"class_id": 1}, "multi_label"),
    ("Recall", {}, "multi_label"),
    ("Recall", {"top_k": 1, "class_id": 2}, "multi_label"),
    ("AUC", {}, "binary"),
    ("AUC", {"curve": "PR"}, "multi_label"),
    ("AUC", {"summation_method": "minoring", "num_thresholds": 20}, "multi_label"),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "thresholds": [0.2, 0.4, 0.9]}, "multi_label"),
    ("AUC", {"multi_label": True}, "multi_label"),
    ("AUC", {"from_logits": True}, "binary_logits"),
    ("AUC", {"curve": "PRGAIN"}, "multi_label"),
    ("PrecisionAtRecall", {"recall": 0.5}, "multi_label"),
    ("RecallAtPrecision", {"precision": 0.6}, "multi_label"),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, "multi_label"),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 30}, "multi_label"),
    ("FBetaScore", {"beta": 2.0}, "one_hot"),
    ("FBetaScore", {"average": "micro", "threshold": 0.5}, "multi_label"),
    ("F1Score", {"average": "macro"}, "one_hot"),
    ("F1Score", {"average": "weighted", "threshold": 0.4}, "multi_label"),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "segmentation"),
    ("MeanIoU", {"num_classes": 3}, "segmentation"),
    ("MeanIoU", {"num_classes": 3, "ignore_class": 1}, "segmentation"),
    ("BinaryIoU", {"threshold": 0.4}, "multi_label"),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [1]}, "one_hot"),
    ("OneHotMeanIoU", {"num_classes": 4}, "one_hot"),
]
# Metrics that take no weights, or only whole ones.
UNWEIGHTED = ("Accuracy", "IoU", "MeanIoU", "BinaryIoU", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation", "ConcordanceCorrelation")


def metric_updates(kind: str, weighted: bool):
    """Two updates as lists of positional arguments."""
    if kind == "values":
        r = _random(11)
        batches = [(r.normal(size=4).astype("float32"), r.uniform(0, 2, size=4).astype("float32")) for _ in range(2)]
        return [(v, w) if weighted else (v,) for v, w in batches]
    y_true, y_pred, weights = data(kind)
    halves = [slice(0, 4), slice(4, 6)]
    return [(y_true[h], y_pred[h], weights[h]) if weighted else (y_true[h], y_pred[h]) for h in halves]


OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"clipnorm": 0.5}),
    ("SGD", {"clipvalue": 0.1}),
    ("SGD", {"global_clipnorm": 0.5}),
    ("SGD", {"loss_scale_factor": 4.0}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("RMSprop", {"weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("Adam", {"beta_1": 0.5, "epsilon": 1e-3, "clipnorm": 1.0}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2}),
    ("Adam", {"gradient_accumulation_steps": 2}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1, "amsgrad": True}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Lion", {}),
    ("Lion", {"weight_decay": 0.05}),
    ("Ftrl", {}),
    ("Ftrl", {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.02, "beta": 0.1, "l2_shrinkage_regularization_strength": 0.01}),
    ("Adafactor", {}),
    ("Lamb", {}),
    ("Muon", {}),
    ("Muon", {"rms_rate": None, "nesterov": False, "ns_steps": 3}),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 3, "weight_decay": 0.01}),
]
OPTIMIZER_STEPS = 5
OPTIMIZER_RATE = 0.05


def optimizer_problem():
    """(initial variables, gradients per step)."""
    r = _random(21)
    shapes = [(3, 4), (4,)]
    variables = [r.normal(size=s).astype("float32") for s in shapes]
    return variables, [[r.normal(size=s).astype("float32") for s in shapes] for _ in range(OPTIMIZER_STEPS)]


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 5, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [5, 20], "values": [0.1, 0.01, 0.001]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "end_learning_rate": 0.01, "power": 2.0}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 8, "end_learning_rate": 0.01, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "alpha": 0.1}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 20, "warmup_target": 0.1, "warmup_steps": 5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 2.0, "m_mul": 0.9, "alpha": 0.05}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.0}),
]
SCHEDULE_STEPS = (0, 1, 4, 5, 6, 8, 9, 15, 20, 21, 40)

RUN_OPTIMIZERS = [("SGD", {"learning_rate": 0.05}), ("RMSprop", {"learning_rate": 0.001}), ("Adam", {"learning_rate": 0.001})]
RUN_STEPS = 50


def run_data(model: str):
    """(x, y) of 50 batches of 8 for a model."""
    r = _random(31)
    labels = r.randint(0, 10, size=8 * RUN_STEPS)
    if model == "mlp":
        centres = r.normal(size=(10, 12))
        return (centres[labels] + r.normal(size=(len(labels), 12))).astype("float32"), labels
    patterns = r.normal(size=(10, 28, 28, 1))
    return (patterns[labels] + 0.5 * r.normal(size=(len(labels), 28, 28, 1))).astype("float32"), labels


def run_weights(shapes) -> list[np.ndarray]:
    """Initial weights: Glorot-like for kernels, zeros for biases."""
    r = _random(41)
    weights = []
    for shape in shapes:
        fan = np.prod(shape[:-1]) + np.prod((*shape[:-2], shape[-1])) if len(shape) > 1 else 1
        limit = np.sqrt(6.0 / fan)
        weights.append(r.uniform(-limit, limit, size=shape).astype("float32") if len(shape) > 1 else np.zeros(shape, "float32"))
    return weights


def run_model(keras, name: str):
    """The model, made with the given library: keras or nnlite."""
    layers = keras.layers
    if name == "mlp":
        return keras.Sequential(
            [keras.Input((12,)), layers.Dense(32, activation="relu"), layers.Dense(16, activation="tanh"), layers.Dense(10, activation="softmax")]
        )
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def run_losses(keras, name: str, optimizer) -> list[float]:
    """The loss of each of the first steps of training."""
    model = run_model(keras, name)
    model.set_weights(run_weights([tuple(w.shape) for w in model.get_weights()]))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    losses = []

    class Keep(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.total = self.count = 0.0

        def on_train_batch_end(self, batch, logs=None):
            # Logs hold the mean so far: the last step's share is the difference of totals.
            total = logs["loss"] * (batch + 1)
            losses.append(total - self.total)
            self.total = total

    x, y = run_data(name)
    model.fit(x, y, batch_size=8, epochs=1, shuffle=False, verbose=0, callbacks=[Keep()])
    return losses


def key(name: str, arguments: dict, *rest) -> str:
    """The name of a case in the golden files."""
    text = ", ".join(f"{k}={v}" for k, v in arguments.items())
    return " ".join([f"{name}({text})", *map(str, rest)])
