"""Primitive ops: declaration and registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

from nnlite.graph.apply import apply

# Every primitive by name.
REGISTRY: dict[str, "Op"] = {}


class _NoGradient:
    """Said aloud for inputs that have no gradient: labels, indices, keys."""

    def __repr__(self) -> str:
        return "no_gradient"


no_gradient = _NoGradient()


@dataclass(frozen=True)
class Traits:
    """What passes may ask of an op.

    Attributes:
        elementwise: Opcode of the `elementwise` kernel, or "".
        view: The output holds the same bytes as the first input.
        in_place: Pairs (input, output) that may share a buffer.
        updates: Pairs (input, output) that are one buffer on purpose (optimizer updates).
        random: Depends on a key.
        cost: Flops of a call, from (input specs, output specs, attributes); None = one per output element.
        epilogue: Which fused attributes the kernel takes: any of "bias", "activation", "packed".
        commutative: Both inputs may be swapped.
        control: A loop or a branch: its attributes hold bodies, and only plans run it.
        widen: There is no bfloat16 kernel: such inputs are computed in float32, and results rounded back.
    """

    elementwise: str = ""
    view: bool = False
    in_place: tuple[tuple[int, int], ...] = ()
    updates: Callable[[dict], tuple[tuple[int, int], ...]] | None = None
    random: bool = False
    cost: Callable[..., float] | None = None
    epilogue: tuple[str, ...] = ()
    commutative: bool = False
    control: bool = False
    widen: bool = False


@dataclass(frozen=True)
class Variadic:
    """The gradient of an op with any number of inputs: `function(node, i, *output_gradients)`."""

    function: Callable[..., Any]


def variadic(function: Callable[..., Any]) -> Variadic:
    return Variadic(function)


class Op:
    """A primitive. Calling it applies it to tensors."""

    def __init__(self, name: str, rule, gradients, reference, kernel: str, traits: Traits):
        self.name = self.__name__ = name
        self.rule = rule
        self.gradients = gradients
        self.reference = reference
        self.kernel = kernel
        self.traits = traits
        self.__doc__ = rule.__doc__
        self.__wrapped__ = rule
        self.__module__ = rule.__module__

    def __call__(self, *inputs, **attributes):
        return apply(self, inputs, attributes)

    def specs(self, input_specs, attributes) -> tuple:
        """Output specs; raises ValueError on bad input."""
        result = self.rule(*input_specs, **attributes)
        return result if type(result) is tuple else (result,)

    def gradient(self, i: int):
        """The gradient function of input i as `f(node, *output_gradients)`, or None where there is none."""
        if isinstance(self.gradients, Variadic):
            return lambda node, *dys: self.gradients.function(node, i, *dys)
        function = self.gradients[i]
        return None if function is no_gradient else function

    def __repr__(self) -> str:
        return f"<Op {self.name}>"


class WideningOp(Op):
    """A primitive without a bfloat16 kernel. The casts around it are ops, too, so gradients widen and round as well."""

    def __call__(self, *inputs, **attributes):
        if not any(t.spec.dtype == "bfloat16" for t in inputs):
            return apply(self, inputs, attributes)
        cast = REGISTRY["cast"]
        wide = tuple([cast(t, dtype="float32") if t.spec.dtype == "bfloat16" else t for t in inputs])
        results = apply(self, wide, attributes)
        if not isinstance(results, tuple):
            return cast(results, dtype="bfloat16")
        return tuple([cast(t, dtype="bfloat16") if t.spec.dtype == "float32" else t for t in results])


def primitive(*, gradients, reference, kernel: str | None = None, traits: Traits = Traits(), name: str | None = None):
    """Declares a primitive: the decorated function is its spec rule. See docs/add-an-op.md."""

    def decorate(rule) -> Op:
        op_name = name or rule.__name__
        if op_name in REGISTRY:
            raise ValueError(f"The primitive {op_name!r} is declared twice: in {REGISTRY[op_name].__module__} and {rule.__module__}.")
        op = (WideningOp if traits.widen else Op)(op_name, rule, gradients, reference, kernel or op_name, traits)
        REGISTRY[op_name] = op
        return op

    return decorate
