"""Writes images.json: what Keras gives for the cases of image_cases.py. Run it with a Python that has Keras 3 on TensorFlow."""

from __future__ import annotations

import json
import pathlib

import image_cases as cases
import keras
import numpy as np


def main() -> None:
    found = {}
    for case in cases.CASES:
        keras.utils.clear_session()
        layer = getattr(keras.layers, case.layer)(*case.args, **case.arguments)
        y = layer(case.images, training=case.training)
        values = [float(f"{v:.6g}") for v in np.asarray(y, "float64").reshape(-1)]
        found[case.name] = {"config": layer.get_config(), "dtype": y.dtype.name, "shape": list(y.shape), "values": values}
    for name, arguments in cases.CONFIGS.items():
        keras.utils.clear_session()
        found[f"config {name}"] = {"config": getattr(keras.layers, name)(**arguments).get_config()}
    lines = [f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in found.items()]
    (pathlib.Path(__file__).parent / "images.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
