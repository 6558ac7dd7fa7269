"""Loss: the base class, masks and sample weights, reductions."""

from __future__ import annotations

from nnlite import config, ops
from nnlite.graph.spec import FLOATS
from nnlite.utils.naming import auto_name

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


class Loss:
    """Base class of losses: override `call(y_true, y_pred)` to return one value per sample (or per sample and position).

    Args:
        name: Shown in logs; by default the snake_case class name.
        reduction: "sum_over_batch_size" (mean over all values, the default), "sum", "mean", "mean_with_sample_weight"
            (divides by the sum of the weights) or "none".
        dtype: Of the computation; by default `nnlite.config.floatx()`.

    >>> import nnlite
    >>> class Signed(nnlite.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return nnlite.ops.mean(y_pred - y_true, axis=-1)
    >>> float(Signed()([[1.0], [2.0]], [[2.0], [4.0]]))
    1.5
    """

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"A loss's `reduction` must be one of {', '.join(map(repr, REDUCTIONS))}; received reduction={reduction!r}. Use the default, "
                "'sum_over_batch_size'."
            )
        self.name = name or auto_name(self)
        self.reduction = reduction
        self._dtype = dtype_name(dtype)

    @property
    def dtype(self) -> str:
        return self._dtype

    def __call__(self, y_true, y_pred, sample_weight=None):
        mask = getattr(y_pred, "_keras_mask", None)
        y_true = ops_map(self._as_target, y_true)
        y_pred = ops_map(self._as_float, y_pred)
        values = self.call(y_true, y_pred)
        own_mask = getattr(values, "_keras_mask", None)
        if own_mask is not None:
            mask = own_mask if mask is None else ops.logical_and(mask, own_mask)
        return reduce_weighted_values(values, sample_weight, mask, self.reduction, self._dtype)

    def call(self, y_true, y_pred):
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred).")

    def _as_float(self, value):
        """Converts to our dtype; a tensor that already has it stays the same object, so that losses can see what made it."""
        return as_dtype(value, self._dtype)

    def _as_target(self, value):
        """Integer labels stay integers: losses convert them where they need floats."""
        value = ops.convert_to_tensor(value)
        return as_dtype(value, self._dtype) if value.dtype in FLOATS else value

    def get_config(self) -> dict:
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


class LossFunctionWrapper(Loss):
    """A loss from a function `fn(y_true, y_pred, **kwargs)` that gives one value per sample."""

    def __init__(self, fn, reduction="sum_over_batch_size", name=None, dtype=None, **kwargs):
        super().__init__(name=name or getattr(fn, "__name__", None), reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true, y_pred):
        if not isinstance(y_true, (dict, list, tuple)) and not isinstance(y_pred, (dict, list, tuple)):
            y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {**super().get_config(), "fn": serialize_keras_object(self.fn), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        if isinstance(config.get("fn"), dict):
            config["fn"] = deserialize_keras_object(config["fn"])
        return cls(**config)

    def __repr__(self) -> str:
        return f"<LossFunctionWrapper({self.fn}, kwargs={self._fn_kwargs})>"


class FunctionLoss(LossFunctionWrapper):
    """Base of the library's own losses: the function is a class attribute, the configuration is its keyword arguments."""

    function = None

    def __init__(self, name, reduction, dtype, **kwargs):
        self._check_bounds(**kwargs)
        super().__init__(type(self).function, reduction=reduction, name=name, dtype=dtype, **kwargs)

    def _check_bounds(self, label_smoothing=0.0, delta=1.0, **others) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{type(self).__name__}: `label_smoothing` must be between 0 and 1; received label_smoothing={label_smoothing!r}.")
        if not delta > 0:
            raise ValueError(f"{type(self).__name__}: `delta` must be greater than 0; received delta={delta!r}.")

    def get_config(self) -> dict:
        return {**Loss.get_config(self), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def dtype_name(dtype) -> str:
    """The compute dtype's name from None, a name or a dtype policy."""
    return config.floatx() if dtype is None else getattr(dtype, "compute_dtype", dtype)


def as_dtype(value, dtype: str):
    """A tensor of `dtype`; unchanged when it already is one."""
    value = ops.convert_to_tensor(value)
    return value if value.dtype == dtype else ops.cast(value, dtype)


def ops_map(function, structure):
    """Applies `function` to the leaves of a structure of tensors (most often a single one)."""
    if isinstance(structure, (dict, list, tuple)) and not _is_numeric_list(structure):
        from nnlite import tree

        return tree.map_structure(function, structure)
    return function(structure)


def _is_numeric_list(structure) -> bool:
    while isinstance(structure, (list, tuple)) and structure:
        structure = structure[0]
    return isinstance(structure, (int, float))


def squeeze_or_expand_to_same_rank(a, b, expand_rank_1: bool = True):
    """Aligns two tensors whose ranks differ by a last axis of size 1: (N,) with (N, 1), (N, T) with (N, T, 1)."""
    if len(a.shape) == len(b.shape) + 1:
        b, a = squeeze_or_expand_to_same_rank(b, a, expand_rank_1)
        return a, b
    if len(b.shape) == len(a.shape) + 1 and b.shape[-1] == 1:
        if len(a.shape) == 1 and expand_rank_1:
            return ops.expand_dims(a, -1), b
        return a, ops.squeeze(b, -1)
    return a, b


def apply_mask(sample_weight, mask, dtype: str, reduction):
    """Sample weights that leave masked positions out; a mean is then over the valid positions only."""
    if mask is None:
        return sample_weight
    weight = ops.cast(mask, dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        weight = weight * ops.divide_no_nan(ops.cast(float(size_of(weight)), dtype), ops.sum(weight))
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(weight, ops.cast(sample_weight, dtype))
    return sample_weight * weight


def size_of(tensor) -> int:
    """Number of elements of a tensor of static shape."""
    size = 1
    for dim in tensor.shape:
        size *= dim
    return size


def _check_weights(values, sample_weight) -> None:
    given, needed = tuple(sample_weight.shape), tuple(values.shape)
    if len(given) > len(needed) or any(g not in (1, n) for g, n in zip(reversed(given), reversed(needed))):
        raise ValueError(
            f"`sample_weight` must have the shape of the loss values, {needed}, or broadcast to it; received shape {given}. "
            "Give one weight per sample (and per position, where the loss has several)."
        )


def reduce_weighted_values(values, sample_weight=None, mask=None, reduction="sum_over_batch_size", dtype=None):
    """Weighs values (one per sample or position), leaves masked ones out, and reduces them."""
    values = as_dtype(values, dtype_name(dtype))
    sample_weight = apply_mask(sample_weight, mask, values.dtype, reduction)
    if sample_weight is not None:
        values, sample_weight = squeeze_or_expand_to_same_rank(values, as_dtype(sample_weight, values.dtype))
        _check_weights(values, sample_weight)
        values = values * sample_weight
    if reduction in (None, "none") or tuple(values.shape) in ((), (0,)):
        return values
    if reduction == "sum":
        return ops.sum(values)
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        return ops.divide_no_nan(ops.sum(values), ops.sum(sample_weight))
    return ops.mean(values)
