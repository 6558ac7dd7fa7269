"""Callbacks that watch a metric: early stopping and learning rate reduction."""

from __future__ import annotations

import operator
import warnings

import numpy as np

from nnlite.callbacks.callback import Callback
from nnlite.utils.io_utils import print_msg


class MonitorCallback(Callback):
    """Base of callbacks that compare a metric with the best so far.

    Args:
        monitor: Name in the logs.
        mode: "min", "max", or "auto": decided from the metric.
        baseline: First value to improve on.
        min_delta: Least change that counts as an improvement.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(f"{type(self).__name__}: mode {mode!r} is unknown and 'auto' is used; give 'min', 'max' or 'auto'.", stacklevel=3)
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op = None

    def _set_monitor_op(self) -> None:
        if self.mode != "auto":
            upwards = self.mode == "max"
        else:
            upwards = self._better_is_up(self.monitor.removeprefix("val_"))
        self.monitor_op = operator.gt if upwards else operator.lt
        if not upwards:
            self.min_delta = -self.min_delta

    def _better_is_up(self, name: str) -> bool:
        direction = "down" if name == "loss" else None
        for metric in _all_metrics(self.model):
            if metric.name == name:
                direction = getattr(metric, "_direction", "down")
        if direction is None:
            raise ValueError(
                f"{type(self).__name__}: whether monitor={self.monitor!r} should grow or fall cannot be told from its name. "
                "Pass mode='max' to prefer high values, or mode='min' to prefer low ones."
            )
        return direction == "up"

    def _is_improvement(self, value, reference) -> bool:
        return reference is None or bool(self.monitor_op(value - self.min_delta, reference))

    def _current(self, logs, purpose: str):
        """The monitored value, or None with a warning."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{purpose} conditioned on metric `{self.monitor}` which is not available. Available metrics are: {','.join(logs or {})}",
                stacklevel=3,
            )
        return value


def _all_metrics(model):
    for metric in model.metrics:
        yield from getattr(metric, "metrics", ())
        yield metric


class EarlyStopping(MonitorCallback):
    """Stops training when a metric has not improved for `patience` epochs.

    Args:
        monitor: Name in the logs.
        min_delta: Least change that counts as an improvement.
        patience: Epochs without improvement before training stops.
        verbose: 1 prints a message.
        mode: "min", "max" or "auto".
        baseline: Training also stops when the metric does not become better than this.
        restore_best_weights: Whether the weights of the best epoch are put back.
        start_from_epoch: Epochs before it are not watched.
    """

    def __init__(
        self, monitor="val_loss", min_delta=0, patience=0, verbose=0, mode="auto", baseline=None, restore_best_weights=False, start_from_epoch=0
    ):
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = 0
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights = None

    def on_train_begin(self, logs=None):
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_weights = None
        self.best_epoch = 0

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        current = self._current(logs, "Early stopping")
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best = current
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._keep(epoch)
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _keep(self, epoch) -> None:
        self.best_weights = self.model.get_weights()
        self.best_epoch = epoch

    def on_train_end(self, logs=None):
        if self.stopped_epoch > 0 and self.verbose > 0:
            print_msg(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print_msg(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when a metric has not improved for `patience` epochs.

    Args:
        monitor: Name in the logs.
        factor: Below 1.
        patience: Epochs without improvement before a reduction.
        verbose: 1 prints a message.
        mode: "min", "max" or "auto".
        min_delta: Least change that counts as an improvement.
        cooldown: Epochs after a reduction that are not watched.
        min_lr: The learning rate never falls below it.
    """

    def __init__(self, monitor="val_loss", factor=0.1, patience=10, verbose=0, mode="auto", min_delta=1e-4, cooldown=0, min_lr=0.0, **kwargs):
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: `factor` must be below 1.0; received factor={factor}. Use e.g. factor=0.5.")
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs=None):
        self.best = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None:
            self._set_monitor_op()
        logs = logs if logs is not None else {}
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        current = self._current(logs, "Learning rate reduction is")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def _reduce(self, epoch) -> bool:
        old = float(self.model.optimizer.learning_rate)
        if old <= np.float32(self.min_lr):
            return False
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        return True
