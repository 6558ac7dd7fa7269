"""Preprocessing layers: values, vocabularies and configs of Keras; inside models; saved."""

from __future__ import annotations

import copy
import json
import pathlib
import sys

import nnlite
import numpy as np
import pytest

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
sys.path.insert(0, str(GOLDEN))
import preprocessing_cases as cases  # noqa: E402

EXPECTED = json.loads((GOLDEN / "preprocessing.json").read_text())
all_cases = pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)


def made(case):
    nnlite.utils.clear_session()
    layer = getattr(nnlite.layers, case.layer)(**case.arguments)
    if case.adapt is not None:
        layer.adapt(case.adapt)
    return layer


def check(result, expected):
    assert result.dtype == expected["dtype"]
    assert list(result.shape) == expected["shape"]
    np.testing.assert_allclose(result.numpy().reshape(-1), expected["values"], rtol=3e-6, atol=3e-7)


@all_cases
def test_values_are_those_of_keras(case):
    layer = made(case)
    for inputs, expected in zip(case.inputs, EXPECTED[case.name]["results"], strict=True):
        check(layer(inputs), expected)


@all_cases
def test_vocabulary_weights_and_config_are_those_of_keras(case):
    layer = made(case)
    expected = copy.deepcopy(EXPECTED[case.name])
    assert cases.vocabulary(layer) == expected["vocabulary"]
    if case.layer == "Discretization" and case.adapt is not None:
        np.testing.assert_allclose(layer.bin_boundaries, expected["config"].pop("bin_boundaries"), rtol=3e-6)
        config = layer.get_config()
        config.pop("bin_boundaries")
    else:
        config = layer.get_config()
    assert json.loads(json.dumps(config)) == expected["config"]
    for found, weight in zip(cases.state(layer), expected["weights"], strict=True):
        np.testing.assert_allclose(found, weight, rtol=1e-6)


@all_cases
def test_config_round_trip_gives_an_equal_layer(case):
    layer = made(case)
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    again = json.loads(json.dumps(twin.get_config()))
    if case.adapt is None or case.layer == "Discretization":
        assert again == config
        for inputs, expected in zip(case.inputs, EXPECTED[case.name]["results"]):
            check(twin(inputs), expected)
    else:
        config.pop("vocabulary_size", None), again.pop("vocabulary_size", None)
        assert again == config
