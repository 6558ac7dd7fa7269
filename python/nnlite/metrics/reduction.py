"""Mean, Sum and metrics that are means of a function of targets and predictions."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.losses.loss import apply_mask, as_dtype, squeeze_or_expand_to_same_rank
from nnlite.metrics.metric import Metric


def reduce_to_samplewise_values(values, sample_weight, reduce, dtype: str):
    """One weighted value per sample, and one weight per sample or None.

    Args:
        values: [N, ...].
        sample_weight: None or a tensor with the leading axes of `values`.
        reduce: `ops.mean` or `ops.sum`, used over all axes but the first.
    """
    mask = getattr(values, "_keras_mask", None)
    values = as_dtype(values, dtype)
    if sample_weight is not None:
        sample_weight = apply_mask(as_dtype(sample_weight, dtype), mask, dtype, "sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        rank = len(sample_weight.shape)
        if len(values.shape) > rank:
            values = reduce(values, axis=tuple(range(rank, len(values.shape))))
        if tuple(sample_weight.shape) != tuple(values.shape):
            sample_weight = ops.broadcast_to(sample_weight, values.shape)
        values = values * sample_weight
        if rank > 1:
            sample_weight = reduce(sample_weight, axis=tuple(range(1, rank)))
    if len(values.shape) > 1:
        values = reduce(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


class Sum(Metric):
    """The weighted sum of all values seen.

    >>> metric = Sum()
    >>> metric.update_state([1.0, 2.0])
    >>> float(metric.result())
    3.0
    """

    def __init__(self, name="sum", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")

    def update_state(self, values, sample_weight=None):
        values, _ = reduce_to_samplewise_values(values, sample_weight, ops.sum, self.dtype)
        self.total.assign_add(ops.sum(values))

    def result(self):
        return ops.cast(self.total.value, self.dtype)

    def result_reader(self):
        return self.total._buffer.item if type(self).result is Sum.result and self.dtype in ("float32", "float64") else None


class Mean(Metric):
    """The weighted mean of all values seen.

    >>> metric = Mean()
    >>> metric.update_state([1.0, 2.0])
    >>> metric.update_state([6.0], sample_weight=[2.0])
    >>> float(metric.result())
    3.75
    """

    def __init__(self, name="mean", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, values, sample_weight=None):
        values, sample_weight = reduce_to_samplewise_values(values, sample_weight, ops.mean, self.dtype)
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        else:
            count = float(values.shape[0]) if len(values.shape) else 1.0
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(count)

    def result(self):
        return ops.divide_no_nan(self.total.value, self.count.value)

    def result_reader(self):
        if type(self).result is not Mean.result or self.dtype != "float32":
            return None
        total, count, rounded = self.total._buffer.item, self.count._buffer.item, np.float32

        def read() -> float:
            n = count()
            # Division in double, then rounded once, equals division in float32.
            return float(rounded(total() / n)) if n else 0.0

        return read


class MeanMetricWrapper(Mean):
    """The mean of `fn(y_true, y_pred, **kwargs)`.

    >>> from nnlite.losses import mean_absolute_error
    >>> metric = MeanMetricWrapper(mean_absolute_error, name="mae")
    >>> metric.update_state([[0.0], [1.0]], [[1.0], [1.0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, fn, name=None, dtype=None, **kwargs):
        super().__init__(name=name or getattr(fn, "__name__", None), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true, y_pred, sample_weight=None):
        mask = getattr(y_pred, "_keras_mask", None)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        super().update_state(values, sample_weight=apply_mask(sample_weight, mask, self.dtype, "sum"))

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {**super().get_config(), "fn": serialize_keras_object(self._fn), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        if isinstance(config.get("fn"), dict):
            config["fn"] = deserialize_keras_object(config["fn"])
        return cls(**config)


class FunctionMetric(MeanMetricWrapper):
    """Base of the library's own means: the function is a class attribute, the configuration is its keyword arguments."""

    function = None
    _direction = "down"  # which way is better: callbacks with mode="auto" ask

    def __init__(self, name, dtype, **kwargs):
        super().__init__(type(self).function, name=name, dtype=dtype, **kwargs)

    def get_config(self) -> dict:
        return {**Metric.get_config(self), **self._fn_kwargs}

    @classmethod
    def from_config(cls, config):
        return cls(**config)
