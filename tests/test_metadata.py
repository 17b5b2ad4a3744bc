"""Metadata is held against the rules of MONAI's schema and of its model zoo."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_bundle import METADATA

from pipelines.workflows.merging import set_value, walk
from pipelines.workflows.metadata import check_metadata


def said(metadata):
    return {each.place: each.message for each in check_metadata(metadata)}


def test_right_metadata():
    assert said(METADATA) == {}


REQUIRED = [name for name in METADATA if name != "changelog"]


@pytest.mark.parametrize("name", REQUIRED)
def test_missing_and_misspelt_fields(name):
    metadata = {key: value for key, value in METADATA.items() if key != name}
    assert said(metadata) == {"": f"the required field '{name}' is missing"}
    wrong = name[:-1] + name[-1] * 2
    (place,) = said({**metadata, wrong: METADATA[name]})
    assert place == wrong


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("version", "1.0", "three numbers"),
        ("version", 1, "a string"),
        ("changelog", {}, "no entry"),
        ("references", "one", "a list of strings"),
        ("supported_apps", [], "an object"),
        ("network_data_format::inputs::image::num_channels", True, "a whole number"),
        ("network_data_format::inputs::image::spatial_shape", [1.5], "whole numbers and strings"),
        ("network_data_format::inputs::image::value_range", ["0"], "a list of numbers"),
        ("network_data_format::inputs::image::is_patch_data", "no", "true or false"),
        ("network_data_format::outputs::mask", [1], "a tensor"),
    ],
)
def test_wrong_values(place, value, expected):
    metadata = copy.deepcopy(METADATA)
    set_value(metadata, place, value)
    assert any(expected in message for message in said(metadata).values())


def test_tensors_that_the_shape_check_looks_for():
    metadata = copy.deepcopy(METADATA)
    tensors = metadata["network_data_format"]["outputs"]
    tensors["prediction"] = tensors.pop("pred")
    assert said(metadata) == {"network_data_format::outputs": "MONAI checks the tensor 'pred' here"}


@given(
    place=st.sampled_from([place for place, _ in walk(METADATA)]),
    value=st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.none()),
)
def test_any_value_gets_an_answer(place, value):
    metadata = copy.deepcopy(METADATA)
    set_value(metadata, place, value)
    for each in check_metadata(metadata):
        assert len(each.message.splitlines()) == 1
