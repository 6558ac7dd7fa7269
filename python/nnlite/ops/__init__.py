"""Tensor functions with the names and arguments of keras.ops.

Primitives (`elementwise`, `reduce`, `movement`, `matrix`, `conv2d`, `pool`, `softmaxes`, `norms`, `index`, `random_ops`, `optimizer`)
take tensors of matching dtypes and are what kernels, gradients and backends know. The public functions are composites over them: they
convert numbers, lists, numpy arrays and Variables, promote dtypes, and record themselves when called on KerasTensors.
"""

from __future__ import annotations

from nnlite.graph.operators import table as _table
from nnlite.ops import (  # noqa: F401  imported for their declarations
    activations,
    arithmetic,
    comparison,
    control,
    convolution,
    core,
    creation,
    crossentropy,
    diagonals,
    indexing,
    linalg,
    manipulation,
    normalization,
    optimizer,
    packing,
    products,
    random_ops,
    reductions,
    segment,
    sorting,
    special,
)
from nnlite.ops._public import PUBLIC as _PUBLIC

_OPERATORS = (
    "absolute add cast convert_to_tensor divide equal floor_divide get_item greater greater_equal less less_equal logical_and logical_not logical_or "
    "logical_xor matmul maximum mod multiply negative not_equal ones_like power round subtract transpose true_divide zeros_like"
)

globals().update(_PUBLIC)
_table.update({name: _PUBLIC[name] for name in _OPERATORS.split()})


def __dir__() -> list[str]:
    return sorted([*_PUBLIC, "image", "linalg", "nn", "numpy"])
