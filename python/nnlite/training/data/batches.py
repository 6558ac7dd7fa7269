"""BatchData: data that comes batch by batch, from generators, PyDatasets, DataLoaders and the like."""

from __future__ import annotations

import itertools
import random

from nnlite.training.data import convert
from nnlite.training.data.weights import class_weights_to_samples
from nnlite.utils.py_dataset import PyDataset, ordered_batches


class BatchData:
    """Base class: `passes()` iterates over batches once.

    Attributes:
        num_batches: Length of a pass, or None when unknown.
    """

    is_arrays = False
    num_batches = None
    batch_size = None

    def passes(self):
        """An iterator over raw batches for the next epoch."""
        raise NotImplementedError

    def on_epoch_begin(self) -> None:
        """Before a pass."""

    def on_epoch_end(self) -> None:
        """After a pass."""


class GeneratorData(BatchData):
    """A Python generator. Every pass starts with its first two batches, as in Keras, and goes on where the last pass ended."""

    def __init__(self, generator):
        self._first = list(itertools.islice(generator, 2))
        if not self._first:
            raise ValueError("The generator yielded no batch at all. It must yield tuples (x, y); was it used up by an earlier call? Make a new one.")
        _check_tuple(self._first[0], "a Python generator")
        self._rest = generator

    def passes(self):
        return itertools.chain(self._first, self._rest)


class PyDatasetData(BatchData):
    """A PyDataset, its batches in random order when `shuffle`."""

    def __init__(self, dataset: PyDataset, shuffle: bool, class_weight):
        self.dataset = dataset
        self.shuffle = shuffle
        self.class_weight = class_weight
        self.num_batches = dataset.num_batches
        if self.num_batches == 0:
            raise ValueError(f"The PyDataset {type(dataset).__name__} has no batches: its length is 0. Check how it was made.")

    def passes(self):
        self.num_batches = self.dataset.num_batches  # on_epoch_end may change it
        indices = itertools.count() if self.num_batches is None else list(range(self.num_batches))
        if self.shuffle and self.num_batches is not None:
            random.shuffle(indices)
        return (self._standardized(batch) for batch in ordered_batches(self.dataset, indices))

    def _standardized(self, batch):
        if isinstance(batch, dict):
            return batch
        if convert.is_array_like(batch):
            batch = (batch,)
        _check_tuple(batch, f"{type(self.dataset).__name__}.__getitem__()")
        batch = tuple(batch)
        if self.class_weight is None or len(batch) < 2:
            return batch
        if len(batch) == 3:
            raise ValueError(
                "You cannot give `class_weight` together with a dataset that yields sample weights. Multiply the class weights into them."
            )
        return (*batch, class_weights_to_samples(batch[1], self.class_weight))

    def on_epoch_begin(self) -> None:
        self.dataset.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.dataset.on_epoch_end()


class IterableData(BatchData):
    """A dataset that can be iterated over again and again: a torch DataLoader, a tf.data.Dataset, a grain dataset."""

    def __init__(self, dataset, class_weight=None):
        self.dataset = dataset
        self.class_weight = class_weight
        self.num_batches = _length(dataset)

    def passes(self):
        for batch in self.dataset.as_numpy_iterator() if hasattr(self.dataset, "as_numpy_iterator") else self.dataset:
            if convert.is_array_like(batch):
                batch = (batch,)
            batch = batch if isinstance(batch, dict) else tuple(batch)
            if self.class_weight is not None and len(batch) == 2:
                batch = (*batch, class_weights_to_samples(convert.as_array(batch[1], "y"), self.class_weight))
            yield batch


def _length(dataset):
    """Number of batches, or None."""
    if hasattr(dataset, "cardinality"):
        count = int(dataset.cardinality())
        return count if count >= 0 else None
    try:
        return len(dataset)
    except TypeError:
        return None


def _check_tuple(batch, what: str) -> None:
    if not isinstance(batch, (tuple, list)) or not 1 <= len(batch) <= 3:
        raise ValueError(
            f"{what} must give batches as tuples (x,), (x, y) or (x, y, sample_weight); received {str(batch)[:100]} of type {type(batch).__name__}."
        )


def standardize(batch, place: str):
    """A raw batch as (x,), (x, y) or (x, y, sample_weight) of arrays; a dict is x alone."""
    if isinstance(batch, dict):
        batch = (batch,)
    names = ("x", "y", "sample_weight")
    parts = tuple(convert.convert_structure(part, f"{name} of {place}") for part, name in zip(batch, names))
    while len(parts) > 1 and parts[-1] is None:
        parts = parts[:-1]
    return parts
