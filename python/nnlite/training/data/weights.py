"""Sample weights, and class weights as sample weights."""

from __future__ import annotations

import numpy as np

from nnlite import config


def class_weights_to_samples(y, class_weight: dict) -> np.ndarray:
    """One weight per row of `y`: that of its class (integer labels, or the argmax of one-hot rows); 1 for classes not named."""
    if not isinstance(class_weight, dict):
        raise ValueError(f"`class_weight` must be a dict of class number -> weight; received {class_weight!r} of type {type(class_weight).__name__}.")
    if isinstance(y, (dict, list, tuple)):
        raise ValueError(
            f"`class_weight` is only supported for Models with a single output; received y as a {type(y).__name__}. Use sample_weight with one "
            "array per output."
        )
    y = np.asarray(y)
    if y.ndim > 1:
        y = y.argmax(axis=-1) if y.shape[-1] != 1 else y[..., 0]
    classes = np.rint(y).astype("int64").reshape(y.shape[0], -1)[:, 0]
    weights = np.ones(y.shape[0], config.floatx())
    for label, weight in class_weight.items():
        if not isinstance(label, (int, np.integer)) or not isinstance(weight, (int, float, np.number)):
            raise ValueError(f"`class_weight` must be a dict of class number -> weight; received the entry {label!r}: {weight!r}.")
        weights[classes == int(label)] = weight
    return weights


def spread_over_outputs(sample_weight, y):
    """One weight structure per output: a single array counts for all outputs."""
    if not isinstance(y, (dict, list, tuple)):
        return sample_weight
    if isinstance(sample_weight, (dict, list, tuple)):
        same = type(y) is type(sample_weight) and (set(y) == set(sample_weight) if isinstance(y, dict) else len(y) == len(sample_weight))
        if not same:
            raise ValueError(
                "`sample_weight` must have one array per output, nested like `y`; received y as "
                f"{_describe(y)} and sample_weight as {_describe(sample_weight)}."
            )
        return sample_weight
    shape = sample_weight.shape
    if len(shape) != 1 and not (len(shape) == 2 and shape[1] == 1):
        raise ValueError(
            f"For a model with several outputs a single `sample_weight` array must have shape (num_samples,); received shape {tuple(shape)}. Give "
            "one array per output instead."
        )
    if isinstance(y, dict):
        return {key: sample_weight for key in y}
    return type(y)([sample_weight for _ in y])


def _describe(structure) -> str:
    if isinstance(structure, dict):
        return f"a dict with keys {sorted(structure)}"
    return f"a {type(structure).__name__} of length {len(structure)}"
