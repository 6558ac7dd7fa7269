"""Cases of convolutions and their gradients: one list of geometries serves the three ops of each kind."""

from nnlite.graph.spec import Spec
from nnlite.ops.conv2d import conv2d_shape

from .case import Case, floats

# (input NHWC, kernel, strides, padding, dilation, groups)
_GEOMETRIES = (
    ((1, 5, 5, 1), (3, 3, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((2, 6, 7, 3), (3, 3, 3, 4), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((2, 7, 6, 3), (3, 2, 3, 5), (2, 2), (0, 1, 1, 0), (1, 1), 1),
    ((1, 8, 8, 4), (1, 1, 4, 7), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((1, 9, 9, 2), (1, 1, 2, 3), (3, 2), (0, 0, 0, 0), (1, 1), 1),
    ((2, 9, 8, 2), (3, 3, 2, 3), (1, 1), (2, 2, 2, 2), (2, 2), 1),
    ((1, 6, 6, 4), (3, 3, 2, 6), (1, 1), (1, 1, 1, 1), (1, 1), 2),
    ((1, 6, 6, 6), (3, 3, 1, 6), (2, 1), (1, 1, 1, 1), (1, 1), 6),
    ((1, 1, 12, 3), (1, 5, 3, 4), (1, 2), (0, 0, 2, 2), (1, 1), 1),
    ((1, 4, 4, 17), (3, 3, 17, 33), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((3, 12, 12, 8), (3, 3, 8, 16), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((1, 13, 10, 16), (3, 3, 16, 16), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((1, 11, 11, 3), (7, 7, 3, 8), (2, 2), (3, 3, 3, 3), (1, 1), 1),
    ((1, 7, 9, 5), (5, 5, 5, 6), (1, 1), (2, 2, 2, 2), (1, 1), 1),
    ((0, 5, 5, 2), (3, 3, 2, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((1, 2, 2, 2), (3, 3, 2, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((2, 8, 8, 1), (3, 3, 1, 8), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ((1, 5, 5, 2), (2, 2, 2, 2), (3, 3), (0, 0, 0, 0), (1, 1), 1),
    ((1, 9, 11, 16), (3, 3, 16, 2), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ((1, 12, 12, 3), (4, 4, 3, 20), (2, 2), (1, 1, 1, 1), (1, 1), 1),
    ((1, 1, 40, 1), (1, 7, 1, 16), (1, 1), (0, 0, 3, 3), (1, 1), 1),
)
_LOOSE = {"tolerance": 64, "scale": None}


def _conv2d():
    for image, kernel, strides, padding, dilation, groups in _GEOMETRIES:
        shared = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
        out = conv2d_shape("conv2d", Spec(image, "float32"), kernel, **shared)
        x, w, dy = floats(*image), floats(*kernel, seed=1), floats(*out, seed=2)
        second = x.size < 500
        yield Case("conv2d", (x, w), shared, second=second, **_LOOSE)
        yield Case("conv2d_input_grad", (dy, w), {"input_shape": image, **shared}, second=second, **_LOOSE)
        yield Case("conv2d_kernel_grad", (x, dy), {"kernel_shape": kernel, **shared}, second=second, **_LOOSE)


_DEPTHWISE = (
    ((1, 5, 5, 1), (3, 3, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
    ((2, 6, 7, 3), (3, 3, 3, 1), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((1, 7, 6, 5), (3, 3, 5, 2), (2, 2), (0, 1, 0, 1), (1, 1)),
    ((1, 9, 9, 4), (3, 3, 4, 1), (1, 1), (2, 2, 2, 2), (2, 2)),
    ((1, 8, 8, 17), (5, 5, 17, 1), (1, 1), (2, 2, 2, 2), (1, 1)),
    ((2, 10, 10, 32), (3, 3, 32, 1), (2, 2), (0, 1, 0, 1), (1, 1)),
    ((1, 11, 12, 5), (3, 3, 5, 3), (2, 2), (1, 1, 1, 1), (1, 1)),
    ((1, 9, 10, 4), (3, 3, 4, 5), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((1, 1, 9, 3), (1, 4, 3, 3), (1, 1), (0, 0, 1, 2), (1, 1)),
    ((0, 5, 5, 2), (3, 3, 2, 1), (1, 1), (0, 0, 0, 0), (1, 1)),
)


def _depthwise():
    for image, kernel, strides, padding, dilation in _DEPTHWISE:
        shared = {"strides": strides, "padding": padding, "dilation": dilation}
        grouped = (*kernel[:2], 1, kernel[2] * kernel[3])
        out = conv2d_shape("conv2d", Spec(image, "float32"), grouped, groups=image[3], **shared)
        x, w, dy = floats(*image), floats(*kernel, seed=1), floats(*out, seed=2)
        second = x.size < 500
        yield Case("depthwise_conv2d", (x, w), shared, second=second, **_LOOSE)
        yield Case("depthwise_conv2d_input_grad", (dy, w), {"input_shape": image, **shared}, second=second, **_LOOSE)
        yield Case("depthwise_conv2d_kernel_grad", (x, dy), {"kernel_shape": kernel, **shared}, second=second, **_LOOSE)


CASES = [*_conv2d(), *_depthwise()]
