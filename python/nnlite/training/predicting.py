"""predict: results straight into one array."""

from __future__ import annotations

import time

import numpy as np

from nnlite import tree
from nnlite.graph.spec import NUMPY_DTYPE
from nnlite.tensor import Tensor, _bfloat16_to_float32
from nnlite.training.data import convert
from nnlite.training.data.batches import standardize
from nnlite.training.steps import as_data, as_tensors, build_model

_CHUNK_SECONDS = 0.01
# Shapes of small inputs remembered per model.
_MOST_ENTRIES = 64


def predict(model, data, callbacks, steps):
    """Predictions for all of `data` as a structure of numpy arrays."""
    begins, ends, progress = callbacks._batch_hooks("predict")
    model.__dict__["stop_predicting"] = False
    callbacks.on_predict_begin()
    if data.is_arrays and not model.run_eagerly and not (begins or ends):
        outputs = _predict_arrays(model, data, progress, steps)
    else:
        outputs = _predict_batches(model, data, begins, ends + progress, steps)
    callbacks.on_predict_end()
    return outputs


def _predict_arrays(model, data, progress, steps):
    rows = data.rows if steps is None else min(data.rows, steps * data.batch_size)
    full, short = divmod(rows, data.batch_size)
    build_model(model, data.structure[0])
    results, done = None, 0
    for size, count in ((data.batch_size, full), (short, 1)):
        if not size or not count:
            continue
        step = model._steps.get(model, "predict", data.structure, data.key, data.specs(size))
        if any(not spec.shape or spec.shape[0] != size for spec in step.specs) or not all(step.compiled.is_tensor):
            return _predict_batches(model, data, (), progress, steps)  # outputs that are not one row per sample
        if results is None:
            results = [np.empty((rows, *spec.shape[1:]), NUMPY_DTYPE[spec.dtype]) for spec in step.specs]
        done = _run_range(step, data.sources, results, done, size, count, progress, data.batch_size)
    leaves = [_bfloat16_to_float32(r) if spec.dtype == "bfloat16" else r for r, spec in zip(results, step.specs)]
    return tree.pack_sequence_as(step.compiled.result, leaves)


def _run_range(step, sources, results, first_row: int, size: int, count: int, progress, batch_size: int) -> int:
    """Runs `count` batches from a row on, in chunks when somebody watches. Returns the row after them."""
    chunk = 1 if progress else count
    while count:
        chunk = min(chunk, count)
        start = time.perf_counter()
        step.runner.run_batches(sources, results, first_row, chunk)
        seconds = time.perf_counter() - start
        first_row += chunk * size
        count -= chunk
        for tell in progress:
            tell((first_row - 1) // batch_size)
        chunk = max(1, min(int(chunk * _CHUNK_SECONDS / max(seconds, 1e-9)), 4 * chunk))
    return first_row


def _predict_batches(model, data, begins, ends, steps):
    collected: list = []
    for index, structure in enumerate(_structures(model, data)):
        if steps is not None and index >= steps:
            break
        for begin in begins:
            begin(index, {})
        outputs = predict_batch(model, (structure[0],))
        collected.append(outputs)
        for end in ends:
            end(index, {"outputs": outputs})
        if model.stop_predicting:
            break
    if not collected:
        raise ValueError("predict() received no batches: the data gave nothing. Check the generator or dataset; a generator can be used only once.")
    leaves = [tree.flatten(outputs) for outputs in collected]
    return tree.pack_sequence_as(collected[0], [_join(parts) for parts in zip(*leaves)])


def _join(parts):
    return np.concatenate([np.atleast_1d(part) for part in parts])


def _structures(model, data):
    data.on_epoch_begin()
    if data.is_arrays:
        order = data.order()
        for step in range(data.num_batches):
            yield data.batch(order, step)
    else:
        for index, batch in enumerate(data.passes()):
            yield standardize(model._encoded_batch(batch), f"batch {index}")
            if data.num_batches is not None and index + 1 >= data.num_batches:
                break
    data.on_epoch_end()


def predict_batch(model, structure):
    """Predictions for one batch (x,) of arrays as numpy arrays."""
    build_model(model, structure[0])
    if model.run_eagerly:
        return tree.map_structure(_as_numpy, model.predict_step(as_data(as_tensors(structure))))
    step = model._step_for("predict", structure)
    return tree.map_structure(_as_numpy, step.compiled(convert.leaves(structure)))


def _as_numpy(value):
    return np.array(value.numpy()) if isinstance(value, Tensor) else np.asarray(value)


def fast(model, x: np.ndarray, batch_size):
    """predict() of one array that fits into one batch, without callbacks; None when the general way must be taken."""
    if not 0 < len(x) <= (batch_size or 32) or model.run_eagerly or not model.built:
        return None
    entry = model._fast_predict.get((x.shape, x.dtype))
    if entry is None or entry[0] != model._revision:
        entry = _fast_entry(model, x)
        if len(model._fast_predict) >= _MOST_ENTRIES:
            model._fast_predict.clear()
        model._fast_predict[(x.shape, x.dtype)] = entry
    _, run, dtype, compiled = entry
    if dtype is not None or not x.flags.c_contiguous:
        x = np.ascontiguousarray(x, dtype)
    if compiled is None:
        return run([x])[0]
    return tree.map_structure(_as_numpy, compiled([x]))


def _fast_entry(model, x):
    structure = (convert.as_array(x, "x"),)
    step = model._step_for("predict", structure)
    single = isinstance(step.compiled.result, Tensor) and step.specs[0].dtype != "bfloat16"
    dtype = None if structure[0].dtype == x.dtype else structure[0].dtype
    return (model._revision, step.runner.run, dtype, None if single else step.compiled)
