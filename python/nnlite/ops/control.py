"""Control flow: Python loops and branches for known values; loops and branches of the plan in compiled functions."""

from __future__ import annotations

from functools import partial

from nnlite import tree
from nnlite.graph.apply import state as graph_state
from nnlite.ops import _loops
from nnlite.ops import elementwise as e
from nnlite.ops._convert import to_bool, to_tensor
from nnlite.ops._loops import Known, Leaves, next_state
from nnlite.ops._public import in_model, is_symbolic, public, register
from nnlite.ops.creation import arange
from nnlite.ops.joining import stack
from nnlite.ops.manipulation import flip
from nnlite.ops.movement import reshape
from nnlite.tensor import Tensor
from nnlite.variable import Variable


def _known(value):
    """Whether the value of `value` can be read now."""
    return not isinstance(value, (Tensor, Variable)) or to_tensor(value).data is not None


def _tracing() -> bool:
    return graph_state.trace is not None


def _index(value) -> Tensor:
    return reshape(to_tensor(value, "int32"), shape=())


def cond(pred, true_fn, false_fn):
    """true_fn() when `pred` holds, else false_fn(). In a compiled function the plan runs only the one that is chosen.

    There, both are traced: they must return tensors of the same structure and shapes. In a functional model, what the functions do with
    KerasTensors is part of the model: both are computed, and one result is chosen.

    Args:
        pred: A truth value or a scalar tensor.
        true_fn, false_fn: Functions without arguments, or their results.

    >>> import nnlite
    >>> nnlite.ops.cond(True, lambda: 1, lambda: 2)
    1
    """
    if is_symbolic(pred):
        true_fn, false_fn = in_model((true_fn, false_fn))
    return _cond(pred, true_fn, false_fn)


@public(name="cond")
def _cond(pred, true_fn, false_fn):
    if _known(pred):
        return _result(true_fn if bool(pred) else false_fn)
    return _loops.branch("cond", _index(to_bool(pred)), [partial(_result, false_fn), partial(_result, true_fn)])


def switch(index, branches, *operands):
    """branches[index](*operands), with the index limited to the branches there are.

    In a functional model, what the branches do with KerasTensors is part of the model: all are computed, and one result is chosen.

    Args:
        index: An integer or an integer scalar tensor.
        branches: Functions of the operands, or their results.
        *operands: Tensors.

    >>> import nnlite
    >>> nnlite.ops.switch(1, [lambda x: x, lambda x: -x], 3)
    -3
    """
    if is_symbolic(index):
        branches = in_model(branches, operands)
    elif is_symbolic((operands, branches)) and _known(index):
        return _result(_picked(index, branches), *operands)
    return _switch(index, branches, *operands)


@public(name="switch")
def _switch(index, branches, *operands):
    if _known(index):
        return _result(_picked(index, branches), *operands)
    return _loops.branch("switch", _index(index), [partial(_result, branch) for branch in branches], operands)


register(cond)
register(switch)


def _picked(index, branches):
    return branches[min(max(int(index), 0), len(branches) - 1)]


def _result(function, *operands):
    """What a branch gives: it is a function, or the result of one."""
    return function(*operands) if callable(function) else function


@public
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """Repeats `loop_vars = body(*loop_vars)` while cond(*loop_vars) holds.

    Args:
        maximum_iterations: The most rounds there may be. In a compiled function, gradients need it.

    >>> import nnlite
    >>> nnlite.ops.while_loop(lambda i: i < 3, lambda i: (i + 1,), (0,))[0].item()
    3
    """
    single = not isinstance(loop_vars, (tuple, list))
    first = Leaves((loop_vars,) if single else tuple(loop_vars))
    most = -1 if maximum_iterations is None else int(maximum_iterations)
    try:
        result = _loops.while_loop(cond, body, first, most) if _tracing() else None
    except Known:
        result = None
    if result is None:
        result = _repeated(cond, body, first, most)
    return result[0] if single else result


def _repeated(cond, body, first: Leaves, most: int):
    """while_loop in Python."""
    result, rounds = first.packed(first.tensors), 0
    while rounds != most and bool(cond(*result)):
        new = body(*result)
        result = first.packed(next_state("while_loop()", "loop_vars", first, new if isinstance(new, (tuple, list)) else (new,)))
        rounds += 1
    return result


@public
def fori_loop(lower, upper, body_fun, init_val):
    """value = body_fun(i, value) for i from `lower` to `upper` - 1.

    >>> import nnlite
    >>> nnlite.ops.fori_loop(0, 3, lambda i, total: total + i, 0).item()
    3
    """
    if not _known(lower) or not _known(upper):
        upper = to_tensor(upper, "int32")
        return while_loop(lambda i, value: e.less(i, upper), lambda i, value: (i + 1, body_fun(i, value)), (to_tensor(lower, "int32"), init_val))[1]
    numbers = arange(int(lower), max(int(lower), int(upper)), dtype="int32")
    return scan(lambda value, i: (body_fun(i, value), None), init_val, numbers)[0]


@public
def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Carries a state along the first axis: carry, y = f(carry, x) for every x. Returns (last carry, stacked ys).

    In a compiled function `f` is traced once, and the plan repeats its steps.

    Args:
        init: The first carry: a structure of tensors, whose shapes and dtypes stay.
        xs: A structure of tensors with one common first axis, or None.
        length: Number of rounds when `xs` is None.
        reverse: From the last x to the first.
        unroll: True traces every round on its own.

    >>> import nnlite
    >>> total, sums = nnlite.ops.scan(lambda c, x: (c + x, c + x), 0.0, nnlite.ops.convert_to_tensor([1.0, 2.0]))
    >>> sums.tolist()
    [1.0, 3.0]
    """
    init, xs = Leaves(init), Leaves(xs)
    n = _rounds("scan()", xs.tensors, length)
    return _scan(f, init, xs, n, bool(reverse), unroll is True)


def _rounds(what: str, stacks, length=None) -> int:
    for x in stacks:
        if not x.spec.shape:
            raise ValueError(f"{what} goes along the first axis of its tensors; received a scalar ({x.spec}). Give it an axis.")
    sizes = {x.spec.shape[0] for x in stacks} | (set() if length is None else {int(length)})
    if len(sizes) != 1:
        raise ValueError(f"{what} needs one length: that of the first axis of all xs, or `length`; received lengths {sorted(sizes)}.")
    return sizes.pop()


def _scan(f, init: Leaves, xs: Leaves, n: int, reverse: bool, unroll: bool = False, everything: bool = False):
    if n == 0 or (_tracing() and not unroll):
        try:
            return _traced_scan(f, init, xs, n, reverse, everything)
        except Known:
            pass
    carry, ys = init.packed(init.tensors), []
    for i in reversed(range(n)) if reverse else range(n):
        new, y = f(carry, xs.packed([x[i] for x in xs.tensors]))
        carry = init.packed(next_state("scan()", "carry", init, new))
        ys.append(y)
    return carry, _stacked(ys[::-1] if reverse else ys)


def _traced_scan(f, init: Leaves, xs: Leaves, n: int, reverse: bool, everything: bool):
    if n > 0:
        return _loops.scan(f, init, xs, n, reverse, everything)
    ys = _loops.empty_scan(f, init, xs)
    return init.packed(init.tensors), ys


def _stacked(items):
    """Corresponding leaves of a list of structures, stacked."""
    return tree.map_structure(lambda *leaves: None if leaves[0] is None else stack([to_tensor(v) for v in leaves]), *items)


@public
def map(f, xs):
    """f of every slice of the first axis, stacked.

    >>> import nnlite
    >>> nnlite.ops.map(lambda x: x * 2, nnlite.ops.arange(3)).tolist()
    [0, 2, 4]
    """
    return _mapped("map()", f, xs, everything=False)


@public
def vectorized_map(function, elements):
    """`function` of every slice of the first axis, stacked. In a compiled function, of all slices at once where that is possible.

    >>> import nnlite
    >>> nnlite.ops.vectorized_map(lambda x: x.T, nnlite.ops.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    return _mapped("vectorized_map()", function, elements, everything=True)


def _mapped(what: str, f, xs, everything: bool):
    xs = Leaves(xs)
    return _scan(lambda carry, x: ((), f(x)), Leaves(()), xs, _rounds(what, xs.tensors), False, everything=everything)[1]


@public
def associative_scan(f, elems, reverse=False, axis=0):
    """Running results of an associative f(a, b) along an axis, in about 2 log2(n) steps of whole slices."""
    from nnlite.ops._convert import axis_of
    from nnlite.ops.joining import concatenate, part_along

    elems = tree.map_structure(to_tensor, elems)
    first = tree.flatten(elems)[0]
    axis = axis_of("associative_scan", axis, len(first.spec.shape))
    if reverse:
        elems = tree.map_structure(lambda x: flip(x, axis), elems)
    n, offset = first.spec.shape[axis], 1
    while offset < n:
        early = tree.map_structure(lambda x: part_along(x, axis, 0, n - offset), elems)
        late = tree.map_structure(lambda x: part_along(x, axis, offset, n - offset), elems)
        joined = f(early, late)
        elems = tree.map_structure(lambda x, y: concatenate([part_along(x, axis, 0, offset), y], axis), elems, joined)
        offset *= 2
    return tree.map_structure(lambda x: flip(x, axis), elems) if reverse else elems


@register
def vectorize(pyfunc, *, excluded=None, signature=None):
    """A function that applies `pyfunc` to every element of its (broadcast) arguments."""
    if signature is not None:
        raise ValueError(f"vectorize() maps over single elements; received signature={signature!r}. Use vectorized_map for slices.")
    skipped = set(excluded or ())

    def call(*args):
        from nnlite.ops.manipulation import broadcast_to, reshape

        tensors = {i: to_tensor(a) for i, a in enumerate(args) if i not in skipped}
        shape = e.broadcast_shapes("vectorize", *[t.spec.shape for t in tensors.values()])
        flat = {i: reshape(broadcast_to(t, shape), (-1,)) for i, t in tensors.items()}
        results = [pyfunc(*[flat[i][k] if i in flat else a for i, a in enumerate(args)]) for k in range(next(iter(flat.values())).spec.size)]
        return tree.map_structure(lambda y: reshape(y, shape), _stacked(results))

    return call
