"""Layer: state and a computation; the base of everything models are made of."""

from __future__ import annotations

import warnings

from nnlite import dtype_policies, regularizers, tree
from nnlite.graph.apply import state as graph_state
from nnlite.graph.symbolic import KerasTensor, Operation, any_symbolic
from nnlite.layers import _calling as calling
from nnlite.layers._building import Building
from nnlite.layers._config import Config
from nnlite.layers._state import calls, current_path
from nnlite.layers._tracking import Tracking
from nnlite.layers._weights import Weights
from nnlite.layers.input_spec import check_inputs
from nnlite.tensor import Tensor
from nnlite.utils.naming import auto_name


class Layer(Config, Building, Weights, Tracking, Operation):
    """Weights and the computation that uses them.

    A layer of your own defines `call(inputs, ...)` with `nnlite.ops`; `build(input_shape)` makes its weights when the input is first seen.
    Gradients come by themselves.

    Args:
        activity_regularizer: Penalty on the outputs, added to `losses`.
        trainable: Whether optimizers change the weights.
        dtype: Name or policy: dtype of computation and weights; the global policy by default.
        autocast: Whether floating-point inputs are cast to the layer's dtype.
        name: Unique name; snake_case of the class plus a counter by default.

    >>> import nnlite, numpy as np
    >>> class Scale(nnlite.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    >>> Scale()(np.ones((2, 3))).shape
    (2, 3)
    """

    # Preprocessing layers that take strings or ragged lists switch these off.
    _convert_input_args = True
    _allow_non_tensor_positional_args = False
    # Whether `compute_mask`, where it is overridden, may give a mask when no input has one.
    _creates_masks = True

    def __new__(cls, *args, **kwargs):
        layer = object.__new__(cls)
        attributes = layer.__dict__
        attributes.update(
            _init_arguments=(args, kwargs),
            _initialized=False,
            _known_specs=set(),
            _trainable=True,
            built=False,
            _losses=[],
            _path=None,
            _build_shapes=None,
            _building=False,
        )
        layer._start_tracking()
        return layer

    def __init__(self, *, activity_regularizer=None, trainable=True, dtype=None, autocast=True, name=None, **kwargs):
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name!r} (of type {type(name)}). Use '_' instead."
            )
        self.__dict__["inbound_nodes"] = []
        self.__dict__["name"] = name or auto_name(self)
        self.__dict__["_initialized"] = True
        self._dtype_policy = dtype_policies.get(dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self.autocast = autocast
        self._input_spec = None
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self._legacy_arguments(kwargs)
        signature = calling.signature_of(type(self).call)
        self.__dict__["_signature"] = signature
        self.__dict__["_takes_training"] = signature.takes_training

    def _legacy_arguments(self, kwargs: dict) -> None:
        """Old spellings: `input_shape`, `input_dim`, `batch_input_shape` tell Sequential the model's input."""
        if "input_dim" in kwargs:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        if "batch_input_shape" in kwargs or "batch_shape" in kwargs:
            self.__dict__["_batch_input_shape"] = tuple(kwargs.pop("batch_input_shape", None) or kwargs.pop("batch_shape"))
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
            self.__dict__["_batch_input_shape"] = (None, *((shape,) if isinstance(shape, int) else shape))
        kwargs.pop("implementation", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}. Check the spelling, or remove them.")

    # Dtypes

    @property
    def dtype_policy(self):
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value) -> None:
        self._dtype_policy = dtype_policies.get(value)
        self._bump()

    @property
    def dtype(self) -> str:
        """Dtype of the weights."""
        return self._dtype_policy.variable_dtype

    @property
    def variable_dtype(self) -> str:
        return self._dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Dtype of the computation and of the outputs."""
        return self._dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        return self.compute_dtype

    # Calling

    def call(self, *args, **kwargs):
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method implemented.")

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and (not kwargs or (len(kwargs) == 1 and "training" in kwargs)):
            x = args[0]
            if (x.spec if type(x) is Tensor else _specs_of(x)) in self._known_specs and getattr(x, "_keras_mask", None) is None:
                return self._call_known(x, kwargs)
        return self._call_any(args, kwargs)

    def _call_known(self, x, kwargs):
        """A call on tensors of specs that passed all checks before."""
        outer = calls.training
        training = kwargs.get("training") if kwargs else None
        stack = calls.stack
        if not stack and calls.with_losses:
            self._clear_losses()
        if training is None:
            training = outer
        else:
            calls.training = training
        scope = graph_state.scope
        stack.append(self)
        try:
            if graph_state.trace is not None:
                graph_state.scope = current_path(self)
            if training is not None and self._takes_training:
                return self.call(x, training=training)
            return self.call(x)
        except Exception as error:
            raise _named(error, self, (x,))
        finally:
            stack.pop()
            calls.training = outer
            graph_state.scope = scope

    def _call_any(self, args, kwargs):
        """A call with all checks and conversions; builds the layer when it is not built."""
        self._check_initialized()
        args, kwargs = self._as_inputs(args, kwargs)
        if len(args) == 1 and not kwargs and type(args[0]) is Tensor and args[0].spec in self._known_specs and calling.get_mask(args[0]) is None:
            return self._call_known(args[0], kwargs)
        given = kwargs if self._takes_training else {key: value for key, value in kwargs.items() if key != "training"}
        arguments = self._bind(args, given)
        first = next(iter(arguments.values()), None)
        check_inputs(self.input_spec, first, self.name)
        if not calls.stack and calls.with_losses:
            self._clear_losses()
        outer = calls.training
        training = self._mode(kwargs.get("training", arguments.get("training")))
        calling.fill_masks(self._signature, arguments, given)
        if self._takes_training and training is not None and "training" not in self._signature.names[: len(args)]:
            given["training"] = training
        calls.training = training
        scope = graph_state.scope
        calls.stack.append(self)
        try:
            if graph_state.trace is not None:
                graph_state.scope = current_path(self)
            if not self.built:
                self._build_for(arguments)
            symbolic = any_symbolic(args, given)
            outputs = self._call_symbolic(args, given, {**kwargs, **given}) if symbolic else self.call(*args, **given)
        except Exception as error:
            raise _named(error, self, args)
        finally:
            calls.stack.pop()
            calls.training = outer
            graph_state.scope = scope
        if not symbolic:
            self._after_call(args, given, outputs)
        self._propagate_masks(first, given, outputs)
        return outputs

    def _bind(self, args, kwargs) -> dict:
        try:
            return self._signature.signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{type(self).__name__}.call() of layer {self.name!r} takes {self._signature.signature}; {error}.") from None

    def _mode(self, explicit):
        """Whether a call trains: what it says itself, else the mode of the layer around it, else the default of `call`."""
        if explicit is not None:
            return explicit
        return calls.training if calls.training is not None else self._signature.training_default

    def _as_inputs(self, args, kwargs):
        if not self._convert_input_args:
            return args, kwargs
        dtype = self.compute_dtype if self.autocast else None

        def convert(value):
            return calling.as_input(value, dtype)

        args = tuple([tree.map_structure(convert, value) if isinstance(value, (tuple, list, dict)) else convert(value) for value in args])
        kwargs = {
            key: tree.map_structure(convert, value) if isinstance(value, (tuple, list, dict)) else convert(value) for key, value in kwargs.items()
        }
        if not self._allow_non_tensor_positional_args:
            calling.check_positional(args)
        return args, kwargs

    def _after_call(self, args, kwargs, outputs) -> None:
        """Activity losses; and the input's spec is remembered when the next such call can skip all checks."""
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                if isinstance(output, Tensor):
                    penalty = self.activity_regularizer(output)
                    self.add_loss(penalty / output.shape[0] if output.shape else penalty)  # per sample, whatever the batch size
        elif len(args) == 1 and self.built and not (set(kwargs) - {"training"}) and not self._signature.training_default and not self._makes_masks():
            self._known_specs.add(args[0].spec if type(args[0]) is Tensor else _specs_of(args[0]))
            self._known_specs.discard(None)

    def _makes_masks(self) -> bool:
        return self.supports_masking and self._creates_masks and type(self).compute_mask is not Layer.compute_mask

    def _propagate_masks(self, first, kwargs, outputs) -> None:
        masks = kwargs.get("mask") if self._signature.takes_mask else None
        if masks is None:
            masks = calling.masks_of(first)
        if not self.supports_masking:
            if masks is not None:
                warnings.warn(
                    f"Layer {self.name!r} (of type {type(self).__name__}) was passed an input with a mask attached to it. However, this layer does "
                    "not support masking "
                    "and will therefore destroy the mask information. Downstream layers will not see the mask.",
                    stacklevel=4,
                )
            return
        if masks is None and type(self).compute_mask is Layer.compute_mask:
            return
        found = self.compute_mask(first, masks)
        if found is None:
            return
        flat_outputs = tree.flatten(outputs)
        flat_masks = tree.flatten(found) if isinstance(found, (tuple, list, dict)) else [found] * len(flat_outputs)
        for output, mask in zip(flat_outputs, flat_masks):
            if calling.get_mask(output) is None:
                calling.set_mask(output, mask)

    def compute_mask(self, inputs, previous_mask):
        """The mask of the outputs, given that of the inputs: the same by default."""
        return previous_mask

    # What else

    @property
    def input_spec(self):
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value) -> None:
        self._input_spec = value
        self.__dict__["_known_specs"] = set()

    @property
    def path(self) -> str:
        """Where the layer stands: names of the layers around it, then its own."""
        return self._path or self.name

    @property
    def _inbound_nodes(self) -> list:
        return self.inbound_nodes

    def _check_initialized(self) -> None:
        if not self._initialized:
            raise RuntimeError(
                f"In layer {type(self).__name__!r}, you forgot to call `super().__init__()` as the first statement in the `__init__()` method. Go "
                "add it!"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.__dict__.get('name', '?')}, built={self.built}>"

    def __str__(self) -> str:
        return repr(self)


def _specs_of(values):
    """The specs of a list of unmasked tensors, or None."""
    if type(values) not in (list, tuple):
        return None
    for value in values:
        if type(value) is not Tensor or getattr(value, "_keras_mask", None) is not None:
            return None
    return tuple([value.spec for value in values])


def _named(error: Exception, layer, args) -> Exception:
    """Says once which layer was running, when the text does not name it."""
    if len(error.args) == 1 and isinstance(error.args[0], str) and not getattr(error, "_layer_named", False) and type(error) in _PLAIN_ERRORS:
        text = error.args[0]
        if repr(layer.name) not in text:
            shapes = ", ".join(f"{t.dtype}{list(t.shape)}" for t in tree.flatten(args) if isinstance(t, (Tensor, KerasTensor)))
            error.args = (f"{text}\n(raised while calling layer {layer.name!r} of type {type(layer).__name__} on {shapes or 'no tensors'})",)
        error._layer_named = True
    return error


_PLAIN_ERRORS = (ValueError, TypeError, RuntimeError, IndexError, AttributeError)
