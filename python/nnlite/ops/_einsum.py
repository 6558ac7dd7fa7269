"""einsum: reads the subscripts, then contracts operands pairwise from the left."""

from __future__ import annotations

import string

from nnlite.ops import movement, reduce
from nnlite.ops._convert import all_same
from nnlite.ops.products import contract
from nnlite.tensor import Tensor


def run(subscripts: str, operands) -> Tensor:
    """The result of einsum; raises ValueError when subscripts and shapes disagree."""
    tensors = all_same(operands)
    if tensors[0].spec.dtype == "bool":
        tensors = all_same([*operands, 0])[:-1]
    terms, out = _parsed(subscripts, tensors)
    _check_sizes(subscripts, terms, tensors)
    singles = [_without_repeats(t, letters) for t, letters in zip(tensors, terms)]
    tensor, letters = singles[0]
    for k, (other, right) in enumerate(singles[1:], 2):
        later = "".join(term for _, term in singles[k:])
        keep = "".join(c for c in dict.fromkeys(letters + right) if c in out or c in later)
        keep = out if not later else keep
        tensor, letters = contract(tensor, other, letters, right, keep), keep
    return _finished(tensor, letters, out)


def _parsed(subscripts: str, tensors):
    """(letters of every operand, letters of the result), "..." written out as unused letters."""
    text = subscripts.replace(" ", "")
    left, arrow, out = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(tensors):
        raise ValueError(f"einsum() takes one term per operand; {subscripts!r} has {len(terms)} terms, but {len(tensors)} operands were given.")
    unused = [c for c in string.ascii_letters if c not in text]
    ranks = [len(t.spec.shape) - len(term.replace("...", "")) for term, t in zip(terms, tensors)]
    if any(rank < 0 or (rank > 0 and "..." not in term) for term, rank in zip(terms, ranks)):
        shapes = ", ".join(str(t.spec.shape) for t in tensors)
        raise ValueError(f"einsum() needs one letter per axis; {subscripts!r} does not fit operands of shapes {shapes}.")
    longest = max([rank for term, rank in zip(terms, ranks) if "..." in term], default=0)
    extra = "".join(unused[:longest])
    terms = [term.replace("...", extra[longest - rank :] if rank else "") for term, rank in zip(terms, ranks)]
    if arrow:
        return terms, out.replace("...", extra)
    joined = "".join(terms)
    return terms, extra + "".join(sorted(c for c in set(joined) - set(extra) if joined.count(c) == 1))


def _check_sizes(subscripts: str, terms, tensors) -> None:
    size: dict[str, int] = {}
    for term, tensor in zip(terms, tensors):
        for letter, dim in zip(term, tensor.spec.shape):
            if size.setdefault(letter, dim) != dim:
                shapes = ", ".join(str(t.spec.shape) for t in tensors)
                raise ValueError(
                    f"einsum() needs one size per letter; in {subscripts!r} with shapes {shapes}, {letter!r} is {size[letter]} and {dim}."
                )


def _without_repeats(tensor: Tensor, letters: str):
    """Takes diagonals until no letter occurs twice."""
    from nnlite.ops.diagonals import diagonal

    while (repeated := next((c for c in letters if letters.count(c) > 1), None)) is not None:
        i = letters.index(repeated)
        j = letters.index(repeated, i + 1)
        tensor = diagonal(tensor, 0, i, j)
        letters = letters[:i] + letters[i + 1 : j] + letters[j + 1 :] + repeated
    return tensor, letters


def _finished(tensor: Tensor, letters: str, out: str) -> Tensor:
    """Sums what is not in the result and orders the axes."""
    if any(c not in letters for c in out) or len(set(out)) != len(out):
        raise ValueError(f"einsum() can only give letters of its operands, each once; the result asks for {out!r}, the operands have {letters!r}.")
    drop = tuple(i for i, c in enumerate(letters) if c not in out)
    if drop:
        tensor = reduce.sum(tensor, axes=drop, keepdims=False)
        letters = "".join(c for c in letters if c in out)
    order = tuple(letters.index(c) for c in out)
    return tensor if order == tuple(range(len(order))) else movement.transpose(tensor, axes=order)
