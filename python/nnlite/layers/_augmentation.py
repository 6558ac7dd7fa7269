"""The base of layers that change images: layouts, factors and random draws."""

from __future__ import annotations

from nnlite import ops, random
from nnlite.layers._arguments import data_format_of
from nnlite.layers.layer import Layer

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("reflect", "wrap", "constant", "nearest")


class ImageLayer(Layer):
    """A layer of images [height, width, channels] or [batch, height, width, channels] (channels first with that data format).

    Subclasses define `transform(x)` for float batches with channels last. Inputs may be a dict with "images" and "labels", too; labels stay as
    they are unless `transform_labels` says otherwise.
    """

    # Whether outside of training images pass unchanged.
    _only_in_training = True

    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format_of(data_format)
        self._build_at_init()

    def call(self, data, training=True):
        images = data["images"] if isinstance(data, dict) else data
        if self._only_in_training and not training:
            images = ops.cast(images, self.compute_dtype)
            return {**data, "images": images} if isinstance(data, dict) else images
        self._check_images(data, images)
        single, first = len(images.shape) == 3, self.data_format == "channels_first"
        x = ops.cast(images, self.compute_dtype)
        x = ops.expand_dims(x, 0) if single else x
        x = ops.moveaxis(x, 1, -1) if first else x
        y = self.transform(x, training) if not self._only_in_training else self.transform(x)
        y = ops.moveaxis(y, -1, 1) if first else y
        y = ops.squeeze(y, 0) if single else y
        return {**data, "images": y} if isinstance(data, dict) else y

    def _check_images(self, data, images) -> None:
        name = f"{type(self).__name__} {self.name!r}"
        if isinstance(data, dict):
            strange = sorted(set(data) - {"images", "labels"})
            if strange:
                raise ValueError(
                    f"{name} takes dicts with the keys 'images' and 'labels'; received {sorted(data)}. {strange} cannot follow the images: "
                    "leave them out, or transform them in the data set."
                )
        if len(images.shape) not in (3, 4):
            raise ValueError(
                f"{name} takes one image with 3 axes or a batch with 4; received shape {tuple(images.shape)}. Add the channel axis with x[..., None]."
            )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "data_format": self.data_format}


class RandomImageLayer(ImageLayer):
    """An image layer with random numbers of its own, drawn per image."""

    def __init__(self, seed=None, data_format=None, **kwargs):
        super().__init__(data_format=data_format, **kwargs)
        self.seed = seed
        self.generator = random.SeedGenerator(seed)

    def draw(self, x, low=0.0, high=1.0, rank: int = 4):
        """One number per image of a batch, uniform in [low, high), shaped [batch, 1, ...]."""
        return random.uniform((x.shape[0],) + (1,) * (rank - 1), low, high, dtype=x.dtype, seed=self.generator)

    def chosen(self, x, share):
        """Whether each image is among the random `share` of all."""
        return ops.less(self.draw(x), share)

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


def factor_range(value, owner, low: float = -1.0, high: float = 1.0, name: str = "factor") -> list:
    """(lower, upper) of a factor: a number f stands for [-|f|, |f|] within the bounds."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        lower, upper = sorted(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        lower, upper = (max(-abs(value), low), abs(value)) if low <= value <= high else (value, value)
    else:
        lower = upper = None
    if lower is None or not low <= lower <= upper <= high:
        raise ValueError(
            f"The `{name}` argument of {type(owner).__name__} must be a number or two numbers (lower, upper) in the range [{low:g}, {high:g}]. "
            f"Received: {name}={value!r}"
        )
    return [lower, upper]


def value_range_of(value, owner) -> list:
    """(lowest, highest) value of the images' pixels."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not value[0] < value[1]:
        raise ValueError(
            f"The `value_range` argument of {type(owner).__name__} must be two numbers (lowest, highest). Received: value_range={value!r}"
        )
    return list(value)


def check_words(owner, **words) -> None:
    """`interpolation` and `fill_mode` must be known."""
    for name, value in words.items():
        allowed = INTERPOLATIONS if name == "interpolation" else FILL_MODES
        if value not in allowed:
            raise ValueError(f"Unknown `{name}` of {type(owner).__name__}: must be one of {allowed}. Received: {name}={value!r}")
