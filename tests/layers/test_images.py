"""Image layers: values and configs of Keras, draws, layouts, inside compiled models."""

from __future__ import annotations

import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest
from nnlite import layers

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import image_cases as cases  # noqa: E402

EXPECTED = json.loads((GOLDEN / "images.json").read_text())
all_cases = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)


def made(case, **more):
    nnlite.utils.clear_session()
    return getattr(layers, case.layer)(*case.args, **case.arguments, **more)


@all_cases
def test_values_are_those_of_keras(case):
    expected = EXPECTED[case.name]
    y = made(case)(case.images, training=case.training)
    assert y.dtype == expected["dtype"] and list(y.shape) == expected["shape"]
    scale = 1.0 if np.max(case.images) <= 1 else 255.0
    np.testing.assert_allclose(y.numpy().reshape(-1), expected["values"], rtol=1e-4, atol=1e-5 * scale)


@all_cases
def test_config_is_that_of_keras_and_makes_an_equal_layer(case):
    layer = made(case)
    config, expected = json.loads(json.dumps(layer.get_config())), dict(EXPECTED[case.name]["config"])
    if case.layer == "RandomCrop":
        expected["seed"] = config["seed"]  # drawn when the layer is made
    assert config == expected
    assert json.loads(json.dumps(type(layer).from_config(config).get_config())) == config


@pytest.mark.parametrize("name", cases.CONFIGS)
def test_config_alone(name):
    nnlite.utils.clear_session()
    layer = getattr(layers, name)(**cases.CONFIGS[name])
    assert json.loads(json.dumps(layer.get_config())) == EXPECTED[f"config {name}"]["config"]


@all_cases
def test_compiled_and_channels_first(case):
    x = case.images if case.images.ndim == 4 else case.images[None]
    expected = made(case)(x, training=case.training).numpy()
    layer = made(case)
    compiled = nnlite.function(lambda x: layer(x, training=case.training))(x)
    np.testing.assert_allclose(compiled.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert compiled.shape == layer(nnlite.Input(x.shape[1:], batch_size=len(x), dtype=x.dtype.name), training=case.training).shape
    if case.layer in ("Solarization", "AutoContrast"):
        return
    first = made(case, data_format="channels_first")(x.transpose(0, 3, 1, 2), training=case.training)
    np.testing.assert_allclose(first.numpy().transpose(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-4)


RANDOM = {
    "RandomFlip": {},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.3},
    "RandomRotation": {"factor": 0.3},
    "RandomZoom": {"height_factor": 0.5},
    "RandomShear": {"x_factor": 0.5, "y_factor": 0.5},
    "RandomContrast": {"factor": 0.9},
    "RandomBrightness": {"factor": 0.5},
    "RandomCrop": {"height": 3, "width": 3},
    "RandomHue": {"factor": 0.9},
    "RandomSaturation": {"factor": (0.2, 0.8)},
    "RandomColorDegeneration": {"factor": 0.8},
    "RandomInvert": {"factor": 0.9},
    "RandomGrayscale": {"factor": 0.5},
    "RandomSharpness": {"factor": 1.0},
    "RandomPosterization": {"factor": 8},
    "Solarization": {"addition_factor": 0.5, "threshold_factor": 0.5},
    "RandomGaussianBlur": {"sigma": 2.0},
    "RandomErasing": {},
    "RandomColorJitter": {"brightness_factor": 0.4, "contrast_factor": 0.4, "saturation_factor": (0.3, 0.7), "hue_factor": 0.4},
    "MixUp": {"alpha": 1.0},
    "CutMix": {},
    "RandAugment": {},
}


@pytest.mark.parametrize("name", RANDOM)
def test_draws_are_seeded_new_each_time_and_only_in_training(name):
    x = np.random.default_rng(1).uniform(0, 255, (8, 6, 6, 3)).astype("float32")
    layer = getattr(layers, name)(**RANDOM[name], seed=4)
    first, second = layer(x, training=True).numpy(), layer(x, training=True).numpy()
    assert not np.array_equal(first, second) and np.isfinite(first).all()
    np.testing.assert_array_equal(getattr(layers, name)(**RANDOM[name], seed=4)(x, training=True).numpy(), first)
    compiled = nnlite.function(lambda x: twin(x, training=True))
    twin = getattr(layers, name)(**RANDOM[name], seed=4)
    np.testing.assert_allclose(compiled(x).numpy(), first, rtol=1e-3, atol=2e-2)
    np.testing.assert_allclose(compiled(x).numpy(), second, rtol=1e-3, atol=2e-2)
    if name != "RandomCrop":
        np.testing.assert_array_equal(layer(x, training=False).numpy(), x)
    if name not in ("MixUp", "CutMix"):
        assert layer(x[0], training=True).shape == first[0].shape


def test_images_of_a_batch_are_drawn_one_by_one():
    x = np.arange(6, dtype="float32").reshape(1, 1, 6, 1).repeat(64, 0)
    flipped = layers.RandomFlip("horizontal", seed=0)(x, training=True).numpy()[:, 0, 0, 0]
    assert set(flipped) == {0.0, 5.0} and 16 < (flipped == 5).sum() < 48
    shifts = layers.RandomBrightness(0.2, seed=0)(x + 100, training=True).numpy()[:, 0, 0, 0]
    assert len(set(shifts)) == 64


def test_contrast_keeps_the_mean():
    x = np.random.default_rng(0).uniform(100, 150, (4, 5, 5, 3)).astype("float32")
    y = layers.RandomContrast(0.5, seed=1)(x, training=True).numpy()
    np.testing.assert_allclose(y.mean((1, 2)), x.mean((1, 2)), rtol=1e-5)
    ratios = (y - x.mean((1, 2), keepdims=True)) / (x - x.mean((1, 2), keepdims=True))
    assert np.allclose(ratios, ratios[:, :1, :1, :1], atol=1e-2) and (0.5 <= ratios[:, 0, 0, 0]).all() and (ratios[:, 0, 0, 0] <= 1.5).all()


def test_shears_are_those_of_the_two_signs():
    x = cases.SMOOTH.repeat(16, 0)
    y = layers.RandomShear((1.0, 1.0), (0.0, 0.0), interpolation="nearest", fill_mode="constant", seed=1)(x, training=True).numpy()
    right = np.zeros_like(x[0])
    left = np.zeros_like(x[0])
    for row in range(4):
        for column in range(6):
            for sign, target in ((1, right), (-1, left)):
                if 0 <= column + sign * row <= 5:
                    target[row, column] = x[0, row, column + sign * row]
    kinds = {("right" if np.array_equal(image, right) else "left" if np.array_equal(image, left) else "other") for image in y}
    assert kinds == {"right", "left"}


def test_mix_up_mixes_images_and_labels_alike():
    images = np.arange(16, dtype="float32").reshape(16, 1, 1, 1) * np.ones((1, 4, 4, 1), "float32")
    mixed = layers.MixUp(alpha=1.0, seed=2)({"images": images, "labels": np.eye(16)}, training=True)
    labels = mixed["labels"].numpy()
    np.testing.assert_allclose(labels.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(labels @ np.arange(16), mixed["images"].numpy()[:, 0, 0, 0], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"must be one-hot rows \[batch, classes\]; received shape \(16,\)"):
        layers.MixUp()({"images": images, "labels": np.arange(16.0)}, training=True)


def test_cut_mix_mixes_labels_by_area():
    images = np.arange(8, dtype="float32").reshape(8, 1, 1, 1) * np.ones((1, 40, 40, 1), "float32")
    mixed = layers.CutMix((1.0, 1.0), seed=2)({"images": images, "labels": np.eye(8)}, training=True)
    own = (mixed["images"].numpy() == images).mean((1, 2, 3))
    share = np.diag(mixed["labels"].numpy())
    np.testing.assert_allclose(own, share, atol=0.06)
    assert 0 < share.min() < 0.9


@pytest.mark.parametrize("alpha", [0.2, 0.5, 1.0, 3.0])
def test_quantiles_of_the_beta_distribution(alpha):
    from nnlite.layers.mixing import beta_quantiles

    drawn = np.quantile(np.random.default_rng(0).beta(alpha, alpha, 400_000), np.linspace(0, 1, 1025))
    np.testing.assert_allclose(beta_quantiles(alpha)[40:-40], drawn[40:-40], atol=0.008)


def test_erased_boxes():
    x = np.zeros((64, 20, 20, 1), "float32")
    y = layers.RandomErasing((0.5, 0.5), scale=(0.25, 0.25), fill_value=7.0, seed=3)(x, training=True).numpy()
    areas = (y == 7).sum((1, 2, 3))
    assert set(areas) <= {0, 100} and 16 < (areas == 0).sum() < 48


def test_augmentation_in_a_model_trains_and_predicts():
    nnlite.utils.set_random_seed(0)
    model = nnlite.Sequential(
        [
            nnlite.Input((8, 8, 1)),
            layers.Resizing(7, 7),
            layers.RandomFlip(),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomContrast(0.1),
            layers.RandomCrop(6, 6),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).uniform(0, 1, (16, 8, 8, 1)).astype("float32")
    history = model.fit(x, np.ones(16), epochs=3, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x, verbose=0))
    assert model.count_params() == 37


@pytest.mark.parametrize("functional", [False, True])
def test_models_of_image_layers_act_unless_told_not_to_train(functional):
    x = np.random.default_rng(0).uniform(size=(4, 8, 8, 3)).astype("float32")
    model = nnlite.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
    if functional:
        inputs = nnlite.Input((8, 8, 3))
        model = nnlite.Model(inputs, model(inputs))
    for _ in range(4):  # calls of a signature seen before may be compiled
        first, second = model(x).numpy(), model(x).numpy()
        assert not np.array_equal(first, x) and not np.array_equal(first, second)
        np.testing.assert_array_equal(model(x, training=False).numpy(), x)
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)


def test_saved_model_with_image_layers(tmp_path):
    pytest.importorskip("h5py")
    model = nnlite.Sequential(
        [
            nnlite.Input((6, 6, 3)),
            layers.Pipeline([layers.RandomFlip(), layers.CenterCrop(4, 4)]),
            layers.RandAugment(),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    model.save(tmp_path / "model.keras")
    again = nnlite.models.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).uniform(0, 255, (4, 6, 6, 3)).astype("float32")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: layers.RandomFlip("x"), r"`mode` argument of RandomFlip must be one of .*Received: mode='x'"),
        (lambda: layers.RandomRotation(3), r"`factor` argument of RandomRotation must be .*range \[-1, 1\]. Received: factor=3"),
        (lambda: layers.RandomTranslation(2.0, 0.1), r"`height_factor` argument of RandomTranslation .*Received: height_factor=2.0"),
        (lambda: layers.RandomZoom("a"), r"`height_factor` argument of RandomZoom .*Received: height_factor='a'"),
        (lambda: layers.RandomZoom(0.1, fill_mode="x"), r"Unknown `fill_mode` of RandomZoom: must be one of .*Received: fill_mode='x'"),
        (lambda: layers.RandomShear(0.1, interpolation="x"), r"Unknown `interpolation` of RandomShear"),
        (lambda: layers.RandomContrast(2.0), r"`factor` argument of RandomContrast .*range \[0, 1\]. Received: factor=2.0"),
        (lambda: layers.RandomBrightness(0.1, value_range=(1, 0)), r"`value_range` argument of RandomBrightness .*Received: value_range=\(1, 0\)"),
        (lambda: layers.Resizing(0, 3), r"`height` of Resizing, expected a positive integer. Received: height=0"),
        (lambda: layers.Resizing(2, 3, interpolation="x"), r"Unknown `interpolation` of Resizing"),
        (
            lambda: layers.Resizing(2, 3, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
            r"one of `crop_to_aspect_ratio` and `pad_to_aspect_ratio`",
        ),
        (lambda: layers.Resizing(2, 3, fill_mode="reflect"), r"`fill_mode` of Resizing must be 'constant'"),
        (lambda: layers.RandomErasing(fill_value="x"), r"`fill_value` of RandomErasing .*Received: fill_value='x'"),
        (lambda: layers.MixUp(alpha=0), r"`alpha` of MixUp must be a positive number. Received: alpha=0"),
        (lambda: layers.Pipeline([3]), r"Pipeline takes a list of layers; received 3 of type int"),
        (
            lambda: layers.RandomFlip(name="f")(np.ones((3, 3))),
            r"RandomFlip 'f' takes one image with 3 axes or a batch with 4; received shape \(3, 3\)",
        ),
        (
            lambda: layers.RandomFlip(name="f")({"images": np.ones((1, 2, 2, 1)), "bounding_boxes": np.ones((1, 4))}),
            r"RandomFlip 'f' takes dicts with the keys 'images' and 'labels'; received .*\['bounding_boxes'\] cannot follow",
        ),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()
