"""Initializers by name."""

from __future__ import annotations

import numpy as np

from nnlite.initializers import drawn, fixed
from nnlite.tensor import Tensor
from nnlite.utils.identifiers import from_config, names_of, resolve

_KNOWN = names_of(
    fixed.Zeros,
    fixed.Ones,
    fixed.Constant,
    fixed.Identity,
    drawn.RandomNormal,
    drawn.RandomUniform,
    drawn.TruncatedNormal,
    drawn.VarianceScaling,
    drawn.GlorotUniform,
    drawn.GlorotNormal,
    drawn.HeUniform,
    drawn.HeNormal,
    drawn.LecunUniform,
    drawn.LecunNormal,
    drawn.Orthogonal,
    zero=fixed.Zeros,
    one=fixed.Ones,
    uniform=drawn.RandomUniform,
    normal=drawn.RandomNormal,
    IdentityInitializer=fixed.Identity,
    OrthogonalInitializer=drawn.Orthogonal,
)


def serialize(initializer):
    """The config dict that `deserialize` reads."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(initializer)


def deserialize(config, custom_objects=None):
    """The initializer of a config dict."""
    return from_config(config, "initializer", _KNOWN, custom_objects)


def get(identifier):
    """An initializer from an instance, a name, a config dict, a number or array of values, a function `(shape, dtype)`, or None.

    >>> type(get("he_normal")).__name__
    'HeNormal'
    """
    if isinstance(identifier, (np.ndarray, np.number, Tensor, int, float)) and not isinstance(identifier, bool):
        return fixed.Constant(identifier)
    return resolve(identifier, "initializer", _KNOWN, fixed.Initializer)
