"""How a layer's call is prepared: its signature, inputs, masks, training mode, and the shapes for build()."""

from __future__ import annotations

import functools
import inspect

import numpy as np

from nnlite import tree
from nnlite.graph.operators import table
from nnlite.graph.spec import FLOATS
from nnlite.graph.symbolic import KerasTensor
from nnlite.tensor import Tensor
from nnlite.variable import Variable


class Signature:
    """What a class's `call` (or `build`) takes.

    Attributes:
        names: Parameter names, `self` left out, in order; without *args and **kwargs.
        takes_training, takes_mask: Whether there is such a parameter.
        training_default: Default of `training`, or None.
        open_keywords: Whether there is a **kwargs.
    """

    def __init__(self, function):
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        self.signature = signature.replace(parameters=parameters[1:])
        self.names = [p.name for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.open_keywords = any(p.kind == p.VAR_KEYWORD for p in parameters)
        self.open_positional = any(p.kind == p.VAR_POSITIONAL for p in parameters)
        self.takes_training = "training" in self.names
        self.takes_mask = "mask" in self.names
        default = signature.parameters["training"].default if self.takes_training else None
        self.training_default = None if default is inspect.Parameter.empty else default


@functools.lru_cache(maxsize=None)
def signature_of(function) -> Signature:
    return Signature(function)


def as_input(value, compute_dtype: str | None):
    """An argument as a layer sees it: arrays become tensors, floats get the layer's dtype (None: they keep theirs)."""
    if isinstance(value, KerasTensor) or value is None:
        return value
    if isinstance(value, Variable):
        value = value.value
    elif not isinstance(value, Tensor):
        if not hasattr(value, "__array__"):
            return value
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            return value
        if compute_dtype is not None and array.dtype.kind == "f":
            array = array.astype(compute_dtype, copy=False)
        value = table["convert_to_tensor"](array)
    if compute_dtype is not None and value.spec.dtype in FLOATS and value.spec.dtype != compute_dtype:
        mask = get_mask(value)
        value = table["cast"](value, compute_dtype)
        if mask is not None:
            value._keras_mask = mask
    return value


def check_positional(args) -> None:
    """Only tensors may be positional: what else a call takes must be named, so that models can be saved."""
    for value in tree.flatten(args):
        if not isinstance(value, (Tensor, KerasTensor, type(None))):
            raise ValueError(
                "Only input tensors may be passed as positional arguments. The following argument value should be passed as a keyword argument: "
                f"{value!r} "
                f"(of type {type(value)}). If it is meant as data, convert it with numpy.array() first."
            )


def get_mask(tensor):
    """The mask that travels with a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor, mask) -> None:
    if mask is not None and isinstance(tensor, (Tensor, KerasTensor)):
        tensor._keras_mask = mask


def masks_of(structure):
    """The masks of all tensors in a structure, in its nesting; None when there is none at all."""
    if not isinstance(structure, (tuple, list, dict)):
        return get_mask(structure)
    masks = tree.map_structure(get_mask, structure)
    return masks if any(mask is not None for mask in tree.flatten(masks)) else None


def is_tensor_argument(value) -> bool:
    leaves = tree.flatten(value) if isinstance(value, (tuple, list, dict)) else (value,)
    return bool(leaves) and all(isinstance(leaf, (Tensor, KerasTensor, type(None))) for leaf in leaves) and any(leaf is not None for leaf in leaves)


def fill_masks(signature: Signature, arguments: dict, kwargs: dict) -> None:
    """Puts the masks of the inputs into the call's `mask` (or `<argument>_mask`) parameters that were not given."""
    tensors = {name: value for name, value in arguments.items() if is_tensor_argument(value) and name != "mask" and not name.endswith("_mask")}
    for name, value in tensors.items():
        target = "mask" if len(tensors) == 1 else f"{name}_mask"
        if target in signature.names and arguments.get(target) is None:
            mask = masks_of(value)
            if mask is not None:
                kwargs[target] = arguments[target] = mask


def shape_of(value):
    if isinstance(value, (tuple, list)):
        shapes = [shape_of(item) for item in value]
        return tuple(shapes) if isinstance(value, tuple) else shapes
    if isinstance(value, dict):
        return {key: shape_of(item) for key, item in value.items()}
    return None if value is None else tuple(value.shape)


def shapes_of_arguments(arguments: dict) -> dict:
    """Argument name + "_shape" -> shape (or structure of shapes) of every tensor argument; masks are left out."""
    return {
        f"{name}_shape": shape_of(value)
        for name, value in arguments.items()
        if is_tensor_argument(value) and name != "mask" and not name.endswith("_mask")
    }


def select_shapes(signature: Signature, shapes: dict, layer_name: str) -> dict:
    """The shapes that a build() or compute_output_shape() with this signature takes.

    One parameter receives the first shape whatever its name; several are matched by name.
    """
    if len(signature.names) == 1 and not signature.open_keywords:
        return {signature.names[0]: next(iter(shapes.values()), None)}
    if signature.open_keywords:
        return dict(shapes)
    missing = [name for name in signature.names if name not in shapes and signature.signature.parameters[name].default is inspect.Parameter.empty]
    if missing and len(shapes) == 1 and len(missing) == 1:
        return {missing[0]: next(iter(shapes.values()))}
    if missing:
        raise ValueError(
            f"The parameters of build() and compute_output_shape() must be named like those of call() plus '_shape': layer {layer_name!r} wants "
            f"{missing}, "
            f"but its call() gives {sorted(shapes)}. Rename the parameters."
        )
    return {name: shapes[name] for name in signature.names if name in shapes}
