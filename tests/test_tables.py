"""Every input stands in one table, once, whatever its name."""

import csv
import json
import os
from collections import Counter
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import Outcome, Reason, RunError
from pipelines.predictions import Classification, Refusal
from pipelines.results.tables import write_batch, write_classifications

CLASSES = ("NORMAL", "PNEUMONIA")
FACTS = {"bundle": "pneumonia_classification", "engine": "torch", "threshold": 0.4}


def predicted(filename, positive=0.75):
    k = int(positive >= 0.4)
    both = (1 - positive, positive)
    return Classification(filename, k, CLASSES[k], both[k], dict(zip(CLASSES, both, strict=True)))


def refused(filename, reason=Reason.TRUNCATED):
    return Refusal(filename, reason, "expected 10 bytes, got 5; copy the file again")


def write(folder, classifications, refusals, **facts):
    count = {"inputs": len(classifications) + len(refusals)}
    tables = partial(write_classifications, classes=CLASSES)
    write_batch(folder, classifications, refusals, tables=tables, summary=FACTS | count | facts)


def rows(path):
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


def test_tables_as_they_stand(tmp_path):
    write(
        tmp_path / "new",
        [predicted("b.dcm"), predicted("a/c.png", 0.123456789123)],
        [refused("z.dcm"), refused("notes.txt", Reason.NOT_AN_IMAGE), refused("y.dcm")],
    )
    assert (tmp_path / "new" / "predictions.csv").read_bytes() == (
        b"filename,predicted_class,predicted_label,confidence,prob_NORMAL,prob_PNEUMONIA,"
        b"out_of_distribution\n"
        b"a/c.png,0,NORMAL,0.876543211,0.876543211,0.123456789,\n"
        b"b.dcm,1,PNEUMONIA,0.75,0.25,0.75,\n"
    )
    assert (tmp_path / "new" / "failures.csv").read_text().splitlines()[:2] == [
        "filename,outcome,reason,message",
        'notes.txt,skipped,not_an_image,"expected 10 bytes, got 5; copy the file again"',
    ]
    records = json.loads((tmp_path / "new" / "predictions.json").read_text())
    assert records["classes"] == list(CLASSES)
    assert records["predictions"][1] == {
        "filename": "b.dcm",
        "predicted_class": 1,
        "predicted_label": "PNEUMONIA",
        "confidence": 0.75,
        "probabilities": {"NORMAL": 0.25, "PNEUMONIA": 0.75},
        "out_of_distribution": None,
        "guard_score": None,
        "region": None,
        "explanation_agreement": None,
    }
    summary = json.loads((tmp_path / "new" / "summary.json").read_text())
    assert summary == FACTS | {
        "inputs": 5,
        "predicted": 2,
        "skipped": 1,
        "failed": 2,
        "reasons": {"not_an_image": 1, "truncated": 2},
        "labels": {"NORMAL": 1, "PNEUMONIA": 1},
        "out_of_distribution": None,
    }


def test_order_is_that_of_names_then_frames(tmp_path):
    names = ["b.dcm#10", "a.dcm", "b.dcm#2", "b.dcm", "B.dcm", "a#x.dcm", "b.dcm#1"]
    write(tmp_path, [predicted(name) for name in names], [])
    got = [row["filename"] for row in rows(tmp_path / "predictions.csv")]
    want = ["B.dcm", "a#x.dcm", "a.dcm", "b.dcm", "b.dcm#1", "b.dcm#2", "b.dcm#10"]
    assert got == want


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_no_name_is_a_formula_and_each_still_finds_its_file(start, tmp_path):
    name = f"{start}HYPERLINK('x').png"
    (tmp_path / name).write_bytes(b"")
    write(tmp_path, [predicted(name)], [refused(f"{name}.txt")])
    got = rows(tmp_path / "predictions.csv")[0]["filename"]
    assert got[0] == "."
    assert (tmp_path / got).exists()
    assert rows(tmp_path / "failures.csv")[0]["filename"][0] == "."
    records = json.loads((tmp_path / "predictions.json").read_text())["predictions"]
    assert records[0]["filename"] == name


def test_a_name_that_is_no_utf8(tmp_path):
    name = os.fsdecode(b"r\xf6ntgen.png")
    write(tmp_path, [predicted(name)], [refused(name + ".txt"), refused("Röntgen 胸部.png")])
    assert rows(tmp_path / "predictions.csv")[0]["filename"] == r"r\udcf6ntgen.png"
    names = {row["filename"] for row in rows(tmp_path / "failures.csv")}
    assert names == {r"r\udcf6ntgen.png.txt", "Röntgen 胸部.png"}
    json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))


def test_a_name_with_control_characters_stays_in_its_row(tmp_path):
    write(tmp_path, [predicted("a\rb\n\tc\x1b[2J.png")], [])
    text = (tmp_path / "predictions.csv").read_bytes()
    assert text.splitlines()[1].startswith(rb"a\rb\n\tc\x1b[2J.png,1,")
    records = json.loads((tmp_path / "predictions.json").read_text())["predictions"]
    assert records[0]["filename"] == "a\rb\n\tc\x1b[2J.png"


def test_counts_that_do_not_add_up_are_refused(tmp_path):
    with pytest.raises(RunError, match="the 3 inputs, got 2"):
        write(tmp_path, [predicted("a")], [refused("b")], inputs=3)
    with pytest.raises(RunError, match="in one row, got 1 repeated"):
        write(tmp_path, [predicted("a")], [refused("a")])
    assert not list(tmp_path.iterdir())


def test_facts_do_not_overrule_counts(tmp_path):
    write(tmp_path, [predicted("a")], [], predicted=9)
    assert json.loads((tmp_path / "summary.json").read_text())["predicted"] == 1


def test_nothing_found(tmp_path):
    write(tmp_path, [], [])
    assert rows(tmp_path / "predictions.csv") == []
    assert json.loads((tmp_path / "summary.json").read_text())["inputs"] == 0


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.sampled_from([None, *Reason])),
        unique_by=lambda row: row[0],
        max_size=12,
    )
)
def test_any_names_and_reasons_add_up(tmp_path, inputs):
    write(
        tmp_path,
        [predicted(name) for name, reason in inputs if reason is None],
        [refused(name, reason) for name, reason in inputs if reason is not None],
    )
    summary = json.loads((tmp_path / "summary.json").read_text())
    good, bad = rows(tmp_path / "predictions.csv"), rows(tmp_path / "failures.csv")
    assert len(good) == summary["predicted"]
    assert Counter(row["outcome"] for row in bad) == +Counter(
        {outcome.value: summary[outcome.value] for outcome in Outcome}
    )
    assert summary["inputs"] == len(good) + len(bad) == len(inputs)
    assert sum(summary["reasons"].values()) == len(bad)
    assert not [row for row in good + bad if row["filename"].startswith(("=", "+", "-", "@"))]
