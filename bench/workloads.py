"""The compared models, written once against the Keras API; `compare.py` runs this under every peer.

    python workloads.py NAME [--lib nnlite|keras] [--epochs N]

Prints one JSON line: seconds per epoch after the first (minimum), seconds of the first epoch (tracing and compiling included),
seconds to predict all rows, seconds of model(one row) and model.predict(one row), peak memory in MB, seconds to import.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import time

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("name")
parser.add_argument("--lib", default="keras")
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()

start = time.perf_counter()
keras = importlib.import_module(options.lib)
layers = importlib.import_module(options.lib + ".layers")
import_seconds = time.perf_counter() - start
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
    return model, normal(12800, 784), labels(10, 12800), 128


def seed_cnn():
    model = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Conv2D(32, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)), layers.Conv2D(64, (3, 3), activation="relu"),
        layers.MaxPooling2D((2, 2)), layers.Conv2D(64, (3, 3), activation="relu"), layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(6400, 28, 28, 1), labels(10, 6400), 64


def resnet20():
    def block(x, channels, stride):
        y = layers.Conv2D(channels, 3, strides=stride, padding="same", use_bias=False)(x)
        y = layers.Activation("relu")(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same", use_bias=False)(y))
        if stride != 1 or x.shape[-1] != channels:
            x = layers.BatchNormalization()(layers.Conv2D(channels, 1, strides=stride, use_bias=False)(x))
        return layers.Activation("relu")(layers.Add()([y, x]))

    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    for channels, stride in ((16, 1), (16, 1), (16, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1), (64, 1)):
        x = block(x, channels, stride)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(2048, 32, 32, 3), labels(10, 2048), 128


def wide_conv():
    model = keras.Sequential([keras.Input((32, 32, 3))])
    for filters in (64, 128, 256):
        for _ in range(2):
            model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
        model.add(layers.MaxPooling2D(2))
    for layer in (layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(10, activation="softmax")):
        model.add(layer)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(512, 32, 32, 3), labels(10, 512), 32


def mobilenet():
    def block(x, channels, stride):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(channels, 1, use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    inputs = keras.Input((64, 64, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    for channels, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = block(x, channels, stride)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(1024, 64, 64, 3), labels(10, 1024), 64


def encoder():
    def block(x):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, 64)(y, y)])
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        return layers.Add()([x, layers.Dense(256)(layers.Dense(1024, activation="gelu")(y))])

    inputs = keras.Input((128, 256))
    x = block(block(inputs))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, normal(256, 128, 256), labels(10, 256), 16


def imdb_lstm():
    both, sizes = layers.Bidirectional, {"units": 64}
    model = keras.Sequential([
        keras.Input((200,), dtype="int32"), layers.Embedding(20000, 128), both(layers.LSTM(**sizes, return_sequences=True)), both(layers.LSTM(**sizes)),
        layers.Dense(1, activation="sigmoid"),
    ])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model, labels(20000, 640, 200), labels(2, 640, 1), 32


def series_gru():
    model = keras.Sequential([keras.Input((120, 14)), layers.GRU(64, return_sequences=True), layers.GRU(64), layers.Dense(1)])
    model.compile("adam", "mse")
    return model, normal(2560, 120, 14), normal(2560, 1), 128


def character_lstm():
    model = keras.Sequential([
        keras.Input((100,), dtype="int32"), layers.Embedding(66, 64), layers.LSTM(128, return_sequences=True), layers.Dense(66, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, labels(66, 1280, 100), labels(66, 1280, 100), 64


WORKLOADS = {f.__name__: f for f in (tiny_mlp, mnist_mlp, seed_cnn, resnet20, wide_conv, mobilenet, encoder, imdb_lstm, series_gru, character_lstm)}


class Clock(keras.callbacks.Callback):
    """Seconds of every epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.start)


def fastest(function, repeat):
    """Seconds of the fastest of `repeat` calls."""
    seconds = []
    for _ in range(repeat):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main():
    keras.utils.set_random_seed(1)
    model, x, y, batch = WORKLOADS[options.name]()
    clock = Clock()
    history = model.fit(x, y, batch_size=batch, epochs=options.epochs, verbose=0, callbacks=[clock])
    model.predict(x, batch_size=batch, verbose=0)
    one = x[:1]
    print(json.dumps({
        "name": options.name, "lib": options.lib, "epoch_min": min(clock.seconds[1:]), "first_epoch": clock.seconds[0],
        "predict": fastest(lambda: model.predict(x, batch_size=batch, verbose=0), 3),
        "call1": fastest(lambda: keras.ops.convert_to_numpy(model(one)), 30),
        "predict1": fastest(lambda: model.predict(one, verbose=0), 15),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "import": import_seconds, "loss": float(history.history["loss"][-1]),
    }))


main()
