"""RandAugment and Pipeline: several image layers together."""

from __future__ import annotations

from nnlite import ops, random
from nnlite.layers._arguments import positive_int
from nnlite.layers._augmentation import RandomImageLayer, factor_range, value_range_of
from nnlite.layers.color_augmentation import RandomColorDegeneration
from nnlite.layers.layer import Layer
from nnlite.layers.random_colors import RandomBrightness, RandomContrast
from nnlite.layers.random_geometry import RandomRotation, RandomShear, RandomTranslation
from nnlite.layers.tone_augmentation import AutoContrast, Equalization, RandomPosterization, RandomSharpness, Solarization


class RandAugment(RandomImageLayer):
    """In training, applies `num_ops` of eleven augmentations to a batch, drawn at random.

    Args:
        value_range: Lowest and highest value of a pixel.
        num_ops: How many are applied one after the other.
        factor: Strength: a number f for [0, f], or (lower, upper).
        interpolation: "bilinear" or "nearest".
        seed: Makes the draws repeatable.
        data_format: "channels_last" or "channels_first"; by default the library's setting.
    """

    def __init__(self, value_range=(0, 255), num_ops=2, factor=0.5, interpolation="bilinear", seed=None, data_format=None, **kwargs):
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = value_range_of(value_range, self)
        self.num_ops = positive_int(num_ops, "num_ops", "RandAugment")
        self.factor = factor_range(factor, self, 0.0, 1.0)
        self.interpolation = interpolation
        moves = {"interpolation": interpolation, "seed": seed}
        tones = {"value_range": value_range, "seed": seed}
        strength = tuple(self.factor)
        self.parts = [
            RandomShear(x_factor=strength, y_factor=strength, **moves),
            RandomTranslation(height_factor=strength, width_factor=strength, **moves),
            RandomRotation(factor=strength, **moves),
            RandomBrightness(factor=strength, **tones),
            RandomColorDegeneration(factor=strength, **tones),
            RandomContrast(factor=strength, **tones),
            RandomSharpness(factor=strength, **tones),
            Solarization(addition_factor=strength, threshold_factor=strength, **tones),
            RandomPosterization(factor=max(1, int(8 * strength[1])), **tones),
            AutoContrast(value_range=value_range),
            Equalization(value_range=value_range),
        ]

    def transform(self, x):
        for _ in range(self.num_ops):
            which = ops.cast(random.uniform((), 0.0, float(len(self.parts)), seed=self.generator), "int32")
            y = x
            for i, part in enumerate(self.parts):
                y = ops.where(ops.equal(which, i), part.transform(x), y)
            x = y
        return x

    def get_config(self) -> dict:
        names = ("value_range", "num_ops", "factor", "interpolation")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class Pipeline(Layer):
    """Layers one after the other as one layer; unlike a Sequential model it passes on whatever structure they take.

    Args:
        layers: Layers.

    >>> import numpy as np, nnlite
    >>> pipeline = Pipeline([nnlite.layers.RandomFlip(), nnlite.layers.Resizing(2, 2)])
    >>> pipeline({"images": np.ones((1, 4, 4, 3)), "labels": np.ones((1,))})["images"].shape
    (1, 2, 2, 3)
    """

    _convert_input_args = False
    _allow_non_tensor_positional_args = True

    def __init__(self, layers, name=None):
        super().__init__(name=name)
        strange = [layer for layer in layers if not isinstance(layer, Layer)]
        if strange:
            raise ValueError(
                f"Pipeline takes a list of layers; received {strange[0]!r} of type {type(strange[0]).__name__}. Wrap functions in Lambda."
            )
        self.__dict__["_steps"] = self._track(list(layers))

    @property
    def layers(self) -> list:
        """The layers in order."""
        return list(self._steps)

    def call(self, inputs, training=True):
        for layer in self._steps:
            inputs = layer(inputs, training=training) if layer._takes_training else layer(inputs)
        return inputs

    def get_config(self) -> dict:
        from nnlite.saving import serialize_keras_object

        return {"layers": [serialize_keras_object(layer) for layer in self._steps], "name": self.name}

    @classmethod
    def from_config(cls, config: dict):
        from nnlite.saving import deserialize_keras_object

        return cls([deserialize_keras_object(layer) for layer in config["layers"]], name=config.get("name"))
