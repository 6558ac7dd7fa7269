"""Initializers: the first values of weights."""

from nnlite.initializers.drawn import (  # noqa: F401
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    OrthogonalInitializer,
    RandomInitializer,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    orthogonal,
    random_normal,
    random_uniform,
    truncated_normal,
    variance_scaling,
)
from nnlite.initializers.fixed import Constant, Identity, IdentityInitializer, Initializer, Ones, Zeros, constant, identity, ones, zeros  # noqa: F401
from nnlite.initializers.lookup import deserialize, get, serialize  # noqa: F401
