"""Optimizers beside their values: names, learning rates, weight decay, masks of variables, own rules."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops, optimizers


def variables(*shapes):
    made = [nnlite.Variable(np.ones(shape, "float32"), name=f"v{i}") for i, shape in enumerate(shapes)]
    for v in made:
        v.path = f"layer/{v.name}"
    return made


def ones(v):
    return ops.ones(v.shape)


@pytest.mark.parametrize(
    "optimizer, names",
    (
        (optimizers.SGD(), []),
        (optimizers.SGD(momentum=0.5), ["layer_v0_momentum", "layer_v1_momentum"]),
        (optimizers.RMSprop(), ["layer_v0_velocity", "layer_v1_velocity"]),
        (
            optimizers.RMSprop(momentum=0.5, centered=True),
            [f"layer_v{i}_{slot}" for slot in ("velocity", "momentum", "average_gradient") for i in (0, 1)],
        ),
        (optimizers.Adam(), [f"layer_v{i}_{slot}" for i in (0, 1) for slot in ("momentum", "velocity")]),
        (
            optimizers.Adam(amsgrad=True),
            [*(f"layer_v{i}_{slot}" for i in (0, 1) for slot in ("momentum", "velocity")), "layer_v0_velocity_hat", "layer_v1_velocity_hat"],
        ),
        (optimizers.Adagrad(), ["layer_v0_accumulator", "layer_v1_accumulator"]),
        (optimizers.Adamax(), [f"layer_v{i}_{slot}" for i in (0, 1) for slot in ("momentum", "norm")]),
        (optimizers.Nadam(), [*(f"layer_v{i}_{slot}" for i in (0, 1) for slot in ("momentum", "velocity")), "variable"]),
        (optimizers.Ftrl(), [f"layer_v{i}_{slot}" for i in (0, 1) for slot in ("accumulator", "linear")]),
    ),
    ids=lambda value: type(value).__name__,
)
def test_variables_names_and_order(optimizer, names):
    optimizer.build(variables((2, 3), (3,)))
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate", *names]
    assert optimizer.variables[0].path == f"{optimizer.name}/iteration"


def test_ema_and_accumulators_come_before_slots():
    optimizer = optimizers.SGD(momentum=0.1, use_ema=True, gradient_accumulation_steps=2)
    optimizer.build(variables((2,)))
    assert [v.name for v in optimizer.variables[2:]] == ["layer_v0_average", "layer_v0_gradient_accumulator", "layer_v0_momentum"]


def test_automatic_names():
    nnlite.utils.clear_session()
    assert [optimizers.RMSprop().name, optimizers.RMSprop().name, optimizers.AdamW().name, optimizers.SGD(name="own").name] == [
        "rm_sprop",
        "rm_sprop_1",
        "adam_w",
        "own",
    ]


def test_learning_rate_is_a_settable_variable():
    optimizer = optimizers.SGD(0.5)
    (v,) = variables((2,))
    optimizer.learning_rate = 0.25
    optimizer.learning_rate.assign(optimizer.learning_rate * 2)
    optimizer.apply([ones(v)], [v])
    assert v.numpy().tolist() == [0.5, 0.5] and float(optimizer.learning_rate) == 0.5 and int(optimizer.iterations) == 1


def test_schedule_runs_inside_compiled_steps():
    optimizer = optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([0, 1], [1.0, 0.5, 0.25]))
    (v,) = variables((1,))
    optimizer.build([v])
    step = nnlite.function(lambda: optimizer.apply([ops.ones((1,))], [v]))
    for expected in (0.0, -0.5, -0.75, -1.0):
        step()
        assert float(v.numpy()[0]) == expected
    assert float(optimizer.learning_rate) == 0.25


def test_callable_rate_is_asked_before_every_step():
    rates = iter([1.0, 0.5, 0.25, 0.125])
    optimizer = optimizers.SGD(lambda: next(rates))
    model = nnlite.Sequential([nnlite.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizer, lambda y_true, y_pred: y_pred)
    model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=2, verbose=0)
    assert model.get_weights()[0].item() == -1.875


def test_decay_spares_what_is_excluded():
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    kernel, bias, other = variables((1,), (1,), (1,))
    bias.name = "bias"
    optimizer.exclude_from_weight_decay(var_list=[other], var_names=["bias"])
    optimizer.apply([ops.zeros((1,))] * 3, [kernel, bias, other])
    assert [float(v.numpy()[0]) for v in (kernel, bias, other)] == [0.75, 1.0, 1.0]
    with pytest.raises(ValueError, match="must be called before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_missing_gradients_leave_variables_alone():
    optimizer = optimizers.SGD(0.5)
    a, b = variables((1,), (1,))
    with pytest.warns(UserWarning, match=r"Gradients do not exist for variables \['layer/v1'\]"):
        optimizer.apply([ops.ones((1,)), None], [a, b])
    assert (float(a.numpy()[0]), float(b.numpy()[0])) == (0.5, 1.0)
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply([None, None], [a, b])


def test_constraints_hold_after_steps():
    optimizer = optimizers.SGD(10.0)
    (v,) = variables((2,))
    v.constraint = nnlite.constraints.NonNeg()
    optimizer.apply([ones(v)], [v])
    assert v.numpy().tolist() == [0.0, 0.0]


def test_finalize_puts_averages_in_place():
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    (v,) = variables((1,))
    for _ in range(2):
        optimizer.apply([ones(v)], [v])
    assert float(v.numpy()[0]) == -1.0
    optimizer.finalize_variable_values([v])
    assert float(v.numpy()[0]) == -0.5  # 0.5 * 0 + 0.5 * -1: the average starts as the first step's value


@pytest.mark.parametrize("run_eagerly", (False, True), ids=("compiled", "eager"))
def test_an_optimizer_of_its_own(run_eagerly):
    class Signed(optimizers.Optimizer):
        def build(self, variables):
            super().build(variables)
            self.counts = self.add_optimizer_variables(variables, "count")

        def update_step(self, gradient, variable, learning_rate):
            count = self.counts[self._get_variable_index(variable)]
            self.assign_add(count, ops.ones_like(gradient))
            self.assign_sub(variable, learning_rate * ops.sign(gradient))

    model = nnlite.Sequential([nnlite.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile(Signed(learning_rate=0.25), "mse", run_eagerly=run_eagerly)
    model.fit(np.ones((4, 1)), np.zeros((4, 1)), batch_size=2, verbose=0)
    assert model.get_weights()[0].item() == 0.5
    assert float(model.optimizer.counts[0].numpy().item()) == 2.0


def test_hyperparameters_changed_after_compiling_take_effect():
    model = nnlite.Sequential([nnlite.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(1.0), lambda y_true, y_pred: y_pred)
    x = np.ones((2, 1))
    model.fit(x, x, verbose=0)
    model.optimizer.clipvalue = 0.25
    model.fit(x, x, verbose=0)
    assert model.get_weights()[0].item() == -1.25


def test_loss_scaling_skips_infinite_gradients():
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=4.0, dynamic_growth_steps=2)
    (v,) = variables((1,))
    optimizer.build([v])
    assert float(optimizer.scale_loss(ops.ones(()))) == 4.0
    for gradient, value, scale in ((4.0, 0.0, 4.0), (np.inf, 0.0, 2.0), (2.0, -1.0, 2.0), (2.0, -2.0, 4.0)):
        optimizer.apply([ops.full((1,), gradient)], [v])
        assert (float(v.numpy()[0]), float(optimizer.dynamic_scale)) == (value, scale)
    assert int(optimizer.iterations) == 3
    twin = optimizers.LossScaleOptimizer.from_config(optimizer.get_config())
    assert twin.initial_scale == 4.0 and isinstance(twin.inner_optimizer, optimizers.SGD)


def test_stateful_saving_and_loading():
    optimizer = optimizers.Adam(0.1)
    (v,) = variables((2,))
    optimizer.apply([ones(v)], [v])
    store: dict = {}
    optimizer.save_own_variables(store)
    twin = optimizers.Adam()
    with pytest.warns(UserWarning, match="its variables were not loaded"):
        twin.load_own_variables(store)
    twin.build([v])
    twin.load_own_variables(store)
    for a, b in zip(optimizer.variables, twin.variables):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_old_decay_argument_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="The argument `decay` is not supported any more"):
        optimizers.SGD(0.1, decay=1e-6)


def test_mixed_dtypes_are_updated_in_groups():
    a = nnlite.Variable(np.ones(2, "float32"))
    b = nnlite.Variable(np.ones(2, "float64"), dtype="float64")
    optimizers.Adam(0.5, global_clipnorm=1.0).apply([ops.ones((2,)), ops.cast(ops.ones((2,)), "float64")], [a, b])
    np.testing.assert_allclose([a.numpy(), b.numpy()], 0.5, rtol=1e-5)


def test_optimizers_by_variable():
    inner, default = optimizers.SGD(0.5), optimizers.SGD(0.25)
    optimizer = optimizers.MultiOptimizer(optimizers.OptimizerMap(default, {".*v1": inner}))
    a, b = variables((1,), (1,))
    optimizer.apply([ops.ones((1,))] * 2, [a, b])
    assert (float(a.numpy()[0]), float(b.numpy()[0])) == (0.75, 0.5)
    assert int(optimizer.iterations) == 1 and optimizer.optimizers == [default, inner]
    with pytest.raises(AttributeError, match="has no learning rate of its own"):
        optimizer.learning_rate
    twin = optimizers.MultiOptimizer.from_config(optimizer.get_config())
    assert float(twin._optimizer_map(b).learning_rate) == 0.5
    with pytest.raises(ValueError, match="matches 2 patterns"):
        optimizers.OptimizerMap(default, {"a.*": inner, ".*b": inner})["ab"]
