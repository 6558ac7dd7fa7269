"""The demo's report: one HTML page with its pictures inside."""

from __future__ import annotations

import base64
import html
import pathlib
import struct
import zlib

import numpy as np

from nnlite.demo.profile import time_per_layer

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2433; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } td, th { padding: .25rem .6rem; text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } td:first-child, th:first-child { text-align: left; }
.matrix td { width: 2.4rem; text-align: center; border: 1px solid #fff; } .matrix th { font-size: .8rem; font-weight: 500; }
.samples { display: flex; flex-wrap: wrap; gap: .8rem; } figure { margin: 0; width: 6.6rem; font-size: .78rem; }
figure img { width: 100%; image-rendering: pixelated; border-radius: 4px; } .wrong { color: #b3261e; } .muted { color: #667085; }
.bar { background: #3b6fd4; height: .8rem; border-radius: 2px; min-width: 1px; } .curves { display: flex; flex-wrap: wrap; gap: 1.5rem; }
"""


def write_report(path: pathlib.Path, model, history: dict, x, y, probabilities, seconds: float, classes) -> pathlib.Path:
    """Writes the page; returns its path."""
    predicted = probabilities.argmax(-1)
    accuracy = float((predicted == y).mean())
    epochs = len(history["loss"])
    parts = [
        f"<h1>A convolutional network, trained in {seconds:.1f} seconds</h1>",
        f"<p>{model.count_params():,} parameters, {epochs} epochs, test accuracy <b>{accuracy:.1%}</b> on {len(y)} images it had never seen.</p>",
        "<h2>Training</h2>", f'<div class="curves">{_curves(history, "loss")}{_curves(history, "accuracy")}</div>',
        "<h2>Confusion matrix</h2><p class='muted'>Rows: what the image shows. Columns: what the network says.</p>", _confusion(y, predicted, classes),
        "<h2>Sample predictions</h2>", _samples(x, y, probabilities, classes),
        "<h2>Time per layer</h2><p class='muted'>One training step of 32 images.</p>", _timing(model, x[:32], y[:32]),
        "<p class='muted'>Images: Fashion-MNIST, © 2017 Zalando SE, MIT licence.</p>",
    ]
    page = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>nnlite demo</title><style>{_STYLE}</style><body>{''.join(parts)}</body></html>"
    path.write_text(page, encoding="utf-8")
    return path


def _curves(history: dict, key: str, width: int = 420, height: int = 200) -> str:
    series = [("training", history[key], "#3b6fd4"), ("test", history.get(f"val_{key}", []), "#e07b39")]
    values = [v for _, numbers, _ in series for v in numbers if np.isfinite(v)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    steps = max(len(history[key]) - 1, 1)
    left, bottom, inner_width, inner_height = 44, height - 26, width - 60, height - 44

    def point(i, value):
        return f"{left + inner_width * i / steps:.1f},{bottom - inner_height * (value - low) / span:.1f}"

    lines = "".join(f'<polyline fill="none" stroke="{color}" stroke-width="2" points="{" ".join(point(i, v) for i, v in enumerate(numbers))}"/>' for _, numbers, color in series)
    legend = "".join(f'<text x="{left + 90 * k}" y="12" font-size="12" fill="{color}">{name}</text>' for k, (name, _, color) in enumerate(series))
    axis = (f'<text x="{left - 6}" y="{bottom + 4}" font-size="11" text-anchor="end">{low:.2f}</text><text x="{left - 6}" y="{bottom - inner_height + 4}" font-size="11" text-anchor="end">{high:.2f}</text>'
            f'<text x="{left}" y="{height - 6}" font-size="11">epoch 1</text><text x="{left + inner_width}" y="{height - 6}" font-size="11" text-anchor="end">{len(history[key])}</text>'
            f'<path d="M{left} {bottom - inner_height}V{bottom}H{left + inner_width}" fill="none" stroke="#c5cad3"/>')
    return f'<figure style="width:auto"><svg width="{width}" height="{height}" role="img" aria-label="{key} by epoch">{axis}{lines}{legend}</svg><figcaption>{html.escape(key)}</figcaption></figure>'


def _confusion(y, predicted, classes) -> str:
    count = np.zeros((len(classes), len(classes)), int)
    np.add.at(count, (y, predicted), 1)
    rows = ["<tr><th></th>" + "".join(f"<th>{html.escape(name)}</th>" for name in classes) + "</tr>"]
    for i, name in enumerate(classes):
        total = max(count[i].sum(), 1)
        cells = "".join(f'<td style="background:{_shade(n / total, i == j)}">{n or ""}</td>' for j, n in enumerate(count[i]))
        rows.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
    return f'<table class="matrix">{"".join(rows)}</table>'


def _shade(share: float, right: bool) -> str:
    red, green, blue = (59, 111, 212) if right else (224, 80, 57)
    return f"rgba({red},{green},{blue},{min(1.0, 0.06 + 0.84 * share):.2f})"


def _samples(x, y, probabilities, classes, count: int = 16) -> str:
    """Half right, half wrong, as far as there are any."""
    predicted = probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != y)[: count // 2]
    right = np.flatnonzero(predicted == y)[: count - len(wrong)]
    figures = []
    for i in [*right, *wrong]:
        said = html.escape(classes[predicted[i]])
        note = "" if predicted[i] == y[i] else f"<br>in truth: {html.escape(classes[y[i]])}"
        kind = "" if predicted[i] == y[i] else ' class="wrong"'
        figures.append(f'<figure><img alt="{said}" src="data:image/png;base64,{base64.b64encode(png(x[i])).decode()}"><figcaption{kind}>{said} {probabilities[i].max():.0%}{note}</figcaption></figure>')
    return f'<div class="samples">{"".join(figures)}</div>'


def _timing(model, x, y) -> str:
    rows = time_per_layer(model, x, y)
    longest = max(seconds for _, seconds in rows)
    cells = "".join(f'<tr><td>{html.escape(name)}</td><td>{1e6 * seconds:,.0f} µs</td><td style="width:18rem"><div class="bar" style="width:{100 * seconds / longest:.1f}%"></div></td></tr>' for name, seconds in rows)
    return f"<table><tr><th>layer</th><th>time</th><th></th></tr>{cells}</table>"


def png(image) -> bytes:
    """A grey picture in [0, 1] of shape (h, w) or (h, w, 1) as PNG bytes."""
    pixels = np.clip(np.round(np.asarray(image).reshape(image.shape[:2]) * 255), 0, 255).astype(np.uint8)
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
