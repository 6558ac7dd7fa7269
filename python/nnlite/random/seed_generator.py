"""SeedGenerator: where random numbers of layers and functions come from."""

from __future__ import annotations

import numpy as np

from nnlite.graph.apply import state
from nnlite.graph.spec import Spec
from nnlite.tensor import Tensor
from nnlite.variable import Variable

_SEED_LIMIT = 2**63


class SeedGenerator:
    """A sequence of keys. Every call of `next` gives another key, also in compiled functions.

    Args:
        seed: An integer >= 0, or None for a random one (or the next one of `nnlite.utils.set_random_seed`).
        name: Name of the generator.

    Attributes:
        state: Variable int64[2], (seed, number of keys drawn).

    >>> import nnlite
    >>> generator = nnlite.random.SeedGenerator(seed=7)
    >>> generator.next().tolist(), generator.next().tolist()
    ([7, 0], [7, 1])
    """

    def __init__(self, seed=None, name=None, **kwargs):
        if kwargs:
            raise TypeError(f"SeedGenerator() got unknown arguments {sorted(kwargs)}.")
        self.name = name or "seed_generator"
        self._initial_seed = seed
        seed = make_seed() if seed is None else seed
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < _SEED_LIMIT:
            raise ValueError(f"SeedGenerator() takes an integer seed >= 0 or None; received seed={seed!r}.")
        self.seed = int(seed)
        self.state = Variable(np.array([self.seed, 0], "int64"), dtype="int64", trainable=False, name="seed_generator_state")

    def next(self, ordered: bool = True) -> Tensor:
        """The next key, int64[2]; the state moves on."""
        from nnlite.ops import elementwise as e

        if state.trace is None:
            key = Tensor(self.state.spec, self.state.numpy())
            self.state.assign(Tensor(key.spec, key.data + _ONE_CALL))
            return key
        key = self.state.value
        self.state.assign(e.add(key, Tensor(key.spec, _ONE_CALL)))
        return key

    def get_config(self) -> dict:
        return {"seed": self._initial_seed}

    @classmethod
    def from_config(cls, config: dict) -> SeedGenerator:
        return cls(**config)


_ONE_CALL = np.array([0, 1], "int64")
_KEY_SPEC = Spec((2,), "int64")

# Seeds for generators without one: fresh from the system until set_random_seed() fixes their source.
_seed_source = np.random.default_rng()
_global_generator: SeedGenerator | None = None


def make_seed() -> int:
    """A seed for a generator that was given none."""
    return int(_seed_source.integers(1, 10**9))


def global_generator() -> SeedGenerator:
    """The generator behind functions called with seed=None."""
    global _global_generator
    if _global_generator is None:
        _global_generator = SeedGenerator(make_seed(), name="global_seed_generator")
    return _global_generator


def set_global_seed(seed: int) -> None:
    """Makes all later random numbers of generators without a seed repeatable."""
    global _seed_source
    generator = global_generator()  # made first: its own seed must not use up a number of the new source
    _seed_source = np.random.default_rng(seed)
    generator.seed = int(seed)
    generator.state.assign(np.array([int(seed), 0], "int64"))


def key_of(seed) -> Tensor:
    """The key that a function's `seed` argument means: a generator's next one, an integer's own, or the global generator's next."""
    if seed is None:
        return global_generator().next()
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if isinstance(seed, (Tensor, np.ndarray)) and seed.shape == (2,):
        from nnlite.ops._convert import to_tensor

        return to_tensor(seed, "int64")
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        return Tensor(_KEY_SPEC, np.array([int(seed) % _SEED_LIMIT, 0], "int64"))
    raise ValueError(f"`seed` is an integer, a SeedGenerator, a key of int64[2] or None; received {seed!r}.")
