"""Dtype policies: in which dtype a layer computes and keeps its weights."""

from __future__ import annotations

from nnlite import config

_FLOATS = ("float32", "float64")
_default: "DTypePolicy | None" = None


class DTypePolicy:
    """The dtypes of a layer.

    Args:
        name: "float32" or "float64"; defaults to the global policy.

    Raises:
        ValueError: An unknown name, or a dtype the engine does not compute in.

    >>> DTypePolicy("float64").compute_dtype
    'float64'
    """

    def __init__(self, name: str | None = None):
        if name is None:
            name = dtype_policy().name
        if not isinstance(name, str) or name not in _FLOATS:
            raise ValueError(
                f"A dtype policy is one of {', '.join(map(repr, _FLOATS))}; received {name!r}. Use 'float32' unless you need double precision."
            )
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        """Dtype of inputs, intermediate results and outputs."""
        return self._name

    @property
    def variable_dtype(self) -> str:
        """Dtype of weights."""
        return self._name

    @property
    def quantization_mode(self) -> None:
        return None

    def get_config(self) -> dict:
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict) -> "DTypePolicy":
        return cls(**config)

    def __eq__(self, other) -> bool:
        return isinstance(other, DTypePolicy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


FloatDTypePolicy = DTypePolicy


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none: the one set by `set_dtype_policy`, else `config.floatx()`."""
    return _default if _default is not None else DTypePolicy(config.floatx())


def set_dtype_policy(policy) -> None:
    """Sets the global policy: a name, a policy, or None to follow `config.floatx()` again."""
    global _default
    _default = None if policy is None else get(policy)


def serialize(dtype_policy: DTypePolicy) -> dict:
    """The config dict that `deserialize` reads."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": dtype_policy.get_config(), "registered_name": None}


def deserialize(config: dict, custom_objects=None) -> DTypePolicy:
    """The policy of a config dict."""
    if config.get("class_name") not in ("DTypePolicy", "FloatDTypePolicy", "Policy"):
        raise ValueError(f"Unknown dtype policy class {config.get('class_name')!r}: nnlite has DTypePolicy. Quantized policies are not available.")
    return DTypePolicy(**config.get("config", {}))


def get(identifier) -> DTypePolicy:
    """A policy from a policy, a name, a config dict, or None for the global one.

    >>> get("float32").variable_dtype
    'float32'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return DTypePolicy(identifier if isinstance(identifier, str) else getattr(identifier, "__name__", None) or str(identifier))
