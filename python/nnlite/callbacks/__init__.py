"""Callbacks: code that runs at the joints of training."""

from __future__ import annotations

from nnlite.callbacks.callback import Callback as Callback, CallbackList as CallbackList
from nnlite.callbacks.history import History as History
from nnlite.callbacks.model_checkpoint import BackupAndRestore as BackupAndRestore, ModelCheckpoint as ModelCheckpoint
from nnlite.callbacks.monitor import EarlyStopping as EarlyStopping, MonitorCallback as MonitorCallback, ReduceLROnPlateau as ReduceLROnPlateau
from nnlite.callbacks.progbar_logger import ProgbarLogger as ProgbarLogger
from nnlite.callbacks.simple import (
    CSVLogger as CSVLogger,
    LambdaCallback as LambdaCallback,
    LearningRateScheduler as LearningRateScheduler,
    SwapEMAWeights as SwapEMAWeights,
    TerminateOnNaN as TerminateOnNaN,
)
from nnlite.callbacks.tensor_board import TensorBoard as TensorBoard
