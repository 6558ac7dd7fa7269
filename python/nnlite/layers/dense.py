"""Dense: every output sees every input."""

from __future__ import annotations

from nnlite import activations, constraints, initializers, ops, regularizers
from nnlite.layers._arguments import positive_int
from nnlite.layers.input_spec import InputSpec
from nnlite.layers.layer import Layer


class Dense(Layer):
    """activation(inputs @ kernel + bias).

    Args:
        units: Size of the last axis of the output.
        activation: Name or function; linear by default.
        use_bias: Whether to add a bias.
        kernel_initializer, bias_initializer: First values of the weights.
        kernel_regularizer, bias_regularizer, activity_regularizer: Penalties added to the loss.
        kernel_constraint, bias_constraint: Projections after each optimizer step.

    Input: [..., features]. Output: [..., units]. Weights: kernel [features, units], bias [units].

    >>> import nnlite, numpy as np
    >>> nnlite.layers.Dense(4)(np.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        units,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if lora_rank is not None or quantization_config is not None:
            raise ValueError(
                f"Dense has no low-rank or quantized form here; received lora_rank={lora_rank!r}, quantization_config={quantization_config!r}. Leave "
                "them out."
            )
        self.units = positive_int(units, "units", "Dense")
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True
        self.kernel = self.bias = None

    def build(self, input_shape):
        features = input_shape[-1]
        if features is None:
            raise ValueError(
                f"The last axis of the inputs to Dense must be known; layer {self.name!r} received input_shape={tuple(input_shape)}. Give it in "
                "Input(shape=...)."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: features})

    def call(self, inputs, training=None):
        x = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
