"""Writes preprocessing.json: what Keras gives for the cases of preprocessing_cases.py. Run it with a Python that has Keras 3 on TensorFlow."""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import preprocessing_cases as cases


def main() -> None:
    found = {}
    for case in cases.CASES:
        keras.utils.clear_session()
        layer = getattr(keras.layers, case.layer)(**case.arguments)
        if case.adapt is not None:
            layer.adapt(case.adapt)
        config = json.loads(json.dumps(layer.get_config()))
        results = []
        for inputs in case.inputs:
            y = layer(inputs)
            values = np.asarray(y.numpy())
            results.append({"dtype": y.dtype.name, "shape": list(values.shape), "values": [float(f"{v:.7g}") for v in values.reshape(-1)]})
        found[case.name] = {"config": config, "vocabulary": cases.vocabulary(layer), "weights": cases.state(layer), "results": results}
    lines = [f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in found.items()]
    (pathlib.Path(__file__).parent / "preprocessing.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
