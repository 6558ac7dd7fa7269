"""The demo's report: one HTML page with its pictures inside."""

from __future__ import annotations

import base64
import html
import pathlib

import numpy as np

from nnlite.demo.pictures import BLUE, ORANGE, curves, png
from nnlite.demo.profile import time_per_layer

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #1c2430; background: #f4f6fa; margin: 0; }
main { max-width: 64rem; margin: 0 auto; padding: 2.2rem 1rem 3rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; letter-spacing: -.01em; } h2 { font-size: 1.1rem; margin: 0 0 .3rem; }
.muted { color: #667085; margin: 0 0 .8rem; }
section { background: #fff; border: 1px solid #e3e8f0; border-radius: 12px; padding: 1.2rem 1.4rem; margin-top: 1.1rem; overflow-x: auto; }
.facts { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; margin-top: 1.3rem; }
.facts div { background: #fff; border: 1px solid #e3e8f0; border-radius: 12px; padding: .8rem 1.1rem; color: #667085; font-size: .85rem; }
.facts b { display: block; font-size: 1.6rem; color: #1c2430; font-variant-numeric: tabular-nums; line-height: 1.3; }
.curves { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem; } svg { width: 100%; height: auto; }
.title { font-size: 14px; font-weight: 600; fill: #1c2430; } .tick { font-size: 11px; fill: #667085; } .grid { stroke: #e9edf4; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: #475467; } td, th { padding: .22rem .6rem; text-align: right; } td:first-child, th:first-child { text-align: left; }
.matrix { width: 100%; table-layout: fixed; } .matrix th:first-child { width: 5.5rem; }
.matrix td { height: 1.7rem; padding: 0; text-align: center; border: 2px solid #fff; border-radius: 6px; }
.matrix th { font-size: .78rem; white-space: nowrap; padding: .2rem .1rem; text-align: center; }
.samples { display: grid; grid-template-columns: repeat(8, 1fr); gap: .9rem; } figure { margin: 0; font-size: .76rem; line-height: 1.35; }
figure img { width: 100%; image-rendering: pixelated; border-radius: 8px; display: block; margin-bottom: .25rem; } figcaption b { font-weight: 600; }
.wrong b { color: #b3261e; } .times { width: 100%; } .times td:last-child { width: 60%; } .bar { display: flex; height: .85rem; }
.bar i { display: block; min-width: 1px; } .bar i:first-child { border-radius: 3px 0 0 3px; } .bar i:last-child { border-radius: 0 3px 3px 0; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: 3px; margin: 0 .35rem 0 .9rem; }
@media (max-width: 46rem) { .facts, .curves { grid-template-columns: 1fr; } .samples { grid-template-columns: repeat(4, 1fr); } }
"""


def write_report(path: pathlib.Path, model, history: dict, x, y, probabilities, seconds: float, classes) -> pathlib.Path:
    """Writes the page about a trained classifier of grey images; returns its path.

    Args:
        path: Where the page goes.
        model: The trained model.
        history: What fit() returned, with "loss", "accuracy" and their "val_" twins.
        x, y: Test images [n, h, w, 1] and their classes [n].
        probabilities: The model's predictions for them [n, classes].
        seconds: How long training took.
        classes: Names of the classes.
    """
    accuracy = float((probabilities.argmax(-1) == y).mean())
    epochs = len(history["loss"])
    facts = [
        (f"{accuracy:.1%}", f"right on {len(y)} unseen images"),
        (f"{seconds:.1f} s", "of training"),
        (str(epochs), "passes over the images"),
        (f"{model.count_params():,}", "parameters"),
    ]
    page = "".join(
        [
            f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
            f"<title>nnlite demo</title><style>{_STYLE}</style>",
            "<main><h1>A convolutional network, trained on this computer</h1>",
            "<p class='muted'>Ten kinds of clothing in pictures of 28 × 28 pixels; "
            "trained, evaluated, saved and loaded by <code>nnlite demo</code>.</p>",
            '<div class="facts">',
            *(f"<div><b>{value}</b>{what}</div>" for value, what in facts),
            "</div>",
            _section("Training", "After each pass over the training images.", f'<div class="curves">{_curves(history)}</div>'),
            _section(
                "Confusion matrix", "Rows: what the image shows. Columns: what the network says.", _confusion(y, probabilities.argmax(-1), classes)
            ),
            _section("Sample predictions", "With the network's confidence; errors in red.", _samples(x, y, probabilities, classes)),
            _section("Time per layer", f"One training step of {min(32, len(x))} images.", _timing(model, x[:32], y[:32])),
            "<p class='muted' style='margin-top:1.2rem'>Images: Fashion-MNIST, © 2017 Zalando SE, MIT licence.</p></main></html>",
        ]
    )
    path.write_text(page, encoding="utf-8")
    return path


def _section(title: str, note: str, body: str) -> str:
    return f'<section><h2>{title}</h2><p class="muted">{note}</p>{body}</section>'


def _curves(history: dict) -> str:
    charts = []
    for key, title in (("loss", "Loss"), ("accuracy", "Accuracy")):
        series = [("training", history[key], BLUE), ("test", history.get(f"val_{key}", []), ORANGE)]
        charts.append(curves(title, [line for line in series if len(line[1])], percent=key == "accuracy"))
    return "".join(charts)


def _confusion(y, predicted, classes) -> str:
    count = np.zeros((len(classes), len(classes)), int)
    np.add.at(count, (y, predicted), 1)
    rows = ["<tr><th></th>" + "".join(f"<th>{html.escape(name)}</th>" for name in classes) + "</tr>"]
    for i, name in enumerate(classes):
        total = max(count[i].sum(), 1)
        cells = "".join(f'<td style="{_shade(n / total, i == j)}">{n or ""}</td>' for j, n in enumerate(count[i]))
        rows.append(f"<tr><th>{html.escape(name)}</th>{cells}</tr>")
    return f'<table class="matrix">{"".join(rows)}</table>'


def _shade(share: float, right: bool) -> str:
    if not share:
        return "background:#f6f8fb"
    red, green, blue = (47, 111, 222) if right else (214, 69, 48)
    strength = 0.08 + 0.85 * share
    return f"background:rgba({red},{green},{blue},{strength:.2f});color:{'#fff' if strength > 0.55 else '#1c2430'}"


def _samples(x, y, probabilities, classes, count: int = 16) -> str:
    """Half right, half wrong, as far as there are any."""
    predicted = probabilities.argmax(-1)
    wrong = np.flatnonzero(predicted != y)[: count // 2]
    right = np.flatnonzero(predicted == y)[: count - len(wrong)]
    return (
        f'<div class="samples">{"".join(_sample(x[i], classes[predicted[i]], classes[y[i]], probabilities[i].max()) for i in [*right, *wrong])}</div>'
    )


def _sample(image, said: str, truth: str, confidence: float) -> str:
    picture = base64.b64encode(png(image)).decode()
    said, truth = html.escape(said), html.escape(truth)
    kind, note = ("", "") if said == truth else (' class="wrong"', f"<br>in truth: {truth}")
    caption = f"<figcaption{kind}><b>{said}</b> {confidence:.0%}{note}</figcaption>"
    return f'<figure><img alt="{truth}" src="data:image/png;base64,{picture}">{caption}</figure>'


def _timing(model, x, y) -> str:
    rows = time_per_layer(model, x, y)
    longest = max(row.forward + row.backward for row in rows) or 1.0
    lines = []
    for row in rows:
        bars = "".join(
            f'<i style="width:{100 * t / longest:.1f}%;background:{color}"></i>' for t, color in ((row.forward, BLUE), (row.backward, ORANGE)) if t
        )
        times = "".join(f"<td>{1e6 * t:,.0f} µs</td>" for t in (row.forward, row.backward))
        lines.append(f'<tr><td>{html.escape(row.name)}</td>{times}<td><div class="bar">{bars}</div></td></tr>')
    total = sum(row.forward + row.backward for row in rows)
    key = f'<p class="key muted"><i style="background:{BLUE}"></i>forward<i style="background:{ORANGE}"></i>backward'
    head = "<tr><th>layer</th><th>forward</th><th>backward</th><th></th></tr>"
    return f'<table class="times">{head}{"".join(lines)}</table>{key} &nbsp; {1e3 * total:.2f} ms in all, without the optimizer</p>'
