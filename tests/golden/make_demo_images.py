"""Makes python/nnlite/demo/images.npz: the first 2,800 training and 500 test images of Fashion-MNIST (MIT licence), unchanged."""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np

from nnlite.datasets import fashion_mnist

TARGET = pathlib.Path(__file__).parents[2] / "python" / "nnlite" / "demo" / "images.npz"


def _member(name: str) -> zipfile.ZipInfo:
    """A zip entry with a fixed time stamp, so that the file has the same bytes every time."""
    info = zipfile.ZipInfo(f"{name}.npy")
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def main() -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    arrays = {"x_train": x_train[:2800], "y_train": y_train[:2800], "x_test": x_test[:500], "y_test": y_test[:500]}
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            with archive.open(_member(name), "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array))
    print(TARGET, TARGET.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
