"""Metrics: running summaries of how well a model does."""

from __future__ import annotations

from nnlite.losses import (
    binary_crossentropy as binary_crossentropy,
)
from nnlite.losses import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from nnlite.losses import (
    categorical_crossentropy as categorical_crossentropy,
)
from nnlite.losses import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from nnlite.losses import (
    categorical_hinge as categorical_hinge,
)
from nnlite.losses import (
    hinge as hinge,
)
from nnlite.losses import (
    huber as huber,
)
from nnlite.losses import (
    kl_divergence as kl_divergence,
)
from nnlite.losses import (
    log_cosh as log_cosh,
)
from nnlite.losses import (
    mean_absolute_error as mean_absolute_error,
)
from nnlite.losses import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from nnlite.losses import (
    mean_squared_error as mean_squared_error,
)
from nnlite.losses import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from nnlite.losses import (
    poisson as poisson,
)
from nnlite.losses import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from nnlite.losses import (
    squared_hinge as squared_hinge,
)
from nnlite.metrics.accuracy import (
    Accuracy as Accuracy,
)
from nnlite.metrics.accuracy import (
    BinaryAccuracy as BinaryAccuracy,
)
from nnlite.metrics.accuracy import (
    CategoricalAccuracy as CategoricalAccuracy,
)
from nnlite.metrics.accuracy import (
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
)
from nnlite.metrics.accuracy import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from nnlite.metrics.accuracy import (
    TopKCategoricalAccuracy as TopKCategoricalAccuracy,
)
from nnlite.metrics.accuracy import (
    binary_accuracy as binary_accuracy,
)
from nnlite.metrics.accuracy import (
    categorical_accuracy as categorical_accuracy,
)
from nnlite.metrics.accuracy import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from nnlite.metrics.accuracy import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from nnlite.metrics.accuracy import (
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from nnlite.metrics.auc import AUC as AUC
from nnlite.metrics.confusion import (
    FalseNegatives as FalseNegatives,
)
from nnlite.metrics.confusion import (
    FalsePositives as FalsePositives,
)
from nnlite.metrics.confusion import (
    Precision as Precision,
)
from nnlite.metrics.confusion import (
    Recall as Recall,
)
from nnlite.metrics.confusion import (
    TrueNegatives as TrueNegatives,
)
from nnlite.metrics.confusion import (
    TruePositives as TruePositives,
)
from nnlite.metrics.correlation import (
    ConcordanceCorrelation as ConcordanceCorrelation,
)
from nnlite.metrics.correlation import (
    PearsonCorrelation as PearsonCorrelation,
)
from nnlite.metrics.correlation import (
    concordance_correlation as concordance_correlation,
)
from nnlite.metrics.correlation import (
    pearson_correlation as pearson_correlation,
)
from nnlite.metrics.f_score import F1Score as F1Score
from nnlite.metrics.f_score import FBetaScore as FBetaScore
from nnlite.metrics.from_losses import (
    BinaryCrossentropy as BinaryCrossentropy,
)
from nnlite.metrics.from_losses import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from nnlite.metrics.from_losses import (
    CategoricalHinge as CategoricalHinge,
)
from nnlite.metrics.from_losses import (
    Hinge as Hinge,
)
from nnlite.metrics.from_losses import (
    KLDivergence as KLDivergence,
)
from nnlite.metrics.from_losses import (
    LogCoshError as LogCoshError,
)
from nnlite.metrics.from_losses import (
    MeanAbsoluteError as MeanAbsoluteError,
)
from nnlite.metrics.from_losses import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from nnlite.metrics.from_losses import (
    MeanSquaredError as MeanSquaredError,
)
from nnlite.metrics.from_losses import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from nnlite.metrics.from_losses import (
    Poisson as Poisson,
)
from nnlite.metrics.from_losses import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from nnlite.metrics.from_losses import (
    SquaredHinge as SquaredHinge,
)
from nnlite.metrics.iou import BinaryIoU as BinaryIoU
from nnlite.metrics.iou import IoU as IoU
from nnlite.metrics.iou import MeanIoU as MeanIoU
from nnlite.metrics.iou import OneHotIoU as OneHotIoU
from nnlite.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from nnlite.metrics.metric import Metric as Metric
from nnlite.metrics.reduction import Mean as Mean
from nnlite.metrics.reduction import MeanMetricWrapper as MeanMetricWrapper
from nnlite.metrics.reduction import Sum as Sum
from nnlite.metrics.regression import CosineSimilarity as CosineSimilarity
from nnlite.metrics.regression import R2Score as R2Score
from nnlite.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from nnlite.metrics.trade_off import (
    PrecisionAtRecall as PrecisionAtRecall,
)
from nnlite.metrics.trade_off import (
    RecallAtPrecision as RecallAtPrecision,
)
from nnlite.metrics.trade_off import (
    SensitivityAtSpecificity as SensitivityAtSpecificity,
)
from nnlite.metrics.trade_off import (
    SpecificityAtSensitivity as SpecificityAtSensitivity,
)
from nnlite.utils.lookup import custom_object, unknown_name
from nnlite.utils.naming import to_snake_case

_SHORT_NAMES = {
    "bce": BinaryCrossentropy,
    "BCE": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "MSE": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "MAE": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "MAPE": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "MSLE": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
    "kld": KLDivergence,
    "KLD": KLDivergence,
    "logcosh": LogCoshError,
}


def _table() -> dict:
    classes = {name: value for name, value in globals().items() if isinstance(value, type) and issubclass(value, Metric)}
    functions = {
        name: value
        for name, value in globals().items()
        if callable(value) and not isinstance(value, type) and getattr(value, "__module__", "").startswith(("nnlite.metrics.", "nnlite.losses."))
    }
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
