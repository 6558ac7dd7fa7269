"""Arrays of labels and norms."""

from __future__ import annotations

import numpy as np

from nnlite.tensor import Tensor


def to_categorical(x, num_classes=None):
    """Integer labels [...] as one-hot rows [..., num_classes] of floats.

    Args:
        x: Array-like of integers from 0 to num_classes - 1.
        num_classes: By default the largest label plus one.

    Returns:
        A float64 numpy array, or a tensor when `x` is one.

    >>> to_categorical([0, 2], num_classes=3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if isinstance(x, Tensor):
        from nnlite import config, ops

        if len(x.shape) > 1 and x.shape[-1] == 1:
            x = ops.squeeze(x, -1)
        return ops.one_hot(ops.cast(x, "int32"), num_classes or int(ops.max(x)) + 1, dtype=config.floatx())
    labels = np.array(x, dtype="int64")
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    classes = num_classes or int(labels.max()) + 1
    if labels.size and (labels.max() >= classes or labels.min() < 0):
        raise IndexError(
            f"to_categorical() needs labels from 0 to num_classes - 1; received labels from {labels.min()} to {labels.max()} with "
            f"num_classes={classes}. Leave num_classes out, or fix the labels."
        )
    one_hot = np.zeros((labels.size, classes))
    one_hot[np.arange(labels.size), labels] = 1.0
    return one_hot.reshape(*shape, classes)


def normalize(x, axis=-1, order=2):
    """`x` divided by its norms of `order` along `axis`; rows of zeros stay zeros.

    >>> normalize([[3.0, 4.0]]).tolist()
    [[0.6, 0.8]]
    """
    if isinstance(x, Tensor):
        from nnlite import ops

        return ops.normalize(x, axis=axis, order=order)
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return np.asarray(x) / np.expand_dims(norms, axis)
