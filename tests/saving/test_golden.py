"""Files written by real Keras (tests/golden/make_saved.py) load, predict and train on as in Keras; ours have the same layout."""

from __future__ import annotations

import io
import json
import pathlib
import sys
import zipfile

import numpy as np
import pytest

import nnlite

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
import saved_models  # noqa: E402

h5py = pytest.importorskip("h5py")
GOLDEN = pathlib.Path(__file__).parent / "golden"
NAMES = sorted(saved_models.MODELS)


@pytest.fixture(autouse=True)
def fresh_names():
    nnlite.utils.clear_session()


def expected(key: str) -> list[np.ndarray]:
    with np.load(GOLDEN / "predictions.npz") as file:
        return [file[name] for name in sorted(file.files) if name.rpartition("/")[0] == key]


def assert_close(model, name: str, key: str, tolerance: float) -> None:
    found = saved_models.predictions(model, name)
    assert len(found) == len(expected(key)) > 0
    for ours, theirs in zip(found, expected(key)):
        np.testing.assert_allclose(ours, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_models_of_keras_predict_the_same(name):
    assert_close(nnlite.models.load_model(GOLDEN / f"{name}.keras"), name, name, 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_models_of_keras_train_on_with_their_optimizer_state(name):
    model = nnlite.models.load_model(GOLDEN / f"{name}.keras")
    assert int(model.optimizer.iterations.numpy()) == saved_models.STEPS
    saved_models.train(model, name)
    assert_close(model, name, f"{name}/later", 1e-4)


def test_weights_of_a_class_of_its_own():
    model = saved_models.subclassed(nnlite)
    model(saved_models.inputs_of("subclassed"))
    model.optimizer.build(model.trainable_variables)
    model.load_weights(GOLDEN / "subclassed.weights.h5")
    assert_close(model, "subclassed", "subclassed", 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_weights_inside_a_model_file_load_into_a_model_of_the_same_shape(name):
    model = saved_models.MODELS[name](nnlite)
    model.optimizer.build(model.trainable_variables)
    model.load_weights(GOLDEN / f"{name}.keras")
    assert_close(model, name, name, 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_our_files_have_the_groups_of_keras(name, tmp_path):
    model = saved_models.MODELS[name](nnlite)
    saved_models.train(model, name)
    model.save(tmp_path / "ours.keras")
    assert _layout(_member(tmp_path / "ours.keras", "model.weights.h5")) == _layout(_member(GOLDEN / f"{name}.keras", "model.weights.h5"))


def test_our_weights_files_have_the_groups_of_keras(tmp_path):
    model = saved_models.subclassed(nnlite)
    model(saved_models.inputs_of("subclassed"))
    model.optimizer.build(model.trainable_variables)
    model.save_weights(tmp_path / "ours.weights.h5")
    ours, theirs = ((folder / name).read_bytes() for folder, name in ((tmp_path, "ours.weights.h5"), (GOLDEN, "subclassed.weights.h5")))
    assert _layout(ours) == _layout(theirs)


@pytest.mark.parametrize("name", NAMES)
def test_our_configs_say_what_those_of_keras_say(name, tmp_path):
    model = saved_models.MODELS[name](nnlite)
    saved_models.train(model, name)
    model.save(tmp_path / "ours.keras")
    ours, theirs = (_essence(json.loads(_member(path, "config.json"))) for path in (tmp_path / "ours.keras", GOLDEN / f"{name}.keras"))
    ours["compile_config"].pop("jit_compile"), theirs["compile_config"].pop("jit_compile")
    assert ours == theirs


def test_our_archives_have_the_members_of_keras(tmp_path):
    saved_models.mlp(nnlite).save(tmp_path / "ours.keras")
    with zipfile.ZipFile(tmp_path / "ours.keras") as ours, zipfile.ZipFile(GOLDEN / "mlp.keras") as theirs:
        assert ours.namelist() == theirs.namelist()
        assert set(json.loads(ours.read("metadata.json"))) == set(json.loads(theirs.read("metadata.json")))


def test_bfloat16_weights_are_kept_as_in_keras(tmp_path):
    class Half(nnlite.Layer):
        def build(self, input_shape):
            self.kernel = self.add_weight(
                shape=(2, 3), initializer=lambda shape, dtype: np.linspace(-2, 3, 6).reshape(shape), dtype="bfloat16", name="kernel"
            )

        def call(self, x):
            return x @ nnlite.ops.cast(self.kernel, "float32")

    model = nnlite.Sequential([nnlite.Input((2,)), Half()])
    model.save_weights(tmp_path / "half.weights.h5")
    with h5py.File(tmp_path / "half.weights.h5") as file:
        kernel = file["layers/half/vars/0"]
        assert (kernel.dtype, kernel.attrs["dtype"], kernel.shape) == (np.dtype("V2"), "bfloat16", (2, 3))
    before = [np.asarray(w) for w in model.get_weights()]
    model.set_weights([np.zeros_like(w) for w in before])
    model.load_weights(tmp_path / "half.weights.h5")
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


def _member(path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def _layout(data: bytes) -> dict:
    """Path -> shape, or the attributes of a group. Integers may be 32 or 64 bits wide: Keras's backends disagree."""
    found = {}
    with h5py.File(io.BytesIO(data)) as file:
        file.visititems(
            lambda name, item: found.update({name: (item.shape, item.dtype.kind) if isinstance(item, h5py.Dataset) else dict(item.attrs)})
        )
    return found


def _essence(value):
    """A config without what Keras writes and ignores: identities, empty entries, and what it has and we lack."""
    if isinstance(value, dict):
        kept = {key: _essence(item) for key, item in value.items() if key not in ("shared_object_id", "quantization_config")}
        if kept.get("class_name") == "Functional":
            kept.pop("build_config", None), kept.pop("registered_name", None)
        if kept.get("compile_config") == {}:
            del kept["compile_config"]
        if kept.get("kwargs") == {"mask": None}:
            kept["kwargs"] = {}
        return kept
    return [_essence(item) for item in value] if isinstance(value, list) else value
