"""Hashing and HashedCrossing: strings and integers to a fixed number of bins."""

from __future__ import annotations

import numpy as np

from nnlite import config, ops
from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._fingerprint import fingerprint64, join_fingerprints, siphash64
from nnlite.layers._host import HostLayer, dtype_name, encode, encoded_shape, host_array, integer_policy
from nnlite.layers._vocabulary import check_dense, salt_pair

_CROSSING_START = 0xDECAFCAFFE


def _positive_bins(num_bins, owner) -> None:
    if isinstance(num_bins, bool) or not isinstance(num_bins, (int, np.integer)) or num_bins < 1:
        raise ValueError(f"The `num_bins` for `{type(owner).__name__}` must be a positive integer. Received: num_bins={num_bins}.")


class Hashing(HostLayer):
    """Strings or integers to the bins 0 .. num_bins - 1 of a hash. Bins are those of Keras.

    It runs in Python, in a model before everything that is compiled.

    Args:
        num_bins: Number of bins; the one of `mask_value` included.
        mask_value: Value that gets bin 0 for itself.
        salt: One or two integers: SipHash with this key instead of FarmHash.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: Must be false.

    >>> Hashing(num_bins=3)(["A", "B", "C"]).numpy().tolist()
    [1, 0, 1]
    """

    def __init__(self, num_bins, mask_value=None, salt=None, output_mode="int", sparse=False, **kwargs):
        dtype = dtype_name(kwargs.pop("dtype", None), "int64" if output_mode == "int" else config.floatx())
        super().__init__(dtype=dtype if "float" in dtype else None, **kwargs)
        self.__dict__["_output_name"] = dtype
        _positive_bins(num_bins, self)
        if output_mode not in ("int", "one_hot", "multi_hot", "count"):
            raise ValueError(
                f"Invalid value for argument `output_mode` of Hashing. Expected one of ('int', 'one_hot', 'multi_hot', 'count'). Received: "
                f"output_mode={output_mode}"
            )
        check_dense(sparse, output_mode, self)
        self.num_bins = int(num_bins)
        self.mask_value = mask_value
        self.salt = salt_pair(salt, self)
        self.output_mode = output_mode
        self.sparse = sparse
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs):
        bins = np.asarray([self._bin(value) for value in inputs.reshape(-1).tolist()], "int64").reshape(inputs.shape)
        if self.output_mode != "int":
            bins = encode(bins, self.output_mode, self.num_bins, self._output_dtype())
        return ops.convert_to_tensor(bins)

    def _bin(self, value) -> int:
        if self.mask_value is not None and value == self.mask_value:
            return 0
        data = (f"{value:f}" if isinstance(value, float) else str(value)).encode()
        hashed = fingerprint64(data) if self.salt is None else siphash64(data, self.salt)
        first = int(self.mask_value is not None and self.num_bins > 1)
        return hashed % (self.num_bins - first) + first

    def _output_dtype(self) -> str:
        return "int64" if self.output_mode == "int" else self._output_name

    @classmethod
    def from_config(cls, config: dict):
        return cls(**config)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape) if self.output_mode == "int" else encoded_shape(tuple(input_shape), self.output_mode, self.num_bins)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "dtype": integer_policy(self._output_name),
            "num_bins": self.num_bins,
            "salt": self.salt,
            "mask_value": self.mask_value,
            "output_mode": self.output_mode,
            "sparse": self.sparse,
        }


class HashedCrossing(HostLayer):
    """Combinations of features, hashed: rows of several columns to bins. Bins are those of Keras.

    Args:
        num_bins: Number of bins.
        output_mode: "int" or "one_hot".
        sparse: Must be false.

    >>> import numpy as np
    >>> HashedCrossing(num_bins=5)((np.array(["A", "B"]), np.array([101, 101]))).numpy().tolist()
    [1, 4]
    """

    def __init__(self, num_bins, output_mode="int", sparse=False, name=None, dtype=None, **kwargs):
        dtype = dtype_name(dtype, "int64" if output_mode == "int" else config.floatx())
        super().__init__(name=name, dtype=dtype if "float" in dtype else None, **kwargs)
        self.__dict__["_output_name"] = dtype
        _positive_bins(num_bins, self)
        if output_mode not in ("int", "one_hot"):
            raise ValueError(
                f"Unknown value for `output_mode` argument of HashedCrossing. Allowed values are: ('int', 'one_hot'). Received: "
                f"output_mode={output_mode}"
            )
        check_dense(sparse, output_mode, self)
        self.num_bins = int(num_bins)
        self.output_mode = output_mode
        self.sparse = sparse
        self.supports_masking = True
        self._build_at_init()

    def _as_host(self, value):
        if not isinstance(value, (list, tuple)) or len(value) < 2:
            raise ValueError(f"HashedCrossing {self.name!r} takes a list or tuple of at least two inputs of equal length. Received: inputs={value!r}")
        return tuple(host_array(part, self) for part in value)

    def call(self, inputs):
        for part in inputs:
            if part.ndim > 2 or (part.ndim == 2 and part.shape[1] != 1) or part.shape != inputs[0].shape:
                raise ValueError(
                    f"All inputs of HashedCrossing {self.name!r} must have the same shape, (), (batch,) or (batch, 1). Received shapes: "
                    f"{[p.shape for p in inputs]}. Cross one column of each feature."
                )
            if part.dtype.kind not in "iuOUb":
                raise ValueError(
                    f"All inputs of HashedCrossing {self.name!r} must be integers or strings. Received dtypes: {[str(p.dtype) for p in inputs]}. "
                    "Use Discretization for floats first."
                )
        bins = [self._bin(row) for row in zip(*(part.reshape(-1).tolist() for part in inputs))]
        found = np.asarray(bins, "int64").reshape(inputs[0].shape)
        return ops.convert_to_tensor(found if self.output_mode == "int" else encode(found, "one_hot", self.num_bins, self._output_dtype()))

    def _bin(self, row) -> int:
        joined = _CROSSING_START
        for value in row:
            joined = join_fingerprints(joined, fingerprint64(value.encode()) if isinstance(value, str) else value % 2**64)
        return joined % self.num_bins

    def compute_output_shape(self, input_shape):
        first = tuple(input_shape[0])
        return first if self.output_mode == "int" else encoded_shape(first, "one_hot", self.num_bins)

    def compute_output_spec(self, inputs):
        return KerasTensor(self.compute_output_shape([tuple(part.shape) for part in inputs]), self._output_dtype())

    def _output_dtype(self) -> str:
        return "int64" if self.output_mode == "int" else self._output_name

    def get_config(self) -> dict:
        return {"num_bins": self.num_bins, "output_mode": self.output_mode, "sparse": self.sparse, "name": self.name, "dtype": self._output_name}
