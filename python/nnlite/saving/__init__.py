"""Saving and loading: `.keras` model files, `.weights.h5` weight files, and configs."""

from __future__ import annotations

from nnlite.saving.keras_file import load_model as load_model
from nnlite.saving.keras_file import save_model as save_model
from nnlite.saving.registry import CustomObjectScope as CustomObjectScope
from nnlite.saving.registry import custom_object_scope as custom_object_scope
from nnlite.saving.registry import get_custom_objects as get_custom_objects
from nnlite.saving.registry import get_registered_name as get_registered_name
from nnlite.saving.registry import get_registered_object as get_registered_object
from nnlite.saving.registry import register_keras_serializable as register_keras_serializable
from nnlite.saving.serialization import deserialize_keras_object as deserialize_keras_object
from nnlite.saving.serialization import serialize_keras_object as serialize_keras_object
from nnlite.saving.weights_file import load_weights as load_weights
from nnlite.saving.weights_file import save_weights as save_weights
