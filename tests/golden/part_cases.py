"""Activations, regularizers and constraints with their arguments, shared by the script that asks Keras and by the tests."""

from __future__ import annotations

import numpy as np

X = np.linspace(-4, 7, 24).reshape(4, 6).astype("float32")

ACTIVATIONS = [
    ("celu", {}),
    ("celu", {"alpha": 0.5}),
    ("elu", {}),
    ("elu", {"alpha": 2.0}),
    ("exponential", {}),
    ("gelu", {}),
    ("gelu", {"approximate": True}),
    ("glu", {}),
    ("glu", {"axis": 0}),
    ("hard_shrink", {}),
    ("hard_sigmoid", {}),
    ("hard_silu", {}),
    ("hard_tanh", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.5}),
    ("linear", {}),
    ("log_sigmoid", {}),
    ("log_softmax", {}),
    ("log_softmax", {"axis": 0}),
    ("mish", {}),
    ("relu", {}),
    ("relu", {"negative_slope": 0.1, "max_value": 3.0, "threshold": 1.0}),
    ("relu", {"max_value": 6.0}),
    ("relu", {"threshold": -1.0}),
    ("relu6", {}),
    ("selu", {}),
    ("sigmoid", {}),
    ("silu", {}),
    ("soft_shrink", {}),
    ("softmax", {}),
    ("softmax", {"axis": 0}),
    ("softplus", {}),
    ("softsign", {}),
    ("sparse_plus", {}),
    ("sparse_sigmoid", {}),
    ("squareplus", {}),
    ("tanh", {}),
    ("tanh_shrink", {}),
    ("threshold", {"threshold": 0.5, "default_value": -1.0}),
]
REGULARIZERS = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.2}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.2, "mode": "columns"}),
]
CONSTRAINTS = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 3.0, "axis": 1}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 5.0, "max_value": 6.0, "rate": 0.5, "axis": 1}),
]


def key(name: str, arguments: dict) -> str:
    return f"{name}({', '.join(f'{k}={v}' for k, v in arguments.items())})"
