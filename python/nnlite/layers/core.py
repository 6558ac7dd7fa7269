"""Small layers: Identity, Lambda, Masking, Rescaling, and Wrapper."""

from __future__ import annotations

import numpy as np

from nnlite import ops
from nnlite.layers._building import is_shape
from nnlite.layers.layer import Layer


class Identity(Layer):
    """Returns its inputs.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Identity()(np.ones(2)).numpy().tolist()
    [1.0, 1.0]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self._build_at_init()

    def call(self, inputs):
        return inputs

    def get_config(self):
        return super().get_config()


class Lambda(Layer):
    """A function as a layer.

    Args:
        function: Takes the inputs, and `mask` or `training` if it names them.
        output_shape: Shape of one output sample, or a function of the input shape; found by tracing when None.
        mask: Output mask, or a function (inputs, mask).
        arguments: Keyword arguments for the function.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Lambda(lambda x: x * 2)(np.ones(2)).numpy().tolist()
    [2.0, 2.0]
    """

    def __init__(self, function, output_shape=None, mask=None, arguments=None, **kwargs):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda takes a function of the inputs; received {function!r} of type {type(function).__name__}.")
        self.function = function
        self._output_shape = output_shape
        self.mask = mask
        self.arguments = arguments or {}
        self.supports_masking = mask is not None
        names = getattr(getattr(function, "__code__", None), "co_varnames", ())
        self.__dict__["_passes"] = tuple(name for name in ("mask", "training") if name in names)

    def call(self, inputs, mask=None, training=None):
        given = {"mask": mask, "training": training}
        kwargs = {**self.arguments, **{name: given[name] for name in self._passes}}
        return self.function(inputs, **kwargs)

    def compute_output_spec(self, inputs, mask=None, training=None):
        if self._output_shape is None:
            return self._infer(self.call, (inputs,), {"mask": mask, "training": training})
        from nnlite.graph.symbolic import KerasTensor

        shape = self.compute_output_shape(tuple(inputs.shape) if hasattr(inputs, "shape") else [tuple(x.shape) for x in inputs])
        return KerasTensor(shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return tuple(self._output_shape(input_shape))
        batch = input_shape[0] if is_shape(input_shape) else input_shape[0][0]
        return (batch, *self._output_shape)

    def compute_mask(self, inputs, mask=None):
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        config = {**super().get_config(), "function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            config["output_shape"] = serialize_keras_object(self._output_shape)
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        return {**config, "arguments": serialize_keras_object(dict(self.arguments))}

    def _twin(self):
        base = Layer.get_config(self)
        return type(self)(
            self.function,
            output_shape=self._output_shape,
            mask=self.mask,
            arguments=dict(self.arguments),
            name=base["name"],
            trainable=base["trainable"],
            dtype=self.dtype_policy,
        )

    @classmethod
    def from_config(cls, config: dict):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        for key in ("function", "output_shape", "mask", "arguments"):
            if isinstance(config.get(key), dict):
                config[key] = deserialize_keras_object(config[key])
        return super().from_config(config)


class Masking(Layer):
    """Marks steps whose features all equal `mask_value` as padding: later layers skip them.

    Input: [batch, steps, features].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Masking()(np.array([[[1.0], [0.0]]]))._keras_mask.numpy().tolist()
    [[True, False]]
    """

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True
        self._build_at_init()

    def compute_mask(self, inputs, mask=None):
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs):
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * ops.cast(kept, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mask_value": self.mask_value}


class Rescaling(Layer):
    """inputs * scale + offset.

    Args:
        scale, offset: Numbers, or lists of one per channel.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Rescaling(1 / 255)(np.array([255], "uint8")).numpy().round(3).tolist()
    [1.0]
    """

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs):
        dtype = self.compute_dtype
        scale, offset = (
            value if isinstance(value, (int, float)) else ops.convert_to_tensor(np.asarray(value, "float64"), dtype)
            for value in (self.scale, self.offset)
        )
        return ops.cast(inputs, dtype) * scale + offset

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        return {**super().get_config(), "scale": serialize_keras_object(self.scale), "offset": serialize_keras_object(self.offset)}


class Wrapper(Layer):
    """Base of layers that change what another layer does; `layer` is the other one.

    >>> import nnlite
    >>> nnlite.layers.Wrapper(nnlite.layers.Dense(2)).layer.units
    2
    """

    def __init__(self, layer, **kwargs):
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Layer {layer!r} supplied to {type(self).__name__} isn't a supported layer type. Please ensure wrapped layer is an instance of "
                "nnlite.Layer."
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape=None):
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self):
        from nnlite.saving import serialize_keras_object

        config = serialize_keras_object(self.layer)
        config.pop("build_config", None)
        return {**super().get_config(), "layer": config}

    @classmethod
    def from_config(cls, config: dict):
        from nnlite.saving import deserialize_keras_object

        config = dict(config)
        layer = deserialize_keras_object(config.pop("layer"))
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = config["dtype"]["config"]["name"]
        return cls(layer, **config)
