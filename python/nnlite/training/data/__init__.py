"""Data for training: arrays, and sources that give batches."""

from __future__ import annotations

import types
import warnings

from nnlite.training.data import convert
from nnlite.training.data.arrays import ArrayData as ArrayData
from nnlite.training.data.arrays import split_validation as split_validation
from nnlite.training.data.batches import BatchData as BatchData
from nnlite.training.data.batches import GeneratorData, IterableData, PyDatasetData
from nnlite.utils.dataset import Dataset
from nnlite.utils.py_dataset import PyDataset


def get_data(x, y=None, sample_weight=None, batch_size=None, steps=None, shuffle=False, class_weight=None):
    """The ArrayData or BatchData for what fit, evaluate or predict was given."""
    if isinstance(x, (ArrayData, BatchData)):
        return x
    found = convert.leaves((x, y, sample_weight))
    if found and all(convert.is_array_like(leaf) for leaf in found):
        return ArrayData(x, y, sample_weight, batch_size=batch_size, steps=steps, shuffle=shuffle, class_weight=class_weight)
    kind = _kind(x)
    if kind is None:
        raise ValueError(_unrecognized(x, y, sample_weight))
    for name, value, what in (("y", y, "the targets"), ("sample_weight", sample_weight, "the sample weights")):
        if value is not None:
            raise ValueError(
                f"When providing `x` as a {kind}, `{name}` should not be passed. Instead, {what} should be included as part of the {kind}."
            )
    if class_weight is not None and kind in ("torch DataLoader", "grain dataset", "generator"):
        raise ValueError(
            f"Argument `class_weight` is not supported for {kind} inputs. Yield (x, y, sample_weight) instead. Received: class_weight={class_weight}"
        )
    if shuffle and not (kind == "PyDataset" and x.num_batches is not None) and kind != "Dataset":
        warnings.warn(
            f"`shuffle=True` was passed, but will be ignored since the data `x` was provided as a {kind}, which is expected to give shuffled data.",
            stacklevel=4,
        )
    if kind == "generator":
        return GeneratorData(x)
    return PyDatasetData(x, shuffle, class_weight) if kind == "PyDataset" else IterableData(x, class_weight)


def _kind(x) -> str | None:
    if isinstance(x, PyDataset):
        return "PyDataset"
    if isinstance(x, Dataset):
        return "Dataset"
    if isinstance(x, types.GeneratorType):
        return "generator"
    for base in type(x).__mro__:
        module = base.__module__
        if base.__name__ == "DataLoader" and module.startswith("torch.utils.data"):
            return "torch DataLoader"
        if base.__name__ == "DatasetV2" and module.startswith("tensorflow."):
            return "tf.data.Dataset"
        if module.startswith("grain") and base.__name__ in ("MapDataset", "IterDataset", "DataLoader"):
            return "grain dataset"
    return None


def _unrecognized(x, y, sample_weight) -> str:
    for name, value in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        strange = next((leaf for leaf in convert.leaves(value) if not convert.is_array_like(leaf)), None)
        if strange is not None and isinstance(value, (list, tuple)) and isinstance(strange, (int, float, str)):
            kind = f"a Python {type(value).__name__} of {type(strange).__name__}"
            return f"Unrecognized data type: {name} is {kind}. Convert it with numpy.array({name}) first."
        if strange is not None and all(convert.is_array_like(leaf) for leaf in convert.leaves(x)):
            return f"Unrecognized data type: {name}={value!r} (of type {type(value)}). Pass an array or tensor, as for x."
    text = repr(x)
    return (
        f"Unrecognized data type: x={text if len(text) < 200 else text[:200] + '...'} (of type {type(x)}). "
        "Pass arrays, tensors, a generator of (x, y) tuples, a Dataset, a PyDataset or a DataLoader."
    )
