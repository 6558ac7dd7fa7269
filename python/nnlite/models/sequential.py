"""Sequential: a stack of layers."""

from __future__ import annotations

import inspect

from nnlite.graph.symbolic import KerasTensor
from nnlite.layers import InputLayer
from nnlite.layers._building import is_shape, map_shapes
from nnlite.layers._state import calls
from nnlite.layers.layer import Layer
from nnlite.models.functional import Functional
from nnlite.models.model import Model
from nnlite.utils.naming import unique_name


class Sequential(Model):
    """Layers one after the other, each with one input and one output.

    Args:
        layers: Layers, or an Input first. Without an input shape the model is built when it first sees data.
        trainable: Whether the layers are trained.
        name: Unique name.

    >>> import nnlite, numpy as np
    >>> model = nnlite.Sequential([nnlite.layers.Dense(4, activation="relu"), nnlite.layers.Dense(1)])
    >>> model(np.ones((2, 3))).shape
    (2, 1)
    """

    _convert_input_args = False
    _allow_non_tensor_positional_args = True

    def __new__(cls, *args, **kwargs):
        return Model.__new__(cls)

    def __init__(self, layers=None, trainable=True, name=None):
        Layer.__init__(self, trainable=trainable, name=name)
        self.__dict__["_functional_model"] = None
        self.__dict__["_functional_name"] = None
        self.supports_masking = True
        if layers is not None:
            if not isinstance(layers, (list, tuple)):
                layers = [layers]
            for layer in layers:
                self.add(layer, rebuild=False)
            self._rebuild()

    # The stack

    @property
    def layers(self) -> list:
        """The layers; the one behind a leading Input is left out."""
        layers = list(self._layers)
        return layers[1:] if layers and isinstance(layers[0], InputLayer) else layers

    @layers.setter
    def layers(self, _) -> None:
        raise AttributeError(f"`Sequential.layers` cannot be set; model {self.name!r} tried to. Use `add()` and `pop()`.")

    def add(self, layer, rebuild=True) -> None:
        """Adds a layer at the end."""
        if isinstance(layer, KerasTensor) and layer.history is not None and isinstance(layer.history[0], InputLayer):
            layer = layer.history[0]
        if not isinstance(layer, Layer):
            raise ValueError(
                f"Only instances of `Layer` can be added to a Sequential model. Model {self.name!r} received: {layer!r} (of type {type(layer)}). "
                "Wrap functions in nnlite.layers.Lambda."
            )
        self._check_name(layer)
        shape = layer.__dict__.get("_batch_input_shape")
        if not self._layers and shape is not None and not isinstance(layer, InputLayer):
            self._layers.append(InputLayer(batch_shape=shape, dtype=layer.compute_dtype if layer.autocast else None))
        if isinstance(layer, InputLayer) and self._layers and isinstance(self._layers[0], InputLayer):
            raise ValueError(
                f"Sequential model {self.name!r} has already been configured to use input shape {self._layers[0].batch_shape}. You cannot add a "
                "different Input layer to it."
            )
        self._layers.append(layer)
        self._bump()
        if rebuild:
            self._rebuild()
        else:
            self._forget_graph()

    def _check_name(self, layer) -> None:
        if any(other.name == layer.name for other in self._layers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name {layer.name!r} is already the name of a layer in model "
                f"{self.name!r}. "
                "Update the `name` argument to pass a unique name."
            )

    def pop(self, rebuild=True):
        """Removes the last layer and returns it."""
        if not self.layers:
            raise IndexError(f"There are no layers in model {self.name!r} to pop.")
        layer = self._layers.pop()
        self._bump()
        if rebuild:
            self._rebuild()
        else:
            self._forget_graph()
        return layer

    @property
    def _front(self):
        found = self.__dict__.get("_has_host")
        if found is None:
            found = self.__dict__["_has_host"] = any(getattr(layer, "_runs_on_host", False) for layer in self._layers)
        return self._functional._front if found and self._functional_name is not None else None

    @property
    def _runs_on_host(self) -> bool:
        first = self._layers[0] if self._layers else None
        return isinstance(first, InputLayer) and first.dtype == "string"

    def _encoded(self, x):
        if self.__dict__.get("_has_host") is False:
            return x
        if self._functional_name is None and self._layers and getattr(self._layers[0], "_runs_on_host", False) and hasattr(x, "shape"):
            self._declare_host_input(x)
            self.build((None, *x.shape[1:]))
        return super()._encoded(x)

    def _declare_host_input(self, x) -> None:
        """Before a first layer that runs in Python, the data says whether the input is strings or integers."""
        first = self._layers[0] if self._layers else None
        kind = getattr(getattr(x, "dtype", None), "kind", "f")
        if getattr(first, "_runs_on_host", False) and not isinstance(first, InputLayer) and kind in "OUSiub":
            self._layers.insert(0, InputLayer(batch_shape=(None, *x.shape[1:]), dtype="int64" if kind in "iub" else "string"))

    def _forget_graph(self) -> None:
        self.__dict__.update(built=False, _has_host=None, _functional_model=None, _functional_name=None, _locked=False)

    def _rebuild(self) -> None:
        self._forget_graph()
        if not self._layers:
            return
        first = self._layers[0]
        if isinstance(first, InputLayer) and len(self._layers) > 1:
            self.build(first.batch_shape)
        elif isinstance(first, Model) and first.built and getattr(first, "inputs", None) and len(first.inputs) == 1:
            self.build(first.inputs[0].shape)

    # Building

    def build(self, input_shape=None):
        """Builds all layers for inputs of that shape (batch axis first)."""
        if not isinstance(input_shape, (tuple, list)) or not is_shape(input_shape) or self._functional_name is not None:
            return
        if not self._layers:
            raise ValueError(f"Sequential model {self.name!r} cannot be built because it has no layers. Call `model.add(layer)`.")
        if not isinstance(self._layers[0], InputLayer):
            first = self._layers[0]
            dtype = first.inputs[0].dtype if isinstance(first, Model) and first.built and getattr(first, "inputs", None) else first.compute_dtype
            self._layers.insert(0, InputLayer(batch_shape=tuple(input_shape), dtype=dtype))
        tensor = self._layers[0].output
        for layer in self._layers[1:]:
            tensor = self._apply(layer, tensor)
            if tensor is None:
                return
        # The graph gets its name now; the model behind it is only made when something needs it.
        self.__dict__.update(_functional_name=unique_name("functional"), _output_tensor=tensor)

    def _apply(self, layer, tensor):
        try:
            return layer(tensor)
        except NotImplementedError:
            return None  # a layer whose output shape cannot be found: the model stays a plain loop
        except TypeError as error:
            required = [
                p
                for p in inspect.signature(layer.call).parameters.values()
                if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            ]
            if len(required) > 1:
                raise ValueError(
                    f"Layers added to a Sequential model can only have a single positional argument, the input tensor. Layer {layer.name!r} "
                    f"({type(layer).__name__}) has multiple positional arguments: {[p.name for p in required]}."
                ) from error
            raise

    @property
    def _functional(self):
        if self._functional_model is None and self._functional_name is not None:
            self.__dict__["_functional_model"] = Functional(self._layers[0].output, self._output_tensor, name=self._functional_name)
        return self._functional_model

    def _build_for(self, arguments: dict) -> None:
        inputs = next(iter(arguments.values()))
        shape = getattr(inputs, "shape", None)
        if shape is None:
            raise ValueError(
                f"A Sequential model is called on one tensor; model {self.name!r} received {type(inputs).__name__}. Use Model(inputs, outputs) for "
                "several inputs."
            )
        if not self._layers:
            raise ValueError(f"Sequential model {self.name!r} cannot be built because it has no layers. Call `model.add(layer)`.")
        shape = tuple(shape)
        shape = (None, *shape[1:]) if calls.inferring else shape
        self._declare_host_input(inputs)
        self.build(shape)
        if not self.built:  # no graph could be made: the layers build themselves one by one
            super()._finish_build({"input_shape": shape})

    def _finish_build(self, shapes: dict) -> None:
        if self._functional_name is not None:
            super()._finish_build(shapes)
            self.__dict__["_locked"] = False  # layers may be added later

    # Calling

    @property
    def input_spec(self):
        return self._functional.input_spec if self._functional_name is not None else None

    @input_spec.setter
    def input_spec(self, value) -> None:
        self.__dict__["_input_spec"] = value

    def call(self, inputs, training=None, mask=None, **kwargs):
        if self._functional_name is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        for layer in self.layers:
            inputs = layer(inputs, training=training) if layer._takes_training else layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        if self._functional_name is not None and tuple(input_shape[1:]) == tuple(self.input_shape[1:]):
            return (input_shape[0], *self.output_shape[1:]) if is_shape(self.output_shape) else self.output_shape
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_output_spec(self, inputs, training=None, mask=None, **kwargs):
        if self._front is not None:
            return self._functional.compute_output_spec(inputs)
        return self._infer(self.call, (inputs,), {"training": training, "mask": mask})

    # Shapes and tensors

    def _from_functional(self, what: str):
        if self._functional_name is None:
            raise AttributeError(f"Sequential model {self.name!r} has no defined {what} yet: give it an Input, or call it on data first.")
        return getattr(self._functional, what)

    @property
    def input_shape(self):
        return self._from_functional("input_shape")

    @property
    def output_shape(self):
        return self._from_functional("output_shape")

    @property
    def inputs(self) -> list:
        return self._from_functional("inputs")

    @property
    def outputs(self) -> list:
        return self._from_functional("outputs")

    @property
    def input(self):
        return self._from_functional("input")

    @property
    def output(self):
        return self._from_functional("output")

    @property
    def input_names(self) -> list:
        return self._from_functional("input_names")

    @property
    def output_names(self) -> list:
        return self._from_functional("output_names")

    # Config

    def get_config(self) -> dict:
        from nnlite import dtype_policies
        from nnlite.saving import serialize_keras_object

        layers = []
        for layer in self._layers:
            config = serialize_keras_object(layer)
            if isinstance(layer, InputLayer):
                config.pop("build_config", None)
            layers.append(config)
        config = {"name": self.name, "trainable": self.trainable, "dtype": dtype_policies.serialize(self.dtype_policy), "layers": layers}
        if self._functional_name is not None:
            config["build_input_shape"] = self._layers[0].batch_shape
        return config

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        """The model that `get_config` described."""
        from nnlite.saving import deserialize_keras_object

        model = cls(name=config.get("name"))
        for entry in config["layers"]:
            model.add(deserialize_keras_object(entry, custom_objects), rebuild=False)
        model._rebuild()
        shape = config.get("build_input_shape")
        if model._functional_name is None and shape:
            model.build(map_shapes(tuple, shape))
        if not config.get("trainable", True):
            model.trainable = False
        return model
