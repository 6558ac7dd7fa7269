"""Writes ../saving/golden/vocabulary.keras and vocabulary.npy. Run it with a Python that has Keras 3 on TensorFlow."""

from __future__ import annotations

import pathlib

import keras
import numpy as np
import vocabulary_model

GOLDEN = pathlib.Path(__file__).parents[1] / "saving" / "golden"


def main() -> None:
    model = vocabulary_model.make(keras)
    model.save(GOLDEN / "vocabulary.keras")
    np.save(
        GOLDEN / "vocabulary.npy", model.predict({key: keras.ops.convert_to_tensor(value) for key, value in vocabulary_model.DATA.items()}, verbose=0)
    )


if __name__ == "__main__":
    main()
