"""Fails when a hot loop of a kernel keeps vectors on the stack.

    python spills.py --objdump objdump OBJECT...

A hot loop is an innermost loop with at least 8 fused multiply-adds. In it no instruction may move a vector register to or from the stack:
the accumulators of a tile then no longer fit the registers, and it runs at half its speed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from typing import NamedTuple

LEAST_PRODUCTS = 8
# Functions that may, and why.
_EXEMPT = {
    r"\bactivate\b|_activation\b": "the constants of exp and tanh; waits for the divider anyway",
    r"\bavx2::.*\bweigh\b": "the constants of exp, which would be read from memory all the same",
    r"\bpack_\w*block\b|\bfinish_vector\b": "transforms of weights, once a step",
    r"\bavx2::winograd::.*\btransform_images\b": "a tile of 6 x 6 whole vectors is more than 16 registers hold",
    r"\brun_transposed_piece\b": "a square transposed through registers; waits for one chain of sums",
}
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
_PRODUCT = re.compile(r"^vfn?m(add|sub)\d{3}[ps][sd]$")
_VECTOR = re.compile(r"%[xyz]mm\d+")
_TARGET = re.compile(r"^([0-9a-f]+) ")


class Instruction(NamedTuple):
    """One line of the disassembly."""

    address: int
    name: str
    operands: str


class Loop(NamedTuple):
    """The instructions from the target of a backward jump to the jump."""

    begin: int
    end: int


def functions(listing: str):
    """Yields (name, instructions) for every function of a disassembly."""
    name, body = "", []
    for line in listing.splitlines():
        if match := _FUNCTION.match(line):
            if body:
                yield name, body
            name, body = match[1], []
        elif match := _INSTRUCTION.match(line):
            body.append(Instruction(int(match[1], 16), match[2], match[3]))
    if body:
        yield name, body


def innermost_loops(body: list[Instruction]) -> list[Loop]:
    """Backward jumps whose range holds no other backward jump's whole range."""
    first = body[0].address
    loops = set()
    for instruction in body:
        target = _TARGET.match(instruction.operands) if instruction.name.startswith("j") else None
        if target and first <= int(target[1], 16) <= instruction.address:
            loops.add(Loop(int(target[1], 16), instruction.address))
    return [a for a in loops if not any(b != a and a.begin <= b.begin and b.end <= a.end for b in loops)]


def touches_stack(instruction: Instruction, framed: bool) -> bool:
    """Whether it moves a vector register to or from a fixed place on the stack. Without a frame, %rbp is a pointer like others."""
    place = r"\(%r(?:sp|bp)\)" if framed else r"\(%rsp\)"
    return bool(_VECTOR.search(instruction.operands) and re.search(place, instruction.operands))


def spills(body: list[Instruction]) -> list[tuple[Loop, int, int]]:
    """(loop, multiply-adds, instructions on the stack) of the hot loops that spill."""
    framed = any(i.operands.endswith(",%rbp") and "%rsp" in i.operands for i in body)
    found = []
    for loop in innermost_loops(body):
        inside = [i for i in body if loop.begin <= i.address <= loop.end]
        products = sum(bool(_PRODUCT.match(i.name)) for i in inside)
        stack = sum(touches_stack(i, framed) for i in inside)
        if products >= LEAST_PRODUCTS and stack:
            found.append((loop, products, stack))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objdump", default="objdump")
    parser.add_argument("objects", nargs="+")
    arguments = parser.parse_args()
    hot, bad = 0, []
    for path in arguments.objects:
        command = [arguments.objdump, "-d", "-C", "--no-show-raw-insn", path]
        for name, body in functions(subprocess.run(command, check=True, capture_output=True, text=True).stdout):
            if any(re.search(pattern, name) for pattern in _EXEMPT):
                continue
            hot += sum(sum(bool(_PRODUCT.match(i.name)) for i in body if a <= i.address <= b) >= LEAST_PRODUCTS for a, b in innermost_loops(body))
            bad += [f"{path}: {name}: loop at {loop.begin:x} has {n} multiply-adds and {m} spills" for loop, n, m in spills(body)]
    if not hot:
        bad.append("no hot loop found: are these the objects of kernels, compiled for AVX2 or AVX-512?")
    print("\n".join(bad) or f"{hot} hot loops, none spills")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
