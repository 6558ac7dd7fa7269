"""Windows of a time series as batches."""

from __future__ import annotations

import numpy as np

from nnlite.utils.py_dataset import PyDataset


class _Windows(PyDataset):
    """Batches of windows, gathered when they are asked for."""

    def __init__(self, data, targets, starts, offsets, batch_size):
        super().__init__()
        self._data, self._targets, self._starts, self._offsets, self._batch_size = data, targets, starts, offsets, batch_size

    def __len__(self):
        return -(-len(self._starts) // self._batch_size)

    def __getitem__(self, index):
        starts = self._starts[index * self._batch_size : (index + 1) * self._batch_size]
        windows = self._data[starts[:, None] + self._offsets]
        return (windows,) if self._targets is None else (windows, self._targets[starts])


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
    """Windows of a series as a PyDataset of batches (windows, targets), for fit and predict.

    Args:
        data: Array [time, ...].
        targets: One target per window, by the window's first time; None for windows alone.
        sequence_length: Points of a window.
        sequence_stride: Points between the starts of windows.
        sampling_rate: Points between the points of a window.
        batch_size: Windows of a batch; None for all in one.
        shuffle, seed: Whether windows come in random order, and its seed.
        start_index, end_index: The part of the series that is used.
        format: Accepted for familiarity.

    >>> windows = timeseries_dataset_from_array(np.arange(6), np.arange(6) * 10, sequence_length=3, batch_size=2)
    >>> [w.tolist() for w in windows[0]]
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
    if shuffle:
        np.random.default_rng(seed).shuffle(starts)
    windows = np.arange(sequence_length) * sampling_rate + first
    return _Windows(data, targets, starts, windows, batch_size or max(len(starts), 1))
