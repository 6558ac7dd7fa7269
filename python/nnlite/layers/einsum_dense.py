"""EinsumDense: a dense layer whose product is written as an einsum equation."""

from __future__ import annotations

import dataclasses
import functools
import math
import re

from nnlite import activations, constraints, initializers, ops, regularizers
from nnlite.initializers import VarianceScaling
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer

_FORM = re.compile(r"(\.\.\.)?([A-Za-z]+)(\.\.\.)?,([A-Za-z]+)->(\.\.\.)?([A-Za-z]+)(\.\.\.)?")


@dataclasses.dataclass(frozen=True)
class _Plan:
    """Shapes of an equation on one input shape.

    Attributes:
        kernel_shape, bias_shape, output_shape: Shapes; no bias is None, unknown output dims are None.
        input_axes, output_axes: Axes of the kernel that are summed, and that are in the output.
        flat: How many axes at the end of the input are summed, where the product is one of matrices as they lie; None elsewhere.
    """

    kernel_shape: tuple
    bias_shape: tuple | None
    output_shape: tuple
    input_axes: tuple
    output_axes: tuple
    flat: int | None


@functools.lru_cache(maxsize=256)
def _plan(equation: str, bias_axes: str | None, input_shape: tuple, partial: tuple) -> _Plan:
    match = _FORM.fullmatch(equation.replace(" ", ""))
    if not match or bool(match[1]) != bool(match[5]) or bool(match[3]) != bool(match[7]) or (match[1] and match[3]):
        raise ValueError(
            f"Invalid einsum equation {equation!r}. Equations must be of the form X,Y->Z, ...X,Y->...Z or X...,Y->Z... with letters X, Y, Z."
        )
    before, inputs, _, kernel, _, outputs, after = match.groups()
    elided = len(input_shape) - len(inputs)
    if elided < 0 or (elided and not before and not after):
        raise ValueError(f"The equation {equation!r} needs inputs with {len(inputs)} axes; received input_shape={input_shape}.")
    extra = tuple(f"...{i}" for i in range(elided))  # the axes that "..." stands for
    left, right = (extra, ()) if before else ((), extra)
    in_letters, out_letters = (*left, *inputs, *right), (*left, *outputs, *right)
    sizes = dict(zip(in_letters, input_shape))
    middle = input_shape[1:elided] if before else ()
    output_shape = [input_shape[0], *middle, *partial, *(input_shape[len(inputs) :] if after else ())]
    if len(output_shape) != len(out_letters):
        raise ValueError(
            f"`output_shape` of EinsumDense holds the sizes of the output axes after the batch. Equation {equation!r} on input_shape={input_shape} "
            f"has outputs with {len(out_letters)} axes, but output_shape={partial} gives {len(output_shape)}."
        )
    for i, letter in enumerate(out_letters):
        if letter in sizes and None not in (output_shape[i], sizes[letter]) and output_shape[i] != sizes[letter]:
            raise ValueError(
                f"The axis {letter!r} of {equation!r} must have one size: it is {sizes[letter]} in input_shape={input_shape} and "
                f"{output_shape[i]} in output_shape={partial}."
            )
        if letter not in sizes and letter not in kernel:
            raise ValueError(f"The axis {letter!r} of the output of {equation!r} is neither in the input nor in the kernel.")
        output_shape[i] = sizes.get(letter) if output_shape[i] is None else output_shape[i]
        sizes[letter] = output_shape[i]
    unknown = [letter for letter in kernel if sizes.get(letter) is None]
    if unknown:
        raise ValueError(
            f"The sizes of all kernel axes of {equation!r} must be known; that of {unknown[0]!r} is not, from input_shape={input_shape} and "
            f"output_shape={partial}."
        )
    return _Plan(
        tuple(sizes[letter] for letter in kernel),
        _bias_shape(bias_axes, equation, outputs, sizes, len(right)),
        tuple(output_shape),
        tuple(i for i, letter in enumerate(kernel) if letter not in outputs),
        tuple(i for i, letter in enumerate(kernel) if letter in outputs),
        _flat(in_letters, kernel, out_letters),
    )


def _bias_shape(axes: str | None, equation: str, outputs: str, sizes: dict, elided_after: int):
    if axes is None:
        return None
    missing = [letter for letter in axes if letter not in outputs]
    if missing or not axes:
        raise ValueError(f"`bias_axes` of EinsumDense must be letters of the output of {equation!r}; received bias_axes={axes!r}.")
    first = min(outputs.find(letter) for letter in axes)
    return tuple(sizes[letter] if letter in axes else 1 for letter in outputs[first:]) + (1,) * elided_after


def _flat(inputs: tuple, kernel: str, outputs: tuple) -> int | None:
    summed = [letter for letter in kernel if letter not in outputs]
    lead, made = inputs[: len(inputs) - len(summed)], kernel[len(summed) :]
    plain = summed and inputs[len(lead) :] == tuple(kernel[: len(summed)]) == tuple(summed) and outputs == (*lead, *made)
    return len(summed) if plain else None


class EinsumDense(Layer):
    """activation(einsum(equation, inputs, kernel) + bias).

    Args:
        equation: As in einsum, of an input and a kernel: "abc,cd->abd"; "..." stands for any axes before or after.
        output_shape: Sizes of the output axes without the batch (and without those of "..."); None where the input tells.
        activation: Name or function; linear by default.
        bias_axes: Letters of the output axes along which the bias varies; no bias by default.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections after each optimizer step.

    >>> import nnlite, numpy as np
    >>> nnlite.layers.EinsumDense("abc,cd->abd", output_shape=(None, 4), bias_axes="d")(np.ones((2, 5, 3))).shape
    (2, 5, 4)
    """

    def __init__(
        self,
        equation,
        output_shape,
        activation=None,
        bias_axes=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        gptq_unpacked_column_size=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if lora_rank is not None or gptq_unpacked_column_size is not None or quantization_config is not None:
            raise ValueError(
                f"EinsumDense has no low-rank or quantized form here; received lora_rank={lora_rank!r}, "
                f"gptq_unpacked_column_size={gptq_unpacked_column_size!r}, quantization_config={quantization_config!r}. Leave them out."
            )
        self.equation = equation
        self.partial_output_shape = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel = self.bias = None

    def _plan_for(self, input_shape) -> _Plan:
        return _plan(self.equation, self.bias_axes, tuple(input_shape), self.partial_output_shape)

    def build(self, input_shape):
        plan = self._plan_for(input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=plan.kernel_shape,
            initializer=self._kernel_initializer(plan),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if plan.bias_shape is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=plan.bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=len(input_shape))

    def _kernel_initializer(self, plan: _Plan):
        """The kernel's initializer; one that scales by the number of inputs and outputs learns which axes these are."""
        given = self.kernel_initializer
        if not isinstance(given, VarianceScaling) or (given.input_axes is not None and given.output_axes is not None):
            return given
        return type(given).from_config({**given.get_config(), "seed": given.seed, "input_axes": plan.input_axes, "output_axes": plan.output_axes})

    def call(self, inputs, training=None):
        plan = self._plan_for(inputs.shape)
        made = plan.kernel_shape[plan.flat :] if plan.flat else ()
        if plan.flat and (plan.bias_shape is None or plan.bias_shape == made):
            return self.activation(self._flat_product(inputs, plan.flat, made))
        x = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(x if self.bias is None else ops.add(x, self.bias))

    def _flat_product(self, inputs, summed: int, made: tuple):
        """The product of matrices: the summed axes of the input lie last, those of the kernel first."""
        lead, units = inputs.shape[: len(inputs.shape) - summed], math.prod(made)
        depth = math.prod(inputs.shape[len(lead) :])
        x = inputs if summed == 1 else ops.reshape(inputs, (*lead, depth))
        x = ops.matmul(x, self.kernel if len(made) == summed == 1 else ops.reshape(self.kernel, (depth, units)))
        if self.bias is not None:
            x = ops.add(x, self.bias if len(made) == 1 else ops.reshape(self.bias, (units,)))
        return x if len(made) == 1 else ops.reshape(x, (*lead, *made))

    def compute_output_shape(self, input_shape):
        return self._plan_for(input_shape).output_shape

    def get_config(self):
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
