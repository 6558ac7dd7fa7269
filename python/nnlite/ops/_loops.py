"""Traced forms of the functions in `ops/control.py`: bodies become loops and branches of the graph."""

from __future__ import annotations

from nnlite import tree
from nnlite.graph.apply import state
from nnlite.graph.batching import hoist
from nnlite.graph.control import Body, BodyTrace, add_branch, add_loop, close
from nnlite.graph.loop_gradient import record_scan
from nnlite.graph.spec import Spec
from nnlite.ops import elementwise as e
from nnlite.ops._convert import to_bool, to_tensor
from nnlite.ops._dtypes import promote
from nnlite.tensor import Tensor


class Known(Exception):
    """Nothing that the body uses is traced: plain Python computes the result now."""


class Leaves:
    """A structure and its tensors; None stays None."""

    def __init__(self, structure):
        self.structure = structure
        self.given = tree.flatten(structure)
        self.tensors = [to_tensor(leaf) for leaf in self.given if leaf is not None]

    def packed(self, tensors):
        """The structure with other tensors."""
        tensors = iter(tensors)
        return tree.pack_sequence_as(self.structure, [None if leaf is None else next(tensors) for leaf in self.given])

    def is_number(self, k: int) -> bool:
        """Whether tensor k was given as a Python number, whose dtype yields to others."""
        return type([leaf for leaf in self.given if leaf is not None][k]) in (int, float, bool)


def next_state(what: str, name: str, first: Leaves, new) -> list[Tensor]:
    """Tensors of a new state, which must have the structure and shapes of the first."""
    leaves = tree.flatten(new)
    if len(leaves) != len(first.given) or any((a is None) != (b is None) for a, b in zip(leaves, first.given)):
        raise ValueError(
            f"{what} must return a {name} of the structure it was given: the first one is {_shapes(first.structure)}, the function returned "
            f"{_shapes(new)}. Return the same nesting."
        )
    tensors = [to_tensor(leaf) for leaf in leaves if leaf is not None]
    for k, (old, tensor) in enumerate(zip(first.tensors, tensors)):
        if old.spec.shape != tensor.spec.shape:
            raise ValueError(
                f"{what} must keep the shape of its {name}: tensor {k} had shape {old.spec.shape}, the function returned shape "
                f"{tensor.spec.shape}. Give it its final shape from the start."
            )
    return tensors


def _shapes(structure):
    return tree.map_structure(lambda t: None if t is None else str(to_tensor(t).spec), structure)


def _same_dtypes(what: str, name: str, first: Leaves, tensors: list[Tensor]) -> bool:
    """False after the dtype of Python numbers in the first state has given way: trace again."""
    same = True
    for k, (old, new) in enumerate(zip(first.tensors, tensors)):
        if old.spec.dtype == new.spec.dtype:
            continue
        if not first.is_number(k) or promote(old.spec.dtype, new.spec.dtype) != new.spec.dtype:
            raise ValueError(
                f"{what} must keep the dtype of its {name}: tensor {k} was {old.spec}, the function returned {new.spec}. Cast one of them."
            )
        first.tensors[k] = to_tensor(old, new.spec.dtype)
        same = False
    return same


class _Variables:
    """Variables that a body assigns to: carries of the loop."""

    def __init__(self, trace: BodyTrace):
        self.variables = list(trace.updates)
        self.inputs = self.read_in(trace)
        self.outputs = [trace.updates[v] for v in self.variables]
        self.first = [trace.outer.read(v) for v in self.variables]

    def read_in(self, trace: BodyTrace) -> list[Tensor]:
        """The placeholders that stand for them in a trace."""
        return [trace.reads[v] if v in trace.reads else Tensor(v.spec) for v in self.variables]

    def assign(self, tensors) -> None:
        for variable, tensor in zip(self.variables, tensors):
            state.trace.assign(variable, tensor)


def _all_known(captured, tensors, variables) -> bool:
    return not captured and not variables and all(t.data is not None for t in tensors)


def scan(f, init: Leaves, xs: Leaves, length: int, reverse: bool, everything: bool = False):
    """A loop over stacked xs: (last carry, stacked ys). `everything`: batch all that does not depend on a carry."""
    again = True
    while again:
        with BodyTrace() as trace:
            carries = [Tensor(t.spec) for t in init.tensors]
            rows = [Tensor(Spec(t.spec.shape[1:], t.spec.dtype)) for t in xs.tensors]
            new, ys = f(init.packed(carries), xs.packed(rows))
            new = next_state("scan()", "carry", init, new)
            ys = Leaves(ys)
        again = not _same_dtypes("scan()", "carry", init, new)
    variables = _Variables(trace)
    body, captured = close(trace, [*carries, *variables.inputs, *rows], [*new, *variables.outputs, *ys.tensors])
    if _all_known(captured, init.tensors + xs.tensors, variables.variables):
        raise Known
    first = [*init.tensors, *variables.first]
    last, stacked = _record(body, first, xs.tensors, captured, length, reverse, everything)
    variables.assign(last[len(carries) :])
    return init.packed(last[: len(carries)]), ys.packed(stacked)


def empty_scan(f, init: Leaves, xs: Leaves):
    """The stacked ys of no rounds: f is traced for their shapes, and nothing of it is kept."""
    from nnlite.ops.creation import zeros

    with BodyTrace():
        carries = [Tensor(t.spec) for t in init.tensors]
        rows = [Tensor(Spec(t.spec.shape[1:], t.spec.dtype)) for t in xs.tensors]
        new, ys = f(init.packed(carries), xs.packed(rows))
        next_state("scan()", "carry", init, new)
        ys = Leaves(ys)
    return ys.packed([zeros((0, *t.spec.shape), t.spec.dtype) for t in ys.tensors])


def _record(body: Body, first, xs, captured, length: int, reverse: bool, everything: bool):
    """Carries that no round changes come from outside; then the loop."""
    n = len(first)
    moving = [k for k in range(n) if body.outputs[k] is not body.inputs[k]]
    still = [k for k in range(n) if body.outputs[k] is body.inputs[k]]
    inputs = [body.inputs[k] for k in moving] + [*body.inputs[n : n + len(xs)], *[body.inputs[k] for k in still], *body.inputs[n + len(xs) :]]
    body = Body(inputs, [body.outputs[k] for k in moving] + list(body.outputs[n:]), body.nodes)
    left = hoist(body, len(moving), xs, [first[k] for k in still] + list(captured), length, everything)
    last, ys = record_scan(left, len(moving), [first[k] for k in moving], length, reverse)
    result = list(first)
    for k, tensor in zip(moving, last):
        result[k] = tensor
    return result, ys


def while_loop(condition, body, first: Leaves, most: int):
    """A loop with a condition; `most` rounds, or -1 without a limit. Returns the tensors of the last state."""
    again = True
    while again:
        with BodyTrace() as asked:
            given = [Tensor(t.spec) for t in first.tensors]
            goes_on = _truth(condition(*first.packed(given)))
        if asked.updates:
            raise ValueError(
                "The condition of while_loop() must not assign to variables or draw random numbers in a compiled function. Do it in the body."
            )
        with BodyTrace() as trace:
            carries = [Tensor(t.spec) for t in first.tensors]
            new = body(*first.packed(carries))
            new = next_state("while_loop()", "loop_vars", first, new if isinstance(new, (tuple, list)) else (new,))
            counter = Tensor(Spec((), "int32"))
            count = e.add(counter, to_tensor(1, "int32"))
        again = not _same_dtypes("while_loop()", "loop_vars", first, new)
    variables = _Variables(trace)
    bounded = most >= 0  # then the last carry counts the rounds: gradients ask for it
    extra = [Tensor(Spec((), "int32"))] if bounded else []
    test, of_test = close(asked, [*given, *variables.read_in(asked), *extra], [goes_on])
    inputs = [*carries, *variables.inputs, *([counter] if bounded else [])]
    closed, captured = close(trace, inputs, [*new, *variables.outputs, *([count] if bounded else [])])
    if _all_known([*captured, *of_test], first.tensors, variables.variables):
        raise Known
    starts = [*first.tensors, *variables.first, *([to_tensor(0, "int32")] if bounded else [])]
    left = hoist(closed, len(starts), [], captured, most)
    closed, captured = left.body, left.outside
    last, _ = add_loop(closed, starts, [], captured, most, condition=test, condition_outside=of_test)
    variables.assign(last[len(carries) : len(carries) + len(variables.variables)])
    return first.packed(last[: len(carries)])


def _truth(value) -> Tensor:
    """What a condition returned, as one boolean."""
    from nnlite.ops.movement import reshape

    value = to_bool(value)
    if value.spec.size != 1:
        raise ValueError(
            f"The condition of while_loop() must be one value; it returned a tensor of shape {value.spec.shape}. Reduce it with any() or all()."
        )
    return reshape(value, shape=()) if value.spec.shape else value


def branch(what: str, index: Tensor, functions, operands=()):
    """The result of one of the functions, chosen when the plan runs. `index`: int32 scalar."""
    traces, results = [], []
    for function in functions:
        with BodyTrace() as trace:
            results.append(Leaves(function(*operands)))
        traces.append(trace)
    _check_alike(what, results)
    dtypes = [_common(tensors) for tensors in zip(*[r.tensors for r in results])]
    variables = list(dict.fromkeys(v for trace in traces for v in trace.updates))
    bodies, outside = [], []
    for trace, result in zip(traces, results):
        with trace:
            outputs = [to_tensor(t, dtype) for t, dtype in zip(result.tensors, dtypes)]
            outputs += [trace.read(v) for v in variables]
        body, captured = close(trace, [], outputs)
        bodies.append(body)
        outside.append(captured)
    chosen = add_branch(index, bodies, outside) if bodies[0].outputs else ()
    for variable, tensor in zip(variables, chosen[len(dtypes) :]):
        state.trace.assign(variable, tensor)
    return results[0].packed(chosen[: len(dtypes)])


def _common(tensors) -> str:
    dtype = tensors[0].spec.dtype
    for t in tensors[1:]:
        dtype = promote(dtype, t.spec.dtype)
    return dtype


def _check_alike(what: str, results: list[Leaves]) -> None:
    first = results[0]
    for other in results[1:]:
        alike = len(first.given) == len(other.given) and all((a is None) == (b is None) for a, b in zip(first.given, other.given))
        if not alike or any(a.spec.shape != b.spec.shape for a, b in zip(first.tensors, other.tensors)):
            raise ValueError(
                f"The functions of {what}() must return tensors of the same structure and shapes in a compiled function; they returned "
                f"{_shapes(first.structure)} and {_shapes(other.structure)}. Bring them to one shape."
            )
