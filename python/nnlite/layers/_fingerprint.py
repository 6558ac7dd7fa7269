"""64-bit fingerprints of strings: FarmHash's Fingerprint64 and SipHash-2-4, the hashes behind Keras's Hashing layers."""

from __future__ import annotations

_MASK = (1 << 64) - 1
# Odd constants of FarmHash and of the combination of two fingerprints.
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CAT = 0xC6A4A7935BD1E995


def _rotate(x: int, bits: int) -> int:
    """Rotation to the right of the low 64 bits."""
    x &= _MASK
    return (x >> bits | x << (64 - bits)) & _MASK


def _shift_mix(x: int) -> int:
    x &= _MASK
    return x ^ x >> 47


def _mix(u: int, v: int, mul: int) -> int:
    """128 bits to 64."""
    a = _shift_mix((u ^ v) * mul)
    b = _shift_mix((v ^ a) * mul)
    return b * mul & _MASK


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def fingerprint64(data: bytes) -> int:
    """FarmHash's Fingerprint64.

    >>> fingerprint64(b"abc")
    2640714258260161385
    """
    n = len(data)
    if n <= 16:
        return _up_to_16(data, n)
    if n <= 64:
        return _up_to_64(data, n)
    return _longer(data, n)


def _up_to_16(s: bytes, n: int) -> int:
    mul = _K2 + n * 2
    if n >= 8:
        a, b = _word(s, 0) + _K2, _word(s, n - 8)
        return _mix((_rotate(b, 37) * mul + a) & _MASK, (_rotate(a, 25) + b) * mul & _MASK, mul)
    if n >= 4:
        return _mix(n + (_word(s, 0, 4) << 3), _word(s, n - 4, 4), mul)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[n - 1] << 2)
        return _shift_mix(y * _K2 ^ z * _K0) * _K2 & _MASK
    return _K2


def _up_to_64(s: bytes, n: int) -> int:
    mul = _K2 + n * 2
    long = n > 32
    a, b = _word(s, 0) * (_K2 if long else _K1), _word(s, 8)
    c, d = _word(s, n - 8) * mul, _word(s, n - 16) * _K2
    y = (_rotate(a + b, 43) + _rotate(c, 30) + d) & _MASK
    z = _mix(y, (a + _rotate(b + _K2, 18) + c) & _MASK, mul)
    if not long:
        return z
    e, f = _word(s, 16) * mul, _word(s, 24)
    g, h = (y + _word(s, n - 32)) * mul, (z + _word(s, n - 24)) * mul
    return _mix((_rotate(e + f, 43) + _rotate(g, 30) + h) & _MASK, (e + _rotate(f + a, 18) + g) & _MASK, mul)


def _absorb(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """Mixes 32 bytes into a pair of seeds."""
    w, x, y, z = (_word(s, at + i) for i in (0, 8, 16, 24))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    b += _rotate(a, 44)
    return (a + z) & _MASK, (b + c) & _MASK


def _longer(s: bytes, n: int) -> int:
    x = (81 * _K2 + _word(s, 0)) & _MASK
    y = (81 * _K1 + 113) & _MASK
    z = _shift_mix(y * _K2 + 113) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    for at in range(0, (n - 1) // 64 * 64, 64):
        x, y, z, v, w = _round(s, at, x, y, z, v, w, _K1, 1)
    mul = _K1 + ((z & 0xFF) << 1)
    first = w[0] + ((n - 1) & 63)
    v = ((v[0] + first) & _MASK, v[1])
    w = ((first + v[0]) & _MASK, w[1])
    x, y, z, v, w = _round(s, n - 64, x, y, z, v, w, mul, 9)
    return _mix((_mix(v[0], w[0], mul) + _shift_mix(y) * _K0 + z) & _MASK, (_mix(v[1], w[1], mul) + x) & _MASK, mul)


def _round(s, at, x, y, z, v, w, mul, weight):
    """64 bytes into the state of seven words."""
    x = _rotate(x + y + v[0] + _word(s, at + 8), 37) * mul & _MASK
    y = _rotate(y + v[1] + _word(s, at + 48), 42) * mul & _MASK
    x ^= w[1] * weight & _MASK
    y = (y + v[0] * weight + _word(s, at + 40)) & _MASK
    z = _rotate(z + w[0], 33) * mul & _MASK
    v = _absorb(s, at, v[1] * mul, x + w[0])
    w = _absorb(s, at + 32, z + w[1], y + _word(s, at + 16))
    return z, y, x, v, w  # x and z change places


def siphash64(data: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 under a key of two 64-bit words."""
    k0, k1 = (k & _MASK for k in key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    whole = len(data) & ~7
    words = [_word(data, at) for at in range(0, whole, 8)]
    words.append(_word(data, whole) | (len(data) & 0xFF) << 56)
    for word in words:
        v[3] ^= word
        _sip_round(v)
        _sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        _sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip_round(v: list) -> None:
    a, b, c, d = v
    a = (a + b) & _MASK
    b = _rotate(b, 51) ^ a
    a = _rotate(a, 32)
    c = (c + d) & _MASK
    d = _rotate(d, 48) ^ c
    a = (a + d) & _MASK
    d = _rotate(d, 43) ^ a
    c = (c + b) & _MASK
    b = _rotate(b, 47) ^ c
    v[:] = a, b, _rotate(c, 32), d


def join_fingerprints(first: int, second: int) -> int:
    """The fingerprint of a pair."""
    result = first ^ _CAT ^ _shift_mix(second * _CAT) * _CAT & _MASK
    return _shift_mix(_shift_mix(result * _CAT) * _CAT)
