"""nnlite.ops.nn: the functions of neural networks under their module name."""

from nnlite.ops._public import PUBLIC

_MODULES = ("activations", "convolution", "crossentropy", "normalization", "attention", "images", "ctc")
globals().update({name: f for name, f in PUBLIC.items() if f.__module__.rpartition(".")[2] in _MODULES})
