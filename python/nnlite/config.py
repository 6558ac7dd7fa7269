"""Global settings."""

from __future__ import annotations

_FLOATS = ("float32", "float64", "bfloat16")
_settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}


def floatx() -> str:
    """Default dtype of weights and of float data, "float32" at the start."""
    return _settings["floatx"]


def set_floatx(value: str) -> None:
    if value not in _FLOATS:
        raise ValueError(f"set_floatx() takes one of {', '.join(_FLOATS)}; received {value!r}.")
    _settings["floatx"] = value


def epsilon() -> float:
    """The small number that keeps logarithms and divisions finite, 1e-7 at the start."""
    return _settings["epsilon"]


def set_epsilon(value: float) -> None:
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """"channels_last" (the engine's own layout) or "channels_first"."""
    return _settings["image_data_format"]


def set_image_data_format(value: str) -> None:
    if value not in ("channels_last", "channels_first"):
        raise ValueError(f'set_image_data_format() takes "channels_last" or "channels_first"; received {value!r}.')
    _settings["image_data_format"] = value


def backend() -> str:
    """The name of the active backend: "native" or "numpy"."""
    from nnlite.backends import active

    return active().__name__.rpartition(".")[2]


def get_num_threads() -> int:
    """The largest number of threads a step may use: `NNLITE_NUM_THREADS`, or the CPUs this process may use, until it is set."""
    from nnlite import _core

    return _core.get_num_threads()


def set_num_threads(threads: int) -> None:
    """Sets the largest number of threads a step may use. Results do not depend on it.

    Raises:
        ValueError: A number below 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    from nnlite import _core

    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"set_num_threads() takes a whole number from 1 up; received {threads!r}.")
    _core.set_num_threads(threads)
