"""Loops and branches as nodes of a trace: their bodies are traced once, whatever the number of rounds."""

from __future__ import annotations

from typing import ClassVar

from nnlite.graph.apply import state
from nnlite.graph.ir import graph_of_trace
from nnlite.graph.op import Op, Traits, variadic
from nnlite.graph.spec import Spec
from nnlite.graph.trace import Trace
from nnlite.tensor import Tensor


class Body:
    """A traced function without free variables.

    Attributes:
        inputs: Placeholders.
        outputs: Results: tensors made by `nodes`, placeholders or constants.
        nodes: Nodes in order of execution.
        gradients: What `loop_gradients` found for this body, so that each input's gradient need not build all of them again.
    """

    __slots__ = ("gradients", "inputs", "nodes", "outputs")
    updates: ClassVar[dict] = {}  # assignments to variables have become outputs
    reads: ClassVar[dict] = {}

    def __init__(self, inputs, outputs, nodes):
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.nodes = nodes
        self.gradients = None

    def graph(self):
        """A Graph of it."""
        return graph_of_trace(self, self.outputs)


class BodyTrace(Trace):
    """Records a body inside another trace, whose tensors and variables it may use."""

    def __enter__(self) -> BodyTrace:
        self.outer = state.trace
        return super().__enter__()


class outside_loops:
    """A context in which ops are recorded by the trace around all loops and branches: what they compute is the same in every round.

    They must not use tensors of the bodies.
    """

    def __enter__(self) -> None:
        self._inner = state.trace
        while isinstance(state.trace, BodyTrace):
            state.trace = state.trace.outer

    def __exit__(self, *exc) -> None:
        state.trace = self._inner


def tensor_key(tensor: Tensor):
    """The same for all Tensor objects of one value."""
    return id(tensor) if tensor.node is None else (tensor.node, tensor.index)


def close(trace: BodyTrace, inputs, outputs) -> tuple[Body, list[Tensor]]:
    """A body of the trace: what it takes from outside becomes further inputs. Returns it and the tensors for these inputs."""
    own = set(trace.nodes)
    formal = {id(t) for t in inputs}
    variables = {id(t): variable for variable, t in trace.reads.items()}
    placeholders: dict = {}
    captured: list[Tensor] = []

    def inside(tensor: Tensor) -> Tensor:
        if tensor.data is not None or tensor.node in own or id(tensor) in formal:
            return tensor
        key = tensor_key(tensor)
        if key not in placeholders:
            placeholders[key] = Tensor(tensor.spec)
            variable = variables.get(key)
            captured.append(tensor if variable is None else trace.outer.read(variable))
            kept.append(tensor)  # so that its id stays its own
        return placeholders[key]

    kept: list[Tensor] = []
    nodes = live_nodes(trace.nodes, outputs)
    for node in nodes:
        node.inputs = tuple([inside(t) for t in node.inputs])
    outputs = [inside(t) for t in outputs]
    return Body([*inputs, *placeholders.values()], outputs, nodes), captured


def live_nodes(nodes, outputs) -> list:
    """Those of `nodes`, in order, that the outputs need."""
    needed = {t.node for t in outputs if t.node is not None}
    live = []
    for node in reversed(nodes):
        if node in needed:
            needed.update(t.node for t in node.inputs if t.node is not None)
            live.append(node)
    return live[::-1]


def replay(nodes, values: dict) -> None:
    """Applies nodes again, in the current trace. `values`: key -> tensor to use instead; the results are added."""
    for node in nodes:
        inputs = [values.get(tensor_key(t), t) for t in node.inputs]
        for i, output in enumerate(reapply(node.op, inputs, node.attributes)):
            values[node, i] = output


def reapply(op, inputs, attributes) -> tuple[Tensor, ...]:
    """An op once more, on other inputs."""
    if op.traits.control:
        return state.trace.add(op, tuple(inputs), attributes)
    results = op(*inputs, **attributes)
    return results if isinstance(results, tuple) else (results,)


# Loops


def _loop_specs(*specs, body, condition, carries, xs, length, reverse, counted):
    stacked = [Spec((length, *t.spec.shape), t.spec.dtype) for t in body.outputs[carries:]]
    return (*[t.spec for t in body.inputs[:carries]], *stacked)


def _loop_gradient(node, i, *dys):
    from nnlite.graph.loop_gradient import loop_gradients

    return loop_gradients(node, dys)[i]


def _loop_reference(*arrays, body, condition, carries, xs, length, reverse, counted):
    from nnlite.graph.interpret import run_loop

    return run_loop(arrays, body, condition, carries, xs, length, reverse, counted)


# Inputs: the number of rounds (int32, if `counted`), carries, stacked xs, what the body takes from outside, what the condition takes from outside.
# Outputs: the last carries, stacked ys. A round is carries, ys = body(carries, x, outside). `length`: the number of rounds, or the most
# there may be (-1: no limit) where there is a `condition` of the carries or a count; rows of ys without a round are zeros then.
LOOP = Op("loop", _loop_specs, variadic(_loop_gradient), _loop_reference, "loop", Traits(control=True))


def add_loop(body: Body, carries, xs, outside, length: int, reverse: bool = False, condition: Body | None = None, condition_outside=(), count=None):
    """Records a loop. Returns the last carries and the stacked ys, both as lists of tensors."""
    inputs = (*(() if count is None else (count,)), *carries, *xs, *outside, *condition_outside)
    attributes = {"body": body, "condition": condition, "carries": len(carries), "xs": len(xs), "length": length, "reverse": reverse}
    attributes["counted"] = count is not None
    results = state.trace.add(LOOP, inputs, attributes)
    return list(results[: len(carries)]), list(results[len(carries) :])


# Branches


def _branch_specs(*specs, bodies, outside):
    return tuple([t.spec for t in bodies[0].outputs])


def _branch_gradient(node, i, *dys):
    from nnlite.graph.loop_gradient import branch_gradients

    return branch_gradients(node, dys)[i]


def _branch_reference(index, *arrays, bodies, outside):
    from nnlite.graph.interpret import run_branch

    return run_branch(index, arrays, bodies, outside)


# Inputs: the number of the branch (int32; limited to those there are), then what each branch takes from outside: `outside` counts them.
BRANCH = Op("branch", _branch_specs, variadic(_branch_gradient), _branch_reference, "branch", Traits(control=True))


def add_branch(index: Tensor, bodies, outside) -> tuple[Tensor, ...]:
    """Records a branch; `outside` holds the tensors each body takes from outside."""
    inputs = (index, *[t for tensors in outside for t in tensors])
    return state.trace.add(BRANCH, inputs, {"bodies": tuple(bodies), "outside": tuple([len(tensors) for tensors in outside])})
