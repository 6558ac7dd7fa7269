"""Control flow: Python loops and branches for known values; both branches and unrolled loops in compiled functions."""

from __future__ import annotations

from nnlite import tree
from nnlite.ops import elementwise as e
from nnlite.ops._convert import pair, to_bool, to_tensor
from nnlite.ops._public import public, register
from nnlite.ops.joining import stack
from nnlite.ops.manipulation import flip
from nnlite.tensor import Tensor
from nnlite.variable import Variable


def _known(value):
    """Whether the value of `value` can be read now."""
    return not isinstance(value, (Tensor, Variable)) or to_tensor(value).data is not None


@public
def cond(pred, true_fn, false_fn):
    """true_fn() when `pred` holds, else false_fn(). In a compiled function both are computed and the result is chosen.

    >>> import nnlite
    >>> nnlite.ops.cond(True, lambda: 1, lambda: 2)
    1
    """
    if _known(pred):
        return true_fn() if bool(pred) else false_fn()
    return _chosen(pred, true_fn(), false_fn())


def _chosen(pred, yes, no):
    """`yes` where pred holds, else `no`, leaf by leaf."""
    condition = to_bool(pred)

    def choose(a, b):
        if a is None and b is None:
            return None
        return e.where(condition, *pair(a, b))

    return tree.map_structure(choose, yes, no)


@public
def switch(index, branches, *operands):
    """branches[index](*operands), with the index limited to the branches there are."""
    if _known(index):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    index = to_tensor(index)
    result = branches[0](*operands)
    for k, branch in enumerate(branches[1:], 1):
        result = _chosen(e.greater_equal(index, to_tensor(k, index.spec.dtype)), branch(*operands), result)
    return result


@register
def while_loop(cond, body, loop_vars, maximum_iterations=None):
    """Repeats `loop_vars = body(*loop_vars)` while cond(*loop_vars) holds.

    In a compiled function a condition that depends on its inputs needs `maximum_iterations`: that many rounds are computed, and
    those after the end are ignored.

    >>> import nnlite
    >>> nnlite.ops.while_loop(lambda i: i < 3, lambda i: (i + 1,), (0,))[0].item()
    3
    """
    single = not isinstance(loop_vars, (tuple, list))
    state = (loop_vars,) if single else tuple(loop_vars)
    state = tree.map_structure(to_tensor, state)
    running, rounds = True, 0
    while maximum_iterations is None or rounds < maximum_iterations:
        goes_on = cond(*state)
        if _known(goes_on) and running is True:
            if not bool(goes_on):
                break
            state = _as_tuple(body(*state))
        else:
            if maximum_iterations is None:
                raise ValueError(
                    "while_loop() in a compiled function needs `maximum_iterations` when its condition depends on traced tensors: "
                    "the number of rounds must be known while tracing."
                )
            running = to_bool(goes_on) if running is True else e.logical_and(running, to_bool(goes_on))
            state = _chosen(running, _as_tuple(body(*state)), state)
        rounds += 1
    return state[0] if single else state


def _as_tuple(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


@register
def fori_loop(lower, upper, body_fun, init_val):
    """value = body_fun(i, value) for i from `lower` to `upper` - 1. In a compiled function the bounds must be known.

    >>> import nnlite
    >>> nnlite.ops.fori_loop(0, 3, lambda i, total: total + i, 0).item()
    3
    """
    if not _known(lower) or not _known(upper):
        raise ValueError("fori_loop() in a compiled function needs bounds that are known while tracing. Use while_loop with maximum_iterations.")
    value = tree.map_structure(to_tensor, init_val)
    for i in range(int(lower), int(upper)):
        value = body_fun(to_tensor(i), value)
    return value


@register
def scan(f, init, xs=None, length=None, reverse=False, unroll=1):
    """Carries a state along the first axis: carry, y = f(carry, x) for every x. Returns (last carry, stacked ys).

    Args:
        length: Number of rounds when `xs` is None.
        reverse: From the last x to the first.

    >>> import nnlite
    >>> total, sums = nnlite.ops.scan(lambda c, x: (c + x, c + x), 0.0, nnlite.ops.convert_to_tensor([1.0, 2.0]))
    >>> sums.tolist()
    [1.0, 3.0]
    """
    xs = tree.map_structure(lambda x: None if x is None else to_tensor(x), xs)
    leaves = [x for x in tree.flatten(xs) if x is not None]
    sizes = {x.spec.shape[0] for x in leaves} | (set() if length is None else {int(length)})
    if len(sizes) != 1:
        raise ValueError(f"scan() needs one length: that of the first axis of all xs, or `length`; received lengths {sorted(sizes)}.")
    (n,) = sizes
    carry, ys = tree.map_structure(lambda x: None if x is None else to_tensor(x), init), []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, tree.map_structure(lambda x: None if x is None else x[i], xs))
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return carry, _stacked(ys)


def _stacked(items):
    """Corresponding leaves of a list of structures, stacked."""
    if not items:
        return None
    return tree.map_structure(lambda *leaves: None if leaves[0] is None else stack([to_tensor(v) for v in leaves]), *items)


@register
def map(f, xs):
    """f of every slice of the first axis, stacked.

    >>> import nnlite
    >>> nnlite.ops.map(lambda x: x * 2, nnlite.ops.arange(3)).tolist()
    [0, 2, 4]
    """
    return vectorized_map(f, xs)


@register
def vectorized_map(function, elements):
    """`function` of every slice of the first axis, stacked."""
    elements = tree.map_structure(to_tensor, elements)
    n = tree.flatten(elements)[0].spec.shape[0]
    return _stacked([function(tree.map_structure(lambda x: x[i], elements)) for i in range(n)])


@register
def associative_scan(f, elems, reverse=False, axis=0):
    """Running results of an associative f(a, b) along an axis, in about 2 log2(n) steps of whole slices."""
    from nnlite.ops.joining import concatenate, part_along
    from nnlite.ops._convert import axis_of

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
