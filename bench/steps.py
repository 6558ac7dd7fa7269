"""Microseconds of training steps and calls of named models, on this machine alone.

    python bench/steps.py [--work tiny_mlp,mnist_mlp,seed_cnn] [--quick] [--json FILE]

Reports, per model: a step of `fit` without and with a Python batch callback, compile and first step, `model.predict(row)`, `model(row)` and
a compiled function bound to the model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

import nnlite as keras
from nnlite import layers

rng = np.random.default_rng(0)


def normal(*shape):
    return rng.standard_normal(shape, dtype=np.float32)


def labels(classes, *shape):
    return rng.integers(0, classes, shape).astype("int32")


def tiny_mlp():
    model = keras.Sequential([keras.Input((13,)), layers.Dense(32, activation="relu"), layers.Dense(32, activation="relu"), layers.Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, normal(3200, 13), labels(2, 3200, 1), 32


def mnist_mlp():
    model = keras.Sequential([keras.Input((784,)), layers.Dense(512, activation="relu"), layers.Dropout(0.2), layers.Dense(512, activation="relu"), layers.Dropout(0.2), layers.Dense(10, activation="softmax")])
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(2560, 784), labels(10, 2560), 128


def seed_cnn():
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Conv2D(32, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)), layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)), layers.Conv2D(64, (3, 3), activation="relu"), layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(1280, 28, 28, 1), labels(10, 1280), 64


class EveryBatch(keras.callbacks.Callback):
    """The cheapest callback that still runs Python after every batch."""

    def __init__(self):
        super().__init__()
        self.last = 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.last = logs["loss"]


def microseconds(function, repeat: int, count: int = 1) -> float:
    """Median microseconds of one of `count` units of work in `function`."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return 1e6 * statistics.median(seconds) / count


def measure(make, repeat: int) -> dict[str, float]:
    model, x, y, batch = make()
    steps = -(-len(x) // batch)
    first = microseconds(lambda: model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0), 1)
    model.fit(x, y, batch_size=batch, verbose=0)
    bare = microseconds(lambda: model.fit(x, y, batch_size=batch, epochs=4, verbose=0), repeat, 4 * steps)
    callback = EveryBatch()
    with_callback = microseconds(lambda: model.fit(x, y, batch_size=batch, epochs=4, verbose=0, callbacks=[callback]), repeat, 4 * steps)
    row = x[:1]
    bound = keras.function(model)
    for call in (lambda: model.predict(row, verbose=0), lambda: np.asarray(model(row)), lambda: bound(row)):
        call()
    return {
        "compile and first step": first, "step": bare, "step with batch callback": with_callback,
        "predict(row)": microseconds(lambda: model.predict(row, verbose=0), 50 * repeat), "model(row)": microseconds(lambda: np.asarray(model(row)), 50 * repeat),
        "bound function(row)": microseconds(lambda: bound(row), 50 * repeat),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="tiny_mlp,mnist_mlp,seed_cnn")
    parser.add_argument("--quick", action="store_true", help="once through, for checking that it runs")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    found = {}
    for name in options.work.split(","):
        found[name] = measure({f.__name__: f for f in (tiny_mlp, mnist_mlp, seed_cnn)}[name], 1 if options.quick else 7)
        print(f"{name:10s} " + "  ".join(f"{key} {value:.1f} µs" for key, value in found[name].items()), flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)


if __name__ == "__main__":
    main()
