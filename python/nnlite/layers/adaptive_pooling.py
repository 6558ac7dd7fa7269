"""Poolings to a given output size."""

from __future__ import annotations

from nnlite import ops
from nnlite.layers._arguments import data_format_of, int_tuple
from nnlite.layers.layer import Layer


class _AdaptivePooling(Layer):
    """Reduces bins whose borders are chosen so that the spatial axes get `output_size`; neighbouring bins may overlap by a cell."""

    _axes = 0
    _function = ""

    def __init__(self, output_size, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.output_size = int_tuple(output_size, self._axes, "output_size")
        self.data_format = data_format_of(data_format)
        self._build_at_init()

    def call(self, inputs):
        if len(inputs.shape) != self._axes + 2:
            raise ValueError(
                f"{type(self).__name__} {self.name!r} takes inputs with {self._axes + 2} axes (batch, {self._axes} spatial, channels); received "
                f"{tuple(inputs.shape)}. Add the missing axis with Reshape."
            )
        return getattr(ops, self._function)(inputs, self.output_size, data_format=self.data_format)

    def compute_output_shape(self, input_shape):
        if self.data_format == "channels_last":
            return (input_shape[0], *self.output_size, input_shape[-1])
        return (*input_shape[:2], *self.output_size)

    def get_config(self) -> dict:
        return {**super().get_config(), "output_size": self.output_size, "data_format": self.data_format}


class AdaptiveAveragePooling1D(_AdaptivePooling):
    """Means over `output_size` parts of the time axis.

    Args:
        output_size: Number of steps of the output.
        data_format: "channels_last" or "channels_first"; by default the library's setting.

    >>> import numpy as np
    >>> AdaptiveAveragePooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).numpy().reshape(-1).tolist()
    [0.5, 2.5]
    """

    _axes, _function = 1, "adaptive_average_pool"


class AdaptiveAveragePooling2D(_AdaptivePooling):
    """Means over a grid of `output_size` = (height, width) parts of images.

    >>> import numpy as np
    >>> AdaptiveAveragePooling2D((1, 2))(np.arange(4.0).reshape(1, 2, 2, 1)).numpy().reshape(-1).tolist()
    [1.0, 2.0]
    """

    _axes, _function = 2, "adaptive_average_pool"


class AdaptiveAveragePooling3D(_AdaptivePooling):
    """Means over a grid of `output_size` = (depth, height, width) parts of volumes.

    >>> import numpy as np
    >>> AdaptiveAveragePooling3D(1)(np.arange(8.0).reshape(1, 2, 2, 2, 1)).numpy().reshape(-1).tolist()
    [3.5]
    """

    _axes, _function = 3, "adaptive_average_pool"


class AdaptiveMaxPooling1D(_AdaptivePooling):
    """Maxima over `output_size` parts of the time axis.

    >>> import numpy as np
    >>> AdaptiveMaxPooling1D(2)(np.arange(4.0).reshape(1, 4, 1)).numpy().reshape(-1).tolist()
    [1.0, 3.0]
    """

    _axes, _function = 1, "adaptive_max_pool"


class AdaptiveMaxPooling2D(_AdaptivePooling):
    """Maxima over a grid of `output_size` = (height, width) parts of images.

    >>> import numpy as np
    >>> AdaptiveMaxPooling2D((1, 2))(np.arange(4.0).reshape(1, 2, 2, 1)).numpy().reshape(-1).tolist()
    [2.0, 3.0]
    """

    _axes, _function = 2, "adaptive_max_pool"


class AdaptiveMaxPooling3D(_AdaptivePooling):
    """Maxima over a grid of `output_size` = (depth, height, width) parts of volumes.

    >>> import numpy as np
    >>> AdaptiveMaxPooling3D(1)(np.arange(8.0).reshape(1, 2, 2, 2, 1)).numpy().reshape(-1).tolist()
    [7.0]
    """

    _axes, _function = 3, "adaptive_max_pool"
