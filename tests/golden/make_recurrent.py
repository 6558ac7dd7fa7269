"""Writes recurrent.npz, recurrent.json and recurrent.weights.h5: what Keras computes for the cases of recurrent_cases.py.

Run it with a Python that has Keras 3 on TensorFlow.
"""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from recurrent_cases import CASES

HERE = pathlib.Path(__file__).parent


def reset(layer) -> None:
    if getattr(layer, "stateful", False):
        layer.reset_state()


def run(case) -> tuple[dict, dict]:
    """(arrays by key, config and weights) of one case, computed in float64."""
    config = case.make(keras, "float32").get_config()
    keras.utils.clear_session()
    layer = case.make(keras, "float64")
    inputs = [tf.constant(array) for array in case.arrays()]
    case.run(layer, inputs, keras.tree.flatten)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    reset(layer)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = case.run(layer, inputs, keras.tree.flatten)
        loss = sum(tf.reduce_sum(y * case.cotangent(i, y.shape)) for i, y in enumerate(outputs))
    found = {f"{case.name}/output{i}": y.numpy() for i, y in enumerate(outputs)}
    for i, gradient in enumerate(tape.gradient(loss, inputs + [weight.value for weight in layer.trainable_weights])):
        found[f"{case.name}/gradient{i}"] = tf.convert_to_tensor(gradient).numpy()
    return found, {"config": config, "weights": [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights]}


def main() -> None:
    arrays, facts, kinds = {}, {}, []
    for case in CASES:
        keras.utils.clear_session()
        found, facts[case.name] = run(case)
        arrays.update({key: value.astype("float32") for key, value in found.items()})
    np.savez_compressed(HERE / "recurrent.npz", **arrays)
    (HERE / "recurrent.json").write_text(json.dumps(facts, indent=0, sort_keys=True) + "\n")
    keras.utils.clear_session()
    kinds = [case for case in CASES if "-" not in case.name]
    layers = [case.make(keras, "float32") for case in kinds]
    for case, layer in zip(kinds, layers):
        case.run(layer, [array.astype("float32") for array in case.arrays()], keras.tree.flatten)
        for weight in layer.weights:
            weight.assign(case.weight(weight.path, weight.shape))
    model = keras.Sequential(layers)
    model.built = True
    model.save_weights(HERE / "recurrent.weights.h5")


if __name__ == "__main__":
    main()
