"""nnlite.ops.numpy: the functions that numpy has, too, under their module name."""

from nnlite.ops._namespaces import functions_of

globals().update(functions_of("numpy"))
