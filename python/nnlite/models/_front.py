"""The part of a functional model that runs in Python before everything compiled: layers on strings, and hashing."""

from __future__ import annotations

import numpy as np

from nnlite.graph.symbolic import KerasTensor
from nnlite.layers._host import host_array
from nnlite.layers.layer import Layer
from nnlite.tensor import Tensor

_KEY = "host output "


class Front:
    """Host layers that depend on nothing but the inputs, and each other.

    Data goes through it once, before training or predicting; the compiled part starts from its outputs (and from the other inputs), which travel
    as a dict of arrays.

    Attributes:
        borders: The tensors between the front and the rest.
    """

    def __init__(self, model, host: list):
        self.model = model
        self.host = host
        nodes = set(map(id, host))
        available = {id(t) for t in model.inputs} | {id(t) for node in host for t in node.output_tensors}
        used = [t for node in model._graph.nodes if id(node) not in nodes for t in node.input_tensors] + list(model.outputs)
        self.borders = list({id(t): t for t in used if id(t) in available}.values())
        self.keys = [f"{_KEY}{i}" for i in range(len(self.borders))]
        self.first_rest = [instruction for node, instruction in zip(model._graph.nodes, model._program) if id(node) not in nodes]
        self.instructions = [instruction for node, instruction in zip(model._graph.nodes, model._program) if id(node) in nodes]

    def is_encoded(self, inputs) -> bool:
        """Whether `inputs` are what `encode` gave."""
        return isinstance(inputs, dict) and list(sorted(inputs)) == sorted(self.keys)

    def encode(self, inputs) -> dict:
        """Data for the model's inputs as arrays for the rest of the model."""
        flat = self.model._flat_inputs(inputs) if isinstance(inputs, dict) or len(self.model.inputs) > 1 else [inputs]
        if len(flat) != len(self.model.inputs):
            raise ValueError(f"Model {self.model.name!r} has {len(self.model.inputs)} inputs named {self.model.input_names}; received {len(flat)}.")
        values = {id(reference): self._array(value, reference) for value, reference in zip(flat, self.model.inputs)}
        for instruction in self.instructions:
            instruction.run(values, None)
        return {key: _plain(values[id(tensor)]) for key, tensor in zip(self.keys, self.borders)}

    def _array(self, value, reference: KerasTensor) -> np.ndarray:
        """An array with the rank of its Input; numbers get the Input's dtype."""
        layer = reference.history[0]
        array = host_array(value, layer)
        if reference.dtype == "string" and array.dtype.kind not in "UO":
            raise ValueError(f"Input {layer.name!r} of model {self.model.name!r} takes strings; received an array of dtype {array.dtype}.")
        if reference.dtype != "string" and reference.dtype != "bfloat16":
            array = array.astype(reference.dtype, copy=False)
        rank = len(reference.shape)
        if array.ndim == rank + 1 and array.shape[-1] == 1:
            array = array[..., 0]
        elif array.ndim == rank - 1 and reference.shape[-1] == 1:
            array = array[..., None]
        if array.ndim != rank or any(dim not in (None, size) for dim, size in zip(reference.shape[1:], array.shape[1:])):
            raise ValueError(
                f"Invalid input shape for input {layer.name!r} of model {self.model.name!r}: expected shape {reference.shape}, but received "
                f"{array.shape}. The first axis is the batch axis."
            )
        return array

    def run_rest(self, inputs: dict, training) -> dict:
        """The values of all tensors behind the front, by id, from what `encode` gave."""
        values = {id(tensor): inputs[key] for key, tensor in zip(self.keys, self.borders)}
        for instruction in self.first_rest:
            instruction.run(values, training)
        return values

    def check_trainable(self) -> None:
        """Weights of models in the front would never be trained: that is refused."""
        for node in self.host:
            if node.operation.trainable_variables:
                raise ValueError(
                    f"Model {node.operation.name!r} inside model {self.model.name!r} takes strings, so it runs before everything that is compiled, "
                    f"and its {len(node.operation.trainable_variables)} trainable weights cannot be trained there. Put its string layers and its "
                    "other layers into the outer model one after the other, or set trainable = False."
                )


def _plain(value) -> np.ndarray:
    return value.numpy() if isinstance(value, Tensor) else value


def front_of(model) -> Front | None:
    """The front of a functional model, or None when everything is compiled."""
    known = {id(tensor) for tensor in model.inputs}
    host = []
    for node in model._graph.nodes:
        operation = node.operation
        if isinstance(operation, Layer) and getattr(operation, "_runs_on_host", False) and all(id(t) in known for t in node.input_tensors):
            host.append(node)
            known.update(id(t) for t in node.output_tensors)
    return Front(model, host) if host else None
