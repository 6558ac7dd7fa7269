"""Models whose summaries are compared with Keras's, made in either library: name -> (function of the library that returns the model, arguments of summary())."""

from __future__ import annotations

import numpy as np


def unbuilt(keras):
    layers = keras.layers
    model = keras.Sequential()
    model.add(layers.Dense(4, activation="relu"))
    model.add(layers.Dropout(0.5))
    model.add(layers.BatchNormalization())
    return model


def cnn(keras):
    layers = keras.layers
    model = keras.Sequential()
    model.add(layers.Conv2D(32, (3, 3), activation="relu", input_shape=(28, 28, 1)))
    model.add(layers.MaxPooling2D((2, 2)))
    model.add(layers.Conv2D(64, (3, 3), activation="relu"))
    model.add(layers.Dropout(0.25))
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    return model


def trained(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(1)], name="trained")
    model.compile("adam", "mse")
    model.fit(np.ones((6, 4)), np.ones((6, 1)), verbose=0)
    return model


def deferred(keras):
    model = keras.Sequential([keras.layers.Dense(8), keras.layers.ReLU()])
    model(np.ones((5, 3), "float32"))
    return model


def branches(keras):
    layers = keras.layers
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="r")
    both = layers.Concatenate()([left, right])
    shared = layers.Dense(6, name="shared")
    summed = layers.Add()([shared(both), both * 2.0])
    return keras.Model([left, right], [layers.Dense(2, name="o1")(summed), layers.Dense(1, name="o2")(shared(summed))])


def operations(keras):
    x = keras.Input((4, 6))
    y = keras.ops.expand_dims(keras.ops.mean(x, axis=1), 1)
    z = keras.ops.true_divide(x[:, :1] - y, 2.0)
    return keras.Model(x, keras.ops.relu(-z) ** 2)


def chain(keras):
    x = keras.Input((None, 3), name="steps")
    y = keras.layers.Conv1D(4, 2, padding="same")(x)
    return keras.Model(x, keras.layers.GlobalMaxPooling1D()(y), name="chain")


def nested(keras):
    layers = keras.layers
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, name="first"), keras.Sequential([keras.Input((3,)), layers.Dense(2)], name="deep")], name="inner"
    )
    x = keras.Input((4,))
    return keras.Model(x, layers.Dense(1)(inner(x)))


def long_names(keras):
    layers = keras.layers
    model = keras.Sequential(name="a_model_with_a_name_that_is_longer_than_the_table_that_describes_it_is_wide")
    model.add(keras.Input((16,)))
    model.add(layers.Dense(123456, name="a_really_long_layer_name_that_goes_on_and_on"))
    model.add(layers.LayerNormalization(name="exactly_thirty_one_characters_x"))
    model.add(layers.BatchNormalization())
    return model


def frozen(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.layers[0].trainable = False
    return model


def subclassed(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.block = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])
            self.heads = [keras.layers.Dense(2), keras.layers.Dense(1)]

        def call(self, x):
            x = self.block(x)
            for head in self.heads:
                x = head(x)
            return x

    model = Net()
    model.compile("sgd", "mse")
    model.fit(np.ones((6, 4)), np.ones((6, 1)), verbose=0)
    return model


def empty_subclass(keras):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    return Net()


def masked(keras):
    x = keras.Input((5,), dtype="int32")
    y = keras.layers.Embedding(10, 3, mask_zero=True)(x)
    return keras.Model(x, keras.layers.GlobalAveragePooling1D()(y))


def float64(keras):
    return keras.Sequential([keras.Input((3,), dtype="float64"), keras.layers.Dense(2, dtype="float64")])


MODELS = {
    "unbuilt": (unbuilt, {}),
    "cnn": (cnn, {}),
    "trained": (trained, {}),
    "deferred": (deferred, {}),
    "branches": (branches, {}),
    "operations": (operations, {}),
    "chain": (chain, {}),
    "nested": (nested, {}),
    "nested_expanded": (nested, {"expand_nested": True}),
    "long_names": (long_names, {}),
    "frozen": (frozen, {"show_trainable": True}),
    "subclassed": (subclassed, {}),
    "subclassed_expanded": (subclassed, {"expand_nested": True}),
    "empty_subclass": (empty_subclass, {}),
    "masked": (masked, {}),
    "float64": (float64, {}),
    "positions": (cnn, {"positions": [0.5, 0.7, 1.0]}),
    "narrow": (cnn, {"line_length": 60}),
    "layer_range": (cnn, {"layer_range": ["conv2d_1", "flatten"]}),
}


def summary_of(keras, name: str) -> str:
    """The whole text that summary() gives to print_fn."""
    keras.utils.clear_session()
    make, arguments = MODELS[name]
    texts = []
    make(keras).summary(print_fn=lambda text, **kwargs: texts.append(text), **arguments)
    return "".join(texts)
