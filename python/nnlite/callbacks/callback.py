"""Callback and CallbackList: code that runs at the joints of training."""

from __future__ import annotations

from nnlite import tree

_BEGINS = {"train": ("on_train_batch_begin", "on_batch_begin"), "test": ("on_test_batch_begin",), "predict": ("on_predict_batch_begin",)}
_ENDS = {"train": ("on_train_batch_end", "on_batch_end"), "test": ("on_test_batch_end",), "predict": ("on_predict_batch_end",)}


class Callback:
    """Base class of callbacks: override the hooks you need. `self.model` is the model, `self.params` holds verbose, epochs and steps.

    Overriding a batch hook makes training return to Python after every batch; without one, many steps run per call.

    >>> class Note(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    """

    # Whether the batch hooks may be called once for many batches (a progress bar).
    _skips_batches = False

    def __init__(self):
        self.params = None
        self._model = None

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        return self._model

    def _needs_batches(self, mode: str) -> bool:
        """Whether this callback overrides a batch hook of `mode` ("train", "test", "predict")."""
        return self._overrides(mode, Callback)

    def _overrides(self, mode: str, base: type) -> bool:
        return self._overrides_any(_BEGINS[mode] + _ENDS[mode], base)

    def _overrides_any(self, hooks, base: type | None = None) -> bool:
        return any(name in self.__dict__ or getattr(type(self), name) is not getattr(base or Callback, name) for name in hooks)

    def on_batch_begin(self, batch, logs=None):
        """Old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch, logs=None):
        """Old name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch of fit."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch of fit and its validation; `logs` has all metrics."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch of fit."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch of fit; `logs` has the metrics so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch, logs=None):
        """Before a batch of evaluate or validation."""

    def on_test_batch_end(self, batch, logs=None):
        """After a batch of evaluate or validation."""

    def on_predict_batch_begin(self, batch, logs=None):
        """Before a batch of predict."""

    def on_predict_batch_end(self, batch, logs=None):
        """After a batch of predict; `logs["outputs"]` are its results."""

    def on_train_begin(self, logs=None):
        """Before fit."""

    def on_train_end(self, logs=None):
        """After fit."""

    def on_test_begin(self, logs=None):
        """Before evaluate or validation."""

    def on_test_end(self, logs=None):
        """After evaluate or validation."""

    def on_predict_begin(self, logs=None):
        """Before predict."""

    def on_predict_end(self, logs=None):
        """After predict."""


class CallbackList(Callback):
    """Several callbacks as one.

    Args:
        callbacks: A callback or a structure of them.
        add_history, add_progbar: Whether a History and a ProgbarLogger are added when missing.
        model: The model.
        **params: verbose, epochs, steps.
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        from nnlite.callbacks.history import History
        from nnlite.callbacks.progbar_logger import ProgbarLogger

        super().__init__()
        self.callbacks = tree.flatten(callbacks) if callbacks else []
        for callback in self.callbacks:
            _check_callback(callback)
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        self._history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def set_params(self, params):
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        if self._history is not None:
            model.history = self._history
        for callback in self.callbacks:
            callback.set_model(model)

    def _batch_hooks(self, mode: str) -> tuple[list, list, list]:
        """Hooks of `mode` that do something: before batches, after batches, and those after batches that may skip some."""
        begins, ends, skipping = [], [], []
        for callback in self.callbacks:
            own = isinstance(callback, Callback)
            if own and not callback._needs_batches(mode):
                continue
            end = getattr(callback, f"on_{mode}_batch_end")
            if getattr(callback, "_skips_batches", False):
                skipping.append(end)
                continue
            if not own or callback._overrides_any(_BEGINS[mode]):
                begins.append(getattr(callback, f"on_{mode}_batch_begin"))
            ends.append(end)
        return begins, ends, skipping

    def append(self, callback):
        self.callbacks.append(callback)

    def __iter__(self):
        return iter(self.callbacks)

    def on_batch_begin(self, batch, logs=None):
        self._call("on_batch_begin", batch, logs)

    def on_batch_end(self, batch, logs=None):
        self._call("on_batch_end", batch, logs)

    def on_epoch_begin(self, epoch, logs=None):
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._call("on_train_batch_end", batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._call("on_test_batch_end", batch, logs)

    def on_predict_batch_begin(self, batch, logs=None):
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self._call("on_predict_batch_end", batch, logs)

    def on_train_begin(self, logs=None):
        self._announce("on_train_begin", logs)

    def on_train_end(self, logs=None):
        self._announce("on_train_end", logs)

    def on_test_begin(self, logs=None):
        self._announce("on_test_begin", logs)

    def on_test_end(self, logs=None):
        self._announce("on_test_end", logs)

    def on_predict_begin(self, logs=None):
        self._announce("on_predict_begin", logs)

    def on_predict_end(self, logs=None):
        self._announce("on_predict_end", logs)

    def _call(self, hook: str, index, logs) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(index, logs=logs)

    def _announce(self, hook: str, logs) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(logs)


def _check_callback(callback) -> None:
    if isinstance(callback, type):
        raise TypeError(f"A callback must be an instance; received the class {callback.__name__}. Add parentheses: {callback.__name__}(...).")
    if not isinstance(callback, Callback) and not hasattr(callback, "set_model"):
        raise TypeError(
            f"A callback must derive from nnlite.callbacks.Callback; received {callback!r} of type {type(callback).__name__}. For a function use "
            "LambdaCallback."
        )
