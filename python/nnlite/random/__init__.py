"""Random numbers: reproducible, independent of threads and batches, usable in compiled functions."""

from nnlite.random.distributions import beta, binomial, categorical, dropout, gamma, normal, randint, shuffle, truncated_normal, uniform
from nnlite.random.seed_generator import SeedGenerator, global_generator, make_seed, set_global_seed

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "dropout",
    "gamma",
    "global_generator",
    "make_seed",
    "normal",
    "randint",
    "set_global_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
