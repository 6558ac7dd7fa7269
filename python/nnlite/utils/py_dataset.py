"""PyDataset: data made batch by batch in Python, if wanted by several workers ahead of time."""

from __future__ import annotations

import itertools
import warnings

_DEFAULTS = {"_workers": 1, "_use_multiprocessing": False, "_max_queue_size": 10}


class PyDataset:
    """Base class of datasets: override `__getitem__(index)` to return a batch (x, y) or (x, y, sample_weight), and `__len__` (or `num_batches`).

    Args:
        workers: Threads or processes that make batches ahead of time, when more than 1.
        use_multiprocessing: Whether they are processes; the dataset must then be picklable.
        max_queue_size: How many batches may wait.

    >>> import numpy as np
    >>> class Numbers(PyDataset):
    ...     def __len__(self):
    ...         return 2
    ...     def __getitem__(self, index):
    ...         return np.full((4, 1), index), np.zeros((4, 1))
    >>> len(list(Numbers()))
    2
    """

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        self._workers = workers
        self._use_multiprocessing = use_multiprocessing
        self._max_queue_size = max_queue_size

    def _setting(self, name: str):
        if name not in self.__dict__:
            warnings.warn(
                f"{type(self).__name__}: a PyDataset's constructor should call super().__init__(**kwargs); its arguments are workers, "
                "use_multiprocessing and max_queue_size. "
                "Do not pass these to fit(), which ignores them.",
                stacklevel=3,
            )
            self.__dict__.update({key: value for key, value in _DEFAULTS.items() if key not in self.__dict__})
        return self.__dict__[name]

    @property
    def workers(self) -> int:
        return self._setting("_workers")

    @workers.setter
    def workers(self, value) -> None:
        self._workers = value

    @property
    def use_multiprocessing(self) -> bool:
        return self._setting("_use_multiprocessing")

    @use_multiprocessing.setter
    def use_multiprocessing(self, value) -> None:
        self._use_multiprocessing = value

    @property
    def max_queue_size(self) -> int:
        return self._setting("_max_queue_size")

    @max_queue_size.setter
    def max_queue_size(self, value) -> None:
        self._max_queue_size = value

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index), which returns a batch.")

    @property
    def num_batches(self):
        """Number of batches, or None when there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__(), or a property `num_batches` (None for endless data).")

    def __iter__(self):
        count = self.num_batches
        for index in itertools.count() if count is None else range(count):
            yield self[index]

    def on_epoch_begin(self) -> None:
        """Called before every epoch."""

    def on_epoch_end(self) -> None:
        """Called after every epoch, e.g. to shuffle."""


Sequence = PyDataset


def ordered_batches(dataset: PyDataset, indices):
    """Batches in the order of `indices`, made ahead by the dataset's workers when it has any."""
    workers, processes = dataset.workers, dataset.use_multiprocessing
    if workers <= 1 and not (workers > 0 and processes):
        for index in indices:
            yield dataset[index]
        return
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor  # slow to import, and rarely needed

    pool = ProcessPoolExecutor(workers) if processes else ThreadPoolExecutor(workers)
    indices = iter(indices)
    try:
        waiting = [pool.submit(dataset.__getitem__, i) for i in itertools.islice(indices, max(dataset.max_queue_size, workers))]
        while waiting:
            batch = waiting.pop(0).result()
            waiting.extend(pool.submit(dataset.__getitem__, i) for i in itertools.islice(indices, 1))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
