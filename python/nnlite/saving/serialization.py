"""Objects to plain JSON values and back, in Keras's form: module, class_name, config, registered_name.

A config names classes; it never carries code. Names are looked up in nnlite's own modules and among the objects the caller
registered or passed, and nothing is ever imported because a file says so.
"""

from __future__ import annotations

import importlib
import types

import numpy as np

from nnlite.saving.registry import CustomObjectScope, get_registered_name, get_registered_object

_PLAIN = (str, int, float, bool, type(None))
# Where classes of a Keras module are found here: the last part of the module's name decides.
_MODULES = (
    "activations",
    "constraints",
    "dtype_policies",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "random",
    "regularizers",
)
_FUNCTION_MODULES = ("activations", "losses", "metrics")


def serialize_keras_object(obj):
    """A value that JSON can hold and `deserialize_keras_object` turns back.

    >>> serialize_keras_object({"a": (1, 2.5)})
    {'a': (1, 2.5)}
    """
    if isinstance(obj, _PLAIN):
        return obj
    special = _serialize_special(obj)
    if special is not None:
        return special
    if isinstance(obj, (list, tuple)):
        return (
            type(obj)(serialize_keras_object(item) for item in obj) if type(obj) in (list, tuple) else [serialize_keras_object(item) for item in obj]
        )
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, types.FunctionType):
        return _serialize_function(obj)
    if not hasattr(obj, "get_config"):
        raise TypeError(
            f"An object in a config must have get_config(), or be a plain value; received {obj!r} of type {type(obj).__name__}. "
            "Add get_config() to its class."
        )
    return _serialize_instance(obj)


def _serialize_special(obj):
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__"}
    if isinstance(obj, slice):
        return {"class_name": "__slice__", "config": {"start": obj.start, "stop": obj.stop, "step": obj.step}}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode("latin1")}}
    if isinstance(obj, np.ndarray) and obj.ndim:
        return {"class_name": "__numpy__", "config": {"value": obj.tolist(), "dtype": obj.dtype.name}}
    if isinstance(obj, (np.generic, np.ndarray)):
        return obj.item()
    if isinstance(obj, np.dtype):
        return obj.name
    if type(obj).__name__ in ("Tensor", "Variable"):
        return {"class_name": "__tensor__", "config": {"value": obj.numpy().tolist(), "dtype": obj.dtype}}
    return None


def _serialize_function(function):
    if function.__name__ == "<lambda>":
        raise ValueError("A lambda cannot be saved: files never carry code. Use a named function registered with register_keras_serializable.")
    registered = get_registered_name(function)
    module = (
        "builtins"
        if registered != function.__name__ or not function.__module__.startswith("nnlite.")
        else "keras." + function.__module__.split(".")[1]
    )
    return {"module": module, "class_name": "function", "config": function.__name__, "registered_name": registered}


def _serialize_instance(obj):
    own = _own_class(type(obj))
    result = {
        "module": _module_of(type(obj)),
        "class_name": vars(type(obj)).get("_saved_name", type(obj).__name__),
        "config": serialize_keras_object(obj.get_config()),
        "registered_name": None if own else get_registered_name(type(obj)),
    }
    if hasattr(obj, "get_build_config"):
        build_config = obj.get_build_config()
        if build_config is not None:
            result["build_config"] = serialize_keras_object(build_config)
    if getattr(obj, "compiled", False) and hasattr(obj, "get_compile_config"):
        compile_config = obj.get_compile_config()
        if compile_config is not None:
            result["compile_config"] = compile_config
    return result


def _own_class(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "nnlite" and get_registered_name(cls) == cls.__name__


def _module_of(cls: type) -> str:
    """The module name real Keras expects for our own classes."""
    if not _own_class(cls):
        return cls.__module__
    if cls.__name__ == "Functional":
        return "keras.src.models.functional"
    if cls.__name__ in ("Sequential", "Model", "DTypePolicy"):
        return "keras"
    part = cls.__module__.split(".")[1]
    return "keras.optimizers.schedules" if part == "optimizers" and "schedule" in cls.__module__ else f"keras.{part}"


def deserialize_keras_object(config, custom_objects: dict | None = None, safe_mode: bool = True, **kwargs):
    """The object that `serialize_keras_object` described.

    Args:
        custom_objects: Name -> class or function, beside the registered ones.
        safe_mode: Accepted for familiarity. Code in files is never run, whatever it says.

    Raises:
        ValueError: Unknown names, configs that carry code, or a config its class does not accept.
    """
    with CustomObjectScope(custom_objects or {}):
        return _deserialize(config)


def _deserialize(config):
    if isinstance(config, _PLAIN):
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(_deserialize(item) for item in config)
    if not isinstance(config, dict):
        raise ValueError(f"A config must be a dict, list or plain value; received {config!r}.")
    if "class_name" not in config:
        return {key: _deserialize(value) for key, value in config.items()}
    name = config["class_name"]
    if not isinstance(name, str):
        raise ValueError(f"class_name in a config must be a string; received {name!r}. The file is damaged.")
    if name.startswith("__"):
        return _deserialize_special(name, config.get("config", {}))
    if name == "function":
        function = find_object(config.get("module"), config["config"], config.get("registered_name"), "function")
        if isinstance(function, type) or not callable(function):
            raise ValueError(f"The config names a function {config['config']!r}, but that is {function!r}.")
        return function
    if "config" not in config:
        return {key: _deserialize(value) for key, value in config.items()}
    return _deserialize_instance(config)


def _deserialize_special(name: str, inner: dict):
    if name == "__tuple__":
        return tuple(_deserialize(item) for item in inner["value"])
    if name == "__ellipsis__":
        return Ellipsis
    if name == "__slice__":
        return slice(*(_deserialize(inner[key]) for key in ("start", "stop", "step")))
    if name == "__bytes__":
        return inner["value"].encode("latin1")
    if name in ("__numpy__", "__tensor__"):
        array = np.array(inner["value"], dtype=inner["dtype"])
        if name == "__numpy__":
            return array
        from nnlite.ops import convert_to_tensor

        return convert_to_tensor(array)
    if name == "__lambda__":
        raise ValueError(
            "This file holds Python code (a lambda), which nnlite never runs. "
            "Save the model with a named, registered function instead, and pass it in custom_objects."
        )
    raise ValueError(f"Unknown kind of value {name!r} in a config: the file was written by a newer version or is damaged.")


def _deserialize_instance(config: dict):
    cls = find_object(config.get("module"), config["class_name"], config.get("registered_name"), "class")
    inner = config["config"]
    if not hasattr(cls, "from_config"):
        raise ValueError(f"{cls!r} was found for {config['class_name']!r}, but it has no from_config().")
    # Containers read their parts themselves; others get ready-made values.
    try:
        instance = cls.from_config(dict(inner))
    except (TypeError, KeyError) as error:
        raise ValueError(f"{cls.__name__} could not be made from its config {inner!r}: {error}") from error
    build_config = config.get("build_config")
    if build_config and hasattr(instance, "build_from_config"):
        instance.build_from_config(_deserialize(build_config))
    if config.get("compile_config") and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(config["compile_config"])
    return instance


def find_object(module: str | None, name: str, registered_name: str | None, kind: str):
    """The class or function a config names; raises ValueError when it is unknown."""
    found = get_registered_object(registered_name) if registered_name else None
    found = found or get_registered_object(name)
    if found is None and (module is None or module.partition(".")[0] in ("keras", "nnlite", "builtins")):
        found = _find_own(module or "", name, _MODULES if kind == "class" else _FUNCTION_MODULES)
    if found is None:
        where = f" of module {module!r}" if module else ""
        raise ValueError(
            f"Unknown {kind} {registered_name or name!r}{where}. If it is yours, "
            f"decorate it with nnlite.saving.register_keras_serializable or pass custom_objects={{{name!r}: ...}}."
        )
    return found


def _find_own(module: str, name: str, modules: tuple[str, ...]):
    parts = module.split(".")
    if len(parts) > 2 and parts[1] == "src" and parts[2] == "ops":
        return _operation_class(name)
    likely = [part for part in parts if part in modules]
    for part in [*likely, *(m for m in modules if m not in likely)]:
        candidate = getattr(importlib.import_module(f"nnlite.{part}"), name, None)
        if candidate is None and part == "optimizers":
            candidate = getattr(importlib.import_module("nnlite.optimizers.schedules"), name, None)
        if candidate is not None:
            return candidate
    return None


def _operation_class(name: str):
    """A function of nnlite.ops for the class name Keras gives to an op in a functional model ("GetItem" -> get_item)."""
    from nnlite import ops
    from nnlite.graph.symbolic import FunctionOperation
    from nnlite.utils.naming import to_snake_case

    function = getattr(ops, to_snake_case(name), None)
    if function is None:
        return None

    class Factory:
        __name__ = name

        @staticmethod
        def from_config(config):
            arguments = {key: value for key, value in config.items() if key not in ("name", "dtype")}
            bound = (lambda *args, **kwargs: function(*args, **{**arguments, **kwargs})) if arguments else function
            return FunctionOperation(bound, config.get("name") or to_snake_case(name))

    return Factory
