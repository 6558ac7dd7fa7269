"""Dataset: batches that can be gone through again and again, made as they are asked for."""

from __future__ import annotations

import itertools
from collections import deque

import numpy as np

from nnlite import tree


class DataArray(np.ndarray):
    """A numpy array that scripts written for tensors can ask for `.numpy()`."""

    def numpy(self) -> np.ndarray:
        """The same values as a plain array."""
        return self.view(np.ndarray)


class Dataset:
    """Elements (arrays, or tuples and dicts of arrays) that a function makes afresh for every pass.

    Arrays are numpy arrays with a method `numpy()`, so that scripts written for tensors run.
    `fit`, `evaluate` and `predict` take a dataset whose elements are batches; layers' `adapt` takes any.

    Args:
        iterate: A function without arguments that returns an iterator over the elements.
        length: Their number, or None when unknown.

    Attributes:
        class_names, file_paths: Set by the functions that read folders; None otherwise.

    >>> numbers = Dataset.from_tensor_slices(np.arange(5)).batch(2)
    >>> [batch.tolist() for batch in numbers.map(lambda x: x * 10)], len(numbers)
    ([[0, 10], [20, 30], [40]], 3)
    """

    class_names: list | None = None
    file_paths: list | None = None

    def __init__(self, iterate, length: int | None = None):
        self._iterate = iterate
        self._length = length
        # Elements that are rows of arrays, and a function that gives their order: batches of them are gathered at once.
        self._rows = self._order = None

    @classmethod
    def from_tensor_slices(cls, tensors) -> Dataset:
        """The rows of arrays with a common first axis; `tensors` may be nested."""
        arrays = tree.map_structure(_array, _without_lists(tensors))
        sizes = {len(leaf) for leaf in tree.flatten(arrays)}
        if len(sizes) != 1:
            raise ValueError(f"Dataset.from_tensor_slices() takes arrays of one length; received lengths {sorted(sizes)}. Cut them to the same rows.")
        rows = sizes.pop()

        def iterate():
            for i in range(rows):
                yield tree.map_structure(lambda leaf, i=i: leaf[i], arrays)

        dataset = cls(iterate, rows)
        dataset._rows, dataset._order = arrays, lambda: range(rows)
        return dataset

    @classmethod
    def from_generator(cls, generator, length: int | None = None, **signature) -> Dataset:
        """The elements of a generator function, called anew for every pass. Signatures are accepted for familiarity."""
        return cls(lambda: iter(generator()), length)

    def _derive(self, iterate, length) -> Dataset:
        derived = Dataset(iterate, length)
        derived.class_names, derived.file_paths = self.class_names, self.file_paths
        return derived

    def __iter__(self):
        return (tree.map_structure(_with_numpy, element) for element in self._iterate())

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("The length of this Dataset is unknown: it was filtered, repeated for ever or made by a generator. Count list(dataset).")
        return self._length

    def __bool__(self) -> bool:
        return True

    def cardinality(self) -> int:
        """The number of elements; -1 for ever, -2 unknown."""
        return -2 if self._length is None else self._length

    def as_numpy_iterator(self):
        """An iterator over the elements."""
        return iter(self)

    def map(self, function, num_parallel_calls=None, **options) -> Dataset:
        """Elements changed by a function; tuples are its separate arguments. Tensors that it returns become numpy arrays.

        Args:
            function: Takes the parts of an element.
            num_parallel_calls: Accepted for familiarity.
        """

        def iterate():
            for element in self:
                result = function(*element) if isinstance(element, tuple) else function(element)
                yield tree.map_structure(_numpy, result)

        return self._derive(iterate, self._length)

    def filter(self, predicate) -> Dataset:
        """The elements for which a function says True."""

        def iterate():
            return (element for element in self if (predicate(*element) if isinstance(element, tuple) else predicate(element)))

        return self._derive(iterate, None)

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, **options) -> Dataset:
        """Groups of `batch_size` elements as one, stacked along a new first axis; the last may be short unless `drop_remainder`."""
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"Dataset.batch() takes a batch size of at least 1; received batch_size={batch_size!r}.")

        def gather():
            order = np.fromiter(self._order(), "int64")
            for i in range(0, len(order) // batch_size * batch_size if drop_remainder else len(order), batch_size):
                rows = order[i : i + batch_size]
                yield tree.map_structure(lambda leaf, rows=rows: leaf[rows], self._rows)

        def iterate():
            elements = iter(self)
            while group := list(itertools.islice(elements, batch_size)):
                if len(group) == batch_size or not drop_remainder:
                    yield tree.map_structure(lambda *parts: _stack(parts), *group)

        length = self._length
        if length is not None:
            length = length // batch_size if drop_remainder else -(-length // batch_size)
        return self._derive(iterate if self._order is None else gather, length)

    def unbatch(self) -> Dataset:
        """The rows of the elements, one by one."""

        def iterate():
            for element in self:
                for i in range(len(tree.flatten(element)[0])):
                    yield tree.map_structure(lambda leaf, i=i: leaf[i], element)

        return self._derive(iterate, None)

    def rebatch(self, batch_size, drop_remainder=False) -> Dataset:
        """The rows of the elements in batches of another size."""
        return self.unbatch().batch(batch_size, drop_remainder)

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, **options) -> Dataset:
        """Elements in random order: each is drawn from the next `buffer_size` ones, anew for every pass unless told otherwise."""
        seed = int(np.random.randint(2**31)) if seed is None else seed
        draws = np.random.default_rng(seed)

        def rng():
            return draws if reshuffle_each_iteration else np.random.default_rng(seed)

        shuffled = self._derive(lambda: _shuffled(iter(self), int(buffer_size), rng()), self._length)
        if self._order is not None:
            shuffled._rows, shuffled._order = self._rows, lambda: _shuffled(iter(self._order()), int(buffer_size), rng())
        return shuffled

    def repeat(self, count=None) -> Dataset:
        """`count` passes one after the other; without end by default."""
        if count is None or count < 0:
            return self._derive(lambda: itertools.chain.from_iterable(iter(self) for _ in itertools.count()), None)
        length = None if self._length is None else self._length * count
        return self._derive(lambda: itertools.chain.from_iterable(iter(self) for _ in range(count)), length)

    def take(self, count) -> Dataset:
        """The first elements."""
        if count < 0:
            return self
        return self._derive(lambda: itertools.islice(iter(self), count), None if self._length is None else min(self._length, count))

    def skip(self, count) -> Dataset:
        """All elements but the first."""
        return self._derive(lambda: itertools.islice(iter(self), count, None), None if self._length is None else max(self._length - count, 0))

    def concatenate(self, other) -> Dataset:
        """These elements, then another dataset's."""
        known = self._length is not None and getattr(other, "_length", None) is not None
        return self._derive(lambda: itertools.chain(self, other), self._length + other._length if known else None)

    def enumerate(self, start=0) -> Dataset:
        """(number, element) pairs."""
        return self._derive(lambda: enumerate(iter(self), start), self._length)

    @staticmethod
    def zip(*datasets) -> Dataset:
        """Tuples of the elements of several datasets."""
        datasets = datasets[0] if len(datasets) == 1 and isinstance(datasets[0], (tuple, list)) else datasets
        lengths = [dataset._length for dataset in datasets]
        known = [length for length in lengths if length is not None]
        return Dataset(lambda: zip(*datasets), min(known) if len(known) == len(lengths) else None)

    def cache(self, filename="") -> Dataset:
        """The elements of the first whole pass, kept in memory for the next ones."""
        kept: list = []
        done = []

        def iterate():
            if done:
                yield from kept
                return
            found = []
            for element in self:
                found.append(element)
                yield element
            if not done:
                kept.extend(found)
                done.append(True)

        return self._derive(iterate, self._length)

    def prefetch(self, buffer_size=None) -> Dataset:
        """The same elements, made ahead by a thread: `buffer_size` of them, 2 by default (and for any negative number)."""
        ahead = 2 if buffer_size is None or buffer_size < 0 else int(buffer_size)
        return self if ahead == 0 else self._derive(lambda: _ahead(iter(self), ahead), self._length)


def _shuffled(elements, buffer_size: int, rng: np.random.Generator):
    """Elements in random order, each drawn from the next `buffer_size` ones."""
    buffer = list(itertools.islice(elements, max(buffer_size, 1)))
    for element in elements:
        place = int(rng.integers(len(buffer)))
        yield buffer[place]
        buffer[place] = element
    for place in rng.permutation(len(buffer)):
        yield buffer[place]


_END = object()


def _ahead(elements, count: int):
    """The elements of an iterator, the next `count` of them already being made."""
    from concurrent.futures import ThreadPoolExecutor  # slow to import, and rarely needed

    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(next, elements, _END) for _ in range(count))
        while (element := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, elements, _END))
            yield element
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _without_lists(value):
    """Lists count as arrays, as tf.data takes them; tuples and dicts are structure."""
    if isinstance(value, tuple):
        return tuple(_without_lists(item) for item in value)
    if isinstance(value, dict):
        return {key: _without_lists(item) for key, item in value.items()}
    return _array(value)


def _array(value) -> np.ndarray:
    array = np.asarray(_numpy(value))
    return array.astype(object) if array.dtype.kind == "U" else array


def _numpy(value):
    return value.numpy() if hasattr(value, "numpy") else value


def _with_numpy(value):
    return value.view(DataArray) if type(value) is np.ndarray else value


def _stack(parts) -> np.ndarray:
    if isinstance(parts[0], (str, bytes)):
        stacked = np.empty(len(parts), dtype=object)
        stacked[:] = parts
        return stacked
    shapes = {np.shape(part) for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"Dataset.batch() stacks elements of one shape; this batch has the shapes {sorted(shapes)}. Bring them to one size with map() before "
            "batch(), or use a batch size of 1."
        )
    return np.stack(parts)


def batches_of(data, steps=None):
    """What a layer's `adapt` goes through: whole arrays and lists at once, datasets batch by batch."""
    if isinstance(data, (np.ndarray, list, tuple, str)) or (hasattr(data, "__array__") and hasattr(data, "shape")):
        return [data]
    iterator = data.as_numpy_iterator() if hasattr(data, "as_numpy_iterator") else iter(data)
    return itertools.islice(iterator, steps)
