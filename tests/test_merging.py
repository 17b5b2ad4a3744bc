"""Merging follows MONAI: the same files give the same configuration."""

import json
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.workflows.merging import (
    exists,
    first_missing,
    look_up,
    merge_key,
    nearest_id,
    set_value,
    walk,
)

names = st.sampled_from(["a", "b", "c"])
leaves = st.integers(0, 9) | st.text("xyz", max_size=2) | st.none()
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)
bases = st.dictionaries(names, values, max_size=3)
keys = st.builds(
    lambda plus, parts, separator: plus + separator.join(parts),
    st.sampled_from(["", "", "+"]),
    st.lists(names | st.sampled_from(["0", "1"]), min_size=1, max_size=3),
    st.sampled_from(["::", "#"]),
)
overlays = st.dictionaries(keys, values, max_size=3)


def merged_by_us(contents, overrides=None):
    """Merge as the static check does: file after file, then what the command line sets."""
    config = {}
    for content in contents:
        for key, value in content.items():
            merge_key(config, key, value)
    for key, value in (overrides or {}).items():
        set_value(config, key, value)
    return config


def write(folder, contents):
    paths = []
    for index, content in enumerate(contents):
        paths.append(folder / f"{index}.json")
        paths[-1].write_text(json.dumps(content))
    return paths


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(base=bases, overlay=overlays)
def test_same_as_monai(tmp_path, base, overlay):
    from monai.bundle import ConfigParser

    files = write(tmp_path, [base, overlay])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns where `+` meets nothing
        try:
            expected = ConfigParser.load_config_files(list(map(str, files)))
        except (KeyError, ValueError, IndexError, TypeError, AttributeError):
            with pytest.raises(ConfigurationError):
                merged_by_us([base, overlay])
            return
    assert merged_by_us([base, overlay]) == expected


def test_overrides_come_last():
    contents = [{"a": {"b": [1, 2]}}, {"a::b::0": 5}]
    assert merged_by_us(contents, {"a#b#1": {"c": 3}}) == {"a": {"b": [5, {"c": 3}]}}


def test_merging_leaves_the_overrides_alone():
    given_value = {"x": 1}
    merged = merged_by_us([{"a": 1}], {"a": given_value})
    set_value(merged, "a::x", 2)
    assert given_value == {"x": 1}


@given(base=bases)
def test_every_place_that_is_walked_exists(base):
    for place, value in walk(base):
        assert exists(base, place)
        assert look_up(base, place) == value
        assert first_missing(base, place) is None
        assert nearest_id(base, place) == place


@given(base=bases, key=keys)
def test_the_first_missing_part_is_the_outermost(base, key):
    missing = first_missing(base, key)
    assert (missing is None) == exists(base, key)
    if missing is not None:
        parent = missing.rpartition("::")[0]
        assert not parent or exists(base, parent)


def test_nearest_id():
    config = {"train": {"trainer": {"max_epochs": 1}}, "dataset_dir": ""}
    assert nearest_id(config, "train::trainr::max_epoch") == "train::trainer::max_epochs"
    assert nearest_id(config, "max_epochs") == "train::trainer::max_epochs"
    assert nearest_id(config, "datasetdir") == "dataset_dir"
    assert nearest_id(config, "qqq") is None


@pytest.mark.parametrize("index", ["²", "٣", "9" * 5000, "-1", "3", ""])
def test_what_is_no_index_finds_nothing_in_a_list(index):
    config = {"a": [1, 2, 3]}
    key = f"a::{index}"
    assert look_up(config, key) is None
    assert not exists(config, key)
    with pytest.raises(ConfigurationError, match="nothing to set"):
        set_value(config, key, 0)
    assert config == {"a": [1, 2, 3]}
