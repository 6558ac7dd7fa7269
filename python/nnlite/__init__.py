"""nnlite: Keras's way of making neural networks, on a compiled CPU engine."""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

# Public submodules and names, imported when first used: `import nnlite` stays fast.
_SUBMODULES = frozenset((
    "activations", "backend", "callbacks", "config", "constraints", "datasets", "dtype_policies", "initializers", "layers", "losses", "metrics", "models",
    "ops", "optimizers", "preprocessing", "random", "regularizers", "saving", "tree", "utils",
))
_WITHOUT_OPS = frozenset(("config", "tree"))  # what the ops themselves import
_NAMES = {
    "Function": "nnlite.models", "Functional": "nnlite.models", "GradientTape": "nnlite.graph.grad", "Input": "nnlite.layers", "InputSpec": "nnlite.layers",
    "Initializer": "nnlite.initializers", "KerasTensor": "nnlite.graph.symbolic", "Layer": "nnlite.layers", "Loss": "nnlite.losses", "Metric": "nnlite.metrics",
    "Model": "nnlite.models", "Optimizer": "nnlite.optimizers", "Regularizer": "nnlite.regularizers", "Sequential": "nnlite.models", "Tensor": "nnlite.tensor",
    "Variable": "nnlite.variable", "function": "nnlite.graph.function", "DTypePolicy": "nnlite.dtype_policies",
}


def __getattr__(name: str):
    # Operators on tensors live in nnlite.ops; whoever touches a public name gets them.
    if name in _SUBMODULES:
        if name not in _WITHOUT_OPS:
            importlib.import_module("nnlite.ops")
        return importlib.import_module(f"nnlite.{name}")
    if name in _NAMES:
        importlib.import_module("nnlite.ops")
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnlite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_SUBMODULES, *_NAMES, "__version__"])


def version() -> str:
    """The version string."""
    return __version__
