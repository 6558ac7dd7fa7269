"""Trainer: compile, fit, evaluate, predict and the steps they run."""

from __future__ import annotations

import warnings

import numpy as np

from nnlite import losses, optimizers
from nnlite.callbacks import CallbackList
from nnlite.metrics import Mean
from nnlite.training import checks, predicting
from nnlite.training.batch_methods import BatchMethods
from nnlite.training.compile_loss import CompileLoss
from nnlite.training.compile_metrics import CompileMetrics
from nnlite.training.data import get_data, split_validation
from nnlite.training.logs import flatten_in_order
from nnlite.training.loop import Loop
from nnlite.training.step_methods import StepMethods
from nnlite.training.steps import StepCache
from nnlite.utils.unpacking import unpack_x_y_sample_weight


class Trainer(StepMethods, BatchMethods):
    """The training side of a model. `Model` derives from it; its steps can be overridden."""

    compiled = False
    optimizer = None
    loss = None
    history = None
    run_eagerly = False
    steps_per_execution = 1
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    _jit_compile = True
    _compile_loss = None
    _compile_metrics = None
    _loss_tracker = None
    _compile_arguments = None
    _initial_epoch = 0

    # Compiling.

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile="auto",
        auto_scale_loss=True,
    ):
        """Says how the model is to be trained.

        Args:
            optimizer: A name or an Optimizer.
            loss: A name, function or Loss; a list or dict of these for several outputs; None when losses come from `add_loss`.
            loss_weights: Weights of the outputs' losses, as a list or dict.
            metrics, weighted_metrics: Lists of names, functions or Metrics, or a list or dict of lists for several outputs.
                The latter use sample weights.
            run_eagerly: Whether steps run op by op in Python, e.g. to debug.
            steps_per_execution: Batches between two calls of batch callbacks.
            jit_compile: Accepted for familiarity; steps are always compiled unless `run_eagerly`.
            auto_scale_loss: Accepted for familiarity; bfloat16, the half precision here, needs no loss scaling.

        Raises:
            ValueError: Unknown names; the text suggests close ones.
        """
        if isinstance(steps_per_execution, bool) or not isinstance(steps_per_execution, (int, np.integer)) or steps_per_execution < 1:
            raise ValueError(f"`steps_per_execution` must be an integer of at least 1; received steps_per_execution={steps_per_execution!r}.")
        names = getattr(self, "output_names", None)
        found = optimizers.get(optimizer)
        if isinstance(loss, str) and loss.lower() not in ("crossentropy", "ce"):
            losses.get(loss)  # an unknown name raises here, not in fit
        self.__dict__.update(
            optimizer=found,
            loss=loss,
            run_eagerly=bool(run_eagerly),
            steps_per_execution=steps_per_execution,
            stop_training=False,
            compiled=True,
            _compile_loss=None if loss is None else CompileLoss(loss, loss_weights, names),
            _compile_metrics=None if metrics is None and weighted_metrics is None else CompileMetrics(metrics, weighted_metrics, names),
            _loss_tracker=Mean(name="loss"),
            _jit_compile=not run_eagerly if jit_compile == "auto" else bool(jit_compile),
            _step_cache=StepCache(),
            _fast_predict_entries={},
            _steps_by_shape={},
            _compile_arguments=dict(
                optimizer=found,
                loss=loss,
                loss_weights=loss_weights,
                metrics=metrics,
                weighted_metrics=weighted_metrics,
                run_eagerly=run_eagerly,
                steps_per_execution=steps_per_execution,
                jit_compile=jit_compile,
            ),
        )

    @property
    def jit_compile(self) -> bool:
        return self._jit_compile

    @jit_compile.setter
    def jit_compile(self, value) -> None:
        self.__dict__["_jit_compile"] = value

    def get_compile_config(self) -> dict:
        """What compile() was given, as plain values."""
        if not self.compiled or self._compile_arguments is None:
            return {}
        from nnlite.saving import serialize_keras_object

        return {name: serialize_keras_object(value) for name, value in self._compile_arguments.items()}

    def compile_from_config(self, config) -> None:
        """Compiles with the result of `get_compile_config`."""
        if type(self).compile is not Trainer.compile:
            warnings.warn(
                "`compile()` was not called as part of model loading because the model's `compile()` method is custom. Call it yourself, "
                "or also override get_compile_config() and compile_from_config().",
                stacklevel=3,
            )
            return
        from nnlite.saving import deserialize_keras_object

        self.compile(**{name: deserialize_keras_object(value) for name, value in config.items()})
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    # Fit, evaluate, predict.

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ):
        """Trains the model for a number of epochs.

        Args:
            x: Arrays (of several inputs: a list or dict), a generator of batches, a PyDataset, a DataLoader.
            y: Targets, when x is arrays.
            batch_size: Samples per step, 32 by default.
            epochs: Number of the last epoch; training starts at `initial_epoch`.
            verbose: 0 silent, 1 progress bar, 2 a line per epoch, "auto" = 1.
            callbacks: Callbacks.
            validation_split: Share of the arrays' last rows kept for validation.
            validation_data: (x, y), (x, y, sample_weight) or a dataset.
            shuffle: Whether rows are shuffled each epoch; "batch" shuffles whole batches.
            class_weight: Dict of class -> weight of its samples.
            sample_weight: Weights of the samples.
            steps_per_epoch: Steps of an epoch; needed for endless data.
            validation_steps, validation_batch_size, validation_freq: The same for validation; it runs every so many epochs, or in the
                epochs of a list.

        Returns:
            A History: `history.history["loss"]` has one value per epoch.
        """
        self._check_compiled("fit")
        x = self._encoded_for_training(x)
        checks.check_run(verbose, validation_steps, shuffle)
        _check_fit(epochs, steps_per_epoch, validation_freq)
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = split_validation(x, y, sample_weight, validation_split)
        data = get_data(x, y, sample_weight, batch_size=batch_size, steps=steps_per_epoch, shuffle=shuffle, class_weight=class_weight)
        validation = self._validation(validation_data, validation_batch_size or batch_size, validation_steps)
        steps = steps_per_epoch or data.num_batches
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, add_history=True, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=epochs, steps=steps)
        self.stop_training = False
        loop = Loop(self, "train", data, callbacks, steps_per_epoch)
        evaluation = validation and Loop(self, "test", validation, callbacks, validation_steps)
        callbacks.on_train_begin()
        logs: dict = {}
        first = self._initial_epoch or initial_epoch
        for epoch in range(first, epochs):
            self.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            logs = loop.run_epoch()
            if epoch == first:
                checks.warn_of_nan(self, data, logs)
            if evaluation and _is_due(epoch, validation_freq):
                logs.update({f"val_{name}": value for name, value in self._run_evaluation(evaluation, callbacks).items()})
            logs = dict(sorted(logs.items()))
            callbacks.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        if self.optimizer is not None and epochs > 0:
            self.optimizer.finalize_variable_values(self.trainable_variables)
        callbacks.on_train_end(logs)
        return self.history

    def _validation(self, validation_data, batch_size, steps):
        if validation_data is None:
            return None
        x, y, sample_weight = unpack_x_y_sample_weight(validation_data)
        x = self._encoded(x)
        return get_data(x, y, sample_weight, batch_size=batch_size, steps=steps)

    def _run_evaluation(self, loop: Loop, callbacks) -> dict:
        self.__dict__["stop_evaluating"] = False
        callbacks.on_test_begin()
        self.reset_metrics()
        logs = loop.run_epoch()
        callbacks.on_test_end(logs)
        return logs

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto", sample_weight=None, steps=None, callbacks=None, return_dict=False, **kwargs):
        """Loss and metrics on data, in test mode.

        Args:
            x, y, batch_size, sample_weight, callbacks, verbose: As for fit.
            steps: Number of batches, by default all.
            return_dict: Whether results come by name instead of as a list.

        Returns:
            The loss (without metrics), a list [loss, metrics...], or a dict.
        """
        if kwargs:
            raise ValueError(f"Arguments not recognized: {kwargs}")
        self._check_compiled("evaluate")
        checks.check_run(verbose, steps)
        data = get_data(self._encoded(x), y, sample_weight, batch_size=batch_size, steps=steps)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=steps or data.num_batches)
        logs = self._run_evaluation(Loop(self, "test", data, callbacks, steps), callbacks)
        return logs if return_dict else flatten_in_order(self, logs)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """The model's outputs for data, in test mode, as numpy arrays.

        Args:
            x: As for fit.
            batch_size: Samples per step, 32 by default.
            steps: Number of batches, by default all.
        """
        x = self._encoded(x)
        if type(x) is np.ndarray and verbose == 0 and callbacks is None and steps is None:
            result = predicting.fast(self, x, batch_size)
            if result is not None:
                return result
        checks.check_run(verbose, steps)
        data = get_data(x, batch_size=batch_size, steps=steps)
        if not isinstance(callbacks, CallbackList):
            callbacks = CallbackList(callbacks, add_progbar=verbose != 0, model=self, verbose=verbose, epochs=1, steps=steps or data.num_batches)
        return predicting.predict(self, data, callbacks, steps)


def _check_fit(epochs, steps_per_epoch, validation_freq) -> None:
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 0:
        raise ValueError(f"`epochs` must be an integer of at least 0; received epochs={epochs!r}.")
    if steps_per_epoch is not None and steps_per_epoch < 1:
        raise ValueError(f"`steps_per_epoch` must be at least 1, or None for all data; received steps_per_epoch={steps_per_epoch!r}.")
    if not isinstance(validation_freq, (int, list, tuple, set)):
        raise ValueError(
            f"Expected `validation_freq` to be a list or int. Received: validation_freq={validation_freq} of the type {type(validation_freq)}."
        )


def _is_due(epoch: int, validation_freq) -> bool:
    """Whether validation runs after this epoch (counted from 0)."""
    return (epoch + 1) % validation_freq == 0 if isinstance(validation_freq, int) else epoch + 1 in validation_freq
