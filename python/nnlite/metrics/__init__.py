"""Metrics: running summaries of how well a model does."""

from __future__ import annotations

from nnlite.losses import (
    binary_crossentropy as binary_crossentropy,
    binary_focal_crossentropy as binary_focal_crossentropy,
    categorical_crossentropy as categorical_crossentropy,
    categorical_focal_crossentropy as categorical_focal_crossentropy,
    categorical_hinge as categorical_hinge,
    hinge as hinge,
    huber as huber,
    kl_divergence as kl_divergence,
    log_cosh as log_cosh,
    mean_absolute_error as mean_absolute_error,
    mean_absolute_percentage_error as mean_absolute_percentage_error,
    mean_squared_error as mean_squared_error,
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
    poisson as poisson,
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
    squared_hinge as squared_hinge,
)
from nnlite.metrics.accuracy import (
    Accuracy as Accuracy,
    BinaryAccuracy as BinaryAccuracy,
    CategoricalAccuracy as CategoricalAccuracy,
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy as TopKCategoricalAccuracy,
    binary_accuracy as binary_accuracy,
    categorical_accuracy as categorical_accuracy,
    sparse_categorical_accuracy as sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from nnlite.metrics.auc import AUC as AUC
from nnlite.metrics.confusion import (
    FalseNegatives as FalseNegatives,
    FalsePositives as FalsePositives,
    Precision as Precision,
    Recall as Recall,
    TrueNegatives as TrueNegatives,
    TruePositives as TruePositives,
)
from nnlite.metrics.correlation import (
    ConcordanceCorrelation as ConcordanceCorrelation,
    PearsonCorrelation as PearsonCorrelation,
    concordance_correlation as concordance_correlation,
    pearson_correlation as pearson_correlation,
)
from nnlite.metrics.f_score import F1Score as F1Score, FBetaScore as FBetaScore
from nnlite.metrics.from_losses import (
    BinaryCrossentropy as BinaryCrossentropy,
    CategoricalCrossentropy as CategoricalCrossentropy,
    CategoricalHinge as CategoricalHinge,
    Hinge as Hinge,
    KLDivergence as KLDivergence,
    LogCoshError as LogCoshError,
    MeanAbsoluteError as MeanAbsoluteError,
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
    MeanSquaredError as MeanSquaredError,
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
    Poisson as Poisson,
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
    SquaredHinge as SquaredHinge,
)
from nnlite.metrics.iou import BinaryIoU as BinaryIoU, IoU as IoU, MeanIoU as MeanIoU, OneHotIoU as OneHotIoU, OneHotMeanIoU as OneHotMeanIoU
from nnlite.metrics.metric import Metric as Metric
from nnlite.metrics.reduction import Mean as Mean, MeanMetricWrapper as MeanMetricWrapper, Sum as Sum
from nnlite.metrics.regression import CosineSimilarity as CosineSimilarity, R2Score as R2Score, RootMeanSquaredError as RootMeanSquaredError
from nnlite.metrics.trade_off import (
    PrecisionAtRecall as PrecisionAtRecall,
    RecallAtPrecision as RecallAtPrecision,
    SensitivityAtSpecificity as SensitivityAtSpecificity,
    SpecificityAtSensitivity as SpecificityAtSensitivity,
)
from nnlite.utils.lookup import custom_object, unknown_name
from nnlite.utils.naming import to_snake_case

_SHORT_NAMES = {
    "bce": BinaryCrossentropy, "BCE": BinaryCrossentropy, "mse": MeanSquaredError, "MSE": MeanSquaredError, "mae": MeanAbsoluteError, "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError, "MAPE": MeanAbsolutePercentageError, "msle": MeanSquaredLogarithmicError, "MSLE": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError, "kld": KLDivergence, "KLD": KLDivergence, "logcosh": LogCoshError,
}


def _table() -> dict:
    classes = {name: value for name, value in globals().items() if isinstance(value, type) and issubclass(value, Metric)}
    functions = {name: value for name, value in globals().items() if callable(value) and not isinstance(value, type)
                 and getattr(value, "__module__", "").startswith(("nnlite.metrics.", "nnlite.losses."))}
    return {**functions, **classes, **{to_snake_case(name): cls for name, cls in classes.items()}, **_SHORT_NAMES}


_TABLE = _table()


def get(identifier):
    """A metric from a name ("mse", "auc", "MeanSquaredError"), a configuration, a function, a class or a Metric; None stays None.

    Raises:
        ValueError: The name is unknown; the text suggests close ones.

    >>> get("mae").name
    'mean_absolute_error'
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = _TABLE.get(identifier) or custom_object(identifier)
        if found is None:
            raise unknown_name("metric", identifier, [*_TABLE, "accuracy", "acc"])
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"A metric is a name, a function (y_true, y_pred) or a Metric; received {identifier!r} of type {type(identifier).__name__}.")


def serialize(metric):
    """The configuration of a metric: a name for a function of ours, a dict for an object."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(metric)


def deserialize(config, custom_objects=None):
    """The metric of a configuration made by `serialize`."""
    from nnlite.saving import deserialize_keras_object

    if isinstance(config, str) and not (custom_objects and config in custom_objects):
        return get(config)
    return deserialize_keras_object(config, custom_objects=custom_objects)
