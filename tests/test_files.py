import csv
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.files import (
    sha256,
    whole_file,
    write_csv,
    write_json,
    write_json_with_list,
    write_text,
)


def test_failed_write_leaves_the_old_content_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")

    def fail():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the error raised above
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_parents_are_made_and_unicode_is_kept(tmp_path):
    path = tmp_path / "a" / "b" / "ü.json"
    write_json(path, {"Größe": [1, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"Größe": [1, None]}


def test_json_without_numbers_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "x.json", {"auroc": float("nan")})
    assert not list(tmp_path.iterdir())


def test_table_is_read_back(tmp_path):
    rows = [{"a": "1,5", "b": 'quote " and\nline'}, {"a": "", "b": "x"}]
    write_csv(tmp_path / "t.csv", ["a", "b"], rows)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as table:
        assert list(csv.DictReader(table)) == rows
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_csv(tmp_path / "t.csv", ["a"], [{"z": 1}])


def test_digest_of_a_known_text(tmp_path):
    write_text(tmp_path / "abc", "abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


@given(
    st.dictionaries(st.text(max_size=4), st.integers() | st.lists(st.text()), min_size=1),
    st.lists(
        st.recursive(
            st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
        ),
        max_size=4,
    ),
)
def test_an_object_with_a_list_is_written_as_if_at_once(value, members):
    with TemporaryDirectory() as folder:
        one, other = Path(folder, "one.json"), Path(folder, "other.json")
        value.pop("members", None)
        value["first"] = 1
        write_json_with_list(one, value, "members", iter(members))
        write_json(other, {**value, "members": members})
        assert one.read_bytes() == other.read_bytes()
