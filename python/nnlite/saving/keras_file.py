"""The `.keras` file: a zip of metadata.json, config.json and model.weights.h5, as Keras 3 writes it and reads it."""

from __future__ import annotations

import datetime
import io
import json
import pathlib
import zipfile
import zlib

from nnlite.saving.assets import assets_of, load_assets
from nnlite.saving.atomic import write_whole
from nnlite.saving.serialization import deserialize_keras_object, serialize_keras_object
from nnlite.saving.weights_file import h5_bytes, read_h5

# The version of the file layout we write, which real Keras compares with its own.
KERAS_VERSION = "3.15.1"
_PARTS = ("metadata.json", "config.json", "model.weights.h5")


def save_model(model, filepath, overwrite: bool = True, zipped=None, **kwargs) -> None:
    """Saves a model's config, weights and optimizer state to a `.keras` file; the file appears whole or not at all.

    Args:
        model: A built model.
        filepath: Ends in ".keras".
        overwrite: Whether an existing file is replaced.
        zipped: True or None; the file is always one zip archive.

    Raises:
        ValueError: Another ending, a model that is not built, or a lambda, which no file can hold.
        FileExistsError: The file exists and `overwrite` is False.
        OSError: The file cannot be written; an earlier one stays as it was.
    """
    path = pathlib.Path(filepath)
    if path.suffix != ".keras":
        raise ValueError(f'A model file must end in ".keras"; received {str(filepath)!r}. Use {path.stem + ".keras"!r}.')
    if kwargs or zipped is False:
        given = ", ".join([*map(repr, kwargs), *(["zipped=False"] if zipped is False else [])])
        raise ValueError(f"save_model() does not take {given}: a model is saved as one .keras file.")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already; pass overwrite=True to replace it.")
    if not model.built:
        raise ValueError(
            f"A model is saved with its weights, but {model.name!r} has none yet. Call build(), fit() or the model itself on data first."
        )
    config = json.dumps(serialize_keras_object(model), default=_json_default)
    metadata = json.dumps({"keras_version": KERAS_VERSION, "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("metadata.json", metadata)
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", h5_bytes(model))
        for name, data in assets_of(model).items():
            archive.writestr(name, data)
    write_whole(path, stream.getvalue())


def _json_default(value):
    raise TypeError(f"A config holds {value!r} of type {type(value).__name__}, which JSON cannot keep. Make get_config() return plain values.")


def load_model(filepath, custom_objects: dict | None = None, compile: bool = True, safe_mode: bool = True):
    """Loads a model from a `.keras` file, with its optimizer's state when it was compiled.

    Args:
        filepath: Ends in ".keras".
        custom_objects: Name -> class or function that the file mentions and that is not registered.
        compile: Whether to compile the model as it was.
        safe_mode: Accepted for familiarity; code in files is never run.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, names an unknown class, holds code, or its weights do not fit; the text names what.
    """
    path = pathlib.Path(filepath)
    parts = _read_parts(path)
    config = _json(parts["config.json"], path, "config.json")
    if not compile:
        config.pop("compile_config", None)
    model = _model_of(config, custom_objects, path)
    read_h5(model, parts["model.weights.h5"], str(path))
    load_assets(model, parts, str(path))
    return model


def _model_of(config: dict, custom_objects, path):
    try:
        model = deserialize_keras_object(config, custom_objects)
    except (TypeError, KeyError, AttributeError, IndexError, RecursionError, NotImplementedError) as error:
        raise ValueError(f"{path}: config.json does not describe a model that can be made: {type(error).__name__}: {error}") from error
    if not hasattr(model, "load_weights"):
        raise ValueError(f"{path}: config.json describes {type(model).__name__}, which is not a model; the file is damaged.")
    if not model.built:
        raise ValueError(
            f"{path}: model {model.name!r} of class {type(model).__name__} could not be built from its file, so that its weights "
            "have no place. Give the class build_from_config(), or save with save_weights() and load into a model that was called on data."
        )
    if getattr(model, "optimizer", None) is not None:
        model.optimizer.build(model.trainable_variables)
    return model


def weights_of_archive(path: pathlib.Path) -> bytes:
    """The HDF5 file inside a `.keras` file."""
    return _read_parts(path)["model.weights.h5"]


def _read_parts(path: pathlib.Path) -> dict[str, bytes]:
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")
    if path.suffix != ".keras":
        raise ValueError(
            f'A model file must end in ".keras"; received {str(path)!r}. Legacy .h5 files are opened by real Keras, which can save them as .keras.'
        )
    data = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            missing = [name for name in _PARTS if name not in archive.namelist()]
            if missing:
                raise ValueError(f"{path} lacks {', '.join(missing)}: it is not a .keras file, or it is damaged.")
            return {name: archive.read(name) for name in archive.namelist() if name in _PARTS or name.startswith("assets/")}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise ValueError(f"{path} is not a readable .keras file: {error}. It is damaged, or was not written completely.") from error


def _json(data: bytes, path, name: str) -> dict:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {name} is not valid JSON ({error}); the file is damaged.") from error
    if not isinstance(value, dict) or "class_name" not in value:
        raise ValueError(f"{path}: {name} must describe a model (a dict with class_name); the file is damaged.")
    return value
