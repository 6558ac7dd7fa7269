"""Layers."""

from nnlite.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax  # noqa: F401
from nnlite.layers.attention import AdditiveAttention, Attention  # noqa: F401
from nnlite.layers.batch_normalization import BatchNormalization  # noqa: F401
from nnlite.layers.bidirectional import Bidirectional  # noqa: F401
from nnlite.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D  # noqa: F401
from nnlite.layers.convolution import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose  # noqa: F401
from nnlite.layers.core import Identity, Lambda, Masking, Rescaling, Wrapper  # noqa: F401
from nnlite.layers.dense import Dense  # noqa: F401
from nnlite.layers.depthwise import DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D  # noqa: F401
from nnlite.layers.einsum_dense import EinsumDense  # noqa: F401
from nnlite.layers.embedding import Embedding  # noqa: F401
from nnlite.layers.grouped_query_attention import GroupedQueryAttention as GroupQueryAttention  # noqa: F401
from nnlite.layers.input_layer import Input, InputLayer  # noqa: F401
from nnlite.layers.input_spec import InputSpec  # noqa: F401
from nnlite.layers.layer import Layer  # noqa: F401
from nnlite.layers.merging import (  # noqa: F401
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from nnlite.layers.multi_head_attention import MultiHeadAttention  # noqa: F401
from nnlite.layers.normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization  # noqa: F401
from nnlite.layers.pooling import (  # noqa: F401
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from nnlite.layers.recurrent import RNN, StackedRNNCells  # noqa: F401
from nnlite.layers.recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell  # noqa: F401
from nnlite.layers.recurrent_layers import GRU, LSTM, SimpleRNN  # noqa: F401
from nnlite.layers.regularization import (  # noqa: F401
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from nnlite.layers.reshaping import Flatten, Permute, RepeatVector, Reshape  # noqa: F401
from nnlite.layers.resizing import Cropping1D, Cropping2D, UpSampling1D, UpSampling2D, ZeroPadding1D, ZeroPadding2D  # noqa: F401
from nnlite.layers.time_distributed import TimeDistributed  # noqa: F401
from nnlite.layers.volumes import (  # noqa: F401
    AveragePooling3D,
    Conv3D,
    Conv3DTranspose,
    Cropping3D,
    GlobalAveragePooling3D,
    GlobalMaxPooling3D,
    MaxPooling3D,
    SpatialDropout3D,
    UpSampling3D,
    ZeroPadding3D,
)

Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
AvgPool1D, AvgPool2D, MaxPool1D, MaxPool2D = AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D, GlobalMaxPool1D, GlobalMaxPool2D = (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)

AvgPool3D, MaxPool3D, GlobalAvgPool3D, GlobalMaxPool3D = AveragePooling3D, MaxPooling3D, GlobalAveragePooling3D, GlobalMaxPooling3D

# Preprocessing layers: name -> module that has it, imported when first used.
_LAZY = {
    "AdaptiveAveragePooling1D": "adaptive_pooling",
    "AdaptiveAveragePooling2D": "adaptive_pooling",
    "AdaptiveAveragePooling3D": "adaptive_pooling",
    "AdaptiveMaxPooling1D": "adaptive_pooling",
    "AdaptiveMaxPooling2D": "adaptive_pooling",
    "AdaptiveMaxPooling3D": "adaptive_pooling",
    "AutoContrast": "tone_augmentation",
    "CategoryEncoding": "category_encoding",
    "CenterCrop": "image_sizes",
    "CutMix": "mixing",
    "Discretization": "category_encoding",
    "Equalization": "tone_augmentation",
    "HashedCrossing": "hashing",
    "Hashing": "hashing",
    "IntegerLookup": "integer_lookup",
    "MelSpectrogram": "mel_spectrogram",
    "MixUp": "mixing",
    "Normalization": "feature_normalization",
    "Pipeline": "rand_augment",
    "RandAugment": "rand_augment",
    "RandomBrightness": "random_colors",
    "RandomColorDegeneration": "color_augmentation",
    "RandomColorJitter": "color_augmentation",
    "RandomContrast": "random_colors",
    "RandomCrop": "image_sizes",
    "RandomErasing": "mixing",
    "RandomFlip": "random_geometry",
    "RandomGaussianBlur": "tone_augmentation",
    "RandomGrayscale": "color_augmentation",
    "RandomHue": "color_augmentation",
    "RandomInvert": "color_augmentation",
    "RandomPosterization": "tone_augmentation",
    "RandomRotation": "random_geometry",
    "RandomSaturation": "color_augmentation",
    "RandomSharpness": "tone_augmentation",
    "RandomShear": "random_geometry",
    "RandomTranslation": "random_geometry",
    "RandomZoom": "random_geometry",
    "Resizing": "image_sizes",
    "ReversibleEmbedding": "reversible_embedding",
    "Solarization": "tone_augmentation",
    "SpectralNormalization": "spectral_normalization",
    "StringLookup": "string_lookup",
    "TextVectorization": "text_vectorization",
}


def __getattr__(name: str):
    if name in _LAZY:
        import importlib

        value = getattr(importlib.import_module(f"nnlite.layers.{_LAZY[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnlite.layers' has no attribute {name!r}")


def __dir__() -> list:
    return sorted({*globals(), *_LAZY})


def serialize(layer):
    """The config dict that `deserialize` reads."""
    from nnlite.saving import serialize_keras_object

    return serialize_keras_object(layer)


def deserialize(config, custom_objects=None):
    """The layer of a config dict.

    >>> layer = deserialize(serialize(Dense(2, name="a")))
    >>> layer.units, layer.name
    (2, 'a')
    """
    from nnlite.saving import deserialize_keras_object

    return deserialize_keras_object(config, custom_objects)
