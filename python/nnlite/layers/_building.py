"""Building a layer: the shapes it is given, symbolic calls, output shapes."""

from __future__ import annotations

import functools

from nnlite import tree
from nnlite.graph.apply import state
from nnlite.graph.spec import FLOATS
from nnlite.graph.symbolic import FunctionalNode, KerasTensor, infer_output_spec
from nnlite.layers import _calling as calling
from nnlite.layers._state import calls, current_path


class Building:
    """The part of a layer that turns shapes into weights and symbolic outputs."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _recorded(cls.__dict__["build"])

    def build(self, input_shape):
        """Makes the weights. Layers override it; called once, before the first call, with the inputs' shape (batch axis first, None where unknown)."""
        if self._layers:
            self._build_by_calling(input_shape)

    def _build_for(self, arguments: dict) -> None:
        """Builds the layer for the arguments of a call."""
        shapes = calling.shapes_of_arguments(arguments)
        if calls.inferring:  # the batch size is a stand-in then
            shapes = {name: map_shapes(lambda s: (None, *s[1:]), shape) for name, shape in shapes.items()}
        build = type(self).build
        if build is Building.build:  # layers inside build themselves when they are called
            self.__dict__["_path"] = current_path(self)
            self._finish_build(shapes)
            return
        self.build(**calling.select_shapes(calling.signature_of(build.__wrapped__), shapes, self.name))

    def _build_at_init(self) -> None:
        """For layers without weights: they count as built from the start."""
        if type(self).build is Building.build:
            self.built = True

    def _finish_build(self, shapes: dict) -> None:
        self.__dict__["_build_shapes"] = shapes
        self.built = True
        self.__dict__["_locked"] = True
        self._bump()

    def _build_by_calling(self, input_shape) -> None:
        """Runs `call` symbolically, so that the layers inside build themselves."""
        inputs = map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), input_shape)
        named = isinstance(inputs, dict) and set(inputs) <= set(self._signature.names)
        self._infer(self.call, () if named else (inputs,), inputs if named else {})

    def get_build_config(self) -> dict | None:
        """The shapes `build` was called with, for saved files."""
        shapes = self._build_shapes
        if shapes is None:
            return None
        return {"input_shape": next(iter(shapes.values()), None)} if len(shapes) < 2 else {"shapes_dict": dict(shapes)}

    def build_from_config(self, config: dict | None) -> None:
        """Builds the layer with the shapes of `get_build_config`."""
        if not config or self.built:
            return
        if "shapes_dict" in config:
            self.build(**{key: as_shapes(value) for key, value in config["shapes_dict"].items()})
        elif config.get("input_shape") is not None:
            self.build(as_shapes(config["input_shape"]))
        self.built = True

    def _call_symbolic(self, args, kwargs, recorded):
        """Records the call with the arguments the caller gave; `kwargs` are those among them that `call` takes."""
        outputs = self.compute_output_spec(*args, **kwargs)
        FunctionalNode(self, args, recorded, outputs)
        return outputs

    def compute_output_spec(self, *args, **kwargs):
        """KerasTensors with the shapes and dtypes that `call` would give."""
        if type(self).compute_output_shape is not Building.compute_output_shape:
            arguments = self._signature.signature.bind(*args, **kwargs).arguments
            shapes = calling.select_shapes(calling.signature_of(type(self).compute_output_shape), calling.shapes_of_arguments(arguments), self.name)
            return map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), self.compute_output_shape(**shapes))
        dtype = self.compute_dtype if self.autocast and self._convert_input_args else None
        args, kwargs = tree.map_structure(lambda leaf: _cast_symbolic(leaf, dtype), (args, kwargs))
        return self._infer(self.call, args, kwargs)

    def _infer(self, function, args, kwargs):
        """Symbolic outputs of a function. Layers that are built on the way keep unknown batch sizes as None."""
        unknown = any(isinstance(leaf, KerasTensor) and None in leaf.shape for leaf in tree.flatten((args, kwargs)))
        calls.inferring += unknown
        try:
            return infer_output_spec(function, args, kwargs)
        finally:
            calls.inferring -= unknown

    def compute_output_shape(self, *args, **kwargs):
        """The output shape (or structure of shapes) for an input shape; None dims are unknown.

        >>> import nnlite
        >>> nnlite.layers.Dense(4).compute_output_shape((None, 3))
        (None, 4)
        """
        layer = self
        if not self.built:  # weights are needed to trace `call`: a twin gets them
            layer = self._twin()
            layer.build(*args, **kwargs)
        inputs = [map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), shape) for shape in (*args, *kwargs.values())]
        outputs = layer.compute_output_spec(*inputs)
        return tree.map_structure(lambda tensor: tensor.shape, outputs)

    @property
    def input(self):
        """The symbolic input of the layer's first call in a functional model."""
        node = self._first_node("input")
        if len(node.args) == 1:
            return node.args[0]
        return list(node.args) if node.args else next(iter(node.kwargs.values()))

    @property
    def output(self):
        """The symbolic output of the layer's first call in a functional model."""
        return self._first_node("output").outputs

    def _first_node(self, what: str) -> FunctionalNode:
        if not self.inbound_nodes:
            raise AttributeError(
                f"The layer {self.name!r} has never been called on a symbolic input and thus has no defined {what}. Call it on an Input() first."
            )
        return self.inbound_nodes[0]


def _recorded(build):
    """Wraps a class's build(): keeps the path of its weights and the shapes it got, and closes the layer to new state afterwards."""
    if hasattr(build, "__wrapped__"):
        return build

    @functools.wraps(build)
    def wrapper(self, *args, **kwargs):
        if self._building:  # super().build()
            return build(self, *args, **kwargs)
        self._check_initialized()
        self.__dict__["_building"] = True
        self.__dict__["_path"] = current_path(self)
        entered = not (calls.stack and calls.stack[-1] is self)
        if entered:
            calls.stack.append(self)
        recording, state.recording = state.recording, 0
        try:
            result = build(self, *args, **kwargs)
        finally:
            state.recording = recording
            self.__dict__["_building"] = False
            if entered:
                calls.stack.pop()
        shapes = calling.signature_of(build).signature.bind(*args, **kwargs).arguments
        self._finish_build(map_shapes_of(shapes))
        return result

    return wrapper


Building.build.__qualname__ = "Layer.build"
Building.build = _recorded(Building.build)


def map_shapes_of(arguments: dict) -> dict:
    return {name: as_shapes(shape) for name, shape in arguments.items()}


def _cast_symbolic(leaf, dtype):
    if dtype is not None and isinstance(leaf, KerasTensor) and leaf.dtype in FLOATS and leaf.dtype != dtype:
        return KerasTensor(leaf.shape, dtype)
    return leaf


def is_shape(value) -> bool:
    """Whether `value` is one shape, not a structure of shapes."""
    return isinstance(value, (tuple, list)) and all(dim is None or isinstance(dim, int) for dim in value)


def map_shapes(function, shapes):
    """Applies `function` to every shape in a structure of shapes."""
    if isinstance(shapes, dict):
        return {key: map_shapes(function, shape) for key, shape in shapes.items()}
    if is_shape(shapes):
        return function(tuple(shapes))
    if isinstance(shapes, (tuple, list)):
        return type(shapes)([map_shapes(function, shape) for shape in shapes])
    return shapes


def as_shapes(shapes):
    """The structure with every shape a tuple, as files hold lists."""
    return map_shapes(tuple, shapes)
