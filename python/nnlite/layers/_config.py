"""Configs of layers: what a class's __init__ needs to make the same layer again."""

from __future__ import annotations

import inspect

from nnlite import dtype_policies, regularizers

_PLAIN = (int, float, str, bool, type(None))


class Config:
    """get_config and from_config."""

    def get_config(self) -> dict:
        """Arguments that make the same layer, as JSON types.

        Layers that override it add theirs to `super().get_config()`. For layers that do not, the arguments of __init__ are recorded, as long as
        they are plain values.

        Raises:
            NotImplementedError: get_config() is not overridden and __init__ was given something that is not a plain value.
        """
        self._check_initialized()
        base = {"trainable": self.trainable, "dtype": dtype_policies.serialize(self.dtype_policy)}
        if type(self).get_config is not Config.get_config:
            config = {"name": self.name, **base}
            if self.activity_regularizer is not None:
                config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
            return config
        return self._recorded_config(base)

    def _recorded_config(self, base: dict) -> dict:
        args, kwargs = self._init_arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        config = {}
        open_keywords = False
        for name, value in list(bound.arguments.items())[1:]:
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                config.update(value)
                open_keywords = True
            elif kind is not inspect.Parameter.VAR_POSITIONAL:
                config[name] = value
        accepted = {"name": self.name, **base}
        config.update({key: value for key, value in accepted.items() if open_keywords or key in config})
        bad = {key: value for key, value in config.items() if key not in accepted and not _is_plain(value)}
        if bad:
            raise NotImplementedError(
                f"Layer {self.name!r} was made with arguments that are not plain values "
                f"({', '.join(f'{key}={value!r}' for key, value in bad.items())}), and therefore the class "
                f"{type(self).__name__} must override `get_config()` in order to be serializable:\n\n"
                "    def get_config(self):\n        config = super().get_config()\n"
                f"        config.update({{{', '.join(f'{key!r}: ...' for key in bad)}}})\n        return config"
            )
        return config

    @classmethod
    def from_config(cls, config: dict):
        """The layer that `get_config` described."""
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = dtype_policies.deserialize(config["dtype"])
        try:
            return cls(**config)
        except TypeError as error:
            raise TypeError(
                f"{cls.__name__} cannot be made from its config {config}: {error}. Its __init__() must accept every key, e.g. by passing **kwargs to "
                "super().__init__()."
            ) from error

    def _twin(self):
        """A new, unbuilt layer like this one."""
        return type(self).from_config(self.get_config())


def _is_plain(value) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)
