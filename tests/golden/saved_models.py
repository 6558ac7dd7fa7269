"""Models shared by make_saved.py, which has Keras save them, and the tests, which load those files. Nothing here imports either library."""

from __future__ import annotations

import numpy as np

STEPS = 3


def inputs_of(name: str):
    """Rows for a model, the same with every numpy."""
    r = np.random.RandomState(5)
    if name == "embedding":
        return r.randint(0, 20, size=(6, 5)).astype("int32")
    if name == "cnn":
        return r.normal(size=(6, 8, 8, 3)).astype("float32")
    return r.normal(size=(6, 4)).astype("float32")


def mlp(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, activation="relu", kernel_regularizer=keras.regularizers.L2(0.01)),
            layers.BatchNormalization(),
            layers.Dropout(0.0),
            layers.Dense(3, activation="softmax"),
        ],
        name="mlp",
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def cnn(keras):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.LayerNormalization(),
            layers.Flatten(),
            layers.Dense(2),
        ],
        name="cnn",
    )
    model.compile(keras.optimizers.Adam(0.01, clipnorm=1.0), keras.losses.MeanSquaredError(), metrics=[keras.metrics.MeanAbsoluteError(name="mae")])
    return model


def branches(keras):
    layers = keras.layers
    x = keras.Input((4,), name="x")
    shared = layers.Dense(4, name="shared")
    left = keras.ops.relu(shared(x) * 2 + 1)
    right = layers.BatchNormalization()(shared(left))
    joined = layers.Concatenate()([layers.Add()([left, right]), keras.ops.mean(right, axis=1, keepdims=True)])
    cut = joined[:, 1:4]
    inner = keras.Sequential([layers.Dense(3, activation="tanh"), layers.Dense(2)], name="inner")
    model = keras.Model(x, inner(keras.ops.concatenate([cut, 1.0 - x], axis=-1)), name="branches")
    model.compile("adam", "mse")
    return model


def embedding(keras):
    layers = keras.layers
    words = keras.Input((5,), dtype="int32")
    h = layers.Embedding(20, 4)(words)
    h = layers.GlobalAveragePooling1D()(h)
    outputs = [layers.Dense(2, name="first")(h), layers.Dense(1, name="second")(h)]
    model = keras.Model(words, outputs, name="embedding")
    model.compile("rmsprop", ["mse", "mse"], loss_weights=[1.0, 0.5])
    return model


MODELS = {"mlp": mlp, "cnn": cnn, "branches": branches, "embedding": embedding}


def targets_of(name: str):
    r = np.random.RandomState(6)
    if name == "mlp":
        return r.randint(0, 3, size=6)
    if name == "embedding":
        return [r.normal(size=(6, 2)).astype("float32"), r.normal(size=(6, 1)).astype("float32")]
    return r.normal(size=(6, 2)).astype("float32")


def train(model, name: str) -> None:
    """A few steps of one batch each: the order of the rows cannot matter."""
    model.fit(inputs_of(name), targets_of(name), batch_size=6, epochs=STEPS, shuffle=False, verbose=0)


def predictions(model, name: str) -> list[np.ndarray]:
    found = model.predict(inputs_of(name), verbose=0)
    return [np.asarray(part) for part in (found if isinstance(found, list) else [found])]


def subclassed(keras):
    """A model of a class of its own: attributes before and after `layers` in the alphabet, private ones, lists, dicts and an alias."""

    class Branching(keras.Model):
        def __init__(self):
            super().__init__(name="branching")
            self.first = keras.layers.Dense(3)
            self.alias = self.first
            self.blocks = [keras.layers.Dense(3), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
            self.table = {"a": keras.layers.Dense(2), "b": keras.layers.Dense(2)}
            self._hidden = keras.layers.Dense(3)
            self.drop = keras.layers.Dropout(0.1)
            self.inner = keras.Sequential([keras.layers.Dense(2)])
            self.factor = self.add_weight(shape=(2,), initializer="ones", name="factor")

        def call(self, x):
            x = self._hidden(self.first(x))
            for block in self.blocks:
                x = block(x)
            return self.inner(self.drop(self.table["b"](x) + self.table["a"](x))) * self.factor

    model = Branching()
    model.compile("adam", "mse")
    return model
