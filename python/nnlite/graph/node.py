"""Node: one application of an op, in a trace or on a recorded eager tape."""

from __future__ import annotations

import itertools

from nnlite.graph.spec import Spec
from nnlite.tensor import Tensor

_serials = itertools.count()


class Node:
    """Inputs, attributes and (when eager) output arrays of one op application.

    Tensors point at their node, never the other way round: `outputs` makes fresh Tensor objects, so recorded arrays are freed
    by reference counting as soon as nobody can reach them.
    """

    __slots__ = ("op", "inputs", "attributes", "output_specs", "output_data", "scope", "serial")

    def __init__(self, op, inputs: tuple[Tensor, ...], attributes: dict, output_specs: tuple[Spec, ...], output_data=None, scope: str = ""):
        self.op = op
        self.inputs = inputs
        self.attributes = attributes
        self.output_specs = output_specs
        self.output_data = output_data or (None,) * len(output_specs)
        self.scope = scope  # path of the layer it belongs to
        self.serial = next(_serials)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        return tuple(Tensor(spec, data, self, i) for i, (spec, data) in enumerate(zip(self.output_specs, self.output_data)))

    def __repr__(self) -> str:
        return f"{self.op.name}({', '.join(str(t.spec) for t in self.inputs)}) -> {', '.join(map(str, self.output_specs))}"
