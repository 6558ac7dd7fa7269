"""ModelCheckpoint and BackupAndRestore: models saved while they train."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import warnings

import numpy as np

from nnlite.callbacks.callback import Callback
from nnlite.callbacks.monitor import MonitorCallback
from nnlite.saving.atomic import write_whole
from nnlite.utils.io_utils import print_msg


class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, every epoch or every so many batches.

    Args:
        filepath: Ends in `.keras` (or `.weights.h5` with `save_weights_only`); may hold `{epoch:02d}`, `{batch}` and names of metrics.
        monitor: Metric that decides what is best.
        verbose: 1 prints messages.
        save_best_only: Whether only improvements are saved.
        save_weights_only: Whether only weights are saved.
        mode: "min", "max" or "auto".
        save_freq: "epoch", or a number of batches.
        initial_value_threshold: First value to improve on.
    """

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        self.verbose = verbose
        self.filepath = os.fspath(filepath)
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._current_epoch = 0
        self._counter = BatchCounter("ModelCheckpoint", save_freq)
        if save_weights_only and not self.filepath.endswith(".weights.h5"):
            raise ValueError(f"ModelCheckpoint: with save_weights_only=True `filepath` must end in `.weights.h5`; received filepath={self.filepath}.")
        if not save_weights_only and not self.filepath.endswith((".keras", ".h5")):
            raise ValueError(f"ModelCheckpoint: `filepath` must end in `.keras`; received filepath={self.filepath}.")

    def _needs_batches(self, mode: str) -> bool:
        return self.save_freq != "epoch" or self._overrides(mode, ModelCheckpoint)

    def on_train_batch_end(self, batch, logs=None):
        if self._counter.is_due(batch):
            self._save(self._current_epoch, batch, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._current_epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if self.monitor_op is None and (self.save_best_only or self.mode != "auto"):
            self._set_monitor_op()
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch, batch, logs) -> None:
        logs = logs or {}
        path = self._path(epoch, batch, logs)
        if not self._is_wanted(epoch, logs, path):
            return
        if os.path.isdir(path):
            raise IsADirectoryError(f"ModelCheckpoint: `filepath` must name a file; {path} is an existing directory. Give another name.")
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        if self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: finished saving model to {path}")

    def _path(self, epoch, batch, logs) -> str:
        values = dict(logs, epoch=epoch + 1)
        if batch is not None:
            values.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(**values)
        except KeyError as error:
            raise KeyError(
                f"ModelCheckpoint: filepath {self.filepath!r} names {error}, which is not in the logs. Known names: {', '.join(values)}."
            ) from None

    def _is_wanted(self, epoch, logs, path) -> bool:
        if not self.save_best_only:
            if self.verbose > 0:
                print_msg(f"\nEpoch {epoch + 1}: saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None:
            warnings.warn(f"Can save best model only with {self.monitor} available. Available metrics are: {','.join(logs)}", stacklevel=4)
            return True
        if np.ndim(current) > 0:
            warnings.warn(f"Can save best model only when `monitor` is a scalar value. Received: {current}. The model is saved anyway.", stacklevel=4)
            return True
        best = "None" if self.best is None else f"{self.best:.5f}"
        if self.monitor_op is None:
            self._set_monitor_op()
        improved = self._is_improvement(current, self.best)
        if self.verbose > 0 and improved:
            print_msg(f"\nEpoch {epoch + 1}: {self.monitor} improved from {best} to {current:.5f}, saving model to {path}")
        elif self.verbose > 0:
            print_msg(f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {best}")
        if improved:
            self.best = current
        return improved


class BatchCounter:
    """Says when a number of batches have passed, across epochs."""

    def __init__(self, owner: str, every):
        if every != "epoch" and (not isinstance(every, int) or every < 1):
            raise ValueError(f"{owner}: `save_freq` must be 'epoch' or a number of batches; received save_freq={every!r}.")
        self.every = every
        self.seen = 0
        self.last = None

    def is_due(self, batch: int) -> bool:
        """Told of every batch (or of the last of several)."""
        if self.every == "epoch":
            return False
        self.seen += batch + 1 if self.last is None or batch <= self.last else batch - self.last
        self.last = batch
        if self.seen < self.every:
            return False
        self.seen = 0
        return True


class BackupAndRestore(Callback):
    """Keeps a backup of the weights and the epoch, so that an interrupted fit goes on where it was when started again.

    Args:
        backup_dir: Directory of the backup.
        save_freq: "epoch", or a number of batches.
        double_checkpoint: Whether the backup before the last is kept too, in case writing is interrupted.
        delete_checkpoint: Whether the backup is deleted after training.
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if not backup_dir:
            raise ValueError("BackupAndRestore: `backup_dir` must be the path of a directory; received an empty one.")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._counter = BatchCounter("BackupAndRestore", save_freq)
        self._weights_path = os.path.join(self.backup_dir, "latest.weights.h5")
        self._metadata_path = os.path.join(self.backup_dir, "training_metadata.json")
        self._current_epoch = 0

    def _needs_batches(self, mode: str) -> bool:
        return self.save_freq != "epoch" or self._overrides(mode, BackupAndRestore)

    def on_train_begin(self, logs=None):
        if not self.model.built:
            raise ValueError(
                f"BackupAndRestore needs a built model; model {self.model.name!r} is not built. Call it on a batch of data, or give it an Input, "
                "before fit()."
            )
        try:
            self._restore("")
        except (OSError, ValueError):  # cut short by a crash while it was written
            if not os.path.exists(self._weights_path + ".bkp"):
                raise
            self._restore(".bkp")

    def _restore(self, suffix: str) -> None:
        if os.path.exists(self._weights_path + suffix):
            if self.model.optimizer is not None and not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            path = self._weights_path
            if suffix:
                shutil.copy(path + suffix, path)
            self.model.load_weights(path)
        if os.path.exists(self._metadata_path + suffix):
            with open(self._metadata_path + suffix, encoding="utf-8") as file:
                self.model._initial_epoch = json.load(file)["epoch"]

    def on_epoch_end(self, epoch, logs=None):
        self._current_epoch = epoch + 1
        if self.save_freq == "epoch":
            self._save(0)

    def on_train_batch_end(self, batch, logs=None):
        if self._counter.is_due(batch):
            self._save(batch)

    def _save(self, batch: int) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint:
            for path in (self._weights_path, self._metadata_path):
                if os.path.exists(path):
                    shutil.copy(path, path + ".bkp")
        self.model.save_weights(self._weights_path, overwrite=True)
        write_whole(pathlib.Path(self._metadata_path), json.dumps({"epoch": self._current_epoch, "batch": batch}).encode())

    def on_train_end(self, logs=None):
        if self.delete_checkpoint and os.path.exists(self.backup_dir):
            shutil.rmtree(self.backup_dir)
