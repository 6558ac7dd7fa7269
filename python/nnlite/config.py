"""Global settings."""

from __future__ import annotations

from typing import Callable

_FLOATS = ("float32", "float64", "bfloat16")
_settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last", "exact_convolution": False}
_forget_compiled: list[Callable[[], object]] = []  # what makes compiled steps of earlier settings unused


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


def on_change(forget: Callable[[], object]) -> None:
    """`forget()` will be called whenever a setting changes that compiled steps depend on; for the engine's own caches."""
    _forget_compiled.append(forget)


def exact_convolution() -> bool:
    """Whether every convolution adds its products one by one: False at the start."""
    return _settings["exact_convolution"]


def enable_exact_convolution() -> None:
    """Makes every convolution add its products one by one, three times slower for large 3x3 kernels.

    By default convolutions of 3x3, 5x5 and one-dimensional kernels of 3 or 5 with stride 1 and many channels use Winograd's method. Its rounding
    errors are two to three times as large (about 1e-6 of the results' size), and NaN or infinity in one pixel reaches up to 4 pixels instead of
    those under the kernel alone.
    What is compiled already is compiled anew when it is used next.

    >>> enable_exact_convolution()
    >>> exact_convolution()
    True
    >>> disable_exact_convolution()
    """
    _set_exact_convolution(True)


def disable_exact_convolution() -> None:
    """Goes back to the fastest method for each convolution."""
    _set_exact_convolution(False)


def _set_exact_convolution(value: bool) -> None:
    if _settings["exact_convolution"] != value:
        _settings["exact_convolution"] = value
        for forget in _forget_compiled:
            forget()


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
