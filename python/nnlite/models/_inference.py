"""Calling a model on data outside of training: by a plan compiled per input signature, instead of layer by layer."""

from __future__ import annotations

import numpy as np

from nnlite.graph.apply import state
from nnlite.graph.function import compile_function
from nnlite.graph.spec import Spec
from nnlite.graph.symbolic import FunctionOperation
from nnlite.layers._calling import get_mask
from nnlite.layers._state import calls, clock
from nnlite.tensor import Tensor

# Signatures kept per model; data of ever new shapes runs layer by layer.
_MOST_PLANS = 16


class InferenceCache:
    """The plans of one model.

    A plan is made when a signature comes a second time, and only for Sequential and functional models all of whose layers are our own:
    user-defined layers may print, count calls or keep tensors, so they always run as they are written.
    """

    def __init__(self, model):
        self.model = model
        self.plans: dict = {}
        self.seen: set = set()
        self.checked_at = -1
        self.revision = -1
        self.usable = False

    def run(self, x):
        """The model's outputs for one array or tensor, or None when it must run layer by layer."""
        kind = type(x)
        if kind is np.ndarray:
            key = (x.dtype, x.shape)
        elif kind is Tensor and not hasattr(x, "_keras_mask"):
            key = x.spec
        else:
            return None
        if state.trace is not None or state.recording or calls.stack:
            return None
        if self.checked_at != clock.now:
            self._check()
        plan = self.plans.get(key)
        if plan is None:
            plan = self._plan_for(key, x) if self.usable else None
            if plan is None:
                return None
        return plan(x)

    def _check(self) -> None:
        """Forgets plans of an earlier revision of the model."""
        self.checked_at = clock.now
        revision = self.model._revision
        if revision != self.revision:
            self.revision = revision
            self.plans.clear()
            self.seen.clear()
            self.usable = self.model.built and _is_ours(self.model)

    def _plan_for(self, key, x):
        if key not in self.seen:
            if len(self.seen) >= _MOST_PLANS:
                self.seen.clear()
            self.seen.add(key)
            return None
        if len(self.plans) >= _MOST_PLANS:
            self.plans.pop(next(iter(self.plans)))
        plan = _make_plan(self.model, x)
        if plan is None:
            self.usable = False
        else:
            self.plans[key] = plan
            self.checked_at = clock.now
        return plan


def _is_ours(model) -> bool:
    """Whether the model and everything in it comes from this package and has no effect but its outputs."""
    from nnlite.layers import Lambda
    from nnlite.models.functional import Functional
    from nnlite.models.sequential import Sequential

    for layer in model._flatten_layers():
        if not type(layer).__module__.startswith("nnlite.") or isinstance(layer, Lambda) or layer.activity_regularizer is not None:
            return False
        if layer._signature.training_default:
            return False  # image layers act unless they are told not to train: a call without a mode and one with training=False differ
        if isinstance(layer, Functional):
            functions = [operation.function for operation in layer.operations if isinstance(operation, FunctionOperation)]
            if not all(getattr(function, "__module__", "").startswith("nnlite.") for function in functions):
                return False
        activation = getattr(layer, "activation", None)
        if activation is not None and not getattr(activation, "__module__", "").startswith("nnlite."):
            return False
    return type(model) in (Functional, Sequential) and model._front is None and len(model.inputs or ()) == 1


def _make_plan(model, x):
    from nnlite.layers.layer import Layer

    # Data is converted to the dtype the Input declares before the plan sees it.
    spec = Spec(tuple(x.shape), model.inputs[0].dtype)
    dtype = np.dtype(spec.dtype) if spec.dtype != "bfloat16" else None
    if dtype is None or (type(x) is Tensor and x.dtype != spec.dtype) or (type(x) is np.ndarray and x.dtype.kind not in "fiub"):
        return None
    masked = []

    def call(tensor):
        outputs = Layer.__call__(model, tensor)
        masked.append(get_mask(outputs) is not None)
        return outputs

    compiled = compile_function(call, [spec], model.name)
    if masked[0]:
        return None
    run = compiled.runner.run
    outputs = compiled.graph.outputs
    if type(compiled.result) is Tensor and len(outputs) == 1:
        output_spec = compiled.graph.specs[outputs[0]]
        if type(x) is Tensor:
            return lambda x: Tensor(output_spec, run([x.data])[0])
        if x.dtype == dtype:
            return lambda x: Tensor(output_spec, run([x if x.flags.c_contiguous else np.ascontiguousarray(x)])[0])
        return lambda x: Tensor(output_spec, run([np.ascontiguousarray(x, dtype)])[0])
    if type(x) is Tensor:
        return lambda x: compiled([x.data])
    return lambda x: compiled([np.ascontiguousarray(x, dtype)])
