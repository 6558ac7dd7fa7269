"""Vocabularies and statistics of preprocessing layers in files, and copies of models that hold them."""

from __future__ import annotations

import copy
import pathlib
import sys
import zipfile

import nnlite
import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "golden"))
import vocabulary_model  # noqa: E402

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def fresh_names():
    nnlite.utils.clear_session()


def test_a_file_of_keras_predicts_the_same():
    model = nnlite.models.load_model(GOLDEN / "vocabulary.keras")
    expected = np.load(GOLDEN / "vocabulary.npy")
    np.testing.assert_allclose(model.predict(vocabulary_model.DATA, verbose=0), expected, rtol=1e-5, atol=1e-6)


def test_our_files_have_the_members_of_keras(tmp_path):
    model = vocabulary_model.make(nnlite)
    model.save(tmp_path / "model.keras")
    ours, theirs = zipfile.ZipFile(tmp_path / "model.keras"), zipfile.ZipFile(GOLDEN / "vocabulary.keras")
    assert sorted(ours.namelist()) == sorted(theirs.namelist())
    for name in ours.namelist():
        if name.startswith("assets/"):
            assert ours.read(name) == theirs.read(name)


def test_round_trip_of_files_and_copies(tmp_path):
    model = vocabulary_model.make(nnlite)
    expected = model.predict(vocabulary_model.DATA, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = nnlite.models.load_model(tmp_path / "model.keras")
    copied = copy.deepcopy(model)
    for again in (loaded, copied):
        np.testing.assert_array_equal(again.predict(vocabulary_model.DATA, verbose=0), expected)
    copied.set_weights([np.zeros(w.shape, w.dtype) for w in copied.weights])
    copied.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(copied.predict(vocabulary_model.DATA, verbose=0), expected)


def test_damaged_vocabularies_are_named(tmp_path):
    model = vocabulary_model.make(nnlite)
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as whole, zipfile.ZipFile(tmp_path / "bad.keras", "w") as bad:
        for name in whole.namelist():
            bad.writestr(name, b"no number" if "integer_lookup" in name else whole.read(name))
        bad.writestr("assets/layers/integer_lookup/../../outside.txt", b"x")
    with pytest.raises(ValueError, match=r"bad.keras: IntegerLookup .* cannot read .*vocabulary.txt.* damaged"):
        nnlite.models.load_model(tmp_path / "bad.keras")
    assert not (tmp_path / "outside.txt").exists()
