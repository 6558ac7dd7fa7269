"""Helpers: data sets in Python, labels, progress bars, seeds, custom objects."""

from __future__ import annotations

import importlib

# Public name -> module that has it, imported when first used.
_NAMES = {
    "CustomObjectScope": "nnlite.saving.registry",
    "Dataset": "nnlite.utils.dataset",
    "Progbar": "nnlite.utils.progbar",
    "PyDataset": "nnlite.utils.py_dataset",
    "Sequence": "nnlite.utils.py_dataset",
    "array_to_img": "nnlite.utils.image_utils",
    "clear_session": "nnlite.utils.session",
    "custom_object_scope": "nnlite.saving.registry",
    "deserialize_keras_object": "nnlite.saving.serialization",
    "disable_interactive_logging": "nnlite.utils.io_utils",
    "enable_interactive_logging": "nnlite.utils.io_utils",
    "get_custom_objects": "nnlite.saving.registry",
    "get_file": "nnlite.utils.file_utils",
    "get_registered_name": "nnlite.saving.registry",
    "get_registered_object": "nnlite.saving.registry",
    "image_dataset_from_directory": "nnlite.utils.folders",
    "img_to_array": "nnlite.utils.image_utils",
    "is_interactive_logging_enabled": "nnlite.utils.io_utils",
    "is_keras_tensor": "nnlite.utils.session",
    "load_img": "nnlite.utils.image_utils",
    "model_to_dot": "nnlite.utils.plotting",
    "normalize": "nnlite.utils.numerical",
    "pack_x_y_sample_weight": "nnlite.utils.unpacking",
    "pad_sequences": "nnlite.utils.sequences",
    "plot_model": "nnlite.utils.plotting",
    "register_keras_serializable": "nnlite.saving.registry",
    "save_img": "nnlite.utils.image_utils",
    "serialize_keras_object": "nnlite.saving.serialization",
    "set_random_seed": "nnlite.utils.session",
    "split_dataset": "nnlite.utils.splitting",
    "standardize_dtype": "nnlite.backend",
    "text_dataset_from_directory": "nnlite.utils.folders",
    "timeseries_dataset_from_array": "nnlite.utils.timeseries",
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
