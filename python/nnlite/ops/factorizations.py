"""Inverses, determinants and factorizations of matrices. They run outside of compiled functions; the first four can be differentiated."""

from __future__ import annotations

import numpy as np

from nnlite.graph.apply import state
from nnlite.ops import elementwise as e, matrix, movement
from nnlite.ops._convert import float_pair, to_float, to_tensor
from nnlite.ops._custom import with_custom_gradient
from nnlite.ops._public import public
from nnlite.ops.indexing import eager_array
from nnlite.tensor import Tensor


def _square(name: str, x) -> Tensor:
    x = to_float(x)
    if len(x.spec.shape) < 2 or x.spec.shape[-1] != x.spec.shape[-2]:
        raise ValueError(f"{name}() takes square matrices [..., n, n]; received shape {x.spec.shape}.")
    return x


def _run(name: str, function, *tensors):
    """A numpy function of eager tensors; singular matrices raise ValueError."""
    arrays = [eager_array(name, t) for t in tensors]
    try:
        result = function(*arrays)
    except np.linalg.LinAlgError as error:
        raise ValueError(f"{name}() failed on matrices of shape {arrays[0].shape}: {error}.") from None
    if isinstance(result, tuple):
        return tuple(to_tensor(np.asarray(r, order="C")) for r in result)
    return to_tensor(np.asarray(result, order="C"))


def _product(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    return matrix.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)


def _differentiable(forward, gradient):
    """`forward(*tensors)` with `gradient(result, dy, *tensors)`, applied only while something records."""

    def call(*tensors):
        if not state.recording:
            return forward(*tensors)

        def with_gradient(*inner):
            y = forward(*inner)
            return y, lambda dy: gradient(y, dy, *inner)

        return with_custom_gradient(with_gradient)(*tensors)

    return call


@public
def inv(x):
    """Inverse of square matrices."""

    def gradient(y, dy, a):
        return e.negative(_product(_product(y, dy, transpose_a=True), y, transpose_b=True))

    return _differentiable(lambda a: _run("inv", np.linalg.inv, a), gradient)(_square("inv", x))


@public
def det(x):
    """Determinant of square matrices."""

    def gradient(y, dy, a):
        turned = movement.transpose(inv(a), axes=(*range(len(a.spec.shape) - 2), len(a.spec.shape) - 1, len(a.spec.shape) - 2))
        return e.multiply(turned, movement.reshape(e.multiply(y, dy), shape=(*y.spec.shape, 1, 1)))

    return _differentiable(lambda a: _run("det", np.linalg.det, a), gradient)(_square("det", x))


@public
def slogdet(x):
    """(sign, logarithm of the absolute value) of the determinant of square matrices."""
    return _run("slogdet", lambda a: tuple(np.linalg.slogdet(a)), _square("slogdet", x))


@public
def logdet(x):
    """Logarithm of the determinant of positive definite matrices."""
    from nnlite.ops.diagonals import diagonal
    from nnlite.ops.reductions import sum as total

    factor = cholesky(x)
    return e.multiply(total(e.log(diagonal(factor, 0, -2, -1)), -1), to_tensor(2.0, factor.spec.dtype))


@public
def solve(a, b):
    """The x with a @ x = b, for square matrices a and a matrix or vector b."""
    a, b = float_pair(_square("solve", a), b)
    column = len(b.spec.shape) == len(a.spec.shape) - 1
    right = movement.reshape(b, shape=(*b.spec.shape, 1)) if column else b

    def gradient(y, dy, left, _):
        db = _run("solve", lambda m, g: np.linalg.solve(np.swapaxes(m, -1, -2), g), left, dy)
        return e.negative(_product(db, y, transpose_b=True)), db

    y = _differentiable(lambda m, r: _run("solve", np.linalg.solve, m, r), gradient)(a, right)
    return movement.reshape(y, shape=y.spec.shape[:-1]) if column else y


@public
def solve_triangular(a, b, lower=False):
    """The x with a @ x = b, reading only one triangle of a."""
    from nnlite.ops.diagonals import tril, triu

    a = _square("solve_triangular", a)
    return solve(tril(a) if lower else triu(a), b)


@public
def cholesky(x, upper=False):
    """The lower (or upper) triangular factor of positive definite matrices."""

    def gradient(y, dy, a):
        return _run("cholesky", _cholesky_gradient, y, dy)

    y = _differentiable(lambda a: _run("cholesky", np.linalg.cholesky, a), gradient)(_square("cholesky", x))
    rank = len(y.spec.shape)
    return movement.transpose(y, axes=(*range(rank - 2), rank - 1, rank - 2)) if upper else y


def _cholesky_gradient(factor: np.ndarray, dy: np.ndarray) -> np.ndarray:
    # Murray, "Differentiation of the Cholesky decomposition" (2016), equation 10.
    middle = np.tril(np.swapaxes(factor, -1, -2) @ np.tril(dy))
    n = factor.shape[-1]
    middle[..., np.arange(n), np.arange(n)] *= 0.5
    inverse = np.linalg.inv(factor)
    s = np.swapaxes(inverse, -1, -2) @ middle @ inverse
    return (s + np.swapaxes(s, -1, -2)) / 2


@public
def cholesky_inverse(x, upper=False):
    """The inverse of the matrix whose lower (or upper) Cholesky factor is x."""
    from nnlite.ops.diagonals import tril, triu

    factor = _square("cholesky_inverse", x)
    inverse = inv(triu(factor) if upper else tril(factor))
    return _product(inverse, inverse, transpose_b=True) if upper else _product(inverse, inverse, transpose_a=True)


@public
def eig(x):
    """(eigenvalues, eigenvectors) of square matrices whose eigenvalues are real; complex ones raise ValueError."""
    values, vectors = np.linalg.eig(eager_array("eig", _square("eig", x)))
    if np.iscomplexobj(values) and np.abs(values.imag).max(initial=0.0) > 0:
        raise ValueError("eig() found complex eigenvalues, and there are no complex tensors. Symmetric matrices have real ones: use eigh.")
    return to_tensor(np.ascontiguousarray(values.real)), to_tensor(np.ascontiguousarray(vectors.real))


@public
def eigh(x):
    """(eigenvalues in ascending order, eigenvectors) of symmetric matrices."""
    return _run("eigh", lambda a: tuple(np.linalg.eigh(a)), _square("eigh", x))


@public
def qr(x, mode="reduced"):
    """(q, r): an orthogonal and an upper triangular factor; `mode` is "reduced" or "complete"."""
    if mode not in ("reduced", "complete"):
        raise ValueError(f'qr() takes mode "reduced" or "complete"; received {mode!r}.')
    return _run("qr", lambda a: tuple(np.linalg.qr(a, mode)), to_float(x))


@public
def svd(x, full_matrices=True, compute_uv=True):
    """(u, s, vh) with x = u @ diag(s) @ vh, or s alone without `compute_uv`."""
    if not compute_uv:
        return _run("svd", lambda a: np.linalg.svd(a, compute_uv=False), to_float(x))
    return _run("svd", lambda a: tuple(np.linalg.svd(a, full_matrices)), to_float(x))


@public
def pinv(x, rcond=None):
    """Pseudo-inverse of matrices."""
    return _run("pinv", lambda a: np.linalg.pinv(a) if rcond is None else np.linalg.pinv(a, rcond), to_float(x))


@public
def matrix_rank(x, tol=None):
    """Number of singular values above `tol`, int32."""
    return _run("matrix_rank", lambda a: np.asarray(np.linalg.matrix_rank(a, tol), "int32"), to_float(x))


@public
def lstsq(a, b, rcond=None):
    """The x that makes |a @ x - b| smallest."""
    return _run("lstsq", lambda m, r: np.linalg.lstsq(m, r, rcond)[0], *float_pair(a, b))


@public
def lu_factor(x):
    """(lu, pivots): both triangular factors in one matrix, and the row exchanged with each row."""
    x = to_float(x)
    array = eager_array("lu_factor", x).copy()
    flat = array.reshape(-1, *array.shape[-2:])
    pivots = np.stack([_eliminate(one) for one in flat]) if len(flat) else np.zeros((0, min(array.shape[-2:])), "int32")
    return to_tensor(array), to_tensor(pivots.reshape(*array.shape[:-2], -1))


def _eliminate(a: np.ndarray) -> np.ndarray:
    """Gaussian elimination with partial pivoting, in place; returns the pivots."""
    rows, columns = a.shape
    pivots = np.arange(min(rows, columns), dtype="int32")
    for k in range(min(rows, columns)):
        pivots[k] = k + int(np.argmax(np.abs(a[k:, k])))
        a[[k, pivots[k]]] = a[[pivots[k], k]]
        if a[k, k] != 0:
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])
    return pivots


@public
def jvp(fun, primals, tangents, has_aux=False):
    """(fun(*primals), derivative of fun along `tangents`): forward-mode differentiation by differentiating twice backwards."""
    from nnlite import tree
    from nnlite.graph.grad import GradientTape, backprop
    from nnlite.ops.creation import filled

    points = [movement.reshape(to_float(p), shape=to_float(p).spec.shape) for p in primals]
    with GradientTape():
        leaves = [movement.reshape(p, shape=p.spec.shape) for p in points]
        result = fun(*leaves)
        outputs = tree.flatten(result[0] if has_aux else result)
        seeds = [movement.reshape(filled(y.spec.shape, 0, y.spec.dtype), shape=y.spec.shape) for y in outputs]
        pulled = [(g, to_tensor(t, g.spec.dtype)) for g, t in zip(backprop(outputs, seeds, leaves), tangents, strict=True) if g is not None]
        along = backprop([g for g, _ in pulled], [t for _, t in pulled], seeds)
    along = [filled(y.spec.shape, 0, y.spec.dtype) if d is None else d for y, d in zip(outputs, along)]
    structure = result[0] if has_aux else result
    derivative = tree.pack_sequence_as(structure, along)
    return (structure, derivative, result[1]) if has_aux else (structure, derivative)
