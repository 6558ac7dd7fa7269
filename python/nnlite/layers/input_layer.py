"""Input: where functional models begin."""

from __future__ import annotations

from nnlite import config
from nnlite.graph.spec import ITEM_SIZE
from nnlite.graph.symbolic import FunctionalNode, KerasTensor
from nnlite.layers.layer import Layer
from nnlite.utils.naming import unique_name


class InputLayer(Layer):
    """The layer behind `Input()`."""

    def __init__(
        self,
        shape=None,
        batch_size=None,
        dtype=None,
        sparse=None,
        ragged=None,
        batch_shape=None,
        input_tensor=None,
        optional=False,
        name=None,
        **kwargs,
    ):
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError(f"Input {self.name!r} was asked for sparse={sparse}, ragged={ragged}: tensors are dense. Leave them out.")
        if input_tensor is not None and not isinstance(input_tensor, KerasTensor):
            raise ValueError(
                f"`input_tensor` must be a KerasTensor; Input {self.name!r} received {input_tensor!r} of type {type(input_tensor).__name__}."
            )
        self.__dict__["batch_shape"] = _batch_shape(shape, batch_size, batch_shape, input_tensor)
        dtype = dtype or (input_tensor.dtype if input_tensor is not None else config.floatx())
        self.__dict__["_input_dtype"] = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", str(dtype))
        if self._input_dtype not in ITEM_SIZE and self._input_dtype != "string":
            raise ValueError(f"The dtype of an Input must be one of {', '.join(ITEM_SIZE)}; Input {self.name!r} received dtype={dtype!r}.")
        self.__dict__.update(sparse=bool(sparse), ragged=bool(ragged), optional=optional)
        self.supports_masking = True
        self.built = True
        tensor = (
            input_tensor if input_tensor is not None else KerasTensor(self.batch_shape, self._input_dtype, name=name or unique_name("keras_tensor"))
        )
        FunctionalNode(self, (), {}, tensor)
        self.__dict__["_build_shapes"] = None

    @property
    def dtype(self) -> str:
        return self._input_dtype

    def call(self):
        raise ValueError(f"Input {self.name!r} is not meant to be called. Use its output, the tensor that Input() returned.")

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: dict):
        config = dict(config)
        for key in ("batch_shape", "shape"):
            if config.get(key) is not None:
                config[key] = tuple(config[key])
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = config["dtype"]["config"]["name"]
        return cls(**config)


def _batch_shape(shape, batch_size, batch_shape, tensor) -> tuple:
    if tensor is not None:
        return tensor.shape
    if shape is not None and batch_shape is not None:
        raise ValueError(f"You cannot pass both `shape` and `batch_shape` at the same time. Received: shape={shape}, batch_shape={batch_shape}.")
    if batch_shape is not None and batch_size is not None:
        raise ValueError(
            f"You cannot pass both `batch_size` and `batch_shape` at the same time. Received: batch_size={batch_size}, batch_shape={batch_shape}."
        )
    if shape is None and batch_shape is None:
        raise ValueError("You must pass a `shape` argument to Input(): the shape of one sample, e.g. Input(shape=(28, 28, 1)).")
    whole = batch_shape if batch_shape is not None else shape
    if not isinstance(whole, (tuple, list)):
        raise ValueError(f"Cannot convert {whole!r} to a shape: Input() takes a tuple of ints and None, e.g. Input(shape=({whole!r},)).")
    whole = tuple(whole)
    if any(dim is not None and (not hasattr(dim, "__index__") or int(dim) < 0) for dim in whole):
        raise ValueError(f"Cannot convert {whole!r} to a shape: its entries must be ints >= 0 or None.")
    whole = tuple(dim if dim is None else int(dim) for dim in whole)
    return whole if batch_shape is not None else (batch_size, *whole)


def Input(shape=None, batch_size=None, dtype=None, sparse=None, ragged=None, batch_shape=None, name=None, tensor=None, optional=False):  # noqa: N802
    """A symbolic tensor that stands for a model's input.

    Args:
        shape: Shape of one sample, without the batch axis; None dims are unknown.
        batch_size: Fixed batch size, unknown by default.
        dtype: float32 by default.
        batch_shape: Shape with the batch axis, instead of `shape`.
        name: Name of the input; data may be passed under it in a dict.
        tensor: An existing KerasTensor to use.
        optional: Whether None may be passed.
        sparse, ragged: Must be false.

    Returns:
        A KerasTensor.

    >>> import nnlite
    >>> x = nnlite.Input(shape=(3,))
    >>> nnlite.Model(x, nnlite.layers.Dense(2)(x)).output_shape
    (None, 2)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output
