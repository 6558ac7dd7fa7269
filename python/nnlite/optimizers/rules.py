"""Parts of a step that all optimizers share, written with ops so that they work eagerly and in compiled steps."""

from __future__ import annotations

from nnlite import ops
from nnlite.ops.optimizer import global_norm


def clip(optimizer, grads) -> list:
    """Gradients clipped by the optimizer's `clipnorm`, `global_clipnorm` or `clipvalue`."""
    if optimizer.clipnorm and optimizer.clipnorm > 0:
        return [g * _scale(global_norm(g), optimizer.clipnorm) for g in grads]
    if optimizer.global_clipnorm and optimizer.global_clipnorm > 0:
        scale = _scale(global_norm_of(grads), optimizer.global_clipnorm)
        return [g * ops.cast(scale, g.dtype) for g in grads]
    if optimizer.clipvalue and optimizer.clipvalue > 0:
        return [ops.clip(g, -optimizer.clipvalue, optimizer.clipvalue) for g in grads]
    return list(grads)


def _scale(norm, limit):
    return limit / ops.maximum(norm, limit)


def global_norm_of(grads):
    """The norm of all gradients together, whatever their dtypes."""
    by_dtype: dict = {}
    for g in grads:
        by_dtype.setdefault(g.dtype, []).append(g)
    norms = [global_norm(*group) for group in by_dtype.values()]
    return norms[0] if len(norms) == 1 else global_norm(*[ops.cast(n, "float32") for n in norms])


def accumulate(optimizer, grads, variables) -> None:
    """Adds to the accumulators; every `gradient_accumulation_steps`-th call updates with the mean and empties them."""
    steps = optimizer.gradient_accumulation_steps
    is_update = ops.equal(ops.mod(optimizer._iterations.value + 1, steps), 0)
    accumulators = [optimizer._accumulated[optimizer._get_variable_index(v)] for v in variables]
    sums = [g + a.value for g, a in zip(grads, accumulators)]
    changed = [v for v in [*variables, *optimizer._variables] if not any(v is a for a in accumulators) and v is not optimizer._iterations]
    update_if(is_update, changed, lambda: optimizer.update([s / steps for s in sums], variables))
    for accumulator, total in zip(accumulators, sums):
        accumulator.assign(ops.where(is_update, ops.zeros_like(total), total))


def update_if(condition, variables, update) -> None:
    """Runs `update()` and keeps the variables' new values only where `condition` (a scalar tensor) holds."""
    before = [v.value for v in variables]
    update()
    for variable, old in zip(variables, before):
        new = variable.value
        if new is not old:
            variable.assign(ops.where(condition, new, old))


def average(optimizer) -> None:
    """Moves the averages of `use_ema` towards the variables, and overwrites these when it is time."""
    if not optimizer.use_ema:
        return
    iterations = optimizer.iterations
    iterations = iterations.value if iterations is optimizer._iterations else iterations
    for variable, slot in zip(optimizer._trainable_variables, optimizer._averages):
        momentum = ops.cast(ops.not_equal(iterations, 0), variable.dtype) * optimizer.ema_momentum
        slot.assign(momentum * slot.value + (1.0 - momentum) * variable.value)
    if optimizer.ema_overwrite_frequency:
        overwrite = ops.equal(ops.mod(iterations + 1, optimizer.ema_overwrite_frequency), 0)
        for variable, slot in zip(optimizer._trainable_variables, optimizer._averages):
            variable.assign(ops.where(overwrite, slot.value, variable.value))


def groups(optimizer, grads, variables):
    """Splits a step into groups of one dtype and one weight decay, for the fused updates: (gradients, variables, indices, weight decay)."""
    found: dict = {}
    for gradient, variable in zip(grads, variables):
        decay = float(optimizer.weight_decay or 0.0) if optimizer._use_weight_decay(variable) else 0.0
        group = found.setdefault((variable.dtype, decay), ([], [], [], decay))
        group[0].append(gradient)
        group[1].append(variable)
        group[2].append(optimizer._get_variable_index(variable))
    return list(found.values())


def fused(op, scalars, gradients, variables, slots, **attributes) -> None:
    """One multi-tensor update: `op(*scalars, *params, *gradients, *slots...)` gives the new params and slots."""
    targets = [*variables, *(v for slot in slots for v in slot)]
    values = [v.value for v in targets]
    n = len(variables)
    results = op(*scalars, *values[:n], *gradients, *values[n:], n=n, **attributes)
    for variable, value in zip(targets, results if isinstance(results, tuple) else (results,)):
        variable.assign(value)


def step_number(optimizer):
    """The number of this update as an int64 tensor, 1 at the first."""
    iterations = optimizer.iterations
    return (iterations.value if iterations is optimizer._iterations else iterations) + 1


def power(base: float, exponent):
    """`base ** exponent` for a number and a tensor."""
    return ops.power(ops.cast(float(base), exponent.dtype), exponent)
