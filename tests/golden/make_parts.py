"""Writes parts.json: what Keras gives for the cases of part_cases.py. Run it with a Python that has Keras 3 (any backend)."""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import part_cases as cases


def plain(value) -> list:
    return [float(f"{v:.7g}") for v in np.asarray(keras.ops.convert_to_numpy(value), "float64").reshape(-1)]


def main() -> None:
    x = keras.ops.convert_to_tensor(cases.X)
    found = {cases.key(name, arguments): plain(getattr(keras.activations, name)(x, **arguments)) for name, arguments in cases.ACTIVATIONS}
    for module, made in ((keras.regularizers, cases.REGULARIZERS), (keras.constraints, cases.CONSTRAINTS)):
        found.update({cases.key(name, arguments): plain(getattr(module, name)(**arguments)(x)) for name, arguments in made})
    (pathlib.Path(__file__).parent / "parts.json").write_text(json.dumps(found, indent=0) + "\n")


if __name__ == "__main__":
    main()
