"""Test accuracy on real data: the seed network on MNIST and Fashion-MNIST, an MLP with dropout on MNIST.

Adam with a cosine schedule from 1e-3 to 0; the accuracy reported is that after the last epoch.

    python bench/accuracy.py [--work mnist_cnn,fashion_cnn,mnist_mlp]

Data comes from `NNLITE_DATA` or Keras's cache folder, and is downloaded when missing.
"""

from __future__ import annotations

import argparse
import time

import nnlite as keras
from nnlite import layers


def seed_network():
    return keras.Sequential([
        keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Conv2D(32, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)),
        layers.Conv2D(64, (3, 3), activation="relu"), layers.MaxPooling2D((2, 2)), layers.Conv2D(64, (3, 3), activation="relu"),
        layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
    ])


def dropout_mlp():
    return keras.Sequential([
        keras.Input((28, 28)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.2),
        layers.Dense(512, activation="relu"), layers.Dropout(0.2), layers.Dense(10, activation="softmax"),
    ])


# name: (data set, model, batch size, epochs, accuracy to reach)
WORK = {
    "mnist_cnn": ("mnist", seed_network, 64, 5, 0.990),
    "fashion_cnn": ("fashion_mnist", seed_network, 64, 12, 0.905),
    "mnist_mlp": ("mnist", dropout_mlp, 128, 10, 0.982),
}


def run(name: str) -> bool:
    """Trains and prints the test accuracy after every epoch; True when the best reaches the goal."""
    data, make, batch, epochs, goal = WORK[name]
    keras.utils.set_random_seed(1)
    (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, data).load_data()
    if make is seed_network:
        x_train, x_test = x_train[..., None], x_test[..., None]
    model = make()
    steps = epochs * -(-len(x_train) // batch)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy", metrics=["accuracy"])
    start = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size=batch, epochs=epochs, validation_data=(x_test, y_test), verbose=2).history
    reached = history["val_accuracy"][-1]
    print(f"{name}: test accuracy {reached:.2%} after {epochs} epochs (goal {goal:.1%}), {time.perf_counter() - start:.0f} s\n", flush=True)
    return reached >= goal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=",".join(WORK))
    results = [run(name) for name in parser.parse_args().work.split(",")]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
