import csv

from PIL import Image

from pipelines.evaluation.comparison import (
    ComparedRun,
    compared_figures,
    format_comparison,
    write_comparison,
)
from pipelines.evaluation.figures import Figure


def run(name, value, *, figures=("accuracy", "npv", "ppv", "sensitivity", "f1", "auroc"), **facts):
    found = {figure: Figure(value, value - 0.01, value + 0.01) for figure in figures}
    return ComparedRun(name, "validation", 523, found, **facts)


RUNS = (
    run("densenet121 basic", 0.95, parameters=6_950_000, films_per_second=20.25),
    ComparedRun("resnet50", "validation", 523, {**run("", 0.9).figures, "auroc": Figure(None)}),
)


def test_classifiers_show_what_users_publish():
    assert list(compared_figures(RUNS).values()) == [
        "Accuracy",
        "Precision",
        "Recall",
        "F1",
        "AUROC",
    ]


def test_other_runs_show_the_figures_that_they_have_in_common():
    runs = [
        run("one", 0.9, figures=("dice", "hd95", "extra")),
        run("two", 0.8, figures=("dice", "hd95")),
    ]
    assert list(compared_figures(runs)) == ["dice", "hd95"]


def test_table_has_a_line_a_run_with_intervals():
    lines = format_comparison(RUNS).splitlines()
    assert lines[0] == "validation: 523 films; 95 % intervals"
    titles = ["Accuracy", "Precision", "Recall", "F1", "AUROC"]
    assert lines[1].split() == ["run", *titles, "parameters", "films/s"]
    assert lines[2].startswith("densenet121 basic  0.950 (0.940-0.960)")
    assert lines[2].endswith("6.95 M      20.2")
    assert lines[3].split()[-3:] == ["-", "-", "-"]


def test_csv_and_picture_are_written(tmp_path):
    write_comparison(tmp_path / "out", [*RUNS, run("=1+1", 0.8)])
    with (tmp_path / "out" / "comparison.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert [row["run"] for row in rows] == ["densenet121 basic", "resnet50", "'=1+1"]
    assert rows[0]["accuracy"] == "0.95"
    assert rows[0]["auroc_low"] == str(0.95 - 0.01)
    assert rows[0]["parameters"] == "6950000"
    assert rows[1]["auroc"] == rows[1]["films_per_second"] == ""
    with Image.open(tmp_path / "out" / "comparison.png") as picture:
        assert picture.width > picture.height
