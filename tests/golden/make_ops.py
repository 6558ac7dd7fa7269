"""Asks Keras for the results of the calls in op_calls: `KERAS_BACKEND=jax python make_ops.py` writes ops.npz beside this file.

Run once per backend with `--check`, it lists the calls on which that backend differs from the stored results.
"""

from __future__ import annotations

import pathlib
import sys

import keras
import numpy as np
from op_calls import CALLS

FILE = pathlib.Path(__file__).with_name("ops.npz")


def results(call) -> dict[str, np.ndarray]:
    function = keras.ops
    for part in call.name.split("."):
        function = getattr(function, part)
    args, kwargs = call.arguments()
    leaves = keras.tree.flatten(function(*args, **kwargs))
    return {f"{call.key}/{k}": np.array(keras.ops.convert_to_numpy(leaf)) for k, leaf in enumerate(leaves)}


def main() -> None:
    stored = dict(np.load(FILE)) if "--check" in sys.argv else None
    found: dict[str, np.ndarray] = {}
    for call in CALLS:
        try:
            made = results(call)
        except Exception as error:  # what a backend cannot do is listed and left out
            print(f"{call.key}: {error!r:.100}")
            continue
        found.update(made)
        for key, array in made.items() if stored is not None else ():
            if key in stored and not np.allclose(array.astype("float64"), stored[key].astype("float64"), rtol=2e-4, atol=2e-5, equal_nan=True):
                print(f"{key}: {keras.backend.backend()} differs")
    if stored is None:
        np.savez_compressed(FILE, **found)
        print(f"{len(found)} results of {len(CALLS)} calls")


if __name__ == "__main__":
    main()
