"""Damaged, foreign and hostile files: a clear error, nothing changed, no code run."""

from __future__ import annotations

import base64
import io
import json
import marshal
import random
import resource
import zipfile

import numpy as np
import pytest

import nnlite
from nnlite import layers

h5py = pytest.importorskip("h5py")


@pytest.fixture
def model():
    nnlite.utils.clear_session()
    model = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2), layers.Dense(1)], name="small")
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "m.keras")
    return tmp_path / "m.keras"


def members(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, **changes) -> None:
    """Replaces members of an archive (config=..., weights=..., metadata=...); None leaves one out."""
    names = {"config": "config.json", "weights": "model.weights.h5", "metadata": "metadata.json"}
    parts = {**members(path), **{names[key]: value for key, value in changes.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            if data is not None:
                archive.writestr(name, data)


def edit_config(path, edit) -> None:
    config = json.loads(members(path)["config.json"])
    edit(config)
    rewrite(path, config=json.dumps(config).encode())


def test_truncated(saved):
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(ValueError, match=r"m\.keras is not a readable \.keras file: .*damaged, or was not written completely"):
        nnlite.models.load_model(saved)


def test_flipped_byte(saved):
    data = bytearray(saved.read_bytes())
    data[data.index(b"model.weights.h5") + 2000] ^= 0xFF
    saved.write_bytes(data)
    with pytest.raises(ValueError, match="not a readable .keras file: Bad CRC-32"):
        nnlite.models.load_model(saved)


@pytest.mark.parametrize("member, name", [("config", "config.json"), ("weights", "model.weights.h5"), ("metadata", "metadata.json")])
def test_missing_member(saved, member, name):
    rewrite(saved, **{member: None})
    with pytest.raises(ValueError, match=f"m.keras lacks {name}: it is not a .keras file, or it is damaged"):
        nnlite.models.load_model(saved)


@pytest.mark.parametrize(
    "text, message",
    [
        (b"{", "config.json is not valid JSON"),
        (b"[]", "config.json must describe a model"),
        (b"\xff\xfe\xfd", "config.json is not valid JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "config.json is not valid JSON|config.json must describe"),
    ],
)
def test_broken_json(saved, text, message):
    rewrite(saved, config=text)
    with pytest.raises(ValueError, match=message):
        nnlite.models.load_model(saved)


def test_not_a_model(saved):
    rewrite(saved, config=json.dumps({"module": "keras.layers", "class_name": "Dense", "config": {"units": 2}, "registered_name": None}).encode())
    with pytest.raises(ValueError, match="config.json describes Dense, which is not a model"):
        nnlite.models.load_model(saved)


def test_unknown_class(saved):
    def edit(config):
        config["config"]["layers"][1].update(class_name="Mystery", module="somewhere.else", registered_name="pack>Mystery")

    edit_config(saved, edit)
    with pytest.raises(
        ValueError, match="Unknown class 'pack>Mystery' of module 'somewhere.else'.*register_keras_serializable or pass custom_objects"
    ):
        nnlite.models.load_model(saved)


def test_nothing_is_imported_because_a_file_says_so(saved):
    def edit(config):
        config["config"]["layers"][1].update(class_name="system", module="os", registered_name=None)

    edit_config(saved, edit)
    with pytest.raises(ValueError, match="Unknown class 'system' of module 'os'"):
        nnlite.models.load_model(saved)


@pytest.mark.parametrize("name", ["eval", "exec", "__import__", "load_model", "importlib"])
def test_builtins_and_modules_are_out_of_reach(saved, name):
    def edit(config):
        config["config"]["layers"][1]["config"]["activation"] = {
            "module": "builtins",
            "class_name": "function",
            "config": name,
            "registered_name": name,
        }

    edit_config(saved, edit)
    with pytest.raises(ValueError, match="Unknown function|names a function"):
        nnlite.models.load_model(saved)


@pytest.mark.parametrize("safe_mode", [True, False])
def test_lambdas_in_files_are_refused(saved, safe_mode):
    ran = []
    code = base64.b64encode(marshal.dumps((lambda x: ran.append(x) or x).__code__)).decode()
    function = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}

    def edit(config):
        config["config"]["layers"][1] = {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {"name": "l", "function": function},
            "registered_name": None,
        }

    edit_config(saved, edit)
    with pytest.raises(ValueError, match="holds Python code .a lambda., which nnlite never runs"):
        nnlite.models.load_model(saved, safe_mode=safe_mode)
    assert not ran


def test_lambdas_are_not_saved(tmp_path):
    model = nnlite.Sequential([nnlite.Input((3,)), layers.Lambda(lambda x: 2 * x)])
    with pytest.raises(ValueError, match="A lambda cannot be saved"):
        model.save(tmp_path / "m.keras")
    assert not list(tmp_path.iterdir())


def test_bad_arguments(saved):
    edit_config(saved, lambda config: config["config"]["layers"][1]["config"].update(units=-3))
    with pytest.raises(ValueError, match="units"):
        nnlite.models.load_model(saved)


def test_wrong_shapes_change_nothing(saved, model):
    other = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2), layers.Dense(4, name="head")])
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"Dense 'head' variable 'kernel' has shape \(2, 4\), but the file holds shape \(2, 1\).*skip_mismatch=True"):
        other.load_weights(saved)
    for old, new in zip(before, other.get_weights()):
        np.testing.assert_array_equal(old, new)


def test_other_number_of_layers(saved):
    other = nnlite.Sequential([nnlite.Input((3,)), layers.Dense(2), layers.Dense(1), layers.Dense(1, name="more")])
    with pytest.raises(ValueError, match="Dense 'more' has 2 variables, but the file holds 0 at 'layers/dense_2'"):
        other.load_weights(saved)


def test_weights_that_are_no_hdf5(saved, model, tmp_path):
    rewrite(saved, weights=b"not HDF5 at all")
    with pytest.raises(ValueError, match="m.keras does not hold readable HDF5 weights"):
        nnlite.models.load_model(saved)
    (tmp_path / "a.weights.h5").write_bytes(b"")
    with pytest.raises(ValueError, match="a.weights.h5 does not hold readable HDF5 weights"):
        model.load_weights(tmp_path / "a.weights.h5")


def test_weights_may_not_point_at_other_files(model, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones((3, 2), "float32")
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    before = model.get_weights()
    with pytest.raises(ValueError, match="points to another file|holds nothing|not hold readable"):
        model.load_weights(tmp_path / "m.weights.h5")
    (tmp_path / "raw.bin").write_bytes(b"\1" * 64)
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars"].create_dataset("0", (3, 2), "float32", external=[(str(tmp_path / "raw.bin"), 0, 24)])
    with pytest.raises(ValueError, match="points to another file"):
        model.load_weights(tmp_path / "m.weights.h5")
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_configs_raise_value_errors(saved, seed):
    """Random damage to the config: a ValueError, or a model that differs harmlessly."""
    pick = random.Random(seed)

    def spots(value):
        if isinstance(value, (dict, list)):
            for key in value if isinstance(value, dict) else range(len(value)):
                yield value, key
                yield from spots(value[key])

    def edit(config):
        holder, key = pick.choice(list(spots(config)))
        holder[key] = pick.choice([None, -1, 1e30, "", "x", [], {}, [[]], {"class_name": 3}, {"class_name": "Dense", "config": []}, True])

    edit_config(saved, edit)
    try:
        nnlite.models.load_model(saved)
    except ValueError as error:
        assert len(str(error)) > 10


@pytest.mark.parametrize("seed", range(20))
def test_damaged_weights_raise_value_errors(saved, seed):
    pick = random.Random(seed)
    data = bytearray(members(saved)["model.weights.h5"])
    for _ in range(20):
        data[pick.randrange(len(data))] = pick.randrange(256)
    rewrite(saved, weights=bytes(data))
    try:
        nnlite.models.load_model(saved)
    except ValueError as error:
        assert "m.keras" in str(error)


def test_names(model, tmp_path):
    with pytest.raises(ValueError, match=r'must end in "\.keras"; received .*Use .m\.keras'):
        model.save(tmp_path / "m.model")
    with pytest.raises(ValueError, match=r'needs a file name that ends in "\.weights\.h5".*Use .m\.weights\.h5'):
        model.save_weights(tmp_path / "m.h5")
    with pytest.raises(ValueError, match=r"Legacy \.h5 files are opened by real Keras"):
        (tmp_path / "m.h5").write_bytes(b"")
        nnlite.models.load_model(tmp_path / "m.h5")


def test_missing_files_and_folders(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model file .*none.keras"):
        nnlite.models.load_model(tmp_path / "none.keras")
    with pytest.raises(FileNotFoundError, match="There is no weights file .*none.weights.h5"):
        model.load_weights(tmp_path / "none.weights.h5")
    with pytest.raises(FileNotFoundError, match="The folder .*nowhere for m.keras does not exist; make it first"):
        model.save(tmp_path / "nowhere" / "m.keras")
    (tmp_path / "d.keras").mkdir()
    with pytest.raises(IsADirectoryError, match="d.keras is a folder"):
        model.save(tmp_path / "d.keras")


def test_existing_files(saved, model, tmp_path):
    with pytest.raises(FileExistsError, match="exists already; pass overwrite=True"):
        model.save(saved, overwrite=False)
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(FileExistsError, match="exists already; pass overwrite=True"):
        model.save_weights(tmp_path / "m.weights.h5", overwrite=False)


def test_not_built(tmp_path):
    model = nnlite.Sequential([layers.Dense(2)])
    with pytest.raises(ValueError, match="has none yet. Call build"):
        model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="has no weights to save yet"):
        model.save_weights(tmp_path / "m.weights.h5")


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_a_write_that_fails_keeps_the_old_file(model, tmp_path, name):
    """The limit on file sizes stands for a full disk: the system refuses to write past it."""
    path = tmp_path / name
    save = model.save if name.endswith(".keras") else model.save_weights
    save(path)
    old = path.read_bytes()
    model.layers[0].set_weights([np.ones((3, 2)), np.ones(2)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"could not be written \(File too large\). Any earlier file of that name is unchanged"):
            save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == old and [p.name for p in tmp_path.iterdir()] == [name]
    save(path)
    assert path.read_bytes() != old


def test_h5py_is_asked_for_by_name(saved, model, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match="needs h5py, which is not installed. Install it: pip install h5py"):
        nnlite.models.load_model(saved)


def test_config_objects_need_get_config():
    with pytest.raises(TypeError, match=r"must have get_config\(\), or be a plain value"):
        nnlite.saving.serialize_keras_object(io.StringIO())
    with pytest.raises(ValueError, match="A registered class needs get_config"):
        nnlite.saving.register_keras_serializable()(type("Plain", (), {}))
