"""nnlite.ops.nn and .numpy: the same functions under the module names that Keras has."""

from __future__ import annotations

import importlib

from nnlite.ops import _RARE
from nnlite.ops._public import PUBLIC

_NN = frozenset(("activations", "attention", "convolution", "crossentropy", "ctc", "normalization"))
_SPATIAL_NN = frozenset("adaptive_average_pool adaptive_max_pool depth_to_space fold space_to_depth unfold".split())
_NUMPY = frozenset("angle conj conjugate i0 imag ndim real size slogdet vectorize".split())
_LINALG = frozenset(("factorizations", "linalg"))
_OTHERS = frozenset(("control", "core", "segment", "signal", "special"))


def all_functions() -> dict:
    """Every public function, the rare families included."""
    for family in _RARE:
        importlib.import_module(f"nnlite.ops.{family}")
    return PUBLIC


def functions_of(namespace: str) -> dict:
    """The functions of "nn" or "numpy"."""
    return {name: function for name, function in all_functions().items() if _namespace(name, function) == namespace}


def _namespace(name: str, function) -> str:
    family = function.__module__.rpartition(".")[2]
    if name in _NUMPY:
        return "numpy"
    if family in _NN or name in _SPATIAL_NN:
        return "nn"
    if family in _LINALG:
        return "linalg"
    return "" if family in _OTHERS else "numpy"
