"""Helpers: data sets in Python, labels, progress bars, seeds, custom objects."""

from __future__ import annotations

import importlib

# Public name -> module that has it, imported when first used.
_NAMES = {
    "CustomObjectScope": "nnlite.saving.registry",
    "Progbar": "nnlite.utils.progbar",
    "PyDataset": "nnlite.utils.py_dataset",
    "Sequence": "nnlite.utils.py_dataset",
    "clear_session": "nnlite.utils.session",
    "custom_object_scope": "nnlite.saving.registry",
    "deserialize_keras_object": "nnlite.saving.serialization",
    "disable_interactive_logging": "nnlite.utils.io_utils",
    "enable_interactive_logging": "nnlite.utils.io_utils",
    "get_custom_objects": "nnlite.saving.registry",
    "get_file": "nnlite.utils.file_utils",
    "get_registered_name": "nnlite.saving.registry",
    "get_registered_object": "nnlite.saving.registry",
    "is_interactive_logging_enabled": "nnlite.utils.io_utils",
    "normalize": "nnlite.utils.numerical",
    "pack_x_y_sample_weight": "nnlite.utils.unpacking",
    "pad_sequences": "nnlite.utils.sequences",
    "register_keras_serializable": "nnlite.saving.registry",
    "serialize_keras_object": "nnlite.saving.serialization",
    "set_random_seed": "nnlite.utils.session",
    "to_categorical": "nnlite.utils.numerical",
    "unpack_x_y_sample_weight": "nnlite.utils.unpacking",
}


def __getattr__(name: str):
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'nnlite.utils' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_NAMES)
