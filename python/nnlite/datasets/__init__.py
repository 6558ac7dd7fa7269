"""Small real data sets, in Keras's cache folder and under Keras's names."""

from __future__ import annotations

import importlib

_NAMES = ("boston_housing", "california_housing", "cifar10", "cifar100", "fashion_mnist", "imdb", "mnist", "reuters")


def __getattr__(name: str):
    if name in _NAMES:
        return importlib.import_module(f"nnlite.datasets.{name}")
    raise AttributeError(f"module 'nnlite.datasets' has no attribute {name!r}; the data sets are {', '.join(_NAMES)}")


def __dir__() -> list[str]:
    return list(_NAMES)
