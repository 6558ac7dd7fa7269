"""Windows of a time series as batches."""

from __future__ import annotations

import numpy as np

from nnlite.utils.dataset import Dataset


def timeseries_dataset_from_array(
    data,
    targets,
    sequence_length,
    sequence_stride=1,
    sampling_rate=1,
    batch_size=128,
    shuffle=False,
    seed=None,
    start_index=None,
    end_index=None,
    format=None,
):
    """Windows of a series as a Dataset of batches (windows, targets), for fit and predict.

    Args:
        data: Array [time, ...].
        targets: One target per window, by the window's first time; None for windows alone.
        sequence_length: Points of a window.
        sequence_stride: Points between the starts of windows.
        sampling_rate: Points between the points of a window.
        batch_size: Windows of a batch; None for single windows.
        shuffle, seed: Whether windows come in random order, and its seed.
        start_index, end_index: The part of the series that is used.
        format: Accepted for familiarity.

    >>> windows = timeseries_dataset_from_array(np.arange(6), np.arange(6) * 10, sequence_length=3, batch_size=2)
    >>> [w.tolist() for w in next(iter(windows))]
    [[[0, 1, 2], [1, 2, 3]], [0, 10]]
    """
    data = np.asarray(data)
    for name, value in (("sequence_length", sequence_length), ("sequence_stride", sequence_stride), ("sampling_rate", sampling_rate)):
        if value <= 0 or value >= len(data):
            raise ValueError(f"`{name}` must be greater than 0 and lower than the length of the data, {len(data)}; received {name}={value}.")
    first, end = start_index or 0, len(data) if end_index is None else end_index
    if not 0 <= first < end <= len(data):
        raise ValueError(
            f"`start_index` and `end_index` must be in order within the data of length {len(data)}; received start_index={start_index}, "
            f"end_index={end_index}."
        )
    last_start = end - first - (sequence_length - 1) * sampling_rate
    if targets is not None:
        targets = np.asarray(targets)[first:]
        last_start = min(last_start, len(targets))
    starts = np.arange(0, max(last_start, 0), sequence_stride)
    draws = np.random.default_rng(np.random.randint(10**6) if seed is None else seed)
    offsets = np.arange(sequence_length) * sampling_rate + first
    step = batch_size or 1

    def iterate():
        order = draws.permutation(starts) if shuffle else starts
        for i in range(0, len(order), step):
            chosen = order[i : i + step] if batch_size else order[i]
            windows = data[np.expand_dims(chosen, -1) + offsets]
            yield windows if targets is None else (windows, targets[chosen])

    return Dataset(iterate, -(-len(starts) // step))
