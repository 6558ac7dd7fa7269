"""Cases of image layers whose random factors leave nothing to chance, shared by the script that asks Keras and by the tests."""

from __future__ import annotations

import numpy as np

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3)).astype("float32")
SMOOTH = (np.arange(24, dtype="float32").reshape(1, 4, 6, 1) * 4).repeat(2, 0)
SHARE = IMAGES / 255.0


class Case:
    """A layer, its arguments and its input; random layers are called in training mode."""

    def __init__(self, layer, *args, images=IMAGES, tag="", training=True, **arguments):
        self.layer, self.args, self.arguments, self.images, self.training = layer, args, arguments, images, training
        self.name = layer + (f"-{tag}" if tag else "")


CASES = [
    Case("Resizing", 2, 3),
    Case("Resizing", 8, 3, images=SMOOTH, tag="larger"),
    Case("Resizing", 3, 3, crop_to_aspect_ratio=True, tag="crop"),
    Case("Resizing", 3, 3, pad_to_aspect_ratio=True, fill_value=7.0, tag="pad"),
    Case("Resizing", 2, 2, interpolation="nearest", images=IMAGES[0].astype("uint8"), tag="nearest"),
    Case("Resizing", 3, 4, images=IMAGES.astype("uint8"), tag="bytes"),
    Case("Resizing", 2, 2, antialias=True, tag="antialias"),
    Case("CenterCrop", 2, 3),
    Case("CenterCrop", 3, 3, images=IMAGES[0], tag="single"),
    Case("CenterCrop", 6, 6, tag="too_small"),
    Case("CenterCrop", 2, 3, training=False, tag="inference"),
    Case("RandomCrop", 5, 6),
    Case("RandomCrop", 6, 6, tag="too_small"),
    Case("RandomCrop", 9, 9, images=IMAGES[0], tag="single"),
    Case("RandomFlip", training=False, tag="inference"),
    Case("RandomFlip", training=False, images=IMAGES.astype("uint8"), tag="bytes"),
    Case("RandomTranslation", (0.25, 0.25), (0.2, 0.2), images=SMOOTH),
    Case("RandomTranslation", (0.2, 0.2), 0.0, fill_mode="constant", fill_value=9.0, tag="constant"),
    Case("RandomTranslation", (-0.3, -0.3), (0.3, 0.3), fill_mode="nearest", interpolation="nearest", images=SMOOTH, tag="nearest"),
    Case("RandomRotation", (0.1, 0.1), images=SMOOTH),
    Case("RandomRotation", (0.25, 0.25), fill_mode="constant", images=IMAGES[0], tag="quarter"),
    Case("RandomRotation", (-0.07, -0.07), fill_mode="nearest", tag="nearest"),
    Case("RandomZoom", (0.3, 0.3), images=SMOOTH),
    Case("RandomZoom", (-0.3, -0.3), (0.2, 0.2), fill_mode="constant", fill_value=5.0, tag="constant"),
    Case("RandomZoom", (-0.3, -0.3), fill_mode="nearest", images=IMAGES[0], tag="single"),
    Case("RandomBrightness", (0.2, 0.2)),
    Case("RandomBrightness", (-0.2, -0.2), value_range=(0, 1), images=SHARE, tag="unit"),
    Case("RandomContrast", (0.0, 0.0)),
    Case("RandomHue", (1.0, 1.0)),
    Case("RandomHue", (1.0, 1.0), value_range=(0, 1), images=SHARE[0], tag="single"),
    Case("RandomSaturation", (0.3, 0.3)),
    Case("RandomSaturation", (0.7, 0.7), value_range=(0, 1), images=SHARE, tag="unit"),
    Case("RandomColorDegeneration", (0.4, 0.4)),
    Case("RandomInvert", (1.0, 1.0)),
    Case("RandomGrayscale", 1.0),
    Case("RandomSharpness", (0.3, 0.3)),
    Case("RandomSharpness", (0.9, 0.9), value_range=(0, 1), images=SHARE, tag="unit"),
    Case("RandomPosterization", (3, 3)),
    Case("RandomPosterization", (2, 2), value_range=(0, 1), images=SHARE, tag="unit"),
    Case("Solarization"),
    Case("Solarization", value_range=(0, 1), images=SHARE, tag="unit"),
    Case("AutoContrast"),
    Case("AutoContrast", value_range=(0, 1), images=SHARE[0], training=False, tag="unit"),
    Case("Equalization", images=IMAGES[:1]),
    Case("Equalization", value_range=(0, 1), bins=16, images=SHARE[0], tag="unit"),
    Case("RandomGaussianBlur", (1.0, 1.0), kernel_size=3, sigma=(0.7, 0.7)),
    Case("RandomErasing", (1.0, 1.0), scale=(1.0, 1.0), fill_value=4.0),
    Case("RandomColorJitter", brightness_factor=(0.1, 0.1), saturation_factor=(0.4, 0.4)),
]
BY_NAME = {case.name: case for case in CASES}
assert len(BY_NAME) == len(CASES), "case names must be unique"
# Layers without such a case: their configs alone are compared.
CONFIGS = {
    "RandomShear": {"x_factor": 0.1, "y_factor": (0.1, 0.2)},
    "MixUp": {"seed": 3},
    "CutMix": {},
    "RandAugment": {},
    "RandomFlip": {"mode": "vertical", "seed": 3, "data_format": "channels_first"},
    "RandomErasing": {},
}
