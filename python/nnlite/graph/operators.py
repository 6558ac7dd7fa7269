"""Python operators shared by Tensor, Variable and KerasTensor. `nnlite.ops` fills the table when it is imported."""

from __future__ import annotations

from typing import Any, Callable

# Operator name -> function of nnlite.ops. Kept here so that tensors need not import ops (imports point the other way).
table: dict[str, Callable[..., Any]] = {}

_BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "mod", "pow": "power",
    "matmul": "matmul", "and": "logical_and", "or": "logical_or", "xor": "logical_xor",
}
_COMPARE = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}
_UNARY = {"neg": "negative", "abs": "absolute", "invert": "logical_not"}


class Operators:
    """Arithmetic, comparison, indexing. In-place forms (`+=`) rebind the name, they never change a tensor."""

    __slots__ = ()
    # numpy must leave `array + tensor` to us; np.exp(tensor) and np.sum(tensor) read the values through __array__.
    __array_priority__ = 1000

    def __getitem__(self, key):
        return table["get_item"](self, key)

    def __round__(self, decimals=0):
        return table["round"](self, decimals)

    __hash__ = object.__hash__


def _install() -> None:
    def binary(function):
        return lambda self, other: table[function](self, other)

    def reflected(function):
        return lambda self, other: table[function](other, self)

    def unary(function):
        return lambda self: table[function](self)

    for name, function in _BINARY.items():
        setattr(Operators, f"__{name}__", binary(function))
        setattr(Operators, f"__r{name}__", reflected(function))
    for name, function in _COMPARE.items():
        setattr(Operators, f"__{name}__", binary(function))
    for name, function in _UNARY.items():
        setattr(Operators, f"__{name}__", unary(function))


_install()
