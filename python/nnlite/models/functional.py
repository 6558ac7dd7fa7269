"""Functional: a model written down as a graph of layers and operations."""

from __future__ import annotations

import inspect
import warnings

from nnlite import ops, tree
from nnlite.graph.symbolic import FunctionOperation, KerasTensor
from nnlite.layers import Input, InputLayer, InputSpec
from nnlite.layers._calling import get_mask, set_mask
from nnlite.layers.layer import Layer
from nnlite.models._front import front_of
from nnlite.models._graph import LayerGraph, check_tensors
from nnlite.models.model import Model


class Functional(Model):
    """What `Model(inputs, outputs)` makes.

    Args:
        inputs: KerasTensors, one or a list, tuple or dict.
        outputs: KerasTensors computed from them, in any nesting.
        name: Unique name.

    >>> import nnlite
    >>> x = nnlite.Input((3,))
    >>> model = nnlite.Model(x, nnlite.layers.Dense(2)(x))
    >>> model.output_shape
    (None, 2)
    """

    # Inputs are converted to the dtypes their Inputs declare, not to the model's.
    _convert_input_args = False
    _allow_non_tensor_positional_args = True

    def __init__(self, inputs, outputs, name=None, **kwargs):
        trainable = kwargs.pop("trainable", None)
        Layer.__init__(self, name=name, **kwargs)
        check_tensors("inputs", inputs)
        check_tensors("outputs", outputs)
        if not all(isinstance(tensor.history[0], InputLayer) for tensor in tree.flatten(inputs)):
            inputs, outputs = _from_new_inputs(inputs, outputs)
        self._set_graph(inputs, outputs)
        self.supports_masking = True
        self._warn_of_keys(inputs)
        if trainable is not None:
            self.trainable = trainable

    def _set_graph(self, inputs, outputs) -> None:
        graph = LayerGraph(inputs, outputs, self.name)
        layers = [operation for operation in graph.operations if isinstance(operation, Layer)]
        # Structures go in as they are: the containers belong to the caller's model description, not to the tracker.
        self.__dict__.update(
            _graph=graph, _inputs_struct=inputs, _outputs_struct=outputs, inputs=graph.inputs, outputs=graph.outputs, _layers=layers, built=True
        )
        self.__dict__["_program"] = [_Instruction(node) for node in graph.nodes]
        self.__dict__["_front"] = front_of(self)
        names = [tensor.history[0].name for tensor in graph.outputs]
        self.__dict__["output_names"] = _unique(names)
        keys = (
            sorted(inputs) if isinstance(inputs, dict) and len(inputs) == len(graph.inputs) else [tensor.history[0].name for tensor in graph.inputs]
        )
        self.__dict__["_specs"] = [_input_spec(tensor, key) for tensor, key in zip(graph.inputs, keys)]
        self._bump()

    def _warn_of_keys(self, inputs) -> None:
        if isinstance(inputs, dict):
            for key, tensor in inputs.items():
                if isinstance(tensor, KerasTensor) and tensor.history[0].name != key:
                    warnings.warn(
                        f"The input dict's keys should be the names of the inputs: key {key!r} belongs to the Input named "
                        f"{tensor.history[0].name!r}. "
                        f"Change it to Input(..., name={key!r}).",
                        stacklevel=4,
                    )

    @property
    def layers(self) -> list:
        """The layers, inputs first; each once."""
        return [operation for operation in self._graph.operations if isinstance(operation, Layer)] + [
            layer for layer in self._layers if layer not in self._graph.operations
        ]

    @property
    def operations(self) -> list:
        """Layers and functions of `nnlite.ops`, inputs first."""
        return list(self._graph.operations)

    @property
    def input_names(self) -> list[str]:
        return [tensor.history[0].name for tensor in self.inputs]

    @property
    def input(self):
        """The symbolic inputs, in the nesting they were given in."""
        return self._inputs_struct

    @property
    def output(self):
        """The symbolic outputs, in the nesting they were given in."""
        return self._outputs_struct

    @property
    def input_shape(self):
        return tree.map_structure(lambda tensor: tensor.shape, self._inputs_struct)

    @property
    def output_shape(self):
        return tree.map_structure(lambda tensor: tensor.shape, self._outputs_struct)

    @property
    def input_spec(self):
        return self._specs if self._front is None else None  # the front checks what it is given

    @input_spec.setter
    def input_spec(self, value) -> None:
        self.__dict__["_input_spec"] = value  # Layer.__init__ sets one; a functional model's follows from its inputs

    def compute_mask(self, inputs, previous_mask):
        return None  # the output tensors carry the masks their layers gave them

    @property
    def _runs_on_host(self) -> bool:
        return any(tensor.dtype == "string" for tensor in self.inputs)

    def call(self, inputs, training=None, mask=None, **kwargs):
        if self._front is None:
            return self._run(self._standardized(inputs, mask), training)
        values = self._front.run_rest(inputs if self._front.is_encoded(inputs) else self._front.encode(inputs), training)
        return tree.map_structure(lambda tensor: values[id(tensor)], self._outputs_struct)

    def compute_output_spec(self, *args, **kwargs):
        if self._front is None:
            return super().compute_output_spec(*args, **kwargs)
        return tree.map_structure(lambda tensor: KerasTensor(tensor.shape, tensor.dtype), self._outputs_struct)

    def _run(self, tensors, training):
        """Runs the graph on tensors in the order of `inputs`."""
        values = dict(zip(map(id, self.inputs), tensors))
        for instruction in self._program:
            instruction.run(values, training)
        outputs = self._outputs_struct
        if type(outputs) is KerasTensor:
            return values[id(outputs)]
        return tree.map_structure(lambda tensor: values[id(tensor)], outputs)

    def _standardized(self, inputs, mask=None) -> list:
        """The inputs as tensors in the order of `self.inputs`, with the dtypes and ranks of the Inputs."""
        flat = self._flat_inputs(inputs)
        if len(flat) != len(self.inputs):
            raise ValueError(
                f"Model {self.name!r} has {len(self.inputs)} input(s) named {self.input_names}, but it was called on {len(flat)}. "
                f"Pass {'a list of them, or a dict by name' if len(self.inputs) > 1 else 'one array or tensor'}."
            )
        tensors = [self._as_declared(value, reference) for value, reference in zip(flat, self.inputs)]
        if mask is not None:
            for tensor, m in zip(tensors, tree.flatten(mask) if isinstance(mask, (list, tuple, dict)) else [mask]):
                set_mask(tensor, m)
        return tensors

    def _flat_inputs(self, inputs) -> list:
        if not isinstance(inputs, dict):
            return tree.flatten(inputs)
        keys = sorted(self._inputs_struct) if isinstance(self._inputs_struct, dict) else self.input_names
        missing = [key for key in keys if key not in inputs]
        if missing and not (isinstance(self._inputs_struct, dict) and all(name in inputs for name in self.input_names)):
            raise ValueError(f"Model {self.name!r} needs the inputs {keys}, but {missing} are missing; received a dict with the keys {list(inputs)}.")
        return [inputs[key] for key in (self.input_names if missing else keys)]

    def _as_declared(self, value, reference: KerasTensor):
        if value is None:
            return None
        if isinstance(value, KerasTensor):
            return _with_rank(value, reference, self.name)
        mask = get_mask(value)
        tensor = ops.convert_to_tensor(value, dtype=None if reference.dtype == "string" else reference.dtype)
        tensor = _with_rank(tensor, reference, self.name)
        if mask is not None and get_mask(tensor) is None:
            set_mask(tensor, mask)
        return tensor

    def get_config(self) -> dict:
        if not self._is_plain_functional():
            return super().get_config()
        from nnlite.models._functional_config import functional_config

        return functional_config(self)

    def _is_plain_functional(self) -> bool:
        """Whether the class is made like Functional, so that its graph can be its config."""
        own = type(self).__init__
        if own in (Functional.__init__, Model.__init__):
            return True
        names = list(inspect.signature(own).parameters)[1:]
        return names[:2] == ["inputs", "outputs"] or names == ["args", "kwargs"]

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        """The model that `get_config` described."""
        from nnlite.models._functional_config import model_from_config

        return model_from_config(cls, config, custom_objects)


class _Instruction:
    """One node of the graph, prepared for running: where its arguments come from and where its outputs go."""

    __slots__ = ("call", "takes_training", "training", "single", "args", "kwargs", "outputs", "single_output")

    def __init__(self, node):
        operation = node.operation
        is_layer = isinstance(operation, Layer)
        self.call = operation if is_layer else operation.call
        self.training = node.kwargs.get("training") if is_layer else None
        self.takes_training = is_layer and (operation._takes_training or "training" in node.kwargs)
        self.args = node.args
        self.kwargs = {key: value for key, value in node.kwargs.items() if key != "training" or not is_layer}
        self.single = id(node.args[0]) if len(node.args) == 1 and not self.kwargs and isinstance(node.args[0], KerasTensor) else None
        self.outputs = [id(tensor) for tensor in node.output_tensors]
        self.single_output = self.outputs[0] if isinstance(node.outputs, KerasTensor) else None

    def run(self, values: dict, training) -> None:
        """Takes the arguments out of `values` and puts the outputs in. The model's mode, when it has one, goes before the one the graph was written
        with.
        """
        mode = self.training if training is None or not self.takes_training else training
        if self.single is not None:
            result = self.call(values[self.single]) if mode is None else self.call(values[self.single], training=mode)
        else:
            args, kwargs = tree.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf, (self.args, self.kwargs))
            if mode is not None:
                kwargs["training"] = mode
            result = self.call(*args, **kwargs)
        if self.single_output is not None:
            values[self.single_output] = result
        else:
            values.update(zip(self.outputs, tree.flatten(result)))


def _with_rank(tensor, reference: KerasTensor, model_name: str):
    """Adds or removes a last axis of size 1, when that is all that differs from the declared rank."""
    rank, expected = len(tensor.shape), len(reference.shape)
    if rank == expected:
        return tensor
    if rank == expected + 1 and tensor.shape[-1] == 1:
        return ops.squeeze(tensor, -1)
    if rank == expected - 1 and reference.shape[-1] == 1:
        return ops.expand_dims(tensor, -1)
    raise ValueError(
        f"Invalid input shape for input {reference.history[0].name!r} of model {model_name!r}: expected shape {reference.shape}, but it was called "
        "on shape "
        f"{tuple(tensor.shape)}. The first axis is the batch axis: a single sample needs x[None]."
    )


def _input_spec(tensor: KerasTensor, key: str) -> InputSpec:
    return InputSpec(shape=(None, *tensor.shape[1:]), allow_last_axis_squeeze=True, name=key, optional=tensor.history[0].optional)


def _unique(names: list) -> list:
    counts: dict = {}
    result = []
    for name in names:
        counts[name] = counts.get(name, -1) + 1
        result.append(f"{name}_{counts[name]}" if counts[name] else name)
    return result


def _from_new_inputs(inputs, outputs):
    """Models may start in the middle of another graph: the part between is written down again from fresh Inputs."""
    values: dict = {}

    def fresh(tensor):
        if isinstance(tensor.history[0], InputLayer):
            values[id(tensor)] = tensor
        else:
            values[id(tensor)] = Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.history[0].name}_input")
        return values[id(tensor)]

    new_inputs = tree.map_structure(fresh, inputs)
    for node in LayerGraph(inputs, outputs, "model").nodes:
        if all(id(tensor) in values for tensor in node.output_tensors):
            continue
        args, kwargs = tree.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf, (node.args, node.kwargs))
        operation = node.operation
        result = operation.symbolic_call(*args, **kwargs) if isinstance(operation, FunctionOperation) else operation(*args, **kwargs)
        values.update(zip(map(id, node.output_tensors), tree.flatten(result)))
    return new_inputs, tree.map_structure(lambda tensor: values[id(tensor)], outputs)
