"""Recurrent layers as primitives: all steps of a sequence in one kernel, and their gradients.

The inputs x [batch, steps, gates * units] are the projections of the sequences, bias included; u [units, gates * units] is the recurrent kernel.
Steps where `mask` is False keep the state. `reverse` takes the steps from the last to the first; results stay where their step is.
"""

from __future__ import annotations

import functools

import numpy as np

from nnlite.graph.op import Traits, primitive, variadic
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import _recurrent_formulas as formulas, matrix, movement, reduce
from nnlite.ops._second_order import by_formula
from nnlite.tensor import from_array

ACTIVATIONS = ("tanh", "sigmoid", "relu", "linear", "hard_sigmoid")


def _reference(name: str):
    return functools.partial(getattr(formulas, name), formulas.NUMPY)


def _differentiated(name: str):
    """The gradient of an op by its formula; zeros for inputs that it does not read."""
    by_steps = by_formula(functools.partial(getattr(formulas, name), formulas.TENSORS)).function

    def gradient(node, i, *dys):
        spec = node.inputs[i].spec
        return _or_zeros(by_steps(node, i, *dys), spec) if spec.dtype in FLOATS else None

    return gradient


def _cost(inputs, outputs, attributes) -> float:
    sums = next(spec for spec in outputs if len(spec.shape) == 3)
    units = outputs[-1].shape[1]
    gates = max(spec.shape[2] for spec in (*inputs, *outputs) if len(spec.shape) == 3) // max(units, 1)
    return sums.shape[0] * sums.shape[1] * units * gates * (2.0 * units + 20.0)


def _check(name: str, given: dict, first: Spec, gates: int, mask, activations) -> None:
    """Checks the shapes of inputs by their names; `first` has batch, steps and dtype, `given["u"]` the units."""
    u = given["u"]
    if len(first.shape) != 3 or len(u.shape) != 2 or first.dtype not in FLOATS:
        raise ValueError(
            f"{name}() takes float sequences [batch, steps, {gates} * units] and a recurrent kernel [units, {gates} * units]; "
            f"received {first} and {u}."
        )
    batch, steps, units = first.shape[0], first.shape[1], u.shape[0]
    wanted = {"sequence": (batch, steps, gates * units), "states": (batch, steps, units), "state": (batch, units), "u": (units, gates * units)}
    wanted["bias"] = (gates * units,)
    for what, spec in given.items():
        shape = wanted[what.rstrip("0123456789")]
        if spec.shape != shape or spec.dtype != first.dtype:
            raise ValueError(
                f"{name}() of {units} units, {batch} sequences and {steps} steps takes a {what.rstrip('0123456789')} of shape {shape} and dtype "
                f"{first.dtype}; received {spec}. Check the number of units and the shapes of states and sequences."
            )
    if mask is not None and mask != Spec((batch, steps), "bool"):
        raise ValueError(f"{name}() takes a mask [batch, steps] of booleans, here {(batch, steps)}; received {mask}.")
    for activation in activations:
        if activation not in ACTIVATIONS:
            raise ValueError(f"{name}() computes the activations {', '.join(ACTIVATIONS)}; received {activation!r}. Use nnlite.ops.scan for others.")


def _extras(name: str, extras, names: list, mask) -> tuple[dict, Spec | None]:
    """Optional inputs by name, and the mask."""
    names = names + ["mask"] * bool(mask)
    if len(extras) != len(names):
        raise ValueError(f"{name}() takes {len(names)} inputs after the others here ({', '.join(names) or 'none'}); received {len(extras)}.")
    found = dict(zip(names, extras))
    return found, found.pop("mask", None)


@functools.lru_cache(maxsize=64)
def _zeros(spec: Spec):
    """One tensor a spec, so that calls with it are the same call."""
    return from_array(np.zeros(spec.shape, spec.dtype))


def _or_zeros(gradient, spec: Spec):
    return _zeros(spec) if gradient is None else gradient


def _previous(first, states, reverse):
    """The state before every step."""
    batch, steps, units = states.spec.shape
    first = movement.reshape(first, shape=(batch, 1, units))
    if steps < 2:
        return movement.broadcast_to(first, shape=states.spec.shape)
    rest = movement.slice_(states, starts=(0, int(bool(reverse)), 0), sizes=(batch, steps - 1, units), strides=(1, 1, 1))
    return movement.concatenate(*((rest, first) if reverse else (first, rest)), axis=1)


def _rows(t):
    return movement.reshape(t, shape=(t.spec.shape[0] * t.spec.shape[1], t.spec.shape[2]))


def _kernel_gradient(states, sums):
    """The gradient of u where sums = states u."""
    return matrix.matmul(_rows(states), _rows(sums), transpose_a=True, transpose_b=False)


def _gradients_of(node, first_extra: int, dstates):
    """Optional inputs and attributes of the gradient op."""
    extras = (() if dstates is None else (dstates,)) + tuple(node.inputs[first_extra:])
    return extras, {**node.attributes, "sequence": int(dstates is not None)}


def _simple_gradient(node, i, dstates, dh):
    if i == 3:
        return None
    x, u, h0 = node.inputs[:3]
    extras, attributes = _gradients_of(node, 3, dstates)
    dx, dh0 = simple_rnn_grad(node.outputs[0], u, _or_zeros(dh, h0.spec), *extras, **attributes)
    if i != 1:
        return dx if i == 0 else dh0
    return _kernel_gradient(_previous(h0, node.outputs[0], attributes["reverse"]), dx)


@primitive(gradients=variadic(_simple_gradient), reference=_reference("simple_rnn"), traits=Traits(widen=True, cost=_cost, in_place=((0, 0),)))
def simple_rnn(x, u, h0, *extras, activation, reverse, mask):
    """(all states [batch, steps, units], the last state): state = activation(x + state u)."""
    found, mask = _extras("simple_rnn", extras, [], mask)
    _check("simple_rnn", {"u": u, "sequence": x, "state": h0, **found}, x, 1, mask, (activation,))
    return x, h0


@primitive(
    gradients=variadic(_differentiated("simple_rnn_grad")),
    reference=_reference("simple_rnn_grad"),
    traits=Traits(widen=True, cost=_cost, in_place=((0, 0),)),
)
def simple_rnn_grad(states, u, dh, *extras, activation, reverse, mask, sequence):
    """(dx, dh0) from the states, the gradient of the last state and, if `sequence`, of all states."""
    found, mask = _extras("simple_rnn_grad", extras, ["states1"] * bool(sequence), mask)
    _check("simple_rnn_grad", {"u": u, "states": states, "state": dh, **found}, states, 1, mask, (activation,))
    return states, dh


def _lstm_gradient(node, i, dstates, dgates, dcells, dh, dc):
    if i == 4:
        return None
    if dgates is not None or dcells is not None:
        return _differentiated("lstm")(node, i, dstates, dgates, dcells, dh, dc)
    x, u, h0, c0 = node.inputs[:4]
    states, gates, cells = node.outputs[:3]
    extras, attributes = _gradients_of(node, 4, dstates)
    dx, dh0, dc0 = lstm_grad(gates, cells, u, c0, _or_zeros(dh, h0.spec), _or_zeros(dc, c0.spec), *extras, **attributes)
    return _kernel_gradient(_previous(h0, states, attributes["reverse"]), dx) if i == 1 else (dx, None, dh0, dc0)[i]


@primitive(gradients=variadic(_lstm_gradient), reference=_reference("lstm"), traits=Traits(widen=True, cost=_cost, in_place=((0, 1),)))
def lstm(x, u, h0, c0, *extras, activation, recurrent_activation, reverse, mask):
    """(all states, gates i f g o, all cell states, the last state, the last cell state). Gates of steps that do not count are 0."""
    found, mask = _extras("lstm", extras, [], mask)
    _check("lstm", {"u": u, "sequence": x, "state": h0, "state1": c0, **found}, x, 4, mask, (activation, recurrent_activation))
    states = Spec((*x.shape[:2], u.shape[0]), x.dtype)
    return states, x, states, h0, c0


@primitive(
    gradients=variadic(_differentiated("lstm_grad")),
    reference=_reference("lstm_grad"),
    traits=Traits(widen=True, cost=_cost, in_place=((0, 0),)),
)
def lstm_grad(gates, cells, u, c0, dh, dc, *extras, activation, recurrent_activation, reverse, mask, sequence):
    """(dx, dh0, dc0) from what lstm kept, gradients of the last states and, if `sequence`, of all states."""
    found, mask = _extras("lstm_grad", extras, ["states1"] * bool(sequence), mask)
    given = {"u": u, "sequence": gates, "states": cells, "state": c0, "state1": dh, "state2": dc, **found}
    _check("lstm_grad", given, gates, 4, mask, (activation, recurrent_activation))
    return gates, dh, dc


def _gru_gradient(node, i, dstates, dgates, dkept, dh):
    after = node.attributes["reset_after"]
    if i == (4 if after else 3):
        return None
    if dgates is not None or dkept is not None:
        return _differentiated("gru")(node, i, dstates, dgates, dkept, dh)
    u, h0 = node.inputs[1:3]
    states, gates, kept, _ = node.outputs
    extras, attributes = _gradients_of(node, 4 if after else 3, dstates)
    dx, *inner, dh0 = gru_grad(gates, kept, states, u, h0, _or_zeros(dh, h0.spec), *extras, **attributes)
    if i == 1:
        previous = _previous(h0, states, attributes["reverse"])
        return _kernel_gradient(previous, inner[0]) if after else _parts_gradient(previous, kept, dx)
    return dx if i == 0 else dh0 if i == 2 else reduce.sum(inner[0], axes=(0, 1), keepdims=False)


def _parts_gradient(previous, reset, dx):
    """The gradient of u where the candidate's part is multiplied by the reset state."""
    batch, steps, width = dx.spec.shape
    units = width // 3
    gates = movement.slice_(dx, starts=(0, 0, 0), sizes=(batch, steps, 2 * units), strides=(1, 1, 1))
    candidate = movement.slice_(dx, starts=(0, 0, 2 * units), sizes=(batch, steps, units), strides=(1, 1, 1))
    return movement.concatenate(_kernel_gradient(previous, gates), _kernel_gradient(reset, candidate), axis=1)


@primitive(gradients=variadic(_gru_gradient), reference=_reference("gru"), traits=Traits(widen=True, cost=_cost, in_place=((0, 1),)))
def gru(x, u, h0, *extras, activation, recurrent_activation, reset_after, reverse, mask):
    """(all states, gates z r candidate, what the reset gate multiplies or has multiplied, the last state).

    With reset_after the recurrent bias [3 * units] follows h0. Gates of steps that do not count are 0.
    """
    found, mask = _extras("gru", extras, ["bias"] * bool(reset_after), mask)
    _check("gru", {"u": u, "sequence": x, "state": h0, **found}, x, 3, mask, (activation, recurrent_activation))
    states = Spec((*x.shape[:2], u.shape[0]), x.dtype)
    return states, x, states, h0


@primitive(
    gradients=variadic(_differentiated("gru_grad")),
    reference=_reference("gru_grad"),
    traits=Traits(widen=True, cost=_cost, in_place=((0, 0),)),
)
def gru_grad(gates, kept, states, u, h0, dh, *extras, activation, recurrent_activation, reset_after, reverse, mask, sequence):
    """(dx, with reset_after the gradient of the product of state and u, dh0) from what gru kept."""
    found, mask = _extras("gru_grad", extras, ["states2"] * bool(sequence), mask)
    given = {"u": u, "sequence": gates, "states": kept, "states1": states, "state": h0, "state1": dh, **found}
    _check("gru_grad", given, gates, 3, mask, (activation, recurrent_activation))
    return (gates, gates, dh) if reset_after else (gates, dh)
