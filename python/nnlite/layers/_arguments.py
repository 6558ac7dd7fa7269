"""Checks of layer arguments."""

from __future__ import annotations

import numpy as np

from nnlite import config


def int_tuple(value, n: int, name: str, least: int = 1) -> tuple[int, ...]:
    """`value` as a tuple of `n` ints; one int counts for all axes.

    >>> int_tuple(3, 2, "kernel_size")
    (3, 3)
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        values = (int(value),) * n
    else:
        try:
            values = tuple(int(v) for v in value if int(v) == v)
            size = len(value)
        except (TypeError, ValueError):
            raise ValueError(f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value!r}.") from None
        if len(values) != n or size != n:
            raise ValueError(f"The `{name}` argument must be a tuple of {n} integers. Received {name}={value!r}.")
    if min(values) < least:
        raise ValueError(f"The `{name}` argument must be a tuple of {n} integers >= {least}. Received {name}={value!r}.")
    return values


def one_of(value, allowed: tuple, name: str, owner: str) -> str:
    """`value` in lower case, when it is one of the allowed words."""
    word = value.lower() if isinstance(value, str) else value
    if word not in allowed:
        raise ValueError(f"The `{name}` argument of {owner} must be one of {', '.join(map(repr, allowed))}. Received: {name}={value!r}.")
    return word


def data_format_of(value) -> str:
    """The data format, by default the global one."""
    if value is None:
        return config.image_data_format()
    return one_of(value, ("channels_last", "channels_first"), "data_format", "a layer")


def positive_int(value, name: str, owner: str) -> int:
    """`value` as an int >= 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"Received an invalid value for `{name}` of {owner}, expected a positive integer. Received: {name}={value!r}.")
    return int(value)


def fraction(value, name: str, owner: str) -> float:
    """`value` as a number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
        raise ValueError(
            f"Invalid value received for argument `{name}` of {owner}. Expected a float value between 0 and 1. Received: {name}={value!r}."
        )
    return value


def channel_axis(data_format: str) -> int:
    return -1 if data_format == "channels_last" else 1


def known_channels(input_shape, data_format: str, layer_name: str) -> int:
    """The number of channels of an input shape; it must be known to make weights."""
    channels = input_shape[channel_axis(data_format)]
    if channels is None:
        raise ValueError(
            f"The channel dimension of the inputs should be defined. Layer {layer_name!r} received input_shape={tuple(input_shape)}, where axis "
            f"{channel_axis(data_format)} (targeted channels) is None. Give the number of channels in Input(shape=...)."
        )
    return channels
