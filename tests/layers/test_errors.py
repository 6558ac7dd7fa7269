"""Bad input: every error names the layer, the rule, what came, and what to do."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers as L

X = np.ones((2, 3), "float32")
IMAGE = np.ones((1, 5, 5, 3), "float32")


def built(layer, x=X):
    layer(x)
    return layer


def functional():
    x = nnlite.Input((3,), name="x")
    return nnlite.Model(x, L.Dense(2, name="d")(x), name="f")


class Python(nnlite.Layer):
    def call(self, x):
        return x


CASES = {
    # wrong inputs of layers
    "rank too low": (
        lambda: L.Dense(3, name="d")(X[0]),
        r"Input 0 of layer 'd' is incompatible .* expected min_ndim=2, found ndim=1.*\(3,\).*x\[None\]",
    ),
    "last axis differs": (
        lambda: built(L.Dense(3, name="d"))(X[:, :2]),
        r"'d'.*expected axis -1 of input shape to have value 3.*\(2, 2\).*built for that size",
    ),
    "image without channels": (lambda: L.Conv2D(3, 3, name="c")(IMAGE[..., 0]), r"'c'.*min_ndim=4, found ndim=3.*\(1, 5, 5\).*x\[\.\.\., None\]"),
    "wrong rank of pooling": (lambda: L.MaxPooling2D(name="p")(X), r"'p'.*expected ndim=4, found ndim=2"),
    "window larger than image": (
        lambda: L.Conv2D(3, 7, name="c")(IMAGE),
        r"zero or negative.*'c'.*\(1, 5, 5, 3\).*kernel_size=\(7, 7\).*padding='same'",
    ),
    "pool larger than image": (lambda: L.MaxPooling2D(7, name="p")(nnlite.Input((5, 5, 3))), r"zero or negative.*'p'.*pool_size=\(7, 7\)"),
    "groups and channels": (
        lambda: L.Conv2D(4, 3, groups=2, name="c")(IMAGE),
        r"input channels must be evenly divisible.*'c' has groups=2.*3 channels",
    ),
    "unknown channels": (
        lambda: L.Conv2D(4, 3, name="c")(nnlite.Input((8, 8, None))),
        r"channel dimension.*should be defined.*'c'.*\(None, 8, 8, None\)",
    ),
    "unknown features": (lambda: L.Dense(4, name="d")(nnlite.Input((None,))), r"last axis of the inputs to Dense must be known.*'d'"),
    "reshape to another size": (
        lambda: L.Reshape((4,), name="r")(X),
        r"size of a sample must be unchanged.*'r'.*\(3,\) \(3 values\).*target_shape=\(4,\)",
    ),
    "cropping everything": (lambda: L.Cropping2D(3, name="c")(IMAGE), r"smaller than the corresponding spatial dimension.*'c'.*\(1, 5, 5, 3\)"),
    "merge of a single tensor": (lambda: L.Add(name="a")(X), r"`Add` layer should be called on a list.*'a'.*\(2, 3\).*a\(\[a, b\]\)"),
    "merge of different shapes": (lambda: L.Add(name="a")([X, X[:, :2]]), r"incompatible shapes.*'a'.*\(2, 3\), \(2, 2\)"),
    "merge of different batches": (lambda: L.Multiply(name="m")([X, np.ones((3, 3), "float32")]), r"different batch sizes.*'m'.*\(2, 3\), \(3, 3\)"),
    "subtract of three": (lambda: L.Subtract(name="s")([X, X, X]), r"exactly 2 inputs.*'s' received 3"),
    "concatenate of different shapes": (
        lambda: L.Concatenate(axis=0, name="c")([X, X[:, :2]]),
        r"matching shapes except for the concatenation axis.*'c' with axis=0",
    ),
    "dot of different sizes": (lambda: L.Dot(1, name="d")([X, X[:, :2]]), r"axis values 3 \(at axis 1\) != 2 \(at axis 1\).*'d'"),
    "dot over the batch": (lambda: L.Dot(0, name="d")([X, X]), r"axes after the batch axis.*'d' has axes=0"),
    "batch normalization of an axis that is not there": (
        lambda: L.BatchNormalization(axis=5, name="b")(X),
        r"`axis` of BatchNormalization.*'b' has axis=5.*\(2, 3\)",
    ),
    "layer normalization of an axis that is not there": (lambda: L.LayerNormalization(axis=5, name="n")(X), r"`axis` of LayerNormalization.*'n'.*5"),
    "groups of channels": (lambda: L.GroupNormalization(2, name="g")(X), r"multiple of `groups`.*'g' has groups=2.*3 channels"),
    "numbers as inputs": (lambda: Python()(3), r"Only input tensors may be passed as positional arguments.*3.*numpy\.array"),
    "lists of numbers as inputs": (lambda: Python()([1, 2]), r"Only input tensors may be passed"),
    "too many inputs": (lambda: L.Dense(2, name="d")([X, X]), r"'d' expects 1 input\(s\), but it received 2"),
    "wrong arguments of call": (lambda: Python(name="p")(X, X), r"call\(\) of layer 'p' takes \(x\); too many positional"),
    "no call": (lambda: nnlite.Layer()(X), r"Layer Layer does not have a `call\(\)` method"),
    # wrong arguments
    "negative units": (lambda: L.Dense(-1), r"`units` of Dense, expected a positive integer. Received: units=-1"),
    "units of text": (lambda: L.Dense("a"), r"expected a positive integer. Received: units='a'"),
    "unknown argument": (lambda: L.Dense(2, actvation="relu"), r"Unrecognized keyword arguments passed to Dense: \{'actvation': 'relu'\}"),
    "misspelled activation": (lambda: L.Dense(2, activation="rleu"), r"activation function identifier: 'rleu'.*Did you mean 'relu'"),
    "misspelled initializer": (
        lambda: L.Dense(2, kernel_initializer="golrot_uniform"),
        r"initializer identifier: 'golrot_uniform'.*'glorot_uniform'",
    ),
    "misspelled regularizer": (lambda: L.Dense(2, kernel_regularizer="l3"), r"regularizer identifier: 'l3'. Known names: .*, l2,"),
    "misspelled constraint": (lambda: L.Dense(2, kernel_constraint="nonnegg"), r"constraint identifier: 'nonnegg'.*nonneg"),
    "unknown padding": (lambda: L.Conv2D(3, 3, padding="sam"), r"`padding` argument of Conv2D must be one of 'valid', 'same'.*'sam'"),
    "causal padding of images": (lambda: L.Conv2D(3, 3, padding="causal"), r"must be one of 'valid', 'same'"),
    "kernel of three sizes": (lambda: L.Conv2D(3, (3, 3, 3)), r"`kernel_size` argument must be a tuple of 2 integers"),
    "zero strides": (lambda: L.Conv2D(3, 3, strides=0), r"`strides` argument must be a tuple of 2 integers >= 1"),
    "strides and dilation": (lambda: L.Conv2D(3, 3, strides=2, dilation_rate=2), r"not supported in conjunction.*strides=\(2, 2\)"),
    "filters and groups": (lambda: L.Conv2D(3, 3, groups=2), r"filters must be evenly divisible.*groups=2, filters=3"),
    "output padding": (lambda: L.Conv2DTranspose(3, 3, strides=2, output_padding=2), r"`output_padding` must be smaller than `strides`"),
    "dropout rate": (lambda: L.Dropout(1.5), r"`rate` of Dropout. Expected a float value between 0 and 1.*1\.5"),
    "negative noise": (lambda: L.GaussianNoise(-1), r"`stddev` of GaussianNoise.*-1"),
    "permutation": (lambda: L.Permute((0, 1)), r"consecutive and start from 1.*\(0, 1\)"),
    "interpolation": (lambda: L.UpSampling2D(interpolation="cubic"), r"`interpolation` argument of UpSampling2D must be one of 'nearest'"),
    "three paddings": (lambda: L.ZeroPadding2D((1, 2, 3)), r"`padding` should have two elements.*\(1, 2, 3\)"),
    "negative slope": (lambda: L.LeakyReLU(-1), r"negative_slope value of a Leaky ReLU.*-1"),
    "two unknown sizes": (lambda: L.Reshape((-1, -1)), r"at most one unknown dimension.*\(-1, -1\)"),
    "name with a slash": (lambda: L.Dense(2, name="a/b"), r"cannot contain character `/`.*'a/b'"),
    "dtype": (lambda: L.Dense(2, dtype="float"), r"dtype policy is one of 'float32', 'float64'; received 'float'"),
    "momentum": (lambda: L.BatchNormalization(momentum=2), r"between 0 and 1.*momentum=2"),
    "wrapper of a number": (lambda: L.Wrapper(3), r"Layer 3 supplied to Wrapper"),
    # inputs
    "input without shape": (lambda: nnlite.Input(), r"You must pass a `shape` argument"),
    "input of a number": (lambda: nnlite.Input(3), r"Cannot convert 3 to a shape.*shape=\(3,\)"),
    "input of both shapes": (lambda: nnlite.Input((3,), batch_shape=(1, 3)), r"cannot pass both `shape` and `batch_shape`"),
    "input dtype": (lambda: nnlite.Input((3,), dtype="float13"), r"dtype of an Input must be one of.*'float13'"),
    # models
    "disconnected graph": (
        lambda: nnlite.Model(nnlite.Input((3,), name="a"), L.Dense(2, name="d")(nnlite.Input((3,), name="b")), name="m"),
        r"model 'm' is disconnected: output 'd'.*needs 'b'.*inputs are \['a'\].*Add the missing Input",
    ),
    "model of arrays": (lambda: nnlite.Model(X, X), r"All `inputs` values must be KerasTensors"),
    "equal names": (
        lambda: nnlite.Model(a := nnlite.Input((3,)), L.Dense(2, name="same")(L.Dense(2, name="same")(a)), name="m"),
        r"'same' is used 2 times in the model 'm'",
    ),
    "wrong shape for a model": (
        lambda: functional()(np.ones((2, 4))),
        r"layer 'f' is incompatible.*expected shape=\(None, 3\), found shape=\(2, 4\)",
    ),
    "one sample without batch axis": (lambda: functional()(np.ones(3)), r"'f'.*expected shape=\(None, 3\), found shape=\(3,\)"),
    "too many inputs for a model": (lambda: functional()([X, X]), r"'f' expects 1 input\(s\), but it received 2"),
    "missing key": (lambda: functional()({"y": X}), r"'f' needs the inputs \['x'\], but \['x'\] are missing.*\['y'\]"),
    "no such layer": (lambda: functional().get_layer("e"), r"No such layer: e. Existing layers are: \['x', 'd'\]"),
    "no such index": (lambda: functional().get_layer(index=10), r"index 10 but model 'f' only has 2 layers"),
    "name and index": (lambda: functional().get_layer("d", 1), r"Provide only a layer name or a layer index"),
    "number of weights": (lambda: functional().set_weights([X]), r"layer 'f' with a weight list of length 1, but the layer was expecting 2"),
    "shape of weights": (
        lambda: functional().set_weights([X, X]),
        r"'f' weight shape \(3, 2\) of 'd/kernel' is not compatible with provided weight shape \(2, 3\)",
    ),
    "unknown model argument": (lambda: nnlite.Model(foo=3), r"Unrecognized keyword arguments passed to Model: \{'foo': 3\}"),
    "number in a sequential model": (lambda: nnlite.Sequential([1]), r"Only instances of `Layer` can be added.*1 \(of type <class 'int'>\).*Lambda"),
    "equal names in a sequential model": (lambda: nnlite.Sequential([L.ReLU(name="a"), L.ReLU(name="a")]), r"unique names. Name 'a'"),
    "two inputs in a sequential model": (
        lambda: nnlite.Sequential([nnlite.Input((3,)), nnlite.Input((4,))]),
        r"already been configured to use input shape \(None, 3\)",
    ),
    "empty sequential model": (lambda: nnlite.Sequential(name="s")(X), r"'s' cannot be built because it has no layers"),
    "parameters of an unbuilt layer": (lambda: L.Dense(2, name="d").count_params(), r"`count_params` on layer 'd', but the layer isn't built"),
    "weight of unknown shape": (
        lambda: nnlite.Layer(name="l").add_weight((None, 2), name="w"),
        r"fully known shape; layer 'l' asked for shape=\(None, 2\) for weight 'w'",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_error_text(name):
    action, pattern = CASES[name]
    with pytest.raises((ValueError, TypeError, NotImplementedError, AttributeError), match=pattern):
        action()


@pytest.mark.parametrize("n", [2.5, "3", True])
def test_repeat_vector_takes_integers(n):
    with pytest.raises(TypeError, match="Expected an integer value for `n`"):
        L.RepeatVector(n)


def test_forgotten_super_init_is_named():
    class Forgets(nnlite.Layer):
        def __init__(self):
            self.units = 3

        def call(self, x):
            return x

    with pytest.raises(RuntimeError, match=r"'Forgets', you forgot to call `super\(\).__init__\(\)`"):
        Forgets()(X)


def test_reserved_attribute():
    class Net(nnlite.Model):
        def __init__(self):
            super().__init__()
            self.layers = []

    with pytest.raises(AttributeError, match="`Model.layers` attribute is reserved"):
        Net()


def test_errors_of_operations_name_the_layer_once():
    inner = L.Lambda(lambda x: nnlite.ops.reshape(x, (7,)), name="inner")
    model = nnlite.Sequential([inner], name="outer")
    with pytest.raises(ValueError) as info:
        model(X)
    assert str(info.value).count("raised while calling layer 'inner'") == 1 and "'outer'" not in str(info.value)
