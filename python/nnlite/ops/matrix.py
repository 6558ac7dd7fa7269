"""Matrix multiplication."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, no_gradient, primitive
from nnlite.graph.spec import Spec
from nnlite.ops.elementwise import broadcast_shapes, unbroadcast


def _left_gradient(node, dy):
    a, b = node.inputs
    ta, tb = node.attributes["transpose_a"], node.attributes["transpose_b"]
    da = matmul(b, dy, transpose_a=tb, transpose_b=True) if ta else matmul(dy, b, transpose_a=False, transpose_b=not tb)
    return unbroadcast(da, a.spec.shape)


def _right_gradient(node, dy):
    a, b = node.inputs
    ta, tb = node.attributes["transpose_a"], node.attributes["transpose_b"]
    db = matmul(dy, a, transpose_a=True, transpose_b=ta) if tb else matmul(a, dy, transpose_a=not ta, transpose_b=False)
    return unbroadcast(db, b.spec.shape)


def _reference(a, b, transpose_a, transpose_b):
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    return np.matmul(a, b)


def _cost(inputs, outputs, attributes):
    depth = inputs[0].shape[-2 if attributes["transpose_a"] else -1]
    return 2.0 * depth * outputs[0].size


@primitive(gradients=(_left_gradient, _right_gradient), reference=_reference, traits=Traits(cost=_cost, epilogue=("bias", "activation", "packed")))
def matmul(a, b, *, transpose_a, transpose_b):
    """[..., M, K] times [..., K, N]; leading axes broadcast. transpose_a, transpose_b swap an input's last two axes first."""
    if len(a.shape) < 2 or len(b.shape) < 2 or a.dtype != b.dtype or a.dtype == "bool":
        raise ValueError(f"matmul() takes two tensors of one number dtype and at least 2 axes; received {a} and {b}.")
    m, k = (a.shape[-1], a.shape[-2]) if transpose_a else a.shape[-2:]
    k2, n = (b.shape[-1], b.shape[-2]) if transpose_b else b.shape[-2:]
    if k != k2:
        raise ValueError(
            f"matmul() sums over one common size: {a.shape}{' transposed' if transpose_a else ''} offers {k}, "
            f"{b.shape}{' transposed' if transpose_b else ''} has {k2}."
        )
    return Spec(broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2]) + (m, n), a.dtype)


@primitive(
    gradients=(no_gradient, no_gradient),
    reference=lambda a, b: np.matmul(a.astype(np.int32), b.astype(np.int32)),
    traits=Traits(cost=lambda inputs, outputs, attributes: 2.0 * inputs[0].shape[-1] * outputs[0].size),
)
def matmul_int8(a, b):
    """[..., M, K] uint8 or int8 times [K, N] int8, summed exactly in int32."""
    if len(a.shape) < 2 or len(b.shape) != 2 or a.dtype not in ("uint8", "int8") or b.dtype != "int8" or not a.shape[-1] == b.shape[0] > 0:
        raise ValueError(f"matmul_int8() takes uint8 or int8 [..., M, K] and int8 [K, N] with K at least 1; received {a} and {b}.")
    return Spec(a.shape[:-1] + b.shape[1:], "int32")
