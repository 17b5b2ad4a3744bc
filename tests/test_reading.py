"""Configuration files are read with their lines, and what JSON and YAML do in silence is said."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.workflows import reading
from pipelines.workflows.merging import walk
from pipelines.workflows.reading import Document, read_document

names = st.text(max_size=4).filter(lambda name: not {"#", "+", ":"} & {*name})
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(
    content=st.dictionaries(names.filter(bool), values, max_size=4), indent=st.none() | st.just(2)
)
def test_every_key_has_its_line(content, indent):
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    document = Document("x.json")
    reading._find_json_lines(text, document)
    assert document.problems == []
    lines = text.split("\n")
    for place, _ in walk(content):
        last = place.rpartition("::")[2]
        line = document.line_of(place)
        assert line is not None
        if place in document.lines and not last.isdigit():
            assert json.dumps(last, ensure_ascii=False) in lines[line - 1]


def read(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return read_document(path, name)


def test_json_keys_given_twice(tmp_path):
    document = read(
        tmp_path, "a.json", '{\n "a": {"x": 1,\n "x": 2},\n "b": [{"x": 1}, {"x": 1}]\n}'
    )
    (problem,) = document.problems
    assert (problem.place, problem.line) == ("a::x", 3)


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ('{\n"a": 1\n"b": 2}', "no valid JSON: Expecting ',' delimiter", 3),
        ("[1]", "expected an object with keys, got list", None),
        ("", "no valid JSON", 1),
    ],
)
def test_json_that_is_none(tmp_path, text, said, line):
    (problem,) = read(tmp_path, "a.json", text).problems
    assert said in problem.message
    assert problem.line == line


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1e-4", "write 1.0e-4"),
        ("1E5", "write 1.0e+5"),
        ("1.5e3", "write 1.5e+3"),
        ("010", "octal number 8"),
        ("no", "as false"),
        ("Yes", "as true"),
        ("off", "as false"),
        ("1:30", "base 60"),
    ],
)
def test_yaml_traps(tmp_path, written, said):
    document = read(tmp_path, "a.yaml", f"first: 1\nlist:\n  - x: {written}\n")
    (problem,) = document.problems
    assert (problem.place, problem.line) == ("list::0::x", 3)
    assert said in problem.message


@pytest.mark.parametrize(
    "written", ["1.0e-4", "10", "0", "0.5", "'no'", '"1e-4"', "true", "name", "08"]
)
def test_yaml_that_is_fine(tmp_path, written):
    assert read(tmp_path, "a.yaml", f"x: {written}\n").problems == []


def test_yaml_merge_keys_and_twice_given_keys(tmp_path):
    document = read(tmp_path, "a.yaml", "base: &b {x: 1}\nother:\n  <<: *b\n  y: 1\n  y: 2\n")
    assert [(each.place, each.line) for each in document.problems] == [
        ("other", 3),
        ("other::y", 5),
    ]


def test_yaml_that_is_none(tmp_path):
    (problem,) = read(tmp_path, "a.yaml", "a: [1\nb: 2\n").problems
    assert "no valid YAML" in problem.message
    assert problem.line in {2, 3}


def test_empty_yaml_is_an_empty_overlay(tmp_path):
    document = read(tmp_path, "a.yaml", "# nothing\n")
    assert (document.content, document.problems) == ({}, [])


def test_file_that_is_no_text(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    (problem,) = read_document(tmp_path / "a.json", "a.json").problems
    assert "UTF-8" in problem.message


@pytest.mark.parametrize("levels", [150, 100_000])
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_nesting_beyond_any_use_is_a_problem(tmp_path, name, levels):
    deep = "[" * levels + "]" * levels if name == "a.json" or levels < 1000 else "[" * levels
    document = read(tmp_path, name, '{"a": ' + deep + "}")
    (problem,) = document.problems
    assert "at most 100 levels" in problem.message
    assert document.content == {}


def test_a_yaml_file_that_holds_itself_or_more_than_memory_is_a_problem(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x]"]
    for one, next_one in pairwise("abcdefgh"):
        lines.append(f"{next_one}: &{next_one} [{', '.join([f'*{one}'] * 8)}]")
    for text in ("\n".join(lines), "a: &a [*a]", "a: &a\n  b: *a\n"):
        document = read(tmp_path, "a.yaml", text)
        (problem,) = document.problems
        assert "at most 100000 values, aliases counted" in problem.message
        assert document.content == {}


@pytest.mark.parametrize(
    "value",
    ["!!int x", "!!float x", "!!bool x", "!!timestamp x", "2020-99-99", "!!python/name:os.x", "\a"],
)
def test_values_that_yaml_cannot_make_are_a_problem(tmp_path, value):
    problems = read(tmp_path, "a.yaml", f"a: {value}\n").problems
    assert "no valid YAML" in problems[-1].message


def test_many_keys_take_no_longer_each(tmp_path):
    content = {f"k{number}": number for number in range(30_000)}
    document = read(tmp_path, "a.json", json.dumps(content))
    assert document.problems == []
    assert document.content == content
