"""ArrayData: data that lies in arrays, cut into batches by index."""

from __future__ import annotations

import math

import numpy as np

from nnlite.training.data import convert
from nnlite.training.data.weights import class_weights_to_samples, spread_over_outputs
from nnlite.utils.unpacking import unpack_x_y_sample_weight

_PARTS = ("x", "y", "sample_weight")


class ArrayData:
    """Training data in arrays with a common first axis.

    Attributes:
        structure: (x,), (x, y) or (x, y, sample_weight), possibly nested; its leaves are numpy arrays.
        sources: These leaves in order.
        rows, batch_size, num_batches: Sizes; the last batch may be short.
    """

    is_arrays = True

    def __init__(self, x, y=None, sample_weight=None, batch_size=None, steps=None, shuffle=False, class_weight=None):
        if sample_weight is not None and class_weight is not None:
            raise ValueError(
                "You cannot give `class_weight` and `sample_weight` at the same time. Multiply the class weights into the sample weights."
            )
        x, y, sample_weight = (convert.convert_structure(part, name) for part, name in zip((x, y, sample_weight), _PARTS))
        if class_weight is not None:
            sample_weight = class_weights_to_samples(y, class_weight)
        if sample_weight is not None:
            sample_weight = convert.convert_structure(sample_weight, "sample_weight")
            sample_weight = spread_over_outputs(_as_floats(sample_weight), y)
        self.structure = (x,) if y is None and sample_weight is None else (x, y) if sample_weight is None else (x, y, sample_weight)
        self.sources = convert.leaves(self.structure)
        self.rows = _common_rows(self.structure)
        self.batch_size = _checked_batch_size(batch_size) or (math.ceil(self.rows / steps) if steps else 32)
        self.num_batches = math.ceil(self.rows / self.batch_size)
        self.shuffle = shuffle
        self.key = convert.shape_key(self.structure)
        self._generator = None

    def specs(self, rows: int) -> tuple:
        """Specs of a batch of `rows` rows."""
        return tuple([convert.spec_of(source, rows) for source in self.sources])

    def order(self) -> np.ndarray:
        """The order of rows for one pass: as they are, or shuffled anew each time."""
        if not self.shuffle:
            if self._generator is None:
                self._generator = np.arange(self.rows, dtype=np.int64)
            return self._generator
        if self._generator is None:
            self._generator = np.random.default_rng(np.random.randint(2**31))  # set_random_seed seeds numpy's global state
        if self.shuffle != "batch":
            return self._generator.permutation(self.rows)
        full = self.rows // self.batch_size * self.batch_size
        batches = np.arange(full, dtype=np.int64).reshape(-1, self.batch_size)
        return np.concatenate([self._generator.permutation(batches).reshape(-1), np.arange(full, self.rows, dtype=np.int64)])

    def batch(self, order: np.ndarray, step: int):
        """The data of one step as a structure of arrays."""
        rows = order[step * self.batch_size : (step + 1) * self.batch_size]
        return convert.rebuild(self.structure, iter([source[rows] for source in self.sources]))

    def on_epoch_begin(self) -> None:
        """Arrays need no preparation."""

    def on_epoch_end(self) -> None:
        """Nor anything afterwards."""


def _as_floats(weights):
    """Integer weights as floats."""
    if isinstance(weights, dict):
        return {key: _as_floats(value) for key, value in weights.items()}
    if isinstance(weights, (list, tuple)):
        return type(weights)([_as_floats(value) for value in weights])
    if weights is None or weights.dtype.kind == "f":
        return weights
    return convert.as_array(weights.astype("float32"), "sample_weight")


def _checked_batch_size(batch_size):
    if batch_size is not None and (isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
        raise ValueError(f"`batch_size` must be an integer of at least 1; received batch_size={batch_size!r}. Leave it out for batches of 32.")
    return None if batch_size is None else int(batch_size)


def _common_rows(structure) -> int:
    sizes = [[array.shape[0] for array in convert.leaves(part)] for part in structure]
    distinct = {size for part in sizes for size in part}
    if len(distinct) > 1:
        lines = "\n".join(f"'{name}' sizes: {', '.join(map(str, part))}" for name, part in zip(_PARTS, sizes))
        raise ValueError(f"Data cardinality is ambiguous. Make sure all arrays contain the same number of samples.\n{lines}")
    rows = distinct.pop() if distinct else 0
    if rows == 0:
        raise ValueError("The data is empty: x has 0 samples. Check how it was loaded or filtered.")
    return rows


def split_validation(x, y, sample_weight, validation_split):
    """((x, y, sample_weight) of the first rows, and of the last `validation_split` share)."""
    if isinstance(validation_split, bool) or not 0 < validation_split < 1:
        raise ValueError(
            f"`validation_split` must be between 0 and 1; received validation_split={validation_split!r}. E.g. 0.2 keeps the last fifth for "
            "validation."
        )
    parts = (x, y, sample_weight)
    foreign = [type(leaf).__name__ for leaf in convert.leaves(parts) if not convert.is_array_like(leaf)]
    if foreign:
        raise ValueError(f"`validation_split` is only supported for arrays and tensors; found {', '.join(foreign)}. Pass validation_data instead.")
    parts = tuple(convert.convert_structure(part, name) for part, name in zip(parts, _PARTS))
    rows = _common_rows(parts)
    split_at = math.floor(rows * (1.0 - validation_split))
    if split_at in (0, rows):
        raise ValueError(
            f"Training data contains {rows} samples, which is not sufficient to split it into a validation and training set as specified by "
            f"`validation_split={validation_split}`. Either provide more data, or a different value for the `validation_split` argument."
        )
    arrays = convert.leaves(parts)
    first = convert.rebuild(parts, iter([array[:split_at] for array in arrays]))
    last = convert.rebuild(parts, iter([array[split_at:] for array in arrays]))
    return first, last


def unpack_validation(validation_data):
    """(x, y, sample_weight) of `validation_data`, which may also be a dataset."""
    return unpack_x_y_sample_weight(validation_data)
