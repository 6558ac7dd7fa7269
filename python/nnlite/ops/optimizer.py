"""Optimizer updates of many variables at once, in place; and the global norm."""

from __future__ import annotations

import numpy as np

from nnlite.graph.op import Traits, primitive, variadic
from nnlite.graph.spec import FLOATS, Spec
from nnlite.ops import elementwise as e
from nnlite.ops._scalars import scalar


def _never(node, i, *dys):
    """Updates are not differentiated."""
    return None


def _groups(tensors, n: int, first: int) -> list:
    """`tensors` without the first few, cut into groups of n."""
    rest = tensors[first:]
    return [rest[k : k + n] for k in range(0, len(rest), n)] if n else []


def _updates(first: int, slots: int):
    """Trait: params and slots (not gradients) share buffers with the outputs."""

    def pairs(attributes):
        n = attributes["n"]
        inputs = [first + i for i in range(n)] + [first + 2 * n + i for i in range(slots * n)]
        return tuple((i, o) for o, i in enumerate(inputs))

    return pairs


def _check(name: str, specs, n: int, first: int, groups: int) -> tuple[Spec, ...]:
    """Checks groups (params, grads, slots...) of n tensors each; returns the specs of params and slots."""
    if n < 1 or len(specs) != first + groups * n:
        raise ValueError(
            f"{name}() takes {first} scalars and {groups} groups of n tensors (params, grads, slots); received {len(specs)} inputs with n={n}."
        )
    if specs[0].shape != () or specs[0].dtype not in FLOATS:
        raise ValueError(f"{name}() takes a scalar float learning rate first; received {specs[0]}.")
    cut = _groups(specs, n, first)
    for group in cut[1:]:
        for param, other in zip(cut[0], group):
            if param != other or param.dtype not in FLOATS:
                raise ValueError(f"{name}() takes gradients and slots like their float parameters; received parameter {param} with {other}.")
    return tuple(spec for k, group in enumerate(cut) if k != 1 for spec in group)


def _cost(inputs, outputs, attributes):
    return 8.0 * sum(spec.size for spec in outputs)


def _decayed(param, lr, weight_decay):
    return param - param * (lr * param.dtype.type(weight_decay)) if weight_decay else param


def _sgd_reference(lr, *tensors, n, weight_decay):
    params, grads = _groups(tensors, n, 0)
    return tuple(_decayed(p, p.dtype.type(lr), weight_decay) - p.dtype.type(lr) * g for p, g in zip(params, grads))


@primitive(gradients=variadic(_never), reference=_sgd_reference, traits=Traits(updates=_updates(1, 0), cost=_cost))
def sgd_update(lr, *tensors, n, weight_decay):
    """p -= lr * weight_decay * p; p -= lr * g. Inputs: lr, n params, n gradients."""
    return _check("sgd_update", (lr, *tensors), n, 1, 2)


def _momentum_reference(lr, *tensors, n, momentum, nesterov, weight_decay):
    params, velocities = [], []
    for p, g, v in zip(*_groups(tensors, n, 0)):
        rate, keep = p.dtype.type(lr), p.dtype.type(momentum)
        p = _decayed(p, rate, weight_decay)
        v = v * keep - g * rate
        params.append(p + v * keep - g * rate if nesterov else p + v)
        velocities.append(v)
    return (*params, *velocities)


@primitive(gradients=variadic(_never), reference=_momentum_reference, traits=Traits(updates=_updates(1, 1), cost=_cost))
def momentum_update(lr, *tensors, n, momentum, nesterov, weight_decay):
    """v = momentum * v - lr * g; p += v (nesterov: p += momentum * v - lr * g). Inputs: lr, n params, n gradients, n velocities."""
    return _check("momentum_update", (lr, *tensors), n, 1, 3)


def _rmsprop_reference(lr, *tensors, n, rho, epsilon, weight_decay):
    params, velocities = [], []
    for p, g, v in zip(*_groups(tensors, n, 0)):
        of = p.dtype.type
        v = v * of(rho) + np.square(g) * of(1 - rho)
        params.append(_decayed(p, of(lr), weight_decay) - of(lr) * g / np.sqrt(v + of(epsilon)))
        velocities.append(v)
    return (*params, *velocities)


@primitive(gradients=variadic(_never), reference=_rmsprop_reference, traits=Traits(updates=_updates(1, 1), cost=_cost))
def rmsprop_update(lr, *tensors, n, rho, epsilon, weight_decay):
    """v = rho * v + (1 - rho) * g**2; p -= lr * g / sqrt(v + epsilon). Inputs: lr, n params, n gradients, n velocities."""
    return _check("rmsprop_update", (lr, *tensors), n, 1, 3)


def _adam_reference(lr, step, *tensors, n, beta_1, beta_2, epsilon, weight_decay):
    params, first, second = [], [], []
    t = float(step)
    for p, g, m, v in zip(*_groups(tensors, n, 0)):
        of = p.dtype.type
        alpha = of(float(lr) * np.sqrt(1 - beta_2**t) / (1 - beta_1**t))
        m = m + (g - m) * of(1 - beta_1)
        v = v + (np.square(g) - v) * of(1 - beta_2)
        params.append(_decayed(p, of(lr), weight_decay) - m * alpha / (np.sqrt(v) + of(epsilon)))
        first.append(m)
        second.append(v)
    return (*params, *first, *second)


@primitive(gradients=variadic(_never), reference=_adam_reference, traits=Traits(updates=_updates(2, 2), cost=_cost))
def adam_update(lr, step, *tensors, n, beta_1, beta_2, epsilon, weight_decay):
    """Adam with bias correction at `step` (1 at the first update). Inputs: lr, step int64, n params, n gradients, n first and n second moments."""
    if step != Spec((), "int64"):
        raise ValueError(f"adam_update() takes the step number as an int64 scalar; received {step}.")
    return _check("adam_update", (lr, step, *tensors), n, 2, 4)


def _global_norm_gradient(node, i, dy):
    # x / norm, and 0 where the norm is 0.
    x, norm = node.inputs[i], node.outputs[0]
    zero, one = scalar(0.0, x.spec.dtype), scalar(1.0, x.spec.dtype)
    return e.multiply(x, e.divide(dy, e.where(e.equal(norm, zero), one, norm)))


@primitive(gradients=variadic(_global_norm_gradient), reference=lambda *xs: np.sqrt(sum((x * x).sum() for x in xs)).astype(xs[0].dtype))
def global_norm(*xs):
    """sqrt of the sum of squares of all elements of all tensors."""
    if not xs or any(x.dtype != xs[0].dtype or x.dtype not in FLOATS for x in xs):
        raise ValueError(f"global_norm() takes one or more float tensors of one dtype; received {', '.join(map(str, xs)) or 'none'}.")
    return Spec((), xs[0].dtype)
