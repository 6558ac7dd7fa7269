"""Sunspots of the next year from those of the years before, with a GRU, against the forecast that nothing changes.

    python examples/sunspots.py [--data FOLDER] [--plot sunspots.svg]

FOLDER (by default that of the data sets) holds timeseries/sunspots.csv: a header, then lines of a year and its number. Prints both mean
absolute errors on the last 60 years and draws them. Seconds on a laptop.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

import nnlite as keras
from nnlite import layers
from nnlite.datasets._files import data_folder

PAST, TEST = 24, 60


def draw(path: pathlib.Path, years: np.ndarray, lines: dict[str, tuple[str, np.ndarray]]) -> None:
    """A plot of lines over years as an SVG file."""
    width, height, margin = 800, 320, 40
    top = max(float(values.max()) for _, values in lines.values())

    def point(year: float, value: float) -> str:
        x = margin + (year - years[0]) / (years[-1] - years[0]) * (width - 2 * margin)
        return f"{x:.1f},{height - margin - value / top * (height - 2 * margin):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">']
    parts.append('<rect width="100%" height="100%" fill="white"/>')
    for i, (name, (color, values)) in enumerate(lines.items()):
        points = " ".join(point(year, value) for year, value in zip(years, values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        parts.append(f'<text x="{margin + 160 * i}" y="20" fill="{color}">{name}</text>')
    for year in years[::10]:
        parts.append(f'<text x="{point(year, 0).split(",")[0]}" y="{height - 15}" text-anchor="middle">{year}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, default=data_folder())
    parser.add_argument("--plot", type=pathlib.Path, default=pathlib.Path("sunspots.svg"))
    options = parser.parse_args()
    keras.utils.set_random_seed(1)
    table = np.loadtxt(options.data / "timeseries" / "sunspots.csv", delimiter=",", skiprows=1)
    years, numbers = table[:, 0].astype(int), table[:, 1]
    series = np.sqrt(numbers).astype("float32") / 10  # large numbers vary more: their roots vary alike
    x = np.lib.stride_tricks.sliding_window_view(series, PAST)[:-1, :, None]
    y = series[PAST:, None]
    model = keras.Sequential([keras.Input((PAST, 1)), layers.GRU(32), layers.Dense(16, activation="relu"), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, 1400)), "mse")
    model.fit(x[:-TEST], y[:-TEST], batch_size=16, epochs=100, verbose=0)
    forecast = np.square(10 * model.predict(x[-TEST:], verbose=0)[:, 0])
    actual, naive = numbers[-TEST:], numbers[-TEST - 1 : -1]
    error, naive_error = np.abs(forecast - actual).mean(), np.abs(naive - actual).mean()
    print(f"mean absolute error on {years[-TEST]}-{years[-1]}: GRU {error:.2f}, last value {naive_error:.2f} ({error / naive_error:.2f} of it)")
    draw(options.plot, years[-TEST:], {"sunspots": ("black", actual), "GRU": ("crimson", forecast), "last value": ("silver", naive)})
    print(f"plot: {options.plot}")


if __name__ == "__main__":
    main()
