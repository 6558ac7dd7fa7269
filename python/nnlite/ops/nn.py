"""nnlite.ops.nn: the functions of neural networks under their module name."""

from nnlite.ops._namespaces import functions_of

globals().update(functions_of("nn"))
