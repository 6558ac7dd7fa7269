"""Settings, dtypes and names under the names they have in `keras.backend`."""

from __future__ import annotations

from nnlite.config import backend as backend
from nnlite.config import epsilon as epsilon
from nnlite.config import floatx as floatx
from nnlite.config import image_data_format as image_data_format
from nnlite.config import set_epsilon as set_epsilon
from nnlite.config import set_floatx as set_floatx
from nnlite.config import set_image_data_format as set_image_data_format
from nnlite.graph.symbolic import KerasTensor
from nnlite.ops._dtypes import result_type as result_type
from nnlite.ops._dtypes import standardize as standardize_dtype
from nnlite.utils.naming import next_count
from nnlite.utils.session import clear_session as clear_session

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format", "is_float_dtype", "is_int_dtype", "is_keras_tensor", "result_type",
    "set_epsilon", "set_floatx", "set_image_data_format", "standardize_dtype",
]


def get_uid(prefix: str = "") -> int:
    """1 the first time for a prefix, then 2, 3, ...; automatic names of layers draw from the same counters.

    >>> clear_session()
    >>> get_uid("branch"), get_uid("branch"), get_uid("other")
    (1, 2, 1)
    """
    return next_count(prefix) + 1


def is_float_dtype(dtype) -> bool:
    """Whether a dtype is a float.

    >>> is_float_dtype("bfloat16"), is_float_dtype("int8")
    (True, False)
    """
    return "float" in standardize_dtype(dtype)


def is_int_dtype(dtype) -> bool:
    """Whether a dtype is an integer, signed or not; bool is none.

    >>> is_int_dtype("uint8"), is_int_dtype("bool")
    (True, False)
    """
    return "int" in standardize_dtype(dtype)


def is_keras_tensor(x) -> bool:
    """Whether `x` is a symbolic tensor of a functional model, such as `Input()` returns.

    >>> import nnlite
    >>> is_keras_tensor(nnlite.Input((3,))), is_keras_tensor(nnlite.ops.ones(3))
    (True, False)
    """
    return isinstance(x, KerasTensor)
