"""The journal: what was written is found again, wherever the process was killed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.journal import (
    INPUT_FOLDER,
    JOURNAL_NAME,
    PACKAGE,
    Entry,
    Journal,
    Stamp,
    is_output,
)
from pipelines.ingest.collect import Item
from pipelines.predictions import Classification, Refusal

SHAPE = {"weights": "abc", "bundle": "chest 1.0"}


def entry(number: int, *, frame: int = 0, reason: Reason | None = None) -> Entry:
    name = f"ünï/film {number}.dcm"
    record: Classification | Refusal
    if reason:
        record = Refusal(name, reason, "expected a film, got none; send it again")
    else:
        record = Classification(name, 1, "PNEUMONIA", 1 / 3, {"NORMAL": 2 / 3, "PNEUMONIA": 1 / 3})
    return Entry(frame, Stamp(100 + number, 10**18 + number), record)


def found(journal: Journal, wanted: Entry) -> object:
    item = Item(Path("/anywhere"), wanted.record.filename, wanted.frame)
    return journal.find(item, wanted.stamp)


def test_what_was_added_is_found_by_the_next_process(tmp_path):
    entries = [entry(0), entry(1, reason=Reason.TRUNCATED), entry(2, frame=3)]
    journal = Journal(tmp_path / "j", SHAPE)
    journal.add(entries[:1])
    journal.add(entries[1:])
    again = Journal(tmp_path / "j", SHAPE)
    assert [found(again, each) for each in entries] == [each.record for each in entries]
    assert again.changed == ()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_cut_anywhere_it_gives_the_whole_lines_before_the_cut(tmp_path, data):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    entries = [entry(n) for n in range(5)]
    Journal(path, SHAPE).add(entries)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = max(0, content[:cut].count(b"\n") - 1)
    again = Journal(path, SHAPE)
    expected = [each.record for each in entries[:whole]] + [None] * (5 - whole)
    assert [found(again, each) for each in entries] == expected
    # What is added after the repair is not glued to an unfinished line.
    again.add(entries[whole:])
    last = Journal(path, SHAPE)
    assert [found(last, each) for each in entries] == [each.record for each in entries]


def test_a_damaged_line_costs_one_entry(tmp_path):
    path = tmp_path / "j"
    Journal(path, SHAPE).add([entry(n) for n in range(3)])
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[2] = '{"filename": "x"}\n'
    path.write_text("".join(lines), "utf-8")
    again = Journal(path, SHAPE)
    assert [found(again, entry(n)) is None for n in range(3)] == [False, True, False]


@pytest.mark.parametrize("change", [{"size": 1}, {"mtime_ns": 1}])
def test_a_changed_file_is_new(tmp_path, change):
    Journal(tmp_path / "j", SHAPE).add([entry(0)])
    changed = replace(entry(0), stamp=replace(entry(0).stamp, **change))
    assert found(Journal(tmp_path / "j", SHAPE), changed) is None


def test_another_fingerprint_begins_anew_and_says_what_changed(tmp_path):
    Journal(tmp_path / "j", SHAPE).add([entry(0)])
    journal = Journal(tmp_path / "j", SHAPE | {"weights": "def"})
    assert journal.changed == ("weights",)
    assert found(journal, entry(0)) is None
    assert found(Journal(tmp_path / "j", SHAPE), entry(0)) is None, "the old entries are gone"


def test_restart_forgets(tmp_path):
    Journal(tmp_path / "j", SHAPE).add([entry(0)])
    assert found(Journal(tmp_path / "j", SHAPE, restart=True), entry(0)) is None


def test_what_the_machine_was_to_blame_for_is_tried_again(tmp_path):
    missing, cut = entry(0, reason=Reason.DECODER_MISSING), entry(1, reason=Reason.TRUNCATED)
    Journal(tmp_path / "j", SHAPE).add([missing, cut])
    again = Journal(tmp_path / "j", SHAPE)
    assert found(again, missing) is None
    assert found(again, cut) == cut.record


def test_the_journal_stays_readable_json_lines(tmp_path):
    Journal(tmp_path / "j", SHAPE).add([entry(0)])
    lines = (tmp_path / "j").read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert '"weights": "abc"' in lines[0]
    assert '"size": 100' in lines[1]


def test_another_input_folder_is_refused_and_the_journal_stays(tmp_path):
    shape = SHAPE | {INPUT_FOLDER: "abc"}
    Journal(tmp_path / "j", shape).add([entry(0)])
    before = (tmp_path / "j").read_bytes()
    other = shape | {INPUT_FOLDER: "def", "weights": "def"}
    with pytest.raises(ConfigurationError, match=r"another OUTPUT, or .* --restart"):
        Journal(tmp_path / "j", other)
    assert (tmp_path / "j").read_bytes() == before
    assert Journal(tmp_path / "j", other, restart=True).changed == ()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"plainfilm": "1.0.0"}\n{"filename', True),
        (b'{"tool": "other"}\n', False),
        (b'["plainfilm"]\n', False),
        (b"\xff\x00", False),
        (b"", False),
    ],
)
def test_an_output_is_known_by_its_journal(tmp_path, content, expected):
    assert not is_output(tmp_path)
    (tmp_path / JOURNAL_NAME).write_bytes(content)
    assert is_output(tmp_path) is expected


def test_a_journal_that_cannot_be_read_makes_no_output(tmp_path):
    (tmp_path / JOURNAL_NAME).mkdir()
    assert not is_output(tmp_path)


def test_a_journal_of_ours_makes_an_output(tmp_path):
    Journal(tmp_path / JOURNAL_NAME, SHAPE | {PACKAGE: "1.0.0"})
    assert is_output(tmp_path)
