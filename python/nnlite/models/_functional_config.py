"""Configs of functional models: every operation with its calls, and which tensors go in and out."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.symbolic import FunctionOperation, KerasTensor
from nnlite.models._operation_config import is_operation, operation_config, operation_from_config


def functional_config(model) -> dict:
    """The config of a functional model, in Keras's form."""
    from nnlite.saving import serialize_keras_object

    graph = model._graph
    numbers = _node_numbers(graph)
    entries = []
    for operation in graph.operations:
        nodes = [node for node in operation.inbound_nodes if node in numbers]
        if isinstance(operation, FunctionOperation):
            entry, args, kwargs = operation_config(operation, nodes[0].args, nodes[0].kwargs)
            calls = [(args, kwargs)]
        else:
            entry = serialize_keras_object(operation)
            calls = [(node.args, node.kwargs) for node in nodes if node.input_tensors]
        entry["name"] = operation.name
        entry["inbound_nodes"] = [{"args": _serialize(args, numbers), "kwargs": _serialize(kwargs, numbers)} for args, kwargs in calls]
        entry["config"] = serialize_keras_object(entry["config"])
        if not calls:
            entry.pop("build_config", None)
        entries.append(entry)
    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": entries,
        "input_layers": _positions(model._inputs_struct, numbers),
        "output_layers": _positions(model._outputs_struct, numbers),
    }


def _node_numbers(graph) -> dict:
    """Node of the model -> its number among the model's nodes of the same operation."""
    numbers: dict = {}
    for operation in graph.operations:
        used = [node for node in operation.inbound_nodes if node in graph.depths]
        numbers.update((node, i) for i, node in enumerate(used))
    return numbers


def _position(tensor: KerasTensor, numbers: dict) -> list:
    operation, index, output = tensor.history
    return [operation.name, numbers[operation.inbound_nodes[index]], output]


def _positions(structure, numbers: dict):
    return tree.map_structure(lambda tensor: _position(tensor, numbers), structure)


def _serialize(structure, numbers: dict):
    from nnlite.saving import serialize_keras_object

    def leaf(value):
        if isinstance(value, KerasTensor):
            return {
                "class_name": "__keras_tensor__",
                "config": {"shape": value.shape, "dtype": value.dtype, "keras_history": _position(value, numbers)},
            }
        return serialize_keras_object(value)

    return tree.map_structure(leaf, structure)


def model_from_config(cls, config: dict, custom_objects=None):
    """The model of a functional config."""
    builder = _Builder(config, custom_objects)
    inputs = builder.tensors_at(config["input_layers"])
    outputs = builder.tensors_at(config["output_layers"])
    model = cls(inputs=inputs, outputs=outputs, name=config.get("name"))
    if not config.get("trainable", True):
        model.trainable = False
    return model


class _Builder:
    """Makes the operations of a config and repeats their calls, as soon as their inputs are there."""

    def __init__(self, config: dict, custom_objects):
        self.tensors: dict = {}  # (operation name, call number, output) -> KerasTensor
        self.operations: dict = {}
        self.waiting: list = []
        for entry in config["layers"]:
            self._make(entry, custom_objects)
        self._call_all(config)

    def _make(self, entry: dict, custom_objects) -> None:
        from nnlite.saving import deserialize_keras_object

        name = entry["name"]
        extra: dict = {}
        if is_operation(entry):
            operation, extra = operation_from_config(entry)
        else:
            operation = deserialize_keras_object({key: value for key, value in entry.items() if key not in ("name", "inbound_nodes")}, custom_objects)
        self.operations[name] = operation
        nodes = entry.get("inbound_nodes") or []
        if not nodes and operation.inbound_nodes:
            self._keep(name, 0, operation.inbound_nodes[0].output_tensors)
        self.waiting.extend((name, number, node, extra) for number, node in enumerate(nodes))

    def _keep(self, name: str, number: int, tensors) -> None:
        self.tensors.update({(name, number, i): tensor for i, tensor in enumerate(tensors)})

    def _call_all(self, config: dict) -> None:
        while self.waiting:
            later = []
            for call in self.waiting:
                if not self._try(*call):
                    later.append(call)
            if len(later) == len(self.waiting):
                raise ValueError(
                    f"The config of model {config.get('name')!r} is damaged: the inputs of {sorted({call[0] for call in later})} are made by no "
                    "layer of it."
                )
            self.waiting = later

    def _try(self, name: str, number: int, node: dict, extra: dict) -> bool:
        args, kwargs = node.get("args", ()), node.get("kwargs", {})
        if any(history not in self.tensors for history in _histories((args, kwargs))):
            return False
        operation = self.operations[name]
        args, kwargs = self._fill(list(args)), self._fill(dict(kwargs))
        if isinstance(operation, FunctionOperation):
            if operation.function.__name__ == "get_item" and isinstance(args[1], list):
                args[1] = tuple(args[1])  # JSON knows no tuples
            outputs = operation.symbolic_call(*args, **{**extra, **{key: value for key, value in kwargs.items() if value is not None}})
        else:
            outputs = operation(*args, **kwargs)
        self._keep(name, number, tree.flatten(outputs))
        return True

    def _fill(self, value):
        from nnlite.saving import deserialize_keras_object

        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                return self.tensors[_history(value)]
            if "class_name" in value:
                return deserialize_keras_object(value)
            return {key: self._fill(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._fill(item) for item in value]
        return value

    def tensors_at(self, positions):
        """The tensors of a structure of positions (name, call number, output)."""
        if isinstance(positions, dict):
            return {key: self.tensors_at(position) for key, position in positions.items()}
        if isinstance(positions, (list, tuple)) and positions and isinstance(positions[0], str):
            return self.tensors[(positions[0], positions[1], positions[2])]
        return [self.tensors_at(position) for position in positions]


def _history(value: dict) -> tuple:
    name, number, output = value["config"]["keras_history"]
    return name, number, output


def _histories(value):
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            yield _history(value)
            return
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _histories(item)
