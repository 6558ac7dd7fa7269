"""Tensor functions with the names and arguments of keras.ops.

Primitives (`elementwise`, `reduce`, `movement`, `matrix`, `conv2d`, `pool`, `softmaxes`, `norms`, `index`, `random_ops`, `optimizer`,
`packing`) take tensors of matching dtypes and are what kernels, gradients and backends know. The public functions are composites over them:
they convert numbers, lists, numpy arrays and Variables, promote dtypes, and record themselves when called on KerasTensors.
"""

from __future__ import annotations

import importlib as _importlib

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
)
from nnlite.ops._public import PUBLIC as _PUBLIC

_OPERATORS = (
    "absolute add cast convert_to_tensor divide equal floor_divide get_item greater greater_equal less less_equal logical_and logical_not logical_or "
    "logical_xor matmul maximum mod multiply negative not_equal ones_like power round subtract transpose true_divide zeros_like"
)

# Families that few programs use, loaded when one of their functions is asked for.
_RARE = {
    "attention": "dot_product_attention",
    "bits": (
        "bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor gcd lcm left_shift "
        "nextafter right_shift view"
    ),
    "ctc": "ctc_decode ctc_loss",
    "factorizations": (
        "cholesky cholesky_inverse det eig eigh inv jvp logdet lstsq lu_factor matrix_rank pinv qr slogdet solve solve_triangular svd"
    ),
    "signal": "extract_sequences fft fft2 ifft2 irfft istft rfft stft",
    "spatial": "adaptive_average_pool adaptive_max_pool depth_to_space fold rearrange space_to_depth unfold",
    "special": "angle conj conjugate erfinv i0 imag real",
    "statistics": (
        "cdist corrcoef correlate diff median nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin "
        "nanpercentile nanprod nanquantile "
        "nanstd nansum nanvar percentile quantile trapezoid"
    ),
}
_HOME = {name: family for family, names in _RARE.items() for name in names.split()}
_MODULES = frozenset(("image", "nn", "numpy"))

globals().update(_PUBLIC)
_table.update({name: _PUBLIC[name] for name in _OPERATORS.split()})


def __getattr__(name: str):
    if name in _MODULES:
        return _importlib.import_module(f"nnlite.ops.{name}")
    if name in _HOME:
        _importlib.import_module(f"nnlite.ops.{_HOME[name]}")
        globals()[name] = _PUBLIC[name]
        return _PUBLIC[name]
    raise AttributeError(f"module 'nnlite.ops' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*_PUBLIC, *_HOME, *_MODULES, "linalg"})
