"""Optimizers: how gradients change variables."""

from __future__ import annotations

from nnlite.optimizers import schedules as schedules
from nnlite.optimizers.adam import Adam as Adam
from nnlite.optimizers.adam import Adamax as Adamax
from nnlite.optimizers.adam import AdamW as AdamW
from nnlite.optimizers.adam import Lamb as Lamb
from nnlite.optimizers.adam import Nadam as Nadam
from nnlite.optimizers.adaptive import Adadelta as Adadelta
from nnlite.optimizers.adaptive import Adafactor as Adafactor
from nnlite.optimizers.adaptive import Adagrad as Adagrad
from nnlite.optimizers.adaptive import Ftrl as Ftrl
from nnlite.optimizers.adaptive import Lion as Lion
from nnlite.optimizers.loss_scale import LossScaleOptimizer as LossScaleOptimizer
from nnlite.optimizers.multi import MultiOptimizer as MultiOptimizer
from nnlite.optimizers.multi import OptimizerMap as OptimizerMap
from nnlite.optimizers.muon import Muon as Muon
from nnlite.optimizers.muon import ScheduleFreeAdamW as ScheduleFreeAdamW
from nnlite.optimizers.optimizer import Optimizer as Optimizer
from nnlite.optimizers.sgd import SGD as SGD
from nnlite.optimizers.sgd import RMSprop as RMSprop
from nnlite.utils.lookup import custom_object, unknown_name

_CLASSES = (
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    LossScaleOptimizer,
    MultiOptimizer,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
    SGD,
)
_TABLE = {cls.__name__.lower(): cls for cls in _CLASSES}


def get(identifier):
    """An optimizer from a name ("adam"), a configuration, a class or an Optimizer; None stays None.

    Raises:
        ValueError: The name is unknown; the text suggests close ones.

    >>> get("adam").learning_rate.item()
    0.0010000000474974513
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = _TABLE.get(identifier.lower()) or custom_object(identifier)
        if found is None:
            raise unknown_name("optimizer", identifier, _TABLE)
        return found()
    hint = (
        " Did you pass the class instead of an instance? Add parentheses."
        if isinstance(identifier, type) and issubclass(identifier, Optimizer)
        else ""
    )
    raise ValueError(f"An optimizer is a name or an Optimizer; received {identifier!r} of type {type(identifier).__name__}.{hint}")


def serialize(optimizer) -> dict:
    """The configuration of an optimizer."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(optimizer)


def deserialize(config, custom_objects=None):
    """The optimizer of a configuration made by `serialize`."""
    from nnlite.saving import deserialize_keras_object

    name = config.get("class_name")
    if isinstance(name, str) and name.lower() in _TABLE and not (custom_objects and name in custom_objects):
        return _TABLE[name.lower()].from_config(config["config"], **({"custom_objects": custom_objects} if custom_objects else {}))
    return deserialize_keras_object(config, custom_objects=custom_objects)
