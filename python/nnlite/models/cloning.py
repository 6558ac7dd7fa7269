"""clone_model: a model with the same layers and new weights."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.symbolic import FunctionOperation, KerasTensor
from nnlite.layers import Input, InputLayer
from nnlite.models.functional import Functional
from nnlite.models.model import Model
from nnlite.models.sequential import Sequential


def clone_model(model, input_tensors=None, clone_function=None, call_function=None, recursive=False, **kwargs):
    """A new model with new layers of the same configuration; weights are drawn afresh.

    Args:
        model: Sequential, functional, or a subclass with get_config().
        input_tensors: KerasTensors to build the clone on, instead of new Inputs.
        clone_function: Makes the new layer of each layer (inputs excepted).
        call_function: `(layer, *args, **kwargs)`: makes the call of each new layer; functional models only.
        recursive: Whether clone_function also sees the layers of models inside.

    >>> import nnlite
    >>> model = nnlite.Sequential([nnlite.Input((3,)), nnlite.layers.Dense(2)])
    >>> nnlite.models.clone_model(model).layers[0].units
    2
    """
    if kwargs:
        raise ValueError(f"clone_model() got unexpected arguments {sorted(kwargs)}.")
    if isinstance(model, Sequential) and call_function is not None:
        raise ValueError(
            f"`call_function` argument is not supported with Sequential models; received call_function={call_function}, model={model.name!r}."
        )
    if not isinstance(model, (Sequential, Functional)):
        if input_tensors is not None or clone_function is not None or call_function is not None:
            raise ValueError(
                f"Only Sequential and functional models can be cloned with input_tensors, clone_function or call_function; received {model!r}. Pass "
                "the model alone."
            )
        return type(model).from_config(model.get_config())
    clone = _layer_cloner(clone_function or _twin, recursive, clone_function is not None)
    if isinstance(model, Sequential):
        return _clone_sequential(model, clone, input_tensors)
    return _clone_functional(model, clone, input_tensors, call_function)


def _twin(layer):
    if isinstance(layer, Model) and isinstance(layer, (Sequential, Functional)):
        return clone_model(layer)
    return layer._twin()


def _layer_cloner(function, recursive: bool, custom: bool):
    def clone(layer):
        if isinstance(layer, (Sequential, Functional)) and (recursive or not custom):
            return clone_model(layer, clone_function=function if custom else None, recursive=recursive)
        return function(layer)

    return clone


def _clone_sequential(model, clone, input_tensors):
    copy = Sequential(name=model.name, trainable=model.trainable)
    if input_tensors is not None:
        tensors = tree.flatten(input_tensors)
        if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
            raise ValueError(
                f"A Sequential model has one input; clone_model() of {model.name!r} received input_tensors={input_tensors!r}. Pass one KerasTensor."
            )
        copy.add(InputLayer(input_tensor=tensors[0]) if not isinstance(tensors[0].history[0], InputLayer) else tensors[0], rebuild=False)
    elif isinstance(model._layers[0] if model._layers else None, InputLayer):
        first = model._layers[0]
        copy.add(Input(batch_shape=first.batch_shape, dtype=first.dtype, name=first.name), rebuild=False)
    for layer in model.layers:
        copy.add(clone(layer), rebuild=False)
    copy._rebuild()
    return copy


def _clone_functional(model, clone, input_tensors, call_function):
    values: dict = {}
    if input_tensors is None:
        inputs = tree.map_structure(_same_input, model._inputs_struct)
    else:
        inputs = input_tensors
        if len(tree.flatten(inputs)) != len(model.inputs):
            raise ValueError(
                f"Model {model.name!r} has {len(model.inputs)} inputs; clone_model() received {len(tree.flatten(inputs))} input_tensors. Pass one "
                "for each."
            )
    values.update(zip(map(id, model.inputs), tree.flatten(inputs)))
    copies: dict = {}
    for node in model._graph.nodes:
        operation = node.operation
        if operation not in copies:
            copies[operation] = (
                FunctionOperation(operation.function, operation.name) if isinstance(operation, FunctionOperation) else clone(operation)
            )
        args, kwargs = tree.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, KerasTensor) else leaf, (node.args, node.kwargs))
        result = _call(copies[operation], args, kwargs, call_function)
        values.update(zip(map(id, node.output_tensors), tree.flatten(result)))
    outputs = tree.map_structure(lambda tensor: values[id(tensor)], model._outputs_struct)
    copy = Functional(inputs, outputs, name=model.name)
    if not model.trainable:
        copy.trainable = False
    return copy


def _same_input(tensor):
    layer = tensor.history[0]
    return Input(batch_shape=layer.batch_shape, dtype=layer.dtype, name=layer.name, optional=layer.optional)


def _call(operation, args, kwargs, call_function):
    if isinstance(operation, FunctionOperation):
        return operation.symbolic_call(*args, **kwargs)
    return operation(*args, **kwargs) if call_function is None else call_function(operation, *args, **kwargs)
