"""Pickling and copying models: by configuration and weights, as in files."""

from __future__ import annotations


def pickled(model):
    """(function, arguments) that make the model again."""
    from nnlite.saving import serialize_keras_object

    return _unpickle, (
        type(model),
        serialize_keras_object(model),
        model.get_weights() if model.built else None,
        _optimizer_state(model),
        _vocabularies(model),
    )


def _vocabularies(model) -> tuple:
    """What lookup layers keep besides weights: files by name, and values by the layer's place."""
    from nnlite.saving.assets import assets_of
    from nnlite.saving.state_walk import walk

    stores: dict = {}
    for path, owner in walk(model):
        if getattr(owner, "_keeps_own_variables", False):
            owner.save_own_variables(stores.setdefault(path, {}))
    return assets_of(model), stores


def _optimizer_state(model):
    optimizer = model.optimizer
    return [v.numpy() for v in optimizer.variables] if optimizer is not None and getattr(optimizer, "built", False) else None


def _unpickle(cls, config, weights, optimizer_state, vocabularies=({}, {})):
    from nnlite.saving import deserialize_keras_object

    model = deserialize_keras_object(config, {cls.__name__: cls})
    _set_vocabularies(model, *vocabularies)
    if weights is not None:
        model.set_weights(weights)
    if optimizer_state is not None:
        model.optimizer.build(model.trainable_variables)
        for variable, value in zip(model.optimizer.variables, optimizer_state):
            variable.assign(value)
    return model


def _set_vocabularies(model, files: dict, stores: dict) -> None:
    from nnlite.saving.assets import load_assets
    from nnlite.saving.state_walk import walk

    if files:
        load_assets(model, files, "a pickled model")
    if stores:
        for path, owner in walk(model):
            if path in stores:
                owner.load_own_variables(stores[path])
