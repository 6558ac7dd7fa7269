"""CategoryEncoding and Discretization: integers to vectors, and numbers to integers. Both are compiled with the model."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._host import encoded_shape
from nnlite.layers._vocabulary import check_dense, check_output_mode
from nnlite.layers.layer import Layer
from nnlite.tensor import Tensor
from nnlite.utils.dataset import batches_of


def encode_tensor(ids: Tensor, mode: str, depth: int, dtype: str, weights=None) -> Tensor:
    """Numbers 0..depth-1 as one_hot, multi_hot or count vectors, as `encode` does for arrays."""
    if ids.ndim == 0:
        ids = ops.reshape(ids, (1,))
    if mode == "one_hot":
        return ops.one_hot(ops.squeeze(ids, -1) if ids.ndim > 1 and ids.shape[-1] == 1 else ids, depth, dtype=dtype)
    each = ops.one_hot(ids, depth, dtype=dtype)
    if mode == "multi_hot":
        return ops.max(each, axis=-2)
    if weights is not None:
        each = each * ops.expand_dims(ops.cast(weights, dtype), -1)
    return ops.sum(each, axis=-2)


class CategoryEncoding(Layer):
    """Integers 0 .. num_tokens - 1 to vectors with `num_tokens` places. Integers beyond have no place.

    Args:
        num_tokens: Number of categories.
        output_mode: "one_hot" for each integer, "multi_hot" or "count" for the integers of a row together.
        sparse: Must be false.

    >>> CategoryEncoding(num_tokens=3, output_mode="count")([[0, 1, 1]]).numpy().tolist()
    [[1.0, 2.0, 0.0]]
    """

    _allow_non_tensor_positional_args = True

    def __init__(self, num_tokens=None, output_mode="multi_hot", sparse=False, **kwargs):
        super().__init__(**kwargs)
        if output_mode == "binary":
            output_mode = "multi_hot"
        if output_mode not in ("count", "one_hot", "multi_hot"):
            raise ValueError(
                f"Unknown `output_mode` of CategoryEncoding: must be 'count', 'one_hot' or 'multi_hot'. Received: output_mode={output_mode!r}"
            )
        if num_tokens is None:
            raise ValueError(
                "CategoryEncoding needs `num_tokens`; received num_tokens=None. If the number is not known beforehand, use IntegerLookup."
            )
        if num_tokens < 1:
            raise ValueError(f"`num_tokens` of CategoryEncoding must be >= 1. Received: num_tokens={num_tokens}.")
        check_dense(sparse, output_mode, self)
        self.num_tokens = num_tokens
        self.output_mode = output_mode
        self._build_at_init()

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, (Tensor, KerasTensor)):
            inputs = np.asarray(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs, count_weights=None):
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(
                f"`count_weights` of CategoryEncoding {self.name!r} is used with output_mode='count' only; it has output_mode={self.output_mode!r}. "
                "Leave it out."
            )
        if isinstance(inputs, Tensor) and inputs.data is not None and inputs.size and inputs.numpy().min() < 0:
            raise ValueError(
                f"CategoryEncoding {self.name!r} takes integers from 0 to num_tokens - 1 = {self.num_tokens - 1}; received {inputs.numpy().min()}. "
                "Use IntegerLookup for other integers."
            )
        return encode_tensor(ops.cast(inputs, "int32"), self.output_mode, self.num_tokens, self.compute_dtype, count_weights)

    def compute_output_shape(self, input_shape):
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_tokens)

    def compute_output_spec(self, inputs, count_weights=None):
        return KerasTensor(self.compute_output_shape(inputs.shape), self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "num_tokens": self.num_tokens, "output_mode": self.output_mode}


class Discretization(Layer):
    """Numbers to the intervals they lie in.

    Args:
        bin_boundaries: Sorted borders; a number equal to one belongs to the interval above.
        num_bins: Number of intervals that `adapt` finds, each with about as many numbers.
        epsilon: Precision of the borders that `adapt` finds, as a share of the numbers.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: Must be false.

    >>> Discretization(bin_boundaries=[0.0, 1.0])([[-1.0, 0.5, 1.0]]).numpy().tolist()
    [[0, 1, 2]]
    """

    _allow_non_tensor_positional_args = True

    def __init__(self, bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode="int", sparse=False, dtype=None, name=None):
        super().__init__(name=name, dtype=dtype)
        check_output_mode(output_mode, ("int", "one_hot", "multi_hot", "count"), self)
        check_dense(sparse, output_mode, self)
        if num_bins is not None and num_bins < 0:
            raise ValueError(f"`num_bins` of Discretization must be greater than or equal to 0. Received: num_bins={num_bins}")
        if num_bins is not None and bin_boundaries is not None:
            raise ValueError(
                f"Discretization takes `num_bins` or `bin_boundaries`, not both. Received: num_bins={num_bins}, bin_boundaries={bin_boundaries}"
            )
        if num_bins is None and bin_boundaries is None:
            raise ValueError("Discretization needs `num_bins` (and adapt()) or `bin_boundaries`. Received: num_bins=None, bin_boundaries=None")
        if bin_boundaries is not None and sorted(bin_boundaries) != list(bin_boundaries):
            raise ValueError(f"`bin_boundaries` of Discretization must be sorted. Received: bin_boundaries={list(bin_boundaries)}. Pass sorted(...).")
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = output_mode
        self.sparse = sparse
        self.__dict__["_boundaries"] = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        self.__dict__["_summary"] = None
        self._build_at_init()

    @property
    def bin_boundaries(self):
        """The borders, given or found."""
        return None if self._boundaries is None else list(self._boundaries)

    @property
    def input_dtype(self) -> str:
        return self.compute_dtype

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, (Tensor, KerasTensor)):
            inputs = np.asarray(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def adapt(self, data, steps=None) -> None:
        """Finds borders in data: an array, or a dataset of batches (`steps` of them, all by default)."""
        if self.num_bins is None:
            raise ValueError(
                f"adapt() of Discretization {self.name!r} would replace its bin_boundaries={self._boundaries}. Make it with `num_bins` instead."
            )
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets what `adapt` has seen."""
        self.__dict__.update(_summary=None)

    def update_state(self, data) -> None:
        """Adds a batch to the summary of the data's distribution."""
        new = _summary_of(np.asarray(data, "float32").reshape(-1), self.epsilon)
        if self._summary is not None:
            both = np.concatenate([self._summary, new], axis=1)
            new = _thinned(both[:, np.argsort(both[0])], self.epsilon)
        self.__dict__["_summary"] = new

    def finalize_state(self) -> None:
        """Makes the borders of the summary."""
        if self._summary is not None:
            self.__dict__["_boundaries"] = _thinned(self._summary, 1.0 / self.num_bins)[0, :-1].tolist()
            self.__dict__["_summary"] = None
            self._bump()

    def call(self, inputs):
        if self._boundaries is None:
            raise ValueError(f"Discretization {self.name!r} has no borders yet. Call adapt(data), or pass `bin_boundaries` when making the layer.")
        borders = ops.convert_to_tensor(np.asarray(self._boundaries, inputs.dtype if "float" in inputs.dtype else "float32"))
        x = inputs if "float" in inputs.dtype else ops.cast(inputs, "float32")
        flat = ops.reshape(x, (-1,))
        ids = ops.reshape(ops.cast(ops.searchsorted(borders, flat, side="right"), "int32"), x.shape)
        return ids if self.output_mode == "int" else encode_tensor(ids, self.output_mode, len(self._boundaries) + 1, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        depth = self.num_bins if self._boundaries is None else len(self._boundaries) + 1
        return tuple(input_shape) if self.output_mode == "int" else encoded_shape(tuple(input_shape), self.output_mode, depth)

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape(inputs.shape), "int32" if self.output_mode == "int" else self.compute_dtype)

    def get_config(self) -> dict:
        return {
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
            "name": self.name,
            "dtype": self.compute_dtype,
        }

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        if config.get("bin_boundaries") is not None and config.get("num_bins") is not None:
            boundaries = config.pop("bin_boundaries")  # adapted: both are known
            layer = cls(**config)
            layer.__dict__["_boundaries"] = [float(b) for b in boundaries]
            return layer
        return super().from_config(config)


def _summary_of(values: np.ndarray, epsilon: float) -> np.ndarray:
    """[2, n]: about 1 / epsilon of the sorted values, and how many values each stands for."""
    step = max(len(values) * epsilon, 1.0)
    kept = np.sort(values)[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _thinned(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary with about 1 / epsilon columns, read off the piecewise linear distribution."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = np.arange(0.0, 1.0, epsilon) + epsilon
    total = np.cumsum(summary[1])
    part = total / total[-1]
    counts = np.diff(np.interp(shares, part, total), prepend=0.0)
    return np.stack([np.interp(shares, part, summary[0]), counts]).astype("float32")
