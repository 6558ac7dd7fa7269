"""Activations by name."""

from __future__ import annotations

from nnlite.activations import functions
from nnlite.utils.lookup import close_matches, custom_object

_NAMES = (
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "threshold",
)
_KNOWN = {name: getattr(functions, name) for name in _NAMES}
_ALIASES = {"swish": functions.silu, "hard_swish": functions.hard_silu}
_NAME_OF = {function: name for name, function in _KNOWN.items()}


def serialize(activation):
    """The name of one of our activations; the config dict of a layer or of a registered function."""
    name = _NAME_OF.get(activation)
    if name is not None:
        return name
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(activation)


def deserialize(config, custom_objects=None):
    """The activation of a name or config dict."""
    if isinstance(config, str):
        return (custom_objects or {}).get(config) or get(config)
    from nnlite.saving import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)


def get(identifier):
    """An activation from a name, a function, a layer, a config dict, or None for linear.

    >>> get("swish").__name__
    'silu'
    """
    if identifier is None:
        return functions.linear
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        found = _KNOWN.get(identifier) or _ALIASES.get(identifier) or custom_object(identifier)
        if found is None:
            raise ValueError(f"Could not interpret activation function identifier: {identifier!r}. {close_matches(identifier, [*_KNOWN, *_ALIASES])}")
        return found
    if callable(identifier):
        return identifier
    raise ValueError(
        f"Could not interpret activation function identifier: {identifier!r} (of type {type(identifier).__name__}). Pass a name or a function."
    )
