"""ResNet-20 (He et al., 2015) on CIFAR-10, with flips and crops.

    python examples/cifar10_resnet20.py [--epochs 36] [--batch 64] [--curve curve.csv]

Prints accuracy on the test images after every epoch and the best and last one at the end.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import nnlite as keras
from nnlite import layers


class Augmented(keras.utils.PyDataset):
    """Batches in a new random order every epoch; each image shifted by up to four pixels and flipped half of the time."""

    def __init__(self, x, y, batch, seed=0):
        super().__init__()
        self.x = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
        self.y, self.batch, self.random = y, batch, np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self.y) // self.batch

    def __getitem__(self, index):
        rows = self.order[index * self.batch : (index + 1) * self.batch]
        images = np.empty((len(rows), 32, 32, 3), "float32")
        shifts, flips = self.random.integers(0, 9, (len(rows), 2)), self.random.random(len(rows)) < 0.5
        for image, row, (top, left), flip in zip(images, rows, shifts, flips):
            part = self.x[row, top : top + 32, left : left + 32]
            image[...] = part[:, ::-1] if flip else part
        return images, self.y[rows]

    def on_epoch_end(self):
        self.order = self.random.permutation(len(self.y))


def resnet20() -> keras.Model:
    def convolution(x, filters, size, strides=1):
        x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.Activation("relu")(convolution(inputs, 16, 3))
    for filters in (16, 32, 64):
        for block in range(3):
            strides = 2 if filters > 16 and block == 0 else 1
            y = layers.Activation("relu")(convolution(x, filters, 3, strides))
            y = convolution(y, filters, 3)
            shortcut = convolution(x, filters, 1, strides) if strides > 1 else x
            x = layers.Activation("relu")(layers.Add()([y, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--images", type=int, default=50_000, help="train on the first so many")
    parser.add_argument("--curve", help="also write the curve here, as CSV")
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    (x, y), (x_test, y_test) = keras.datasets.cifar10.load_data()
    x, y = x[: options.images], y[: options.images].ravel()
    mean, scale = x.mean((0, 1, 2), dtype="float64"), x.std((0, 1, 2), dtype="float64")
    x, x_test = (((part - mean) / scale).astype("float32") for part in (x, x_test))
    data = Augmented(x, y, options.batch)
    steps = options.epochs * len(data)
    rate = keras.optimizers.schedules.CosineDecay(0.01, steps - steps // 8, alpha=0.0, warmup_target=0.1, warmup_steps=steps // 8)
    model = resnet20()
    model.compile(keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4), "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [keras.callbacks.CSVLogger(options.curve)] if options.curve else []
    start = time.perf_counter()
    history = model.fit(data, epochs=options.epochs, validation_data=(x_test, y_test.ravel()), verbose=2, callbacks=callbacks).history
    seconds = time.perf_counter() - start
    accuracy = history["val_accuracy"]
    print(f"test accuracy {accuracy[-1]:.4f} after the last epoch (best {max(accuracy):.4f}); {len(y)} images; {seconds / options.epochs:.1f} s an epoch")


if __name__ == "__main__":
    main()
