"""Cases of layers, shared by the script that asks Keras and by the tests: the layers are made in either library, with the same weights and inputs."""

from __future__ import annotations

import zlib

import numpy as np


class Case:
    """One layer with its inputs.

    Attributes:
        name: Unique; seeds the inputs and weights.
        layer: Class name.
        arguments: Keyword arguments of the class.
        shapes: Input shapes; a layer with several inputs takes a list of them.
        inputs: "normal", or ("ints", n) for integers below n.
        training: Whether outputs in training mode are compared, too.
        keyword: Further keyword arrays of the call: name -> array.
    """

    def __init__(self, layer, shapes, *, inputs="normal", training=False, tag="", keyword=None, **arguments):
        self.layer = layer
        self.arguments = arguments
        self.shapes = shapes if isinstance(shapes, list) else [shapes]
        self.several = isinstance(shapes, list)
        self.inputs = inputs
        self.training = training
        self.keyword = keyword or {}
        self.name = layer + (f"-{tag}" if tag else "")

    def rng(self, what: str):
        return np.random.default_rng(zlib.crc32(f"{self.name}/{what}".encode()))

    def arrays(self) -> list:
        rng = self.rng("inputs")
        if self.inputs == "normal":
            return [rng.normal(size=shape) for shape in self.shapes]
        return [rng.integers(0, self.inputs[1], shape).astype("int32") for shape in self.shapes]

    def weight(self, path: str, shape):
        """Values of a weight; variances are positive."""
        values = self.rng(path.rpartition("/")[2]).normal(size=tuple(shape)) * 0.5
        return np.abs(values) + 0.5 if "variance" in path else values

    def cotangent(self, shape):
        return self.rng("cotangent").normal(size=tuple(shape))

    def make(self, library, dtype: str):
        return getattr(library.layers, self.layer)(**self.arguments, dtype=dtype)


IMAGE = (2, 6, 5, 4)
LINE = (2, 7, 3)
ROW = (3, 5)
VOLUME = (1, 3, 4, 5, 2)

CASES = [
    Case("Dense", ROW, units=4),
    Case("Dense", LINE, units=4, activation="relu", tag="rank3"),
    Case("Dense", ROW, units=2, activation="softmax", use_bias=False, tag="softmax"),
    Case("Embedding", (2, 3), inputs=("ints", 6), input_dim=6, output_dim=4),
    Case("Conv1D", LINE, filters=4, kernel_size=3),
    Case("Conv1D", LINE, filters=4, kernel_size=2, padding="causal", dilation_rate=2, tag="causal"),
    Case("Conv1D", LINE, filters=2, kernel_size=3, padding="same", strides=2, activation="tanh", tag="same"),
    Case("Conv2D", IMAGE, filters=3, kernel_size=3),
    Case("Conv2D", IMAGE, filters=3, kernel_size=(2, 3), strides=(2, 1), padding="same", activation="relu", tag="same"),
    Case("Conv2D", IMAGE, filters=4, kernel_size=3, groups=2, use_bias=False, padding="same", tag="groups"),
    Case("Conv2D", IMAGE, filters=2, kernel_size=2, dilation_rate=(2, 1), tag="dilated"),
    Case("Conv1DTranspose", LINE, filters=4, kernel_size=3, strides=2),
    Case("Conv1DTranspose", LINE, filters=2, kernel_size=2, strides=3, padding="same", tag="same"),
    Case("Conv2DTranspose", (2, 3, 4, 2), filters=3, kernel_size=3, strides=2, padding="same"),
    Case("Conv2DTranspose", (2, 3, 4, 2), filters=2, kernel_size=(2, 3), strides=(1, 2), tag="valid"),
    Case("Conv2DTranspose", (2, 3, 4, 2), filters=2, kernel_size=3, strides=2, output_padding=1, padding="same", tag="output_padding"),
    Case("DepthwiseConv1D", LINE, kernel_size=3, depth_multiplier=2),
    Case("DepthwiseConv2D", IMAGE, kernel_size=3, padding="same"),
    Case("DepthwiseConv2D", IMAGE, kernel_size=3, depth_multiplier=2, strides=2, tag="multiplier"),
    Case("SeparableConv1D", LINE, filters=4, kernel_size=3, padding="same"),
    Case("SeparableConv2D", IMAGE, filters=3, kernel_size=3, depth_multiplier=2),
    Case("MaxPooling1D", LINE, pool_size=2),
    Case("MaxPooling2D", IMAGE),
    Case("MaxPooling2D", IMAGE, pool_size=3, strides=2, padding="same", tag="same"),
    Case("AveragePooling1D", LINE, pool_size=3, strides=2, padding="same"),
    Case("AveragePooling2D", IMAGE, pool_size=2),
    Case("AveragePooling2D", IMAGE, pool_size=3, strides=2, padding="same", tag="same"),
    Case("GlobalAveragePooling1D", LINE),
    Case("GlobalAveragePooling2D", IMAGE, keepdims=True),
    Case("GlobalMaxPooling1D", LINE),
    Case("GlobalMaxPooling2D", IMAGE),
    Case("Flatten", LINE),
    Case("Reshape", LINE, target_shape=(-1, 7)),
    Case("Permute", LINE, dims=(2, 1)),
    Case("RepeatVector", ROW, n=3),
    Case("ZeroPadding1D", LINE, padding=(1, 2)),
    Case("ZeroPadding2D", IMAGE, padding=((1, 0), (0, 2))),
    Case("Cropping1D", LINE, cropping=(1, 2)),
    Case("Cropping2D", IMAGE, cropping=((1, 2), (0, 1))),
    Case("UpSampling1D", LINE, size=2),
    Case("UpSampling2D", (1, 2, 3, 2), size=(2, 3)),
    Case("UpSampling2D", (1, 2, 3, 2), size=2, interpolation="bilinear", tag="bilinear"),
    Case("Dropout", ROW, rate=0.5),
    Case("SpatialDropout1D", LINE, rate=0.5),
    Case("SpatialDropout2D", (1, 2, 3, 2), rate=0.5),
    Case("GaussianNoise", ROW, stddev=0.5),
    Case("GaussianDropout", ROW, rate=0.5),
    Case("AlphaDropout", ROW, rate=0.5),
    Case("ActivityRegularization", ROW, l1=0.1, l2=0.2),
    Case("Activation", ROW, activation="selu"),
    Case("ReLU", ROW, max_value=1.0, negative_slope=0.1, threshold=0.2),
    Case("ReLU", ROW, max_value=6.0, tag="relu6"),
    Case("LeakyReLU", ROW),
    Case("PReLU", LINE),
    Case("PReLU", LINE, shared_axes=[1], tag="shared"),
    Case("ELU", ROW, alpha=0.5),
    Case("Softmax", LINE, axis=1),
    Case("BatchNormalization", ROW, training=True),
    Case("BatchNormalization", IMAGE, training=True, scale=False, momentum=0.9, tag="image"),
    Case("BatchNormalization", LINE, training=True, axis=1, center=False, tag="axis1"),
    Case("LayerNormalization", ROW),
    Case("LayerNormalization", LINE, axis=[1, 2], tag="axes"),
    Case("LayerNormalization", LINE, axis=1, scale=False, tag="axis1"),
    Case("GroupNormalization", IMAGE, groups=2),
    Case("RMSNormalization", ROW),
    Case("UnitNormalization", ROW),
    Case("Rescaling", ROW, scale=0.5, offset=1.0),
    Case("Add", [ROW, ROW, ROW]),
    Case("Add", [(2, 1, 3), (2, 3)], tag="ranks"),
    Case("Subtract", [ROW, ROW]),
    Case("Multiply", [ROW, (3, 1)]),
    Case("Average", [ROW, ROW, ROW]),
    Case("Maximum", [ROW, ROW]),
    Case("Minimum", [ROW, ROW, ROW]),
    Case("Concatenate", [ROW, (3, 2)]),
    Case("Concatenate", [LINE, (2, 2, 3)], axis=1, tag="axis1"),
    Case("Dot", [(2, 3, 4), (2, 4, 5)], axes=(2, 1)),
    Case("Dot", [ROW, ROW], axes=1, normalize=True, tag="cosine"),
    Case("Conv3D", VOLUME, filters=3, kernel_size=2),
    Case("Conv3D", VOLUME, filters=2, kernel_size=3, strides=(1, 2, 1), padding="same", tag="same"),
    Case("Conv3DTranspose", VOLUME, filters=2, kernel_size=2, strides=2, padding="same"),
    Case("MaxPooling3D", VOLUME),
    Case("AveragePooling3D", VOLUME, pool_size=2, padding="same"),
    Case("GlobalAveragePooling3D", VOLUME),
    Case("GlobalMaxPooling3D", VOLUME),
    Case("ZeroPadding3D", VOLUME, padding=(1, 0, 2)),
    Case("Cropping3D", VOLUME, cropping=((1, 0), (1, 1), (0, 2))),
    Case("UpSampling3D", VOLUME, size=(1, 2, 1)),
    Case("SpatialDropout3D", VOLUME, rate=0.5),
    Case("Masking", LINE),
    Case("Identity", ROW),
]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES), "case names must be unique"
