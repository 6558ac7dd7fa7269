"""The compiled engine.

Arrays are numpy arrays: C-contiguous, aligned, and of exactly the shape and dtype that a spec names, or ValueError says which differs. A bfloat16 array
travels as uint16, because numpy has no such type. Messages name the kernel or slot, what was expected and what came.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# (shape, dtype): dtype is one of float32, float64, bfloat16, int32, int64, uint8, int8, bool.
_Spec = tuple[Sequence[int], str]
# (dtype, shape, kind, where): kind "arena" (where: byte offset), "fixed" (a numpy array, kept alive by the plan), "input" or "output" (where: index).
_Slot = tuple[str, Sequence[int], str, Any]
# (kernel, input slots, output slots, attributes, label)
_Step = tuple[str, Sequence[int], Sequence[int], Mapping[str, Any], str]

def isa() -> str:
    """The instruction set in use: "baseline", "avx2" or "avx512"; the best one, or what the environment variable NNLITE_ISA named at import."""

def best_isa() -> str:
    """The best instruction set that this machine can run."""

def kernels() -> list[str]:
    """The names of all kernels, sorted."""

def winograd_pays(
    x: Sequence[int], kernel: Sequence[int], y: Sequence[int], strides: Sequence[int], dilation: Sequence[int], padding: Sequence[int], groups: int
) -> bool:
    """Whether `conv2d` of float32 images x [N,H,W,C] into y [N,OH,OW,K] uses Winograd's method when its attributes leave the choice; the batch does not matter."""

def get_num_threads() -> int:
    """How many threads work at most: at first NNLITE_NUM_THREADS, or else what the affinity mask and the cgroup's CPU quota grant."""

def set_num_threads(threads: int) -> None:
    """Sets it, 1 to 256; 0 goes back to the default. Results have the same bits for any number."""

def empty(shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
    """A new array, 64-byte aligned, from the engine's allocator; contents undefined. Raises MemoryError with the sizes."""

def zeros(shape: Sequence[int], dtype: str = "float32") -> np.ndarray:
    """Like `empty`, filled with zeros."""

def memory_stats() -> dict[str, int]:
    """Bytes of the engine's allocator: "in_use", "peak" (the most that was in use) and "cached" (freed, kept for reuse)."""

def trim_memory() -> None:
    """Returns the cached bytes to the operating system."""

class Arena:
    """Working memory that several plans share. It grows to what the largest needs; one plan runs at a time, others wait."""

    def __init__(self) -> None: ...
    @property
    def size(self) -> int:
        """Bytes now; 0 before the first run."""

class EagerStep:
    """One op, prepared for specs and attributes. May be called from several threads at once.

    Attributes are ints, floats, strings or flat sequences of these; those that are None are left out.
    """

    def __init__(
        self, kernel: str, input_specs: Sequence[_Spec], output_specs: Sequence[_Spec], attributes: Mapping[str, Any] = ...
    ) -> None: ...
    def __call__(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        """Runs on arrays of the input specs; returns fresh arrays."""

    @property
    def phases(self) -> tuple[int, ...]:
        """The number of chunks of each phase."""

class Plan:
    """Steps bound to memory: all addresses are resolved when it is built, and a run patches only those of inputs and outputs.

    Runs release Python's lock. Those of many steps look for signals every ~10 ms and raise what a handler raises, such as KeyboardInterrupt, between two
    steps. A signal handler must not run a plan of the same arena (RuntimeError).
    """

    def __init__(self, slots: Sequence[_Slot], steps: Sequence[_Step], prologue: Sequence[_Step], arena: Arena, arena_bytes: int) -> None: ...
    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One run; returns fresh arrays, which never share memory with the arena."""

    def run_prologue(self) -> None:
        """Runs the prologue's steps, such as packing weights."""

    def run_steps(self, sources: Sequence[np.ndarray], order: np.ndarray, first: int, count: int) -> None:
        """Runs steps `first` to `first + count - 1`: step s works on rows order[s * batch : (s + 1) * batch] of every source, one source per input.

        `order` is an int64 vector; its entries are checked before anything runs. Outputs are dropped: results live in fixed slots.
        """

    def run_batches(self, sources: Sequence[np.ndarray], results: Sequence[np.ndarray | None], first_row: int, count: int) -> None:
        """Runs on `count` consecutive batches of rows from `first_row`, read in place, and writes the same rows of `results`; None drops an output."""

    def profile(self, inputs: Sequence[np.ndarray], repeat: int = 10) -> list[tuple[str, float]]:
        """(label, seconds) of each step, the mean of `repeat` runs after a first one. State in fixed slots changes as in a run."""

    def dump(self) -> str:
        """One line per step: kernel, slots, chunks of each phase (T: shared by the team), estimated time, label."""

    @property
    def num_steps(self) -> int: ...
    @property
    def microseconds(self) -> float:
        """The estimated time of a run on one thread."""
