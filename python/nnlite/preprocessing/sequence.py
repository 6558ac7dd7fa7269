"""Sequences of unequal lengths."""

from nnlite.utils.sequences import pad_sequences as pad_sequences
