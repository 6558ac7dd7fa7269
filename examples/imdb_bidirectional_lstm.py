"""Sentiment of IMDB reviews with two bidirectional LSTMs.

    python examples/imdb_bidirectional_lstm.py [--epochs 2]

Prints loss and accuracy on the 25,000 validation reviews after every epoch. A minute or two an epoch on a laptop.
"""

from __future__ import annotations

import argparse
import math

import nnlite as keras
from nnlite import layers

WORDS, LENGTH, BATCH = 20000, 200, 32


def build() -> keras.Model:
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(WORDS, 128)(inputs)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(64))(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_valid, y_valid) = keras.datasets.imdb.load_data(num_words=WORDS)
    x_train, x_valid = (keras.utils.pad_sequences(x, maxlen=LENGTH) for x in (x_train, x_valid))
    model = build()
    model.summary()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, options.epochs * math.ceil(len(x_train) / BATCH))
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=BATCH, epochs=options.epochs, validation_data=(x_valid, y_valid), verbose=2)
    print(f"best validation accuracy: {max(history.history['val_accuracy']):.4f}")


if __name__ == "__main__":
    main()
