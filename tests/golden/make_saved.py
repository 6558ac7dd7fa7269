"""Writes tests/saving/golden/: models trained and saved by real Keras, and what they predict. Run it with a Python that has Keras 3."""

from __future__ import annotations

import pathlib
import zipfile

import keras
import numpy as np
from saved_models import MODELS, inputs_of, predictions, subclassed, train

TARGET = pathlib.Path(__file__).parents[1] / "saving" / "golden"


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    numbers = {}
    for name, make in MODELS.items():
        keras.utils.clear_session()
        keras.utils.set_random_seed(3)
        model = make(keras)
        train(model, name)
        model.save(TARGET / f"{name}.keras")
        _deflate(TARGET / f"{name}.keras")
        numbers.update({f"{name}/{i}": part for i, part in enumerate(predictions(model, name))})
        train(model, name)
        numbers.update({f"{name}/later/{i}": part for i, part in enumerate(predictions(model, name))})
    keras.utils.clear_session()
    model = subclassed(keras)
    model(inputs_of("subclassed"))
    model.optimizer.build(model.trainable_variables)
    model.save_weights(TARGET / "subclassed.weights.h5")
    numbers["subclassed/0"] = predictions(model, "subclassed")[0]
    np.savez_compressed(TARGET / "predictions.npz", **numbers)


def _deflate(path: pathlib.Path) -> None:
    """The same members, compressed: small enough to be kept with the sources."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
