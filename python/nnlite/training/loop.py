"""The loop over steps of one epoch: whole chunks of compiled steps for arrays, batch by batch for other data."""

from __future__ import annotations

import time
import warnings

from nnlite.layers._state import clock
from nnlite.training import checks
from nnlite.training.data import convert
from nnlite.training.data.batches import standardize
from nnlite.training.logs import eager_logs
from nnlite.training.steps import as_data, as_tensors, build_model

# Steps of a chunk take about this long in all: Python's overhead vanishes, and progress bars and Ctrl-C stay lively.
_CHUNK_SECONDS = 0.01
_LARGEST_CHUNK = 1 << 20


class Loop:
    """Runs train or test steps over data, epoch after epoch.

    Args:
        model: A compiled Trainer.
        mode: "train" or "test".
        data: ArrayData or BatchData.
        callbacks: A CallbackList.
        steps: Steps per epoch, or None for all of the data.
    """

    def __init__(self, model, mode: str, data, callbacks, steps=None):
        self.model = model
        self.mode = mode
        self.data = data
        self.steps = steps
        self.num_batches = data.num_batches
        self.callbacks = callbacks
        self._iterator = None
        self._order = None
        self._position = 0  # steps taken of the current pass
        self._chunk = 1
        self._checked: set = set()

    def listen(self) -> None:
        """Finds the callbacks that want to hear of batches."""
        self._begins, self._ends, self._progress = self.callbacks._batch_hooks(self.mode)
        self._per_batch = bool(self._begins or self._ends)

    def run_epoch(self) -> dict:
        """One epoch; returns the logs after its last step."""
        self.listen()
        self.data.on_epoch_begin()
        if self.mode == "test":  # every evaluation starts at the beginning
            self._iterator = self._order = None
        stop = "stop_training" if self.mode == "train" else "stop_evaluating"
        if not self.data.is_arrays:
            logs = self._run_iterator(stop)
        else:
            logs = self._run_arrays(stop)
        self.data.on_epoch_end()
        return logs

    # Arrays.

    def _run_arrays(self, stop: str) -> dict:
        data, done, read = self.data, 0, None
        total = self.steps or data.num_batches
        while done < total:
            if self._order is None or self._position >= data.num_batches:
                if self._position >= data.num_batches and done:
                    _warn_out_of_data()
                    break
                self._order, self._position = data.order(), 0
            last = min(self._position + total - done, data.num_batches)
            done, read = self._run_pass(last, done, stop)
            if getattr(self.model, stop):
                break
        if self.steps is None or self._position >= data.num_batches:
            self._order = None
        return read() if read is not None else {}

    def _run_pass(self, last: int, done: int, stop: str):
        """Steps of the current order up to `last`; `done` were done before in this epoch. Returns (done, reader of logs)."""
        model, listened = self.model, bool(self._ends or self._progress)
        full = self.data.rows // self.data.batch_size  # steps of whole batches; one of fewer rows may follow
        read = step = revisions = None
        while (first := self._position) < last:
            if model.run_eagerly:
                read, count = self._eager_step(self.data.batch(self._order, first), done), 1
            else:
                # The step is looked up again only when a layer, a trainable flag or the optimizer may have changed.
                if step is None or revisions != (clock.now, model.optimizer, model.optimizer and model.optimizer._revision) or first == full:
                    step = self._array_step(first < full)
                    read, revisions = step.logs, (clock.now, model.optimizer, model.optimizer and model.optimizer._revision)
                for begin in self._begins:
                    begin(done, {})
                count = self._run_steps(step, first, min(last, full) - first)
            self._position += count
            done += count
            if listened:
                self._after(done - 1, read)
            if getattr(model, stop):
                break
        return done, read

    def _array_step(self, whole: bool):
        data, model = self.data, self.model
        build_model(model, data.structure[0])
        model._prepare(self.mode)
        rows = data.batch_size if whole else data.rows % data.batch_size
        step = model._steps.get(model, self.mode, data.structure, data.key, data.specs(rows))
        if model._revision not in self._checked:
            checks.check_labels(model, data.structure)
            self._checked.add(model._revision)
        return step

    def _run_steps(self, step, first: int, most: int) -> int:
        """At most `most` steps from `first` on, or the one of fewer rows if there are none; returns how many one call may take."""
        data = self.data
        if step.refresh is not None:
            step.refresh()
        if most <= 0:
            step.runner.run_steps(data.sources, self._order[first * data.batch_size :], 0, 1)
            return 1
        count = min(most, max(int(self.model.steps_per_execution or 1), 1))
        if self._per_batch or step.refresh is not None:
            step.runner.run_steps(data.sources, self._order, first, count)
            return count
        count = min(most, max(self._chunk, count))
        self._run_chunk(step, self._order, first, count)
        return count

    def _run_chunk(self, step, order, first: int, count: int) -> None:
        """Several steps in one call, and how many there shall be in the next."""
        start = time.perf_counter()
        step.runner.run_steps(self.data.sources, order, first, count)
        seconds = time.perf_counter() - start
        if count == self._chunk:
            self._chunk = max(1, min(int(count * _CHUNK_SECONDS / max(seconds, 1e-9)), 4 * count, _LARGEST_CHUNK))

    def _after(self, index: int, read) -> None:
        logs = read()
        for end in self._ends:
            end(index, logs)
        for end in self._progress:
            end(index, logs)

    # Batches.

    def _run_iterator(self, stop: str) -> dict:
        model, read, done = self.model, None, 0
        total = self.steps or self.num_batches
        if self._iterator is None or (self.steps is None and self.data.num_batches is not None):
            self._iterator, self._position = iter(self.data.passes()), 0
        while total is None or done < total:
            batch = next(self._iterator, None)
            if batch is None:
                if total is not None:
                    _warn_out_of_data()
                self.num_batches = self.num_batches or done
                self._iterator = None
                break
            if self._begins and not model.run_eagerly:
                for begin in self._begins:
                    begin(done, {})
            read = self._batch_step(batch, done)
            done += 1
            if self._ends or self._progress:
                self._after(done - 1, read)
            if getattr(model, stop):
                break
        if done and self.steps is None and self.data.num_batches is not None:
            self._iterator = None
        return read() if read is not None else {}

    def _batch_step(self, batch, done: int):
        """Runs one step on a raw batch; returns the reader of its logs."""
        structure = standardize(self.model._encoded_batch(batch), f"batch {done}")
        if self.model.run_eagerly:
            return self._eager_step(structure, done)
        step = self.model._step_for(self.mode, structure)
        if step.refresh is not None:
            step.refresh()
        step.runner.run(convert.leaves(structure))
        return step.logs

    def _eager_step(self, structure, done: int):
        for begin in self._begins:
            begin(done, {})
        logs = run_eager_step(self.model, self.mode, structure)
        return lambda: dict(logs)


def run_eager_step(model, mode: str, structure) -> dict:
    """One step op by op; its logs as numbers."""
    build_model(model, structure[0])
    model._prepare(mode)
    checks.check_labels_before(model, structure)
    step = model.train_step if mode == "train" else model.test_step
    return eager_logs(step(as_data(as_tensors(structure))))


def _warn_out_of_data() -> None:
    warnings.warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at least `steps_per_epoch * "
        "epochs` batches. "
        "You may need to make it endless.",
        stacklevel=5,
    )
