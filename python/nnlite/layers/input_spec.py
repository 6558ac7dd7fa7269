"""InputSpec: what a layer expects of its inputs."""

from __future__ import annotations

from nnlite import tree


class InputSpec:
    """Expected dtype, rank, shape and axes of one input of a layer. What is None is not checked.

    Args:
        dtype: Expected dtype.
        shape: Expected shape; None dims match everything.
        ndim: Expected rank.
        max_ndim, min_ndim: Limits of the rank.
        axes: Axis -> expected size.
        allow_last_axis_squeeze: Accept a missing or extra last axis of size 1.
        name: Key of this input when a dict is passed.
        optional: Whether None may be passed.

    >>> InputSpec(shape=(None, 3)).ndim
    2
    """

    def __init__(
        self, dtype=None, shape=None, ndim=None, max_ndim=None, min_ndim=None, axes=None, allow_last_axis_squeeze=False, name=None, optional=False
    ):
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional

    def __repr__(self) -> str:
        given = [f"{key}={value!r}" for key, value in vars(self).items() if value not in (None, False, {})]
        return f"InputSpec({', '.join(given)})"

    def get_config(self) -> dict:
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict) -> "InputSpec":
        return cls(**{key: value for key, value in config.items() if not (key == "ndim" and config.get("shape") is not None)})

    def check(self, index: int, value, layer_name: str) -> None:
        """Raises ValueError when `value` (a tensor) does not fit."""
        shape = tuple(value.shape)
        where = f"Input {index} of layer {layer_name!r} is incompatible with the layer"
        came = f"Full shape received: {shape}."
        rank = len(shape)
        if self.ndim is not None and not self.allow_last_axis_squeeze and rank != self.ndim:
            raise ValueError(f"{where}: expected ndim={self.ndim}, found ndim={rank}. {came} {_rank_fix(rank, self.ndim)}")
        if self.max_ndim is not None and rank > self.max_ndim:
            raise ValueError(f"{where}: expected max_ndim={self.max_ndim}, found ndim={rank}. {came} {_rank_fix(rank, self.max_ndim)}")
        if self.min_ndim is not None and rank < self.min_ndim:
            raise ValueError(f"{where}: expected min_ndim={self.min_ndim}, found ndim={rank}. {came} {_rank_fix(rank, self.min_ndim)}")
        if self.dtype is not None and value.dtype != self.dtype:
            raise ValueError(
                f"{where}: expected dtype={self.dtype}, found dtype={value.dtype}. {came} Convert the input with astype({self.dtype!r})."
            )
        for axis, size in self.axes.items():
            if size is not None and (axis >= rank or shape[axis] not in (size, None)):
                raise ValueError(
                    f"{where}: expected axis {axis} of input shape to have value {size}, but received input with shape {shape}. "
                    "The layer was built for that size: pass such inputs, or make a new layer for these."
                )
        if self.shape is not None and not self._matches(shape):
            raise ValueError(f"{where}: expected shape={self.shape}, found shape={shape}. Reshape the input, or build the model for such inputs.")

    def _matches(self, shape: tuple) -> bool:
        expected = self.shape
        if self.allow_last_axis_squeeze:
            if len(shape) == len(expected) + 1 and shape[-1] == 1:
                shape = shape[:-1]
            elif len(expected) == len(shape) + 1 and expected[-1] == 1:
                expected = expected[:-1]
        return len(shape) == len(expected) and all(a is None or b is None or a == b for a, b in zip(expected, shape))


def _rank_fix(found: int, expected: int) -> str:
    if found == expected - 1:
        return "Is the batch axis or the channels axis missing? Add it, e.g. x[None] or x[..., None]."
    return "Reshape the input, or put a Flatten, Reshape or pooling layer before this one."


def check_inputs(specs, inputs, layer_name: str) -> None:
    """Checks the inputs of a layer against its `input_spec` (one, a list, or a dict of InputSpec)."""
    if not specs:
        return
    specs = tree.flatten(specs)
    if isinstance(inputs, dict) and all(spec.name is not None for spec in specs):
        missing = [spec.name for spec in specs if spec.name not in inputs and not spec.optional]
        if missing:
            raise ValueError(
                f"Layer {layer_name!r} needs the inputs {[spec.name for spec in specs]}, but {missing} are missing; received the keys {list(inputs)}."
            )
        values = [inputs.get(spec.name) for spec in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(
            f"Layer {layer_name!r} expects {len(specs)} input(s), but it received {len(values)}: {_shapes(values)}. Pass a list of {len(specs)} "
            "tensors."
        )
    for i, (spec, value) in enumerate(zip(specs, values)):
        if value is None and spec.optional:
            continue
        if not hasattr(value, "shape"):
            raise ValueError(
                f"Input {i} of layer {layer_name!r} must be a tensor; received {value!r} ({type(value).__name__}). Pass a numpy array or tensor."
            )
        spec.check(i, value, layer_name)


def _shapes(values) -> str:
    return "shapes " + ", ".join(str(tuple(value.shape)) if hasattr(value, "shape") else repr(value) for value in values)
