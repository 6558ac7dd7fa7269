"""Lists of sequences of unequal lengths as one array."""

from __future__ import annotations

import numpy as np


def pad_sequences(sequences, maxlen=None, dtype="int32", padding="pre", truncating="pre", value=0.0):
    """Sequences as the rows of an array [len(sequences), maxlen, ...], padded and cut to one length.

    Args:
        sequences: Lists (or arrays) of numbers or of equal-shaped arrays.
        maxlen: Length of the rows; by default that of the longest sequence.
        padding, truncating: "pre" pads or cuts at the front, "post" at the end.
        value: What rows are padded with.

    >>> pad_sequences([[1], [2, 3]]).tolist()
    [[0, 1], [2, 3]]
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f'pad_sequences(): `{name}` must be "pre" or "post"; received {name}={side!r}.')
    if not hasattr(sequences, "__len__"):
        raise ValueError(f"pad_sequences() takes a list of sequences; received {sequences!r} of type {type(sequences).__name__}.")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ValueError(
                f"pad_sequences() takes a list of sequences; item {i} is {sequence!r} of type {type(sequence).__name__}. Put single sequences into "
                "a list."
            )
    dtype = object if isinstance(value, str) and np.dtype(dtype) != object and not np.issubdtype(dtype, np.str_) else dtype
    maxlen = max(map(len, sequences), default=0) if maxlen is None else maxlen
    shape = next((np.asarray(s).shape[1:] for s in sequences if len(s)), ())
    padded = np.full((len(sequences), maxlen, *shape), value, dtype=dtype)
    for i, sequence in enumerate(sequences):
        if not len(sequence) or not maxlen:
            continue
        kept = np.asarray(sequence[-maxlen:] if truncating == "pre" else sequence[:maxlen], dtype=dtype)
        if kept.shape[1:] != shape:
            raise ValueError(f"pad_sequences() takes items of one shape; those of sequence {i} have shape {kept.shape[1:]}, expected {shape}.")
        if padding == "pre":
            padded[i, -len(kept) :] = kept
        else:
            padded[i, : len(kept)] = kept
    return padded
