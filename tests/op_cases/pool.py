"""Cases of pooling and its gradients."""

import numpy as np

from nnlite.ops._windows import output_hw

from .case import Case, distinct, floats, ints

# (input NHWC, pool_size, strides, padding)
_GEOMETRIES = (
    ((1, 4, 4, 1), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((2, 5, 7, 3), (2, 2), (2, 2), (0, 1, 0, 1)),
    ((1, 6, 6, 5), (3, 3), (2, 2), (0, 1, 0, 1)),
    ((1, 6, 6, 2), (3, 3), (1, 1), (1, 1, 1, 1)),
    ((1, 7, 9, 17), (2, 3), (1, 2), (0, 0, 1, 1)),
    ((2, 8, 8, 33), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((1, 1, 9, 3), (1, 4), (1, 3), (0, 0, 1, 1)),
    ((1, 9, 9, 2), (2, 2), (3, 3), (0, 0, 0, 0)),
    ((0, 4, 4, 2), (2, 2), (2, 2), (0, 0, 0, 0)),
    ((1, 17, 16, 1), (17, 16), (1, 1), (0, 0, 0, 0)),
)


def _cases():
    for image, pool_size, strides, padding in _GEOMETRIES:
        shared = {"pool_size": pool_size, "strides": strides, "padding": padding}
        out = (image[0], *output_hw(image, pool_size, strides, padding), image[3])
        dtype = "uint8" if pool_size[0] * pool_size[1] <= 255 else "int32"
        yield Case("max_pool2d", (distinct(*image),), shared, second=False)
        yield Case("average_pool2d", (floats(*image),), shared, tolerance=32, scale=1.0, second=False)
        yield Case("average_pool2d_grad", (floats(*out),), {"input_shape": image, **shared}, tolerance=32, scale=1.0, second=False)
        if not any(padding):  # every position of a window exists
            argmax = ints(*out, low=0, high=pool_size[0] * pool_size[1], dtype=dtype)
            yield Case("max_pool2d_grad", (floats(*out), argmax), {"input_shape": image, **shared}, tolerance=16, scale=1.0, second=False)
    shared = {"pool_size": (2, 2), "strides": (2, 2), "padding": (0, 0, 0, 0)}
    ties = np.array([1.0, 1.0, 0.0, 1.0, 2.0, 3.0, 3.0, 3.0, -1.0, -2.0, np.nan, 1.0, -np.inf, -np.inf, np.nan, np.nan]).reshape(1, 4, 4, 1)
    yield Case("max_pool2d", (ties,), shared, gradient=False)
    yield Case("max_pool2d", (np.full((1, 4, 4, 20), -np.inf),), shared, gradient=False)
    yield Case("max_pool2d", (ints(1, 4, 4, 20),), shared)


CASES = list(_cases())
