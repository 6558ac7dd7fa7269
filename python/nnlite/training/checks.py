"""Checks of labels against what the losses expect, on whole arrays, once per fit."""

from __future__ import annotations

import warnings

import numpy as np

from nnlite import tree
from nnlite.losses.crossentropy import sparse_categorical_crossentropy

_BUILT_IN = "nnlite.losses."


def check_labels(model, structure) -> None:
    """Class labels must be within the predictions' classes; targets and weights must not be NaN.

    Args:
        model: A Trainer whose step was traced: its losses know the number of classes.
        structure: (x, y, ...) of arrays.
    """
    if len(structure) > 2 and structure[2] is not None:
        for weights in tree.flatten(structure[2]):
            if weights is not None:
                _check_finite(weights, "sample_weight")
    if len(structure) < 2 or structure[1] is None or model._compile_loss is None:
        return
    for part in model._compile_loss.parts:
        y = _target(structure[1], part, model)
        if isinstance(y, np.ndarray):
            _check_part(part, y)


def _target(y, part, model):
    """The array of targets of one output, or None when the nesting does not lead there directly."""
    names = getattr(model, "output_names", None)
    for key in part.path:
        if isinstance(y, dict) and isinstance(key, int) and names:
            key = names[key]
        try:
            y = y[key]
        except (KeyError, IndexError, TypeError):
            return None
    return y[0] if isinstance(y, (list, tuple)) and len(y) == 1 else y


def _check_part(part, y: np.ndarray) -> None:
    function = getattr(part.loss, "fn", None)
    if not getattr(function, "__module__", "").startswith(_BUILT_IN):
        return
    _check_finite(y, f"y (targets of output {part.name!r})")
    classes = part.classes
    if function is sparse_categorical_crossentropy and classes is not None and y.size:
        _check_range(part, y, classes)


def _check_finite(array: np.ndarray, what: str) -> None:
    if array.dtype.kind == "f" and np.isnan(array.sum()) and np.isnan(array).any():
        count = int(np.isnan(array).sum())
        rows = np.argwhere(np.isnan(array).reshape(array.shape[0], -1).any(axis=1))[:3, 0].tolist()
        raise ValueError(
            f"{what} holds {count} NaN values (first in rows {rows}): every loss would become NaN. Remove or fill these rows, or give them "
            "sample_weight and a loss that skips them."
        )


def _check_range(part, y: np.ndarray, classes: int) -> None:
    if y.dtype.kind == "f" and not (y == np.floor(y)).all():
        raise ValueError(
            f"sparse_categorical_crossentropy on output {part.name!r} takes class numbers, but y holds {float(y[y != np.floor(y)][0])}. Regression "
            "targets need a "
            "loss such as 'mse', shares of classes 'categorical_crossentropy'."
        )
    ignored = part.loss._fn_kwargs.get("ignore_class")
    if ignored is None and y.dtype.kind == "i" and y.view(f"u{y.dtype.itemsize}").max() < classes:
        return  # negative labels would be huge as unsigned ones
    labels = y if ignored is None else y[y != ignored]
    if not labels.size:
        return
    low, high = labels.min(), labels.max()
    if low < 0 or high >= classes:
        hint = (
            "Labels that start at 1 need y - 1."
            if low >= 1 and high == classes
            else f"Give the last layer {int(high) + 1} units, or fix the labels."
            if low >= 0
            else "Give ignore_class for labels to skip, or fix the labels."
        )
        raise ValueError(
            f"Labels out of range for sparse_categorical_crossentropy on output {part.name!r}: the predictions have {classes} classes, so labels "
            "must be in "
            f"[0, {classes}); received labels from {low} to {high}. {hint}"
        )


def check_run(verbose, steps=None, shuffle=True) -> None:
    """Arguments that fit, evaluate and predict share."""
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f"`verbose` must be 'auto', 0, 1 or 2; received verbose={verbose!r}.")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1):
        raise ValueError(f"`steps` must be an integer of at least 1, or None for all data; received steps={steps!r}.")
    if shuffle not in (True, False, "batch"):
        raise ValueError(f"`shuffle` must be True, False or 'batch'; received shuffle={shuffle!r}.")


def warn_of_nan(model, data, logs: dict) -> None:
    """Says why the loss of the first epoch is NaN, where the data shows it."""
    loss = logs.get("loss", 0.0)
    if loss == loss or not data.is_arrays:
        return
    for array in tree.flatten(data.structure[0]):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            warnings.warn(
                f"The loss is NaN: x holds NaN or infinite values in {bad.sum()} of {len(bad)} rows (first in rows "
                f"{np.flatnonzero(bad)[:3].tolist()}). "
                "Remove or fill them.",
                RuntimeWarning,
                stacklevel=4,
            )
        for layer in model._flatten_layers() if array.dtype.kind in "iu" and array.size else ():
            if type(layer).__name__ == "Embedding" and array.max() >= layer.input_dim:
                warnings.warn(
                    f"The loss is NaN: x holds integers up to {array.max()}, but Embedding {layer.name!r} has input_dim={layer.input_dim}, so its "
                    "ids must "
                    f"be below that. Give it input_dim={int(array.max()) + 1} or more.",
                    RuntimeWarning,
                    stacklevel=4,
                )


def check_labels_before(model, structure) -> None:
    """The same for eager steps, once the losses have seen data."""
    if model._compile_loss is not None and model._compile_loss.built:
        check_labels(model, structure)
