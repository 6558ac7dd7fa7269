"""Writes attention.npz, attention.json and attention.weights.h5: what Keras computes for the cases of attention_cases.py.

Run it with a Python that has Keras 3 on TensorFlow.
"""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from attention_cases import CASES

HERE = pathlib.Path(__file__).parent


def run(case) -> tuple[dict, list]:
    """(arrays by key, paths and shapes of the weights) of one case, computed in float64."""
    layer = case.make(keras, "float64")
    inputs = [tf.constant(array) for array in case.arrays()]
    case.run(layer, inputs)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = case.run(layer, inputs)
        loss = sum(tf.reduce_sum(y * case.cotangent(y.shape)) for y in outputs)
    found = {f"{case.name}/output{i}": y.numpy() for i, y in enumerate(outputs)}
    for i, gradient in enumerate(tape.gradient(loss, inputs + [weight.value for weight in layer.trainable_weights])):
        found[f"{case.name}/gradient{i}"] = tf.convert_to_tensor(gradient).numpy()
    return found, [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights]


def write_weights() -> None:
    """A file with the weights of one layer of each kind."""
    layers = [case.make(keras, "float32") for case in CASES if "-" not in case.name]
    model = keras.Sequential(layers)
    for case, layer in zip([case for case in CASES if "-" not in case.name], layers):
        case.run(layer, [array.astype("float32") for array in case.arrays()])
        for weight in layer.weights:
            weight.assign(case.weight(weight.path, weight.shape))
    model.built = True
    model.save_weights(HERE / "attention.weights.h5")


def main() -> None:
    arrays, facts = {}, {}
    for case in CASES:
        keras.utils.clear_session()
        config = case.make(keras, "float32").get_config()
        found, weights = run(case)
        facts[case.name] = {"config": config, "weights": weights}
        arrays.update({key: value.astype("float32") for key, value in found.items()})
    np.savez_compressed(HERE / "attention.npz", **arrays)
    (HERE / "attention.json").write_text(json.dumps(facts, indent=0, sort_keys=True) + "\n")
    keras.utils.clear_session()
    write_weights()


if __name__ == "__main__":
    main()
