"""Losses: functions `(y_true, y_pred) -> one value per sample`, and classes that reduce these to a scalar."""

from __future__ import annotations

from nnlite.losses.circle import Circle as Circle
from nnlite.losses.circle import circle as circle
from nnlite.losses.crossentropy import (
    BinaryCrossentropy as BinaryCrossentropy,
)
from nnlite.losses.crossentropy import (
    BinaryFocalCrossentropy as BinaryFocalCrossentropy,
)
from nnlite.losses.crossentropy import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from nnlite.losses.crossentropy import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from nnlite.losses.crossentropy import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from nnlite.losses.crossentropy import (
    KLDivergence as KLDivergence,
)
from nnlite.losses.crossentropy import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from nnlite.losses.crossentropy import (
    binary_crossentropy as binary_crossentropy,
)
from nnlite.losses.crossentropy import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from nnlite.losses.crossentropy import (
    categorical_crossentropy as categorical_crossentropy,
)
from nnlite.losses.crossentropy import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from nnlite.losses.crossentropy import (
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from nnlite.losses.crossentropy import (
    kl_divergence as kl_divergence,
)
from nnlite.losses.crossentropy import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from nnlite.losses.ctc import CTC as CTC
from nnlite.losses.ctc import ctc as ctc
from nnlite.losses.hinge import (
    CategoricalHinge as CategoricalHinge,
)
from nnlite.losses.hinge import (
    Hinge as Hinge,
)
from nnlite.losses.hinge import (
    SquaredHinge as SquaredHinge,
)
from nnlite.losses.hinge import (
    categorical_hinge as categorical_hinge,
)
from nnlite.losses.hinge import (
    hinge as hinge,
)
from nnlite.losses.hinge import (
    squared_hinge as squared_hinge,
)
from nnlite.losses.loss import Loss as Loss
from nnlite.losses.loss import LossFunctionWrapper as LossFunctionWrapper
from nnlite.losses.overlap import Dice as Dice
from nnlite.losses.overlap import Tversky as Tversky
from nnlite.losses.overlap import dice as dice
from nnlite.losses.overlap import tversky as tversky
from nnlite.losses.regression import (
    CosineSimilarity as CosineSimilarity,
)
from nnlite.losses.regression import (
    Huber as Huber,
)
from nnlite.losses.regression import (
    LogCosh as LogCosh,
)
from nnlite.losses.regression import (
    MeanAbsoluteError as MeanAbsoluteError,
)
from nnlite.losses.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from nnlite.losses.regression import (
    MeanSquaredError as MeanSquaredError,
)
from nnlite.losses.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from nnlite.losses.regression import (
    Poisson as Poisson,
)
from nnlite.losses.regression import (
    cosine_similarity as cosine_similarity,
)
from nnlite.losses.regression import (
    huber as huber,
)
from nnlite.losses.regression import (
    log_cosh as log_cosh,
)
from nnlite.losses.regression import (
    mean_absolute_error as mean_absolute_error,
)
from nnlite.losses.regression import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from nnlite.losses.regression import (
    mean_squared_error as mean_squared_error,
)
from nnlite.losses.regression import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from nnlite.losses.regression import (
    poisson as poisson,
)
from nnlite.utils.lookup import custom_object, unknown_name

_SHORT_NAMES = {
    "mse": mean_squared_error,
    "MSE": mean_squared_error,
    "mae": mean_absolute_error,
    "MAE": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "MAPE": mean_absolute_percentage_error,
    "msle": mean_squared_logarithmic_error,
    "MSLE": mean_squared_logarithmic_error,
    "bce": binary_crossentropy,
    "BCE": binary_crossentropy,
    "kld": kl_divergence,
    "KLD": kl_divergence,
    "kullback_leibler_divergence": kl_divergence,
    "logcosh": log_cosh,
}


def _table() -> dict:
    own = {name: value for name, value in globals().items() if getattr(value, "__module__", "").startswith("nnlite.losses.")}
    return {**own, **_SHORT_NAMES}


_TABLE = _table()


def get(identifier):
    """A loss from a name ("mse", "MeanSquaredError"), a configuration, a function, a class or a Loss; None stays None.

    Raises:
        ValueError: The name is unknown; the text suggests close ones.

    >>> get("mse").__name__
    'mean_squared_error'
    """
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = _TABLE.get(identifier) or custom_object(identifier)
        if found is None:
            raise unknown_name("loss", identifier, _TABLE)
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"A loss is a name, a function (y_true, y_pred) or a Loss; received {identifier!r} of type {type(identifier).__name__}.")


def serialize(loss):
    """The configuration of a loss: a name for a function of ours, a dict for an object."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(loss)


def deserialize(name, custom_objects=None):
    """The loss of a configuration made by `serialize`."""
    from nnlite.saving import deserialize_keras_object

    if isinstance(name, str) and not (custom_objects and name in custom_objects):
        return get(name)
    return deserialize_keras_object(name, custom_objects=custom_objects)
