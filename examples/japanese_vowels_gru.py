"""Speakers told apart by how they say two vowels: sequences of different lengths, a masked GRU.

    python examples/japanese_vowels_gru.py [--epochs 120] [--data FOLDER]

FOLDER (by default that of the data sets) holds timeseries/JapaneseVowels.npz: x_train [270, 29, 12], padded with zeros at the end, len_train,
y_train of nine speakers, and the same for 370 test utterances. Prints the test accuracy. Seconds on a laptop.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

import nnlite as keras
from nnlite import layers
from nnlite.datasets._files import data_folder


def build(features: int) -> keras.Model:
    inputs = keras.Input((None, features))
    x = layers.Masking()(inputs)
    x = layers.Bidirectional(layers.GRU(64, return_sequences=True))(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Bidirectional(layers.GRU(64))(x)
    x = layers.Dropout(0.3)(x)
    return keras.Model(inputs, layers.Dense(9, activation="softmax")(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--data", type=pathlib.Path, default=data_folder())
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    data = np.load(options.data / "timeseries" / "JapaneseVowels.npz")
    counts = np.arange(data["x_train"].shape[1]) < data["len_train"][:, None]
    mean, spread = data["x_train"][counts].mean(0), data["x_train"][counts].std(0)

    def scaled(part: str) -> np.ndarray:
        x = (data[f"x_{part}"] - mean) / spread
        inside = np.arange(x.shape[1]) < data[f"len_{part}"][:, None]
        return (x * inside[..., None]).astype("float32")

    model = build(data["x_train"].shape[2])
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    fade = keras.callbacks.LearningRateScheduler(lambda epoch: 3e-3 * 0.5 * (1 + np.cos(np.pi * epoch / options.epochs)) + 1e-5)
    model.fit(scaled("train"), data["y_train"], batch_size=27, epochs=options.epochs, verbose=0, callbacks=[fade])
    loss, accuracy = model.evaluate(scaled("test"), data["y_test"], verbose=0)
    print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
