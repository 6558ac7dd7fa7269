"""Model: a layer that can be trained, saved and summarized."""

from __future__ import annotations

from nnlite.layers.layer import Layer
from nnlite.models._inference import InferenceCache
from nnlite.training.trainer import Trainer


class Model(Trainer, Layer):
    """A group of layers with `fit`, `evaluate`, `predict`, `save` and `summary`.

    Either `Model(inputs, outputs)` from KerasTensors, or a subclass that makes its layers in `__init__` and uses them in `call`.

    Args:
        inputs: KerasTensors, one or a list, tuple or dict.
        outputs: KerasTensors computed from them, in any nesting.
        name: Unique name.

    >>> import nnlite, numpy as np
    >>> x = nnlite.Input((3,))
    >>> model = nnlite.Model(x, nnlite.layers.Dense(1)(x))
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=2, verbose=0)
    >>> len(history.history["loss"])
    2
    """

    _creates_masks = False

    def __new__(cls, *args, **kwargs):
        if cls is Model and is_functional_call(args, kwargs):
            from nnlite.models.functional import Functional

            cls = Functional
        model = Layer.__new__(cls, *args, **kwargs)
        model.__dict__["_inference"] = InferenceCache(model)
        return model

    def __init__(self, *args, **kwargs):
        if is_functional_call(args, kwargs):
            from nnlite.models.functional import Functional

            # A subclass made from inputs and outputs is a functional model with the subclass's methods.
            _derive_from(type(self), Functional)
            Functional.__init__(self, *args, **kwargs)
            return
        Layer.__init__(self, *args, **kwargs)
        self.supports_masking = True

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"Model {type(self).__name__} does not have a `call()` method implemented.")

    @property
    def _is_callable(self) -> bool:
        """False for models that only have steps of their own: their `call` is not defined."""
        return type(self).call is not Model.call

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and (not kwargs or kwargs == {"training": False}):
            found = self._inference.run(args[0])
            if found is not None:
                return found
        return Layer.__call__(self, *args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        return None  # the output tensors carry the masks their layers gave them

    @property
    def layers(self) -> list:
        """The layers of the model, not those inside other layers."""
        return self._flatten_layers(include_self=False, recursive=False)

    @layers.setter
    def layers(self, _) -> None:
        raise AttributeError(
            f"`Model.layers` attribute is reserved and should not be used; model {self.name!r} tried to set it. Please use another name."
        )

    def get_layer(self, name=None, index=None):
        """A layer by name or by position in `layers`."""
        if (name is None) == (index is None):
            given = "Provide only a layer name or a layer index" if name is not None else "Provide either a layer name or layer index"
            raise ValueError(f"{given} at `get_layer`. Received: name={name!r}, index={index!r}.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"Was asked to retrieve layer at index {index} but model {self.name!r} only has {len(layers)} layers.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. Existing layers are: {[layer.name for layer in layers]}.")

    def summary(self, line_length=None, positions=None, print_fn=None, expand_nested=False, show_trainable=False, layer_range=None) -> None:
        """Prints a table of the layers, their output shapes and numbers of parameters.

        Args:
            line_length: Width of the table.
            positions: Where columns end, as parts of the width.
            print_fn: Called once with the whole text, instead of printing.
            expand_nested: Whether layers of models inside are shown, too.
            show_trainable: Whether there is a column that says which layers are trainable.
            layer_range: Names (or regular expressions) of the first and last layer shown.
        """
        from nnlite.utils.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def save(self, filepath, overwrite=True, zipped=None, **kwargs) -> None:
        """Saves configuration, weights and optimizer state to a `.keras` file."""
        from nnlite.saving import save_model

        if zipped is not None:
            kwargs["zipped"] = zipped
        save_model(self, filepath, overwrite=overwrite, **kwargs)

    def save_weights(self, filepath, overwrite=True, **kwargs) -> None:
        """Saves the weights to a `.weights.h5` file."""
        from nnlite.saving import save_weights

        save_weights(self, filepath, overwrite=overwrite, **kwargs)

    def load_weights(self, filepath, skip_mismatch=False, **kwargs) -> None:
        """Loads the weights of a `.weights.h5` or `.keras` file into this model, which must be built."""
        from nnlite.saving import load_weights

        load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        raise NotImplementedError(f"Model.export(format={format!r}) is not available. Use save() and load_model(), or get_weights().")

    def to_json(self, **kwargs) -> str:
        """The configuration as JSON; `model_from_json` makes the model again, without its weights."""
        import json

        from nnlite.saving import serialize_keras_object

        return json.dumps(serialize_keras_object(self), **kwargs)

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        """The model that `get_config` described."""
        from nnlite.models.functional import Functional

        if {"name", "layers", "input_layers", "output_layers"} <= set(config):
            return Functional.from_config.__func__(Functional if cls is Model else cls, config, custom_objects)
        return super().from_config(config)

    def __reduce__(self):
        from nnlite.models._pickling import pickled

        return pickled(self)

    def __deepcopy__(self, memo):
        from nnlite.models._pickling import pickled

        rebuild, args = pickled(self)
        copy = memo[id(self)] = rebuild(*args)
        return copy


def is_functional_call(args: tuple, kwargs: dict) -> bool:
    """Whether a Model is made from inputs and outputs."""
    return len(args) >= 2 or (len(args) == 1 and "outputs" in kwargs) or ("inputs" in kwargs and "outputs" in kwargs)


def _derive_from(cls: type, functional: type) -> None:
    """Puts Functional in Model's place among the bases of a user's class."""
    if cls is Model or issubclass(cls, functional) or cls.__module__ == Model.__module__:
        return
    for base in cls.__bases__:
        if base is not Model and issubclass(base, Model):
            _derive_from(base, functional)
    if Model in cls.__bases__:
        cls.__bases__ = tuple(functional if base is Model else base for base in cls.__bases__)
