"""History: what fit returns."""

from __future__ import annotations

from nnlite.callbacks.callback import Callback


class History(Callback):
    """Keeps the logs of every epoch.

    Attributes:
        history: Name -> list of one value per epoch.
        epoch: The epochs' numbers, from 0.
    """

    def __init__(self):
        super().__init__()
        self.history = {}

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self
