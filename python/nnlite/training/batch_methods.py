"""BatchMethods: single batches, and what all ways to run a step share."""

from __future__ import annotations

from nnlite import tree
from nnlite.layers._state import clock
from nnlite.training import checks, predicting
from nnlite.training.data import convert
from nnlite.training.data.weights import class_weights_to_samples, spread_over_outputs
from nnlite.training.logs import flatten_in_order
from nnlite.training.loop import run_eager_step
from nnlite.training.steps import StepCache, build_model

# Shapes of batches remembered per model; data of ever new shapes is looked up the long way.
_MOST_KNOWN = 64


class BatchMethods:
    """train_on_batch, test_on_batch, predict_on_batch."""

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One training step on one batch.

        Returns:
            The loss (without metrics), a list [loss, metrics...], or with `return_dict` a dict.
        """
        self._check_compiled("train_on_batch")
        if class_weight is not None:
            if sample_weight is not None:
                raise ValueError(
                    "Arguments `sample_weight` and `class_weight` cannot be specified at the same time. Multiply the class weights into the sample "
                    "weights."
                )
            sample_weight = class_weights_to_samples(tree.map_structure(lambda leaf: convert.as_array(leaf, "y"), y), class_weight)
        return self._on_batch("train", x, y, sample_weight, return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics of one batch, in test mode. Returns the same as `train_on_batch`."""
        self._check_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, return_dict)

    def predict_on_batch(self, x):
        """The outputs for one batch, in test mode, as numpy arrays."""
        return predicting.predict_batch(self, (convert.convert_structure(self._encoded(x), "x"),))

    def _on_batch(self, mode: str, x, y, sample_weight, return_dict: bool):
        structure = _batch_structure(self._encoded_for_training(x) if mode == "train" else self._encoded(x), y, sample_weight)
        self.reset_metrics()
        if self.run_eagerly:
            logs = run_eager_step(self, mode, structure)
        else:
            step = self._step_for(mode, structure)
            if step.refresh is not None:
                step.refresh()
            step.runner.run(convert.leaves(structure))
            logs = step.logs()
        return logs if return_dict else flatten_in_order(self, logs)

    @property
    def _steps(self) -> StepCache:
        if "_step_cache" not in self.__dict__:
            self.__dict__["_step_cache"] = StepCache()
        return self.__dict__["_step_cache"]

    @property
    def _fast_predict(self) -> dict:
        return self.__dict__.setdefault("_fast_predict_entries", {})

    def _step_for(self, mode: str, structure):
        """The compiled step for a batch of arrays; its labels are checked."""
        arrays = convert.leaves(structure)
        flat = len(arrays) == len(structure) and not any(isinstance(part, (dict, list, tuple)) for part in structure)
        key = (mode, flat or convert.shape_key(structure), *[(array.dtype, array.shape) for array in arrays])
        optimizer = self.optimizer
        known = self._known_steps.get(key)
        # Until a layer, a trainable flag or the optimizer changes, shapes and dtypes alone decide.
        if known is not None and known[0] == clock.now and known[1] is optimizer and known[2] == getattr(optimizer, "_revision", 0):
            step = known[3]
        else:
            build_model(self, structure[0])
            self._prepare(mode)
            step = self._steps.get(self, mode, structure, convert.shape_key(structure), tuple([convert.spec_of(array) for array in arrays]))
            if len(self._known_steps) >= _MOST_KNOWN:
                self._known_steps.clear()
            self._known_steps[key] = (clock.now, optimizer, getattr(optimizer, "_revision", 0), step)
        if mode != "predict":
            checks.check_labels(self, structure)
        return step

    @property
    def _known_steps(self) -> dict:
        return self.__dict__.setdefault("_steps_by_shape", {})

    def _prepare(self, mode: str) -> None:
        """Creates the optimizer's variables before a training step is traced."""
        if mode == "train" and self.optimizer is not None and not self.optimizer.built:
            variables = self.trainable_variables
            if variables or not self.run_eagerly:  # an eager model may make its variables in its first step
                self.optimizer.build(variables)

    def _check_compiled(self, method: str) -> None:
        if not self.compiled:
            raise ValueError(
                f"You must call `compile()` before calling `{method}()` on model {self.name!r}: e.g. model.compile(optimizer='adam', loss='mse')."
            )


def _batch_structure(x, y, sample_weight) -> tuple:
    """(x,), (x, y) or (x, y, sample_weight) as arrays."""
    x, y = convert.convert_structure(x, "x"), convert.convert_structure(y, "y")
    if sample_weight is None:
        return (x,) if y is None else (x, y)
    sample_weight = tree.map_structure(
        lambda leaf: leaf if leaf is None else convert.as_array(leaf, "sample_weight").astype("float32", copy=False), sample_weight
    )
    return x, y, spread_over_outputs(sample_weight, y)
