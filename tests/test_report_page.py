"""What a report holds, whatever its folder holds."""

import base64
import io
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_fixture import HOSTILE, write_classification, write_prediction

from pipelines.evaluation.drawing import save_sheet
from pipelines.files import write_csv
from pipelines.reports.cases import State, read_cases
from pipelines.reports.markup import data_block, element
from pipelines.reports.page import draw_report, page
from pipelines.reports.pictures import gather
from pipelines.reports.sources import Sources
from pipelines.reports.thumbnails import ThumbnailFile


def data_of(text, name="table-data"):
    block = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    return json.loads(block[1])


@given(st.text())
def test_no_text_breaks_out_of_a_page(text):
    block = str(data_block("table-data", {"name": [text]}))
    assert block.count("<") == 2
    assert data_of(block) == {"name": [text]}
    assert str(element("p", text, title=text)).count("<") == 2
    element("p", text).encode("utf-8")


def test_what_is_no_number_becomes_null():
    assert data_of(
        str(data_block("table-data", {"a": float("nan"), "b": (1.5, float("inf"))}))
    ) == {
        "a": None,
        "b": [1.5, None],
    }


def test_an_empty_folder_has_a_page_and_broken_files_are_left_out(tmp_path):
    (tmp_path / "metrics.json").write_text("[1, 2]", "utf-8")
    (tmp_path / "data_card.json").write_text("{broken", "utf-8")
    (tmp_path / "subgroups.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "roc.png").mkdir()
    text = page(tmp_path, title="none", kind="evaluation")
    assert data_of(text)["rows"] == []
    assert "Research only" in text


def test_rows_are_those_of_the_tables_and_failures_come_first(tmp_path):
    write_prediction(tmp_path, count=30)
    found = read_cases(Sources(tmp_path)).cases
    assert len(found) == 33
    assert [case.state for case in found[:2]] == [State.FAILED, State.FAILED]
    assert found[-1].state is State.SKIPPED
    assert [case.flagged for case in found[2:6]] == [True, True, True, False]
    doubts = [case.values["confidence"] for case in found[5:-1]]
    assert doubts == sorted(doubts)
    text = page(tmp_path, title="tiny", kind="prediction")
    data = data_of(text)
    place = {column["key"]: index for index, column in enumerate(data["columns"])}
    assert {len(row) for row in data["rows"]} == {len(place)}
    assert data["rows"][0][place["reason"]] == "truncated"
    assert ["flagged", "Unlike training films"] in data["states"]


def test_names_stay_text(tmp_path):
    write_prediction(tmp_path, count=3, names=HOSTILE)
    text = page(tmp_path, title="{{data}} <i>", kind="prediction")
    assert "<i>" not in text
    assert "window.broken = 1</script>" not in text
    names = {row[1] for row in data_of(text)["rows"]}
    assert set(HOSTILE) <= names


def test_the_policy_allows_this_script_and_nothing_else(tmp_path):
    text = page(tmp_path, title="tiny", kind="prediction")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    assert len(re.findall(r"'sha256-[\w+/=]{44}'", policy)) == 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert " style=" not in text


def test_pictures_are_taken_up_until_there_is_no_room(tmp_path):
    write_prediction(tmp_path, count=8)
    cases = read_cases(Sources(tmp_path)).cases
    noise = np.random.default_rng(0).integers(0, 255, (60, 110, 3), np.uint8)
    for number in range(8):
        panels = [(0, 0, 50, 60), (60, 0, 110, 60)]
        path = tmp_path / "explanations" / "films" / f"{number:03d}.dcm.png"
        save_sheet(path, Image.fromarray(noise), panels)
    everything = gather(Sources(tmp_path), cases)
    assert everything.found == len(everything.large) == 8
    strip = Image.open(io.BytesIO(base64.b64decode(next(iter(everything.strips.values())))))
    assert strip.size == (164, 96), "both panels side by side, 80 pixels wide each"
    room = 3 * len(next(iter(everything.large.values())))
    some = gather(Sources(tmp_path), cases, most_bytes=room)
    assert 0 < len(some.large) < 8
    assert list(some.large) == list(everything.large)[: len(some.large)], "the first ones"

    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"explanations": None}), "utf-8")
    assert gather(Sources(tmp_path), cases).found == 0, "they are of an earlier prediction"


def test_no_picture_outside_of_the_folder_is_taken(tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(secret)
    write_prediction(tmp_path / "out", count=1, names=["../../secret"])
    (tmp_path / "out" / "explanations").mkdir()
    sources = Sources(tmp_path / "out")
    assert gather(sources, read_cases(sources).cases).found == 0


def test_thumbnails_outlive_a_process_that_was_killed(tmp_path):
    film = np.random.default_rng(0).random((1, 32, 32), np.float32)
    kept = ThumbnailFile(tmp_path)
    kept.add("=one.png", film, size=(100, 50))
    kept.add("two.png", np.repeat(film, 3, axis=0))
    with (tmp_path / ".thumbnails.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"filename": "thr')
    found = ThumbnailFile(tmp_path).read()
    assert set(found) == {"./=one.png", "two.png"}
    with Image.open(io.BytesIO(base64.b64decode(found["./=one.png"]))) as picture:
        assert picture.size == (48, 96)
    assert ThumbnailFile(tmp_path, anew=True).read() == {}


def test_a_report_that_cannot_be_drawn_costs_nothing(tmp_path, caplog):
    (tmp_path / "report.html").mkdir()
    assert draw_report(tmp_path, title="tiny", kind="prediction") is None
    assert "report.html" in caplog.text


@pytest.mark.parametrize(
    ("cells", "shown"),
    [
        ({"auroc": "0.91234", "auroc_ci_low": "0.85", "auroc_ci_high": "0.95"}, "0.912"),
        ({"value": "0.91234", "ci_low": "0.85", "ci_high": "0.95"}, "0.912"),
    ],
)
def test_tables_of_others_join_a_figure_and_its_interval(tmp_path, cells, shown):
    write_csv(tmp_path / "subgroups.csv", ["group", *cells], [{"group": "<a>", **cells}])
    text = page(tmp_path, title="tiny", kind="evaluation")
    assert "&lt;a&gt;" in text
    assert f'{shown}<span class="interval"> (0.850 to 0.950)</span>' in text


def test_a_data_card_of_any_shape_is_laid_out(tmp_path):
    card = {
        "name": "chest",
        "splits": {"train": {"films": 10, "patients": 5}, "val": {"films": 2, "patients": 1}},
        "classes": [{"name": "NORMAL", "films": 7}, {"name": "<b>", "films": 5}],
        "deep": {"a": {"b": {"c": 1.23456}}},
    }
    (tmp_path / "data_card.json").write_text(json.dumps(card), "utf-8")
    text = page(tmp_path, title="tiny", kind="evaluation")
    assert '<td class="number">10</td>' in text
    assert "&lt;b&gt;" in text
    assert "1.235" in text


def test_an_evaluation_has_figures_curves_and_names_that_are_its_own(tmp_path):
    write_classification(tmp_path)
    text = page(tmp_path, title="tiny", kind="evaluation")
    names = re.findall(r' id="([^"]*)"', text)
    assert len(set(names)) == len(names)
    assert {"figures", "plots", "cases", "data-card", "table-data"} <= set(names)
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))["metrics"]["auroc"]
    assert f"{metrics['low']:.3f} to {metrics['high']:.3f}" in text
    assert text.count("data:image/png") >= 4
    assert text.count("</circle>") == text.count("<circle ") > 8, "SVG is closed by tags"
    wrong = sum(row[2] == "wrong" for row in data_of(text)["rows"])
    assert wrong
    assert {row[2] for row in data_of(text)["rows"][:wrong]} == {"wrong"}


@pytest.mark.parametrize("name", ["subgroups", "robustness", "cross_validation"])
def test_a_row_a_figure_becomes_a_column_a_figure(tmp_path, name):
    rows = [
        {"part": part, "films": 9, "metric": metric, "value": 0.5, "ci_low": 0.25, "ci_high": 0.75}
        for part in ("a", "b")
        for metric in ("auroc", "f1")
    ]
    write_csv(tmp_path / f"{name}.csv", list(rows[0]), rows)
    Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    text = page(tmp_path, title="tiny", kind="evaluation")
    shown = re.search(rf'<section id="{name}".*?</section>', text, re.S)[0]
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", shown)
    assert heads == ["Part", "Films", "AUROC", "F1", "a", "b"]
    assert shown.count("0.500") == 4
    assert shown.count("data:image/png") == text.count("data:image/png") == 1
