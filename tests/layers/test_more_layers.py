"""SpectralNormalization, adaptive poolings, ReversibleEmbedding: values that Keras 3.15.1 gives."""

from __future__ import annotations

import nnlite
import numpy as np
import pytest
from nnlite import layers, ops


def close(y, expected, atol=1e-3):
    np.testing.assert_allclose(np.asarray(y), expected, atol=atol, rtol=1e-4)


def test_spectral_normalization():
    layer = layers.SpectralNormalization(layers.Dense(2), power_iterations=2, name="s")
    x = np.arange(6.0).reshape(2, 3)
    layer.build((None, 3))
    assert [(w.path, tuple(w.shape), w.trainable) for w in layer.weights] == [
        (f"s/{layer.layer.name}/kernel", (3, 2), True),
        ("s/vector_u", (1, 2), False),
        (f"s/{layer.layer.name}/bias", (2,), True),
    ]
    layer.vector_u.assign([[0.3, 0.4]])
    layer.kernel.assign(np.arange(6.0).reshape(3, 2))
    close(layer(x), [[10, 13], [28, 40]])
    close(layer(x, training=True), [[1.3538, 1.76], [3.7907, 5.4153]])
    close(layer.vector_u, [[0.6012, 0.7991]])
    close(layer.kernel, [[0, 0.1354], [0.2708, 0.4061], [0.5415, 0.6769]])
    close(layer(x, training=False), [[1.3538, 1.76], [3.7907, 5.4153]])
    config = layer.get_config()
    assert config["power_iterations"] == 2 and layers.SpectralNormalization.from_config(config).layer.units == 2


@pytest.mark.parametrize(
    "inner, shape, kernel", [(lambda: layers.Conv2D(2, 2), (5, 5, 3), (2, 2, 3, 2)), (lambda: layers.Embedding(4, 2), (3,), (4, 2))]
)
def test_spectral_normalization_of_other_layers_trains(inner, shape, kernel):
    inputs = nnlite.Input(shape)
    layer = layers.SpectralNormalization(inner(), power_iterations=8)
    model = nnlite.Model(inputs, layers.Dense(1)(layers.Flatten()(layer(inputs))))
    model.compile(nnlite.optimizers.SGD(0.0), "mse")
    assert tuple(layer.kernel.shape) == kernel and tuple(layer.vector_u.shape) == (1, 2)
    x = np.random.default_rng(0).integers(0, 4, (6, *shape))
    for _ in range(3):
        model.train_on_batch(x, np.ones(6))
    assert np.linalg.norm(layer.kernel.numpy().reshape(-1, 2), 2) == pytest.approx(1, abs=1e-3)


def test_the_gradient_is_that_of_the_normalized_kernel():
    layer = layers.SpectralNormalization(layers.Dense(1, use_bias=False))
    x = ops.convert_to_tensor(np.array([[3.0, 4.0]], "float32"))
    layer.build((None, 2))
    with nnlite.GradientTape() as tape:
        loss = ops.sum(layer(x, training=True))
    close(tape.gradient(loss, [layer.kernel])[0], [[3], [4]])


POOLED = [
    (layers.AdaptiveAveragePooling1D, 3, (1, 7, 2), [3.6095, 5.7922, 15.1081, 18.9002, 31.9398, 36.785]),
    (layers.AdaptiveMaxPooling1D, 3, (1, 7, 2), [8.0, 11.1803, 22.6274, 27.0, 41.5692, 46.8722]),
    (layers.AdaptiveAveragePooling2D, (2, 3), (1, 5, 7, 1), [27.3838, 35.7323, 45.2701, 105.8727, 120.1418, 135.038]),
    (layers.AdaptiveMaxPooling2D, 2, (1, 5, 7, 1), [70.0928, 89.4427, 172.6007, 198.2524]),
    (layers.AdaptiveAveragePooling3D, 2, (1, 3, 3, 3, 1), [20.1575, 23.7962, 32.1187, 36.7095, 63.2092, 69.1395, 81.5669, 88.0521]),
    (layers.AdaptiveMaxPooling3D, (1, 1, 2), (1, 3, 3, 3, 1), [125.0, 132.5745]),
]


@pytest.mark.parametrize("kind, size, shape, expected", POOLED, ids=lambda value: getattr(value, "__name__", None))
def test_adaptive_pooling(kind, size, shape, expected):
    x = (np.arange(np.prod(shape), dtype="float32") ** 1.5).reshape(shape)
    layer = kind(size)
    y = layer(x)
    close(y.numpy().reshape(-1), expected)
    assert layer(nnlite.Input(shape[1:])).shape == (None, *y.shape[1:])
    first = kind(size, data_format="channels_first")
    moved = np.moveaxis(x, -1, 1)
    np.testing.assert_array_equal(first(moved).numpy(), np.moveaxis(y.numpy(), -1, 1))
    assert first.compute_output_shape(moved.shape) == tuple(first(moved).shape)
    assert kind.from_config(layer.get_config()).get_config() == layer.get_config()
    compiled = nnlite.function(layer)(x)
    np.testing.assert_array_equal(compiled.numpy(), y.numpy())


def test_reversible_embedding():
    layer = layers.ReversibleEmbedding(4, 3)
    layer.build((None, 2))
    layer.embeddings.assign(np.arange(12.0).reshape(4, 3))
    close(layer(np.array([[0, 3]])), [[[0, 1, 2], [9, 10, 11]]])
    close(layer(np.ones((1, 2, 3)), reverse=True), [[[3, 12, 21, 30]] * 2])
    apart = layers.ReversibleEmbedding(4, 3, tie_weights=False, logit_soft_cap=5.0, mask_zero=True)
    apart.build((None, 2))
    assert [(w.name, tuple(w.shape)) for w in apart.weights] == [("embeddings", (4, 3)), ("reverse_embeddings", (3, 4))]
    apart.weights[1].assign(np.arange(12.0).reshape(3, 4))
    close(apart(np.ones((1, 2, 3)), reverse=True), [[[4.9184, 4.9753, 4.9925, 4.9978]] * 2])
    assert apart(np.array([[0, 1]]))._keras_mask.numpy().tolist() == [[False, True]]
    assert apart(nnlite.Input((5,))).shape == (None, 5, 3) and apart(nnlite.Input((5, 3)), reverse=True).shape == (None, 5, 4)
    assert layers.ReversibleEmbedding.from_config(apart.get_config()).get_config() == apart.get_config()
    tokens = nnlite.Input((5,), dtype="int32")
    model = nnlite.Model(tokens, layer(layer(tokens), reverse=True))
    model.compile("sgd", nnlite.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.train_on_batch(np.zeros((2, 5), "int32"), np.zeros((2, 5), "int32")))


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: layers.SpectralNormalization(layers.Dense(2), power_iterations=0), "must be greater than zero. Received: power_iterations=0"),
        (
            lambda: layers.SpectralNormalization(layers.ReLU(name="r"), name="s").build((None, 3)),
            "SpectralNormalization 's' needs .*ReLU 'r' has neither",
        ),
        (lambda: layers.AdaptiveMaxPooling2D(0), r"`output_size` argument must be a tuple of 2 integers >= 1. Received output_size=0"),
        (lambda: layers.AdaptiveAveragePooling2D((1, 2, 3)), r"tuple of 2 integers. Received output_size=\(1, 2, 3\)"),
        (lambda: layers.AdaptiveAveragePooling2D(2)(np.ones((1, 4, 4))), r"takes inputs with 4 axes .* received \(1, 4, 4\)"),
        (lambda: layers.ReversibleEmbedding(4, 3)(np.ones((1, 2)), reverse=True), r"vectors of length output_dim=3; received shape \(1, 2\)"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()


WAVE = (np.sin(np.arange(64) * 0.3) + 0.2 * np.cos(np.arange(64))).astype("float32")


def test_mel_spectrogram():
    layer = layers.MelSpectrogram(fft_length=16, sequence_stride=8, sampling_rate=100, num_mel_bins=4, min_freq=2.0)
    y = layer(WAVE).numpy()
    assert y.shape == (4, 9) == layer.compute_output_shape((64,))
    close(y[0], [2.1491, 9.9948, 10.5638, 10.2998, 9.513, 9.0386, 8.9722, 8.6605, 8.0746])
    close(y[3], [-13.4489, -36.9527, -37.6718, -36.8975, -37.0204, -41.5982, -46.5898, -48.163, -14.9613], atol=2e-2)
    arguments = dict(sequence_length=12, max_freq=40.0, power_to_db=False, mag_exp=1.0)
    magnitudes = layers.MelSpectrogram(fft_length=16, sequence_stride=8, sampling_rate=100, num_mel_bins=4, min_freq=2.0, **arguments)
    close(magnitudes(WAVE[None])[0, 1], [0.4046, 1.4263, 1.4912, 1.4922, 1.3609, 1.0615, 0.7872, 0.6836, 1.7391])
    floor = layers.MelSpectrogram(fft_length=16, sequence_stride=8, sampling_rate=100, num_mel_bins=4, min_freq=2.0, top_db=3.0, ref_power=2.0)
    close(floor(WAVE[None])[0, 0], [4.5535, 6.9845, 7.5535, 7.2895, 6.5027, 6.0283, 5.9619, 5.6502, 5.0644])
    assert layers.MelSpectrogram()(nnlite.Input((16000,))).shape == (None, 128, 32)
    assert layers.MelSpectrogram.from_config(layer.get_config()).get_config() == layer.get_config()
    both = layer(np.stack([WAVE, 100 * WAVE])).numpy()
    np.testing.assert_allclose(both[0], y, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="0 <= min_freq < max_freq. Received: min_freq=20.0, max_freq=10.0"):
        layers.MelSpectrogram(max_freq=10.0)
    with pytest.raises(ValueError, match=r"waveforms \[time\] or \[batch, time\]; received shape \(1, 2, 3\)"):
        layer(np.ones((1, 2, 3)))
