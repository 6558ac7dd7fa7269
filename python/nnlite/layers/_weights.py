"""The weights and losses of a layer."""

from __future__ import annotations

import numpy as np

from nnlite import constraints, initializers, regularizers, tree
from nnlite.layers._state import calls, current_path
from nnlite.utils.naming import unique_name
from nnlite.variable import Variable


class Weights:
    """add_weight, get_weights, set_weights, losses."""

    def add_weight(
        self,
        shape=None,
        initializer=None,
        dtype=None,
        trainable=True,
        autocast=True,
        regularizer=None,
        constraint=None,
        aggregation="none",
        overwrite_with_gradient=False,
        name=None,
    ):
        """Makes a weight of this layer.

        Args:
            shape: Tuple of ints; () by default.
            initializer: Name, initializer or `(shape, dtype) -> values`; glorot_uniform for floats and zeros for other dtypes by default.
            dtype: The layer's by default.
            trainable: Whether optimizers change it.
            regularizer: Penalty added to `losses`.
            constraint: Applied after every optimizer step.
            name: "variable" by default.

        Returns:
            A Variable.
        """
        self._check_initialized()
        if name is not None and "/" in str(name):
            raise ValueError(
                f"Argument `name` must be a string and cannot contain character `/`. Received: name={name!r} in add_weight() of layer {self.name!r}. "
                "Use '_' instead."
            )
        shape = () if shape is None else (int(shape),) if not isinstance(shape, (tuple, list)) else tuple(shape)
        if any(dim is None for dim in shape):
            raise ValueError(
                f"A weight needs a fully known shape; layer {self.name!r} asked for shape={shape} for weight {name!r}. "
                "Build the layer with an input whose channel axis is known."
            )
        dtype = dtype or self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if "float" in dtype else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=shape,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            aggregation=aggregation,
            name=name or unique_name("variable"),
        )
        variable.path = f"{current_path(self)}/{variable.name}"
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        return variable

    def count_params(self) -> int:
        """Number of values in the weights."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't built. Call it on data or use "
                "`layer.build(input_shape)`."
            )
        return sum(weight.size for weight in self.weights)

    def get_weights(self) -> list:
        """Copies of the weights as numpy arrays, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights) -> None:
        """Sets all weights from arrays in the order of `weights`."""
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of length {len(weights)}, but the layer was expecting "
                f"{len(own)} weights"
                f"{'' if self.built else ' (it is not built yet: call it on data first)'}."
            )
        for variable, value in zip(own, weights):
            if variable.shape != tuple(getattr(value, "shape", ())):
                raise ValueError(
                    f"Layer {self.name!r} weight shape {variable.shape} of {variable.path!r} is not compatible with provided weight shape "
                    f"{tuple(getattr(value, 'shape', ()))}. Pass the arrays in the order of get_weights()."
                )
        for variable, value in zip(own, weights):
            variable.assign(value)

    def save_own_variables(self, store) -> None:
        """Puts the layer's own variables into a file's group under "0", "1", ..."""
        for i, variable in enumerate([*self._trainable_variables, *self._non_trainable_variables]):
            store[str(i)] = variable.numpy()

    def load_own_variables(self, store) -> None:
        """Sets the layer's own variables from what `save_own_variables` stored."""
        own = [*self._trainable_variables, *self._non_trainable_variables]
        if len(store.keys()) != len(own):
            reason = "" if self.built else " The layer is not built: call it on data, or build it, before loading."
            raise ValueError(
                f"Layer {self.name!r} of type {type(self).__name__} has {len(own)} variables, but the file holds {len(store.keys())} for it.{reason}"
            )
        for i, variable in enumerate(own):
            variable.assign(np.asarray(store[str(i)]))

    def add_loss(self, loss) -> None:
        """Adds one scalar tensor, or a list of them, to `losses`; usually called in `call`. Forgotten when the model is called again."""
        for value in tree.flatten(loss):
            self._losses.append(value)
        calls.with_losses.add(self)

    @property
    def losses(self) -> list:
        """Losses of the last call (`add_loss`, activity regularizers) and the penalties of regularized weights."""
        losses = [loss for layer in self._flatten_layers() for loss in layer._losses]
        return losses + [v.regularizer(v) for v in self.trainable_weights if v.regularizer is not None]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            if layer._losses:
                layer._losses.clear()
                calls.with_losses.discard(layer)

    def stateless_call(self, trainable_variables, non_trainable_variables, *args, return_losses: bool = False, **kwargs):
        """Calls the layer with other values of its variables; the layer keeps its own.

        Args:
            trainable_variables, non_trainable_variables: Values in the order of the properties of these names.
            return_losses: Whether `losses` are returned, too.

        Returns:
            (outputs, values of the non-trainable variables afterwards), and the losses.
        """
        trainable, other = self.trainable_variables, self.non_trainable_variables
        if len(trainable_variables) != len(trainable) or len(non_trainable_variables) != len(other):
            raise ValueError(
                f"stateless_call() of layer {self.name!r} needs {len(trainable)} trainable and {len(other)} non-trainable values; "
                f"received {len(trainable_variables)} and {len(non_trainable_variables)}. Build the layer first and pass one value per variable."
            )
        variables = [*trainable, *other]
        kept = [variable.value for variable in variables]
        try:
            for variable, value in zip(variables, [*trainable_variables, *non_trainable_variables], strict=True):
                variable.assign(value)
            outputs = self(*args, **kwargs)
            after = [variable.value for variable in other]
            return (outputs, after, list(self.losses)) if return_losses else (outputs, after)
        finally:
            for variable, value in zip(variables, kept, strict=True):
                variable.assign(value)
