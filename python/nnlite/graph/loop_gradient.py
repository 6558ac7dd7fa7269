"""Gradients of loops and branches.

The gradient of a loop is a loop in the other order whose carries are the gradients of the carries. What it needs of each round becomes
further ys of the loop itself. Gradients of what the body takes from outside are sums over all rounds: products of matrices are left to
one big product after the loop, others are summed in carries.
"""

from __future__ import annotations

import numpy as np
from nnlite.graph.batching import hoist
from nnlite.graph.control import Body, BodyTrace, add_branch, add_loop, close, live_nodes, replay, tensor_key
from nnlite.graph.grad import backprop
from nnlite.graph.op import REGISTRY
from nnlite.graph.operators import table
from nnlite.graph.spec import FLOATS, NUMPY_DTYPE, Spec
from nnlite.tensor import Tensor

# Computed again in the backward loop instead of being kept: they only move what is there anyway.
_CHEAP = frozenset(("reshape", "broadcast_to", "stop_gradient"))


def loop_gradients(node, dys) -> list[Tensor | None]:
    """The gradient of each input of a loop, from those of its outputs (None where nobody asked)."""
    known = node.attributes["body"].gradients
    if known is not None and len(known[0]) == len(dys) and all(a is b for a, b in zip(known[0], dys)):
        return known[1]
    if node.attributes["length"] < 0:
        raise ValueError(
            "A while_loop() in a compiled function has gradients only with `maximum_iterations`: the values of its rounds are kept for them, and "
            "their number must be bounded while tracing."
        )
    found = _LoopGradient(node, dys).build()
    node.attributes["body"].gradients = (dys, found)
    return found


class _LoopGradient:
    def __init__(self, node, dys):
        a = node.attributes
        self.node = node
        self.dys = dys
        self.body = a["body"]
        self.n, self.m, self.length = a["carries"], a["xs"], a["length"]
        first = int(a["counted"])
        count = self.n + self.m
        self.carries = node.inputs[first : first + self.n]
        self.xs = node.inputs[first + self.n : first + count]
        self.outside = node.inputs[first + count : first + len(self.body.inputs)]
        self.first = first

    def build(self) -> list[Tensor | None]:
        body, n = self.body, self.n
        floats = [k for k in range(n) if body.inputs[k].spec.dtype in FLOATS]
        ys = [k for k in range(n, len(body.outputs)) if k < len(self.dys) and self.dys[k] is not None]
        sources = [t for t in body.inputs if t.spec.dtype in FLOATS]
        with BodyTrace() as trace:
            d_carries = [Tensor(body.inputs[k].spec) for k in floats]
            d_ys = [Tensor(body.outputs[k].spec) for k in ys]
            found = backprop([body.outputs[k] for k in floats + ys], d_carries + d_ys, sources)
            gradients = {id(t): g for t, g in zip(sources, found)}
            trace.nodes[:0] = self._again(trace)
            new_carries = [_or_zeros(gradients[id(body.inputs[k])], body.inputs[k].spec) for k in floats]
            d_xs = [gradients.get(id(t)) for t in body.inputs[n : n + self.m]]
            later = [self._later(gradients.get(id(t)), trace) for t in body.inputs[n + self.m :]]
            summed = [tensor for kind, tensor in later if kind == "carry"]
            totals = [Tensor(tensor.spec) for tensor in summed]
            new_totals = [table["add"](total, tensor) for total, tensor in zip(totals, summed)]
        inner = set(trace.nodes)
        carried = {id(t) for t in d_carries}
        needed = {tensor_key(t): t for kind, deferred in later if kind == "deferred" for t in deferred.needs}
        d_stacks = [t for t in d_xs if t is not None]
        given_keys = [tensor_key(t) for t in d_stacks]  # these are ys anyway
        made = {key: t for key, t in needed.items() if key not in given_keys and (t.node in inner or key in carried)}
        outputs = [*new_carries, *new_totals, *d_stacks, *made.values()]
        last, stacks = self._run(trace, floats, ys, d_carries, d_ys, totals, outputs)
        given = dict(zip([*given_keys, *made], stacks))
        given.update((id(t), self.dys[k]) for t, k in zip(d_ys, ys))
        given.update(self._forward_stacks([t for key, t in needed.items() if key not in given]))
        return self._answers(floats, d_xs, later, given, last, stacks)

    def _again(self, trace) -> list:
        """Nodes of the loop's body that are computed again in the backward body."""
        own, again = set(trace.nodes), {}

        def visit(node):
            if node is not None and node not in own and node.op.name in _CHEAP and node not in again:
                visit(node.inputs[0].node)
                again[node] = None

        for node in trace.nodes:
            for t in node.inputs:
                visit(t.node)
        first = len(trace.nodes)
        values: dict = {}
        replay(again, values)
        for node in trace.nodes[:first]:
            node.inputs = tuple([values.get(tensor_key(t), t) if t.data is None else t for t in node.inputs])
        again = trace.nodes[first:]
        del trace.nodes[first:]
        return again

    def _run(self, trace, floats, ys, d_carries, d_ys, totals, outputs):
        """Records the backward loop: (last carries, stacked ys)."""
        carries = len(floats) + len(totals)
        closed, captured = close(trace, [*d_carries, *totals, *d_ys], outputs)
        placeholders = closed.inputs[carries + len(ys) :]
        forward = self._forward_stacks(captured)
        xs, outside = [], []
        for placeholder, tensor in zip(placeholders, captured):
            stack = forward.get(tensor_key(tensor))
            if stack is not None:
                xs.append((placeholder, stack))
            else:
                outside.append((placeholder, self._outer(tensor)))
        inputs = [*closed.inputs[: carries + len(ys)], *[p for p, _ in xs], *[p for p, _ in outside]]
        starts = [_or_zeros(self.dys[k], self.body.inputs[k].spec) for k in floats] + [_or_zeros(None, t.spec) for t in totals]
        stacks = [self.dys[k] for k in ys] + [stack for _, stack in xs]
        body = Body(inputs, closed.outputs, closed.nodes)
        hoisted = hoist(body, carries, stacks, [t for _, t in outside], self.length)
        return record_scan(hoisted, carries, starts, self.length, not self.node.attributes["reverse"], self._rounds())

    def _rounds(self) -> Tensor | None:
        """How many rounds there were, where that is known only then: the last carry of a loop with a condition counts them."""
        a = self.node.attributes
        if a["counted"]:
            return self.node.inputs[0]
        return self.node.outputs[self.n - 1] if a["condition"] is not None else None

    def _outer(self, tensor: Tensor) -> Tensor:
        for placeholder, outer in zip(self.body.inputs[self.n + self.m :], self.outside):
            if placeholder is tensor:
                return outer
        return tensor

    def _forward_stacks(self, tensors) -> dict:
        """Values of tensors of the loop's body in all rounds: its xs, and ys that it gets for the purpose."""
        body, n, node = self.body, self.n, self.node
        own = {(inner, i) for inner in body.nodes for i in range(len(inner.output_specs))} | {id(t) for t in body.inputs[:n]}
        stacks = {id(t): x for t, x in zip(body.inputs[n : n + self.m], self.xs)}
        outputs = list(body.outputs)
        positions = {tensor_key(t): k for k, t in enumerate(outputs) if k >= n}
        for tensor in tensors:
            key = tensor_key(tensor)
            if key in own:
                if key not in positions:
                    positions[key] = len(outputs)
                    outputs.append(tensor)
                stacks[key] = positions[key]
        new = outputs[len(body.outputs) :]
        if new:
            self.body = Body(body.inputs, outputs, body.nodes)
            node.attributes = {**node.attributes, "body": self.body}
            node.output_specs += tuple([Spec((self.length, *t.spec.shape), t.spec.dtype) for t in new])
            node.output_data += (None,) * len(new)
        return {key: x if isinstance(x, Tensor) else Tensor(node.output_specs[x], None, node, x) for key, x in stacks.items()}

    def _later(self, gradient, trace):
        """How the sum of a tensor of the backward body over all rounds is found: ("none", _), ("deferred", _Deferred) or ("carry", tensor)."""
        if gradient is None:
            return "none", None
        if self._rounds() is not None:  # rows without a round must not count
            return "carry", gradient
        fixed = {id(t) for t in self.body.inputs[self.n + self.m :]}
        deferred = _defer(gradient, set(trace.nodes), fixed)
        return ("carry", gradient) if deferred is None else ("deferred", deferred)

    def _answers(self, floats, d_xs, later, stacks, last, ys) -> list[Tensor | None]:
        gradients: list[Tensor | None] = [None] * len(self.node.inputs)
        for k, tensor in zip(floats, last):
            gradients[self.first + k] = tensor
        results = iter(ys)
        for k, tensor in enumerate(d_xs):
            if tensor is not None:
                gradients[self.first + self.n + k] = next(results)
        totals = iter(last[len(floats) :])
        for k, (kind, deferred) in enumerate(later):
            place = self.first + self.n + self.m + k
            if kind == "carry":
                gradients[place] = next(totals)
            elif kind == "deferred":
                gradients[place] = deferred.emit(stacks, self.length)
        return gradients


def _or_zeros(tensor, spec: Spec) -> Tensor:
    return Tensor(spec, np.zeros(spec.shape, NUMPY_DTYPE[spec.dtype])) if tensor is None else tensor


def record_scan(hoisted, carries: int, starts, length: int, reverse: bool, count=None) -> tuple[list[Tensor], list[Tensor]]:
    """Records what `hoist` left of a scan: (last carries, stacked ys). Ys that are known before the loop do not go through it."""
    body = hoisted.body
    inside = [k for k in range(carries, len(body.outputs)) if tensor_key(body.outputs[k]) not in hoisted.stacked]
    last, ys = list(starts), []
    if carries or inside:
        trimmed = Body(body.inputs, [*body.outputs[:carries], *[body.outputs[k] for k in inside]], body.nodes)
        last, ys = add_loop(trimmed, starts, hoisted.xs, hoisted.outside, length, reverse, count=count)
    found = dict(zip(inside, ys))
    return last, [found[k] if k in found else hoisted.stacked[tensor_key(body.outputs[k])] for k in range(carries, len(body.outputs))]


# Sums over all rounds that are left to the end


class _Deferred:
    """A sum over all rounds.

    Attributes:
        needs: Tensors whose values of all rounds `emit` needs.
        emit: (key -> stacked values, number of rounds) -> the sum.
    """

    def __init__(self, needs, emit):
        self.needs = needs
        self.emit = emit


def _defer(tensor: Tensor, own: set, fixed: set) -> _Deferred | None:
    """None where summing in the loop is better."""
    node = tensor.node
    if node is None or node not in own:
        return None
    rule = _DEFERRED.get(node.op.name)
    return None if rule is None else rule(node, own, fixed)


def _changes(tensors, fixed: set) -> bool:
    """Whether all of them are values of a round."""
    return all(t.data is None and id(t) not in fixed for t in tensors)


def _merged(stack: Tensor) -> Tensor:
    """[rounds, batch, ...] as [rounds * batch, ...]."""
    first, second, *rest = stack.spec.shape
    return REGISTRY["reshape"](stack, shape=(first * second, *rest))


def _defer_product(node, own, fixed):
    """Products of matrices that sum over rows of a batch: the rows of all rounds are one batch."""
    a, b = node.inputs
    given = node.attributes
    if a.spec.rank != 2 or b.spec.rank != 2 or not given["transpose_a"] or given["transpose_b"] or not _changes((a, b), fixed):
        return None
    return _Deferred((a, b), lambda stacks, length: node.op(_merged(stacks[tensor_key(a)]), _merged(stacks[tensor_key(b)]), **given))


def _defer_convolution(node, own, fixed):
    x, dy = node.inputs
    if not _changes((x, dy), fixed):
        return None
    return _Deferred((x, dy), lambda stacks, length: node.op(_merged(stacks[tensor_key(x)]), _merged(stacks[tensor_key(dy)]), **node.attributes))


def _defer_rows(node, own, fixed):
    ids, dy = node.inputs
    if not _changes((ids, dy), fixed):
        return None
    return _Deferred((ids, dy), lambda stacks, length: node.op(stacks[tensor_key(ids)], stacks[tensor_key(dy)], **node.attributes))


def _defer_sum(node, own, fixed):
    """Sums of what is small or kept anyway."""
    (x,) = node.inputs
    if not _changes((x,), fixed) or (x.node in own and not x.node.op.traits.elementwise and x.node.op.name not in ("concatenate", "reshape")):
        return None
    axes, keepdims = node.attributes["axes"], node.attributes["keepdims"]

    def emit(stacks, length):
        total = node.op(stacks[tensor_key(x)], axes=(0, *[axis + 1 for axis in axes]), keepdims=False)
        return REGISTRY["reshape"](total, shape=node.output_specs[0].shape) if keepdims else total

    return _Deferred((x,), emit)


def _defer_add(node, own, fixed):
    if any(t.spec != node.output_specs[0] for t in node.inputs):
        return None
    parts = [_defer(t, own, fixed) for t in node.inputs]
    if None in parts:
        return None
    return _Deferred([t for part in parts for t in part.needs], lambda stacks, length: node.op(*[part.emit(stacks, length) for part in parts]))


def _defer_linear(node, own, fixed):
    """The sum goes through ops that only move elements."""
    if node.op.name == "pad" and node.attributes["value"] != 0:
        return None
    parts = [_defer(t, own, fixed) for t in node.inputs]
    if None in parts:
        return None
    return _Deferred(
        [t for part in parts for t in part.needs], lambda stacks, length: node.op(*[part.emit(stacks, length) for part in parts], **node.attributes)
    )


_DEFERRED = {
    "matmul": _defer_product,
    "conv2d_kernel_grad": _defer_convolution,
    "depthwise_conv2d_kernel_grad": _defer_convolution,
    "scatter_add_rows": _defer_rows,
    "sum": _defer_sum,
    "add": _defer_add,
    **{name: _defer_linear for name in ("reshape", "transpose", "pad", "concatenate", "reverse")},
}


# Branches


def branch_gradients(node, dys) -> list[Tensor | None]:
    """Gradients of the inputs of a branch: a branch that computes the chosen body again and goes back through it."""
    bodies, counts = node.attributes["bodies"], node.attributes["outside"]
    known = bodies[0].gradients
    if known is not None and len(known[0]) == len(dys) and all(a is b for a, b in zip(known[0], dys)):
        return known[1]
    positions = [0]
    for count in counts:
        positions.append(positions[-1] + count)
    given = [node.inputs[1 + first : 1 + end] for first, end in zip(positions, positions[1:])]
    seeds = [k for k, dy in enumerate(dys) if dy is not None]
    # Each branch gives gradients of all inputs of all branches: zeros of those that are not its own.
    wanted = [t for tensors in given for t in tensors]
    floats = [k for k, t in enumerate(wanted) if t.spec.dtype in FLOATS]
    results, outside = [], []
    for body, tensors, first in zip(bodies, given, positions):
        body, captured = _branch_backward(body, tensors, first, [(k, dys[k]) for k in seeds], wanted, floats)
        results.append(body)
        outside.append(captured)
    gradients: list[Tensor | None] = [None] * len(node.inputs)
    if floats:
        for k, tensor in zip(floats, add_branch(node.inputs[0], results, outside)):
            gradients[1 + k] = tensor
    bodies[0].gradients = (dys, gradients)
    return gradients


def _branch_backward(body, tensors, first: int, seeds, wanted, floats):
    with BodyTrace() as trace:
        values = {tensor_key(p): Tensor(p.spec) for p in body.inputs}
        copies = dict(values)
        replay(live_nodes(body.nodes, body.outputs), values)
        outputs = [values.get(tensor_key(body.outputs[k]), body.outputs[k]) for k, _ in seeds]
        sources = [copies[tensor_key(p)] for p in body.inputs]
        found = backprop(outputs, [dy for _, dy in seeds], sources)
        own = {first + k: g for k, g in enumerate(found)}
        results = [_or_zeros(own.get(k), wanted[k].spec) for k in floats]
    closed, captured = close(trace, [], results)
    outer = {id(copy): tensor for copy, tensor in zip(sources, tensors)}
    return closed, [outer.get(id(t), t) for t in captured]
