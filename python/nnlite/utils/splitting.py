"""split_dataset: two parts of a data set."""

from __future__ import annotations

import numpy as np

from nnlite import tree
from nnlite.utils.dataset import Dataset


def split_dataset(dataset, left_size=None, right_size=None, shuffle=False, seed=None, preferred_backend=None):
    """Two Datasets of the rows (or elements) of one, read into memory.

    Args:
        dataset: Arrays, a tuple, list or dict of arrays of one length, a Dataset, PyDataset or any other iterable of finite length.
        left_size, right_size: Elements of each part: a number of them, or a share between 0 and 1. One may be left out.
        shuffle, seed: Whether elements are drawn at random, and the seed.
        preferred_backend: Accepted for familiarity.

    Returns:
        (left, right).

    >>> left, right = split_dataset(np.arange(5), left_size=0.6)
    >>> [int(i) for i in left], [int(i) for i in right]
    ([0, 1, 2], [3, 4])
    """
    elements = _elements(dataset)
    left, right = _sizes(len(elements), left_size, right_size)
    if shuffle:
        seed = int(np.random.randint(10**6)) if seed is None else seed
        elements = [elements[i] for i in np.random.default_rng(seed).permutation(len(elements))]
    parts = elements[:left], elements[len(elements) - right :]
    return tuple(Dataset(lambda part=part: iter(part), len(part)) for part in parts)


def _elements(dataset) -> list:
    if isinstance(dataset, np.ndarray) or (
        isinstance(dataset, (tuple, list, dict)) and all(hasattr(leaf, "shape") for leaf in tree.flatten(dataset))
    ):
        dataset = Dataset.from_tensor_slices(tuple(dataset) if isinstance(dataset, list) else dataset)
    if not hasattr(dataset, "__iter__"):
        raise TypeError(f"split_dataset() takes arrays or an iterable of elements; received {dataset!r} of type {type(dataset).__name__}.")
    return list(dataset)


def _sizes(total: int, left, right) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError("split_dataset() needs `left_size`, `right_size` or both; received None for both. E.g. left_size=0.8.")
    counts = []
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            counts.append(None)
            continue
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if not (0 < size <= total if whole else isinstance(size, float) and 0 < size < 1):
            raise ValueError(
                f"`{name}` of split_dataset() must be a number of elements up to {total}, or a share between 0 and 1. Received: {name}={size!r}"
            )
        counts.append(int(size) if whole else round(size * total))
    if counts[0] is None:
        counts[0] = total - counts[1]
    if counts[1] is None:
        counts[1] = total - counts[0]
    if sum(counts) > total or 0 in counts:
        raise ValueError(
            f"The parts of split_dataset() must fit into the {total} elements and not be empty. Received: left_size={left!r}, right_size={right!r}, "
            f"which makes {counts[0]} and {counts[1]}."
        )
    return counts[0], counts[1]
