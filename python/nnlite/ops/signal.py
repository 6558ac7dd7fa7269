"""Fourier transforms of (real, imaginary) pairs, by matrix products: they compile and differentiate like any composite."""

from __future__ import annotations

import functools
import math

import numpy as np

from nnlite.ops import elementwise as e, matrix, movement
from nnlite.ops._convert import float_pair, to_float, to_tensor
from nnlite.ops._public import public
from nnlite.ops.arithmetic import const
from nnlite.ops.joining import part_along
from nnlite.ops.manipulation import moveaxis
from nnlite.tensor import Tensor

# Sizes up to this are one product with the matrix of all angles; larger ones are split into factors.
_DIRECT = 64


@functools.lru_cache(maxsize=64)
def _angles(n: int, m: int) -> np.ndarray:
    """2 pi j k / (n m) for j < n, k < m, reduced modulo a full turn first."""
    jk = np.outer(np.arange(n), np.arange(m)) % (n * m)
    return 2 * math.pi * jk / (n * m)


@functools.lru_cache(maxsize=64)
def _matrices(n: int, dtype: str, sign: int) -> tuple[Tensor, Tensor]:
    turns = 2 * math.pi * (np.outer(np.arange(n), np.arange(n)) % n) / n
    return to_tensor(np.cos(turns), dtype), to_tensor(sign * np.sin(turns), dtype)


def _multiplied(re: Tensor, im: Tensor, cos: Tensor, sin: Tensor, product) -> tuple[Tensor, Tensor]:
    """(re + i im) times (cos + i sin), by `product`."""
    return e.subtract(product(re, cos), product(im, sin)), e.add(product(re, sin), product(im, cos))


def _transform_last(re: Tensor, im: Tensor, sign: int) -> tuple[Tensor, Tensor]:
    """The unscaled transform of the last axis; sign -1 forwards, 1 backwards."""
    n, dtype = re.spec.shape[-1], re.spec.dtype
    small = next((f for f in range(int(math.isqrt(n)), 1, -1) if n % f == 0), 1)
    if n <= _DIRECT or small == 1:
        cos, sin = _matrices(n, dtype, sign)
        return _multiplied(re, im, cos, sin, _times)
    return _by_factors(re, im, small, n // small, sign)


def _times(x: Tensor, m: Tensor) -> Tensor:
    flat = movement.reshape(x, shape=(x.spec.size // max(m.spec.shape[0], 1), m.spec.shape[0]))
    return movement.reshape(matrix.matmul(flat, m, transpose_a=False, transpose_b=False), shape=(*x.spec.shape[:-1], m.spec.shape[1]))


def _by_factors(re: Tensor, im: Tensor, p: int, q: int, sign: int) -> tuple[Tensor, Tensor]:
    """Cooley and Tukey: position p-major, transforms of size p, twiddles, transforms of size q."""
    lead = re.spec.shape[:-1]

    def columns(t):  # [..., q, p]: element (b, a) is x[a * q + b]
        return moveaxis(movement.reshape(t, shape=(*lead, p, q)), -1, -2)

    re, im = _transform_last(columns(re), columns(im), sign)
    turns = _angles(q, p)
    re, im = _multiplied(re, im, to_tensor(np.cos(turns), re.spec.dtype), to_tensor(sign * np.sin(turns), re.spec.dtype), e.multiply)
    re, im = _transform_last(moveaxis(re, -1, -2), moveaxis(im, -1, -2), sign)  # [..., p, q]: element (c, d) is X[d * p + c]
    return tuple(movement.reshape(moveaxis(t, -1, -2), shape=(*lead, p * q)) for t in (re, im))


def _pair(name: str, x) -> tuple[Tensor, Tensor]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{name}() takes a pair (real part, imaginary part) of tensors; received {type(x).__name__}.")
    re, im = float_pair(*x)
    if re.spec.shape != im.spec.shape or not re.spec.shape:
        raise ValueError(
            f"{name}() takes real and imaginary parts of one shape with at least one axis; received {re.spec.shape} and {im.spec.shape}."
        )
    return re, im


def _along(re: Tensor, im: Tensor, axis: int, sign: int) -> tuple[Tensor, Tensor]:
    re, im = _transform_last(moveaxis(re, axis, -1), moveaxis(im, axis, -1), sign)
    return moveaxis(re, -1, axis), moveaxis(im, -1, axis)


@public
def fft(x):
    """Fourier transform of the last axis of a pair (real, imaginary)."""
    return _transform_last(*_pair("fft", x), -1)


def _planes(name: str, x, sign: int) -> tuple[Tensor, Tensor]:
    re, im = _pair(name, x)
    if len(re.spec.shape) < 2:
        raise ValueError(f"{name}() takes tensors with at least 2 axes; received shape {re.spec.shape}.")
    return _along(*_transform_last(re, im, sign), -2, sign)


@public
def fft2(x):
    """Fourier transform of the last two axes of a pair (real, imaginary)."""
    return _planes("fft2", x, -1)


@public
def ifft2(x):
    """Inverse of `fft2`."""
    re, im = _planes("ifft2", x, 1)
    share = const(1.0 / max(math.prod(re.spec.shape[-2:]), 1), re)
    return e.multiply(re, share), e.multiply(im, share)


def _sized(x: Tensor, length: int) -> Tensor:
    """The last axis cut, or filled with zeros, to a length."""
    axis, size = len(x.spec.shape) - 1, x.spec.shape[-1]
    if size >= length:
        return part_along(x, axis, 0, length) if size > length else x
    zeros = (0,) * len(x.spec.shape)
    return movement.pad(x, low=zeros, high=(*zeros[1:], length - size), interior=zeros, value=0.0)


@public
def rfft(x, fft_length=None):
    """(real, imaginary) parts of the first fft_length // 2 + 1 frequencies of the last axis of a real tensor."""
    x = to_float(x)
    n = x.spec.shape[-1] if fft_length is None else int(fft_length)
    x = _sized(x, n)
    re, im = _transform_last(x, e.subtract(x, x), -1)
    return tuple(part_along(t, len(t.spec.shape) - 1, 0, n // 2 + 1) for t in (re, im))


@public
def irfft(x, fft_length=None):
    """The real tensor whose `rfft` is the pair x; fft_length defaults to 2 * (frequencies - 1)."""
    re, im = _pair("irfft", x)
    n = 2 * (re.spec.shape[-1] - 1) if fft_length is None else int(fft_length)
    re, im = _sized(re, n // 2 + 1), _sized(im, n // 2 + 1)
    axis, mirrored = len(re.spec.shape) - 1, (n + 1) // 2 - 1
    # The upper frequencies mirror the lower ones, conjugated. The parts that must be real count as real.
    back = [movement.reverse(part_along(t, axis, 1, mirrored), axes=(axis,)) for t in (re, im)]
    re = movement.concatenate(re, back[0], axis=axis)
    im = movement.concatenate(_real_ends(im, n), e.negative(_real_ends(back[1], 0)), axis=axis)
    result, _ = _transform_last(re, im, 1)
    return e.multiply(result, const(1.0 / max(n, 1), result))


def _real_ends(im: Tensor, n: int) -> Tensor:
    """Without the imaginary parts of frequency 0 and, for even n, of the highest frequency."""
    if not n:
        return im
    keep = np.ones(im.spec.shape[-1])
    keep[0] = 0
    if n % 2 == 0:
        keep[-1] = 0
    return e.multiply(im, to_tensor(keep, im.spec.dtype))


def _frame_positions(size: int, length: int, stride: int) -> np.ndarray:
    count = max((size - length) // stride + 1, 0)
    return (np.arange(count)[:, None] * stride + np.arange(length)).astype("int32")


@public
def extract_sequences(x, sequence_length, sequence_stride):
    """Frames of the last axis, every `sequence_stride` positions: [..., frames, sequence_length]."""
    from nnlite.ops.indexing import take

    x = to_tensor(x)
    return take(x, _frame_positions(x.spec.shape[-1], int(sequence_length), int(sequence_stride)), -1)


def _window(window, length: int, fft_length: int, dtype: str) -> Tensor:
    """The window of `length` in the middle of `fft_length` points."""
    if window is None:
        values = np.ones(length)
    elif isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(f'stft() and istft() take window "hann", "hamming", None or a tensor; received {window!r}.')
        turns = 2 * math.pi * np.arange(length) / length
        values = 0.5 - 0.5 * np.cos(turns) if window == "hann" else 0.54 - 0.46 * np.cos(turns)
    else:
        values = np.asarray(to_tensor(window), "float64")
        if values.shape != (length,):
            raise ValueError(f"stft() and istft() take a window of sequence_length={length} points; received shape {values.shape}.")
    before = (fft_length - length) // 2
    return to_tensor(np.pad(values, (before, fft_length - length - before)), dtype)


@public
def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True):
    """Short-time Fourier transform: `rfft` of windowed frames of the last axis, (real, imaginary) parts [..., frames, frequencies].

    Args:
        center: Whether frame t is centred at t * sequence_stride; the ends are filled by reflection.
    """
    from nnlite.ops.manipulation import pad

    x = to_float(x)
    if not 0 < sequence_stride <= sequence_length <= fft_length:
        raise ValueError(
            f"stft() takes 0 < sequence_stride <= sequence_length <= fft_length; received {sequence_stride}, {sequence_length} and {fft_length}."
        )
    if center:
        x = pad(x, [(0, 0)] * (len(x.spec.shape) - 1) + [(fft_length // 2, fft_length // 2)], "reflect")
    frames = extract_sequences(x, fft_length, sequence_stride)
    return rfft(e.multiply(frames, _window(window, sequence_length, fft_length, x.spec.dtype)), fft_length)


@public
def istft(x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True):
    """Inverse of `stft`: frames are windowed again, added up and divided by the sum of squared windows."""
    frames = irfft(x, fft_length)
    dtype, count = frames.spec.dtype, frames.spec.shape[-2]
    shape = _window(window, sequence_length, fft_length, dtype)
    total = (count - 1) * sequence_stride + fft_length
    signal = _overlapped(e.multiply(frames, shape), sequence_stride, total)
    weight = np.zeros(total)
    for t in range(count):
        weight[t * sequence_stride : t * sequence_stride + fft_length] += np.asarray(shape, "float64") ** 2
    signal = e.multiply(signal, to_tensor(1.0 / np.where(weight > 1e-11, weight, 1.0), dtype))
    start = fft_length // 2 if center else 0
    stop = total - start if length is None else min(start + int(length), total)
    signal = part_along(signal, len(signal.spec.shape) - 1, start, stop - start)
    return signal if length is None else _sized(signal, int(length))


def _overlapped(frames: Tensor, stride: int, total: int) -> Tensor:
    """Frames [..., count, n] added at their places: [..., total]."""
    from nnlite.ops import index

    *lead, count, n = frames.spec.shape
    rows = math.prod(lead)
    flat = movement.transpose(movement.reshape(frames, shape=(rows, count * n)), axes=(1, 0))
    positions = (np.arange(count)[:, None] * stride + np.arange(n)).reshape(-1).astype("int32")
    added = index.scatter_add_rows(to_tensor(positions), flat, rows=total)
    return movement.reshape(movement.transpose(added, axes=(1, 0)), shape=(*lead, total))
