"""Writes tests/models/golden/*.txt: the summaries that Keras prints. Run it with a Python that has Keras 3 on TensorFlow, and COLUMNS unset."""

from __future__ import annotations

import pathlib

import keras
from summary_models import MODELS, summary_of

TARGET = pathlib.Path(__file__).parents[1] / "models" / "golden"


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    for name in MODELS:
        (TARGET / f"{name}.txt").write_text(summary_of(keras, name), encoding="utf-8")


if __name__ == "__main__":
    main()
