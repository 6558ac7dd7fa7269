"""A character LSTM that learns to write like Shakespeare.

    python examples/character_lstm.py [--text FILE] [--epochs 6] [--units 256]

FILE (by default shakespeare.txt in the folder of the data sets) is any plain text. Prints training and validation loss in nats per character after
every epoch, and samples at the end. Minutes on a laptop.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

import nnlite as keras
from nnlite import layers
from nnlite.datasets._files import data_folder

LENGTH = 100


def build(characters: int, units: int, batch: int | None = None, stateful: bool = False) -> keras.Model:
    """A model of sequences; the stateful one remembers what it read before, for writing character by character."""
    inputs = keras.Input(batch_shape=(batch, 1 if stateful else LENGTH), dtype="int32")
    x = layers.Embedding(characters, 64)(inputs)
    x = layers.LSTM(units, return_sequences=True, stateful=stateful)(x)
    x = layers.Dropout(0.2)(x)
    x = layers.LSTM(units, return_sequences=True, stateful=stateful)(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(characters)(x))


def windows(codes: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows of LENGTH characters, and the characters that follow each."""
    starts = np.arange(0, len(codes) - LENGTH, step)[:, None]
    return codes[starts + np.arange(LENGTH)], codes[starts + np.arange(1, LENGTH + 1)]


def write(model: keras.Model, alphabet: list[str], start: str, length: int, temperature: float, seed: int = 0) -> str:
    """Continues `start` by `length` characters, each drawn from what the model expects."""
    random, text = np.random.default_rng(seed), start
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()
    for character in start:
        logits = model(np.array([[alphabet.index(character)]], "int32"))
    for _ in range(length):
        shares = np.exp((np.asarray(logits)[0, 0].astype("float64")) / temperature)
        code = random.choice(len(alphabet), p=shares / shares.sum())
        text += alphabet[code]
        logits = model(np.array([[code]], "int32"))
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=pathlib.Path, default=data_folder() / "shakespeare.txt")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--units", type=int, default=256)
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    text = options.text.read_text(encoding="utf-8")
    alphabet = sorted(set(text))
    lookup = {character: code for code, character in enumerate(alphabet)}
    codes = np.array([lookup[character] for character in text], "int32")
    border = int(0.9 * len(codes))
    model = build(len(alphabet), options.units)
    steps = len(range(0, border - LENGTH, 50)) // 64
    rate = keras.optimizers.schedules.CosineDecay(4e-3, options.epochs * steps, alpha=0.02)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss, metrics=["accuracy"])
    training, validation = windows(codes[:border], 50), windows(codes[border:], LENGTH)
    history = model.fit(*training, batch_size=64, epochs=options.epochs, validation_data=validation, verbose=2)
    print(f"best validation loss: {min(history.history['val_loss']):.4f} nats")
    writer = build(len(alphabet), options.units, batch=1, stateful=True)
    writer.set_weights(model.get_weights())
    for temperature in (0.5, 0.8):
        print(f"\n--- temperature {temperature}\n{write(writer, alphabet, 'ROMEO:', 400, temperature)}")


if __name__ == "__main__":
    main()
