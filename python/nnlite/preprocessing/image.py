"""Images as arrays and as files."""

from __future__ import annotations

import numpy as np

from nnlite.utils.image_utils import array_to_img as array_to_img
from nnlite.utils.image_utils import img_to_array as img_to_array
from nnlite.utils.image_utils import load_img as load_img
from nnlite.utils.image_utils import save_img as save_img


def smart_resize(x, size, interpolation="bilinear", data_format="channels_last"):
    """Images of another size without distortion: the largest middle part of the new proportions is cut out first.

    Args:
        x: One image with 3 axes or a batch with 4; an array gives an array.
        size: (height, width).
        interpolation: As for `Resizing`.
        data_format: "channels_last" or "channels_first".

    >>> smart_resize(np.ones((4, 8, 3)), (2, 2)).shape
    (2, 2, 3)
    """
    from nnlite import ops

    if len(np.shape(size)) != 1 or len(size) != 2:
        raise ValueError(f"`size` of smart_resize() must be a tuple (height, width). Received: size={size}")
    y = ops.image.resize(x, tuple(size), interpolation=interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return y.numpy() if isinstance(x, np.ndarray) else y
