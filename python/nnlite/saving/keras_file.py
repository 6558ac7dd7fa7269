"""The `.keras` file: a zip of metadata.json, config.json and model.weights.h5, as Keras 3 writes it and reads it."""

from __future__ import annotations

import datetime
import io
import json
import pathlib
import zipfile

from nnlite.saving.serialization import deserialize_keras_object, serialize_keras_object
from nnlite.saving.weights_file import read_h5, replace_when_done, write_h5

# The version of the file layout we write, which real Keras compares with its own.
KERAS_VERSION = "3.15.1"
_PARTS = ("metadata.json", "config.json", "model.weights.h5")


def save_model(model, filepath, overwrite: bool = True, **kwargs) -> None:
    """Saves a model's config, weights and optimizer state to a `.keras` file; the file appears whole or not at all.

    Raises:
        ValueError: The name does not end in ".keras", or the model is not built.
        FileExistsError: The file exists and `overwrite` is False.
    """
    path = pathlib.Path(filepath)
    if path.suffix != ".keras":
        raise ValueError(f'A model file must end in ".keras"; received {str(filepath)!r}. Use {path.stem + ".keras"!r}.')
    if kwargs:
        raise ValueError(f"save_model() takes no argument {', '.join(map(repr, kwargs))} for a .keras file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; pass overwrite=True to replace it.")
    if not model.built:
        raise ValueError(f"A model is saved with its weights, but {model.name!r} has none yet. Call build(), fit() or the model itself on data first.")
    config = json.dumps(serialize_keras_object(model), default=_json_default)
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")})
    weights = io.BytesIO()
    write_h5(model, weights)
    with replace_when_done(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights.getvalue())


def _json_default(value):
    raise TypeError(f"A config holds {value!r} of type {type(value).__name__}, which JSON cannot keep. Make get_config() return plain values.")


def load_model(filepath, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True):
    """Loads a model from a `.keras` file, with its optimizer's state when it was compiled.

    Args:
        custom_objects: Name -> class or function that the file mentions and that is not registered.
        compile: Whether to compile the model as it was.
        safe_mode: Accepted for familiarity; code in files is never run.

    Raises:
        FileNotFoundError, ValueError: What is missing or damaged, by name.
    """
    path = pathlib.Path(filepath)
    parts = _read_parts(path)
    config = _json(parts["config.json"], path, "config.json")
    if not compile:
        config.pop("compile_config", None)
    model = deserialize_keras_object(config, custom_objects, safe_mode)
    if compile and getattr(model, "optimizer", None) is not None and model.built:
        model.optimizer.build(model.trainable_variables)
    read_h5(model, io.BytesIO(parts["model.weights.h5"]), str(path))
    return model


def load_weights_of_archive(model, path: pathlib.Path, skip_mismatch: bool) -> None:
    read_h5(model, io.BytesIO(_read_parts(path)["model.weights.h5"]), str(path), skip_mismatch)


def _read_parts(path: pathlib.Path) -> dict[str, bytes]:
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    if path.suffix != ".keras":
        raise ValueError(f'A model file must end in ".keras"; received {str(path)!r}. Legacy .h5 files are opened by real Keras, which can save them as .keras.')
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in _PARTS if name not in archive.namelist()]
            if missing:
                raise ValueError(f"{path} lacks {', '.join(missing)}: it is not a .keras file, or it is damaged.")
            return {name: archive.read(name) for name in _PARTS}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(f"{path} is not a readable .keras file: {error}.") from None


def _json(data: bytes, path, name: str) -> dict:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {name} is not valid JSON ({error}); the file is damaged.") from None
    if not isinstance(value, dict) or "class_name" not in value:
        raise ValueError(f"{path}: {name} must describe a model (a dict with class_name); the file is damaged.")
    return value
