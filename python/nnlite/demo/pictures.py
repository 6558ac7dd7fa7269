"""Pictures made without any library: PNG bytes of images, SVG of curves."""

from __future__ import annotations

import struct
import zlib

import numpy as np

BLUE, ORANGE = "#2f6fde", "#e8833a"


def png(image) -> bytes:
    """A grey picture in [0, 1] of shape (h, w) or (h, w, 1) as the bytes of a PNG file.

    >>> png(np.zeros((2, 3)))[:4]
    b'\\x89PNG'
    """
    pixels = np.clip(np.round(np.asarray(image).reshape(image.shape[:2]) * 255), 0, 255).astype(np.uint8)
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def curves(title: str, series: list[tuple[str, list[float], str]], percent: bool = False, width: int = 440, height: int = 240) -> str:
    """An SVG chart of values by epoch: (name, values, color) of each line; values that are not finite are left out."""
    values = [v for _, numbers, _ in series for v in numbers if np.isfinite(v)] or [0.0, 1.0]
    low, high, step = _ticks(min(values), max(values))
    count = max(len(numbers) for _, numbers, _ in series)
    left, right, top, bottom = 46, width - 14, 34, height - 30

    def place(i: int, value: float) -> tuple[float, float]:
        return left + (right - left) * (i / max(count - 1, 1)), bottom - (bottom - top) * (value - low) / (high - low)

    parts = [f'<text x="{left}" y="18" class="title">{title}</text>']
    for value in np.arange(low, high + step / 2, step):
        y = place(0, value)[1]
        label = f"{value:.0%}" if percent else f"{value:.2f}"
        parts.append(
            f'<path d="M{left} {y:.1f}H{right}" class="grid"/><text x="{left - 8}" y="{y + 4:.1f}" class="tick" text-anchor="end">{label}</text>'
        )
    for i in range(0, count, max(1, count // 10)):
        parts.append(f'<text x="{place(i, low)[0]:.1f}" y="{bottom + 18}" class="tick" text-anchor="middle">{i + 1}</text>')
    for k, (name, numbers, color) in enumerate(series):
        spots = [place(i, v) for i, v in enumerate(numbers) if np.isfinite(v)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{color}"/>' for x, y in spots)
        legend = (
            f'<circle cx="{right - 150 + 80 * k}" cy="14" r="4" fill="{color}"/><text x="{right - 142 + 80 * k}" y="18" class="tick">{name}</text>'
        )
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="2.2" stroke-linejoin="round" points="{line}"/>{dots}{legend}')
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{title} by epoch">{"".join(parts)}</svg>'


def _ticks(low: float, high: float) -> tuple[float, float, float]:
    """(first, last, step) of about five round numbers that span the values."""
    if high - low < 1e-6 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    span = high - low
    power = 10.0 ** np.floor(np.log10(span / 4))
    step = next(power * k for k in (1, 2, 2.5, 5, 10) if span / (power * k) <= 5)
    return float(np.floor(low / step) * step), float(np.ceil(high / step) * step), float(step)
