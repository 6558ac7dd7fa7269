"""Writes layers.npz and layer_configs.json: what Keras computes for the cases of layer_cases.py. Run it with a Python that has Keras 3 on TensorFlow."""

from __future__ import annotations

import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from layer_cases import CASES

HERE = pathlib.Path(__file__).parent


# TensorFlow pools volumes in float32 only.
_FLOAT32 = ("MaxPooling3D", "AveragePooling3D")


def run(case) -> tuple[dict, dict]:
    """(arrays by key, names and shapes of the weights) of one case, computed in float64 where that is possible."""
    dtype = "float32" if case.layer in _FLOAT32 else "float64"
    layer = case.make(keras, dtype)
    inputs = [tf.constant(array if array.dtype.kind == "i" else array.astype(dtype)) for array in case.arrays()]
    call = inputs if case.several else inputs[0]
    layer(call)
    for weight in layer.weights:
        weight.assign(case.weight(weight.path, weight.shape))
    found = {}
    for training in (False, True) if case.training else (False,):
        data = [x for x in inputs if x.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(data)
            outputs = layer(call, training=training) if layer._call_has_training_arg else layer(call)
            loss = tf.reduce_sum(outputs * case.cotangent(outputs.shape).astype(dtype))
        mode = "training" if training else "inference"
        found[f"{case.name}/{mode}/output"] = outputs.numpy()
        gradients = tape.gradient(loss, data + [weight.value for weight in layer.trainable_weights])
        for i, gradient in enumerate(gradients):
            found[f"{case.name}/{mode}/gradient{i}"] = tf.convert_to_tensor(gradient).numpy()
    for i, weight in enumerate(layer.weights):
        found[f"{case.name}/weight{i}"] = np.asarray(weight)
    return found, {"weights": [[w.path.partition("/")[2], list(w.shape)] for w in layer.weights]}


def main() -> None:
    arrays, configs = {}, {}
    for case in CASES:
        keras.utils.clear_session()
        config = case.make(keras, "float32").get_config()
        found, facts = run(case)
        configs[case.name] = {"config": config, **facts}
        arrays.update({key: value.astype("float32") for key, value in found.items()})
    np.savez_compressed(HERE / "layers.npz", **arrays)
    (HERE / "layer_configs.json").write_text(json.dumps(configs, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
