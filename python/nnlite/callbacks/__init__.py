"""Callbacks: code that runs at the joints of training."""

from __future__ import annotations

from nnlite.callbacks.callback import Callback as Callback
from nnlite.callbacks.callback import CallbackList as CallbackList
from nnlite.callbacks.history import History as History
from nnlite.callbacks.model_checkpoint import BackupAndRestore as BackupAndRestore
from nnlite.callbacks.model_checkpoint import ModelCheckpoint as ModelCheckpoint
from nnlite.callbacks.monitor import EarlyStopping as EarlyStopping
from nnlite.callbacks.monitor import MonitorCallback as MonitorCallback
from nnlite.callbacks.monitor import ReduceLROnPlateau as ReduceLROnPlateau
from nnlite.callbacks.progbar_logger import ProgbarLogger as ProgbarLogger
from nnlite.callbacks.simple import (
    CSVLogger as CSVLogger,
)
from nnlite.callbacks.simple import (
    LambdaCallback as LambdaCallback,
)
from nnlite.callbacks.simple import (
    LearningRateScheduler as LearningRateScheduler,
)
from nnlite.callbacks.simple import (
    SwapEMAWeights as SwapEMAWeights,
)
from nnlite.callbacks.simple import (
    TerminateOnNaN as TerminateOnNaN,
)
from nnlite.callbacks.tensor_board import TensorBoard as TensorBoard
