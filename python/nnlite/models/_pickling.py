"""Pickling and copying models: by configuration and weights, as in files."""

from __future__ import annotations


def pickled(model):
    """(function, arguments) that make the model again."""
    from nnlite.saving import serialize_keras_object

    return _unpickle, (type(model), serialize_keras_object(model), model.get_weights() if model.built else None, _optimizer_state(model))


def _optimizer_state(model):
    optimizer = model.optimizer
    return [v.numpy() for v in optimizer.variables] if optimizer is not None and getattr(optimizer, "built", False) else None


def _unpickle(cls, config, weights, optimizer_state):
    from nnlite.saving import deserialize_keras_object

    model = deserialize_keras_object(config, {cls.__name__: cls})
    if weights is not None:
        model.set_weights(weights)
    if optimizer_state is not None:
        model.optimizer.build(model.trainable_variables)
        for variable, value in zip(model.optimizer.variables, optimizer_state):
            variable.assign(value)
    return model
