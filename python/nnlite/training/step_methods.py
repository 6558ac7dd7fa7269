"""StepMethods: what one batch does. Models override these; all of it is traced, unless the model runs eagerly."""

from __future__ import annotations

import inspect
import warnings

from nnlite.graph.grad import GradientTape
from nnlite.layers._state import clock
from nnlite.training.compile_loss import total_of
from nnlite.training.compile_metrics import CompileMetrics
from nnlite.training.data import convert
from nnlite.utils.unpacking import unpack_x_y_sample_weight


class StepMethods:
    """Metrics, losses and the steps of training, testing and predicting."""

    # Data that layers in Python take before the compiled part.

    # What a functional model with such layers has; see models/_front.py.
    _front = None

    def _encoded(self, x):
        """Arrays of x after the layers that run in Python; datasets and generators stay: their batches are encoded one by one."""
        if self._front is None or not _is_data(x):
            return x
        return x if self._front.is_encoded(x) else self._front.encode(x)

    def _encoded_for_training(self, x):
        if self._front is not None:
            self._front.check_trainable()
        return self._encoded(x)

    def _encoded_batch(self, batch):
        """The same for a raw batch: x alone, or a tuple that begins with x."""
        if self._front is None and not isinstance(batch, tuple):
            return batch
        if isinstance(batch, (tuple, list)):
            return (self._encoded(batch[0]), *batch[1:])
        return self._encoded(batch)

    # Metrics.

    @property
    def metrics(self) -> list:
        """The loss, the compiled metrics, the outputs' losses, and metrics kept in attributes."""
        found = self._own_metrics()
        return found + [metric for metric in self._layer_metrics() if not any(metric is m for m in found)]

    def _layer_metrics(self) -> list:
        """Metrics of the layers inside, found again only when some layer changed."""
        known = self.__dict__.get("_layer_metrics_known")
        if known is None or known[0] != clock.now:
            layers = [layer for layer in self._flatten_layers(include_self=False) if not isinstance(layer, StepMethods)]
            known = self.__dict__["_layer_metrics_known"] = (clock.now, [metric for layer in layers for metric in layer._metrics])
        return known[1]

    def _own_metrics(self) -> list:
        found = [metric for metric in (self._loss_tracker, self._compile_metrics) if metric is not None]
        if self._compile_loss is not None:
            found += self._compile_loss.metrics
        return found + [metric for metric in self._metrics if not any(metric is m for m in found)]

    @property
    def metrics_names(self) -> list[str]:
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        for metric in self.metrics:
            metric.reset_state()

    def get_metrics_result(self) -> dict:
        """Results of all metrics by name."""
        results: dict = {}
        for metric in self.metrics:
            if isinstance(metric, CompileMetrics) and not metric.built:
                continue
            result = metric.result()
            results.update(result) if isinstance(result, dict) else results.update({metric.name: result})
        return results

    # Steps: what one batch does. All of it is traced, unless run_eagerly.

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The scalar loss: that of compile() plus `self.losses`. Override it for losses of your own."""
        losses = list(self.losses)
        if self._compile_loss is not None:
            losses.insert(0, self._compile_loss(y, y_pred, sample_weight))
        if not losses:
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`, or call add_loss() in a layer.")
        return total_of([loss for loss in losses if loss is not None])

    def _compute_loss(self, x, y, y_pred, sample_weight, training):
        parameters = inspect.signature(self.compute_loss).parameters
        if "training" in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
            return self.compute_loss(x, y, y_pred, sample_weight, training=training)
        return self.compute_loss(x, y, y_pred, sample_weight)

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict:
        """Updates the compiled metrics and returns all results."""
        if self._compile_metrics is not None:
            self._compile_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def train_step(self, data) -> dict:
        """One training step on a batch (x, y, sample_weight). Returns logs by name."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x, y, y_pred, sample_weight, True)
            scaled = self.optimizer.scale_loss(loss) if self.optimizer is not None else loss
        self._track_loss(loss, x)
        variables = self.trainable_variables
        if variables and self.optimizer is not None:
            self.optimizer.apply(tape.gradient(scaled, variables), variables)
        elif not variables:
            warnings.warn("The model does not have any trainable weights.", stacklevel=3)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data) -> dict:
        """One evaluation step on a batch (x, y, sample_weight). Returns logs by name."""
        x, y, sample_weight = unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        self._track_loss(self._compute_loss(x, y, y_pred, sample_weight, False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data):
        """The predictions for a batch."""
        x, _, _ = unpack_x_y_sample_weight(data)
        return self(x, training=False)

    def _track_loss(self, loss, x) -> None:
        if self._loss_tracker is not None and loss is not None:
            self._loss_tracker.update_state(loss, sample_weight=float(convert.leaves(x)[0].shape[0]))


def _is_data(x) -> bool:
    """Whether x is arrays or strings, not a dataset."""
    found = convert.leaves(x)
    return bool(found) and all(isinstance(leaf, (str, bytes)) or convert.is_array_like(leaf) for leaf in found)
