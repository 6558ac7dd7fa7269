"""Models."""

from nnlite.models.cloning import clone_model  # noqa: F401
from nnlite.models.functional import Functional  # noqa: F401
from nnlite.models.model import Model  # noqa: F401
from nnlite.models.sequential import Sequential  # noqa: F401

# A graph of operations without training is a functional model that nobody compiles.
Function = Functional


def model_from_json(json_string, custom_objects=None):
    """The model that `Model.to_json` described, without its weights."""
    import json

    from nnlite.saving import deserialize_keras_object

    return deserialize_keras_object(json.loads(json_string), custom_objects)


def load_model(filepath, custom_objects=None, compile=True, safe_mode=True):
    """Loads a model from a `.keras` file."""
    from nnlite import saving

    return saving.load_model(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model, filepath, overwrite=True, zipped=None, **kwargs) -> None:
    """Saves a model to a `.keras` file."""
    model.save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)
