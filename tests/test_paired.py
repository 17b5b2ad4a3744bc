"""Runs that were written to disk are compared film by film, and patient by patient."""

import csv
import logging
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.classification import evaluate
from pipelines.evaluation.delong import compare_aurocs
from pipelines.evaluation.figures import TITLES, classification_figures
from pipelines.evaluation.paired import PairedRun, compare_pairs, format_pairs
from pipelines.evaluation.prediction_table import prediction_row
from pipelines.evaluation.recorded import paired_run, read_films
from pipelines.files import write_csv, write_json
from pipelines.workflows.compare import compare

COUNT = 120


def cases_of(classes, strength, seed):
    labels = np.arange(COUNT) % len(classes)
    random = np.random.default_rng(seed)
    # What is hard in a film is so for every network: the first draws are those of the films.
    film = np.random.default_rng(0).normal(size=(COUNT, len(classes)))
    logits = strength * np.eye(len(classes))[labels] + film + 0.4 * random.normal(size=film.shape)
    names = [f"folder/{number:03d}.png" for number in range(COUNT)]
    groups = [f"patient-{number // 2}" for number in range(COUNT)]
    return Cases.of(names, groups, labels=labels, logits=logits, classes=classes)


def write_run(folder, cases, positive=()):
    point = choose_operating_point(cases, criterion="youden", positive_classes=positive)
    figures = evaluate(cases, point, split="test", resamples=20).figures
    metrics = {name: asdict(figure) for name, figure in figures.items()}
    told = {"split": "test", "n": COUNT, "positive_classes": positive, "metrics": metrics}
    write_json(folder / "metrics.json", told)
    rows = [
        prediction_row(record) | {"label": cases.classes[label]}
        for record, label in zip(
            point.classify(cases.filenames, cases.logits), cases.labels, strict=True
        )
    ]
    write_csv(folder / "predictions.csv", list(rows[0]), rows)
    items = [
        {"image": name, "label": int(label), "group": group}
        for name, label, group in zip(cases.filenames, cases.labels, cases.groups, strict=True)
    ]
    write_json(folder / "datalist.json", {"training": [], "validation": [], "test": items})
    return point


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    cases = [
        cases_of(("NORMAL", "PNEUMONIA"), strength, 1 + place)
        for place, strength in enumerate((1.0, 1.1, 2.5))
    ]
    points = [write_run(root / f"run{place}", each) for place, each in enumerate(cases)]
    comparison = compare([root / f"run{place}" for place in range(3)], root / "out")
    with (root / "out" / "comparison_pairs.csv").open(newline="", encoding="utf-8") as table:
        rows = {(r["run"], r["compared_with"], r["metric"]): r for r in csv.DictReader(table)}
    return cases, points, comparison, rows, root


def test_differences_are_those_of_the_figures(compared):
    cases, points, _, rows, _ = compared
    assert len(rows) == 3 * len(TITLES)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        aurocs = [roc_auc_score(cases[k].labels, cases[k].logits) for k in (one, other)]
        row = rows[f"run{other}", f"run{one}", "auroc"]
        assert float(row["difference"]) == pytest.approx(aurocs[1] - aurocs[0], abs=1e-6)
        right = [
            accuracy_score(cases[k].labels, points[k].decide(points[k].calibrate(cases[k].logits)))
            for k in (one, other)
        ]
        row = rows[f"run{other}", f"run{one}", "accuracy"]
        assert float(row["difference"]) == pytest.approx(right[1] - right[0], abs=1e-9)
        for name in TITLES:
            row = rows[f"run{other}", f"run{one}", name]
            assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])


def test_tests_respect_patients_and_say_so(compared):
    cases, _, _, rows, _ = compared
    truth = cases[0].labels == 1
    by_patient = compare_aurocs(truth, cases[0].logits, cases[2].logits, groups=cases[0].groups)
    row = rows["run2", "run0", "auroc"]
    assert float(row["p"]) == pytest.approx(by_patient.p, rel=1e-3)
    assert row["test"] == "DeLong after Obuchowski, by patient"
    assert float(row["ci_low"]) == pytest.approx(by_patient.low, abs=0.02)
    assert float(row["ci_high"]) == pytest.approx(by_patient.high, abs=0.02)
    assert rows["run2", "run0", "accuracy"]["test"].startswith("McNemar, ")
    assert rows["run2", "run0", "f1"]["p"] == ""
    # Three pairs: the smallest p counts three times, none falls below one before it.
    p = sorted((float(r["p"]), float(r["p_holm"])) for k, r in rows.items() if k[2] == "auroc")
    assert p[0][1] == pytest.approx(3 * p[0][0])
    assert p[1][1] == pytest.approx(max(p[0][1], 2 * p[1][0]))
    assert p[2][1] == pytest.approx(min(1, max(p[1][1], p[2][0])))


def test_paired_intervals_are_narrower_than_those_of_each_run(compared):
    cases, _, _, rows, _ = compared
    options = {"temperature": 1.0, "threshold": 0.5}
    widths = [
        (figure.high - figure.low)
        for figure in (classification_figures(each, **options)["auroc"] for each in cases[:2])
    ]
    row = rows["run1", "run0", "auroc"]
    assert float(row["ci_high"]) - float(row["ci_low"]) < 0.7 * np.hypot(*widths)


def test_table_tells_the_differences(compared):
    _, _, comparison, rows, root = compared
    text = (root / "out" / "comparison.txt").read_text("utf-8")
    assert comparison.table + "\n" == text
    lines = [line for line in text.splitlines() if line.startswith("run2 less run0: ")]
    difference = float(rows["run2", "run0", "auroc"]["difference"])
    assert len(lines) == 1
    assert f"AUROC {difference:+.3f} (" in lines[0]
    assert ": accuracy +" in lines[0]
    assert "patient-" not in text


def test_three_classes_with_positive_ones(tmp_path):
    classes = ("nv", "bkl", "mel")
    each = [cases_of(classes, strength, seed) for strength, seed in ((1.0, 1), (2.0, 2))]
    for place, cases in enumerate(each):
        write_run(tmp_path / f"run{place}", cases, positive=("mel",))
    pairs = {p.metric: p for p in compare([tmp_path / "run0", tmp_path / "run1"], tmp_path).pairs}
    truth = each[0].labels == 2
    want = [
        roc_auc_score(truth, np.exp(c.logits[:, 2]) / np.exp(c.logits).sum(axis=1)) for c in each
    ]
    assert pairs["auroc_positive"].difference.value == pytest.approx(want[1] - want[0], abs=0.02)
    assert pairs["auroc_positive"].p is not None
    assert pairs["auroc_bkl"].p is None
    assert pairs["auroc_bkl"].difference.low > -0.2


def test_anomalies_and_masks(tmp_path):
    random = np.random.default_rng(0)
    truth = np.arange(40) % 2
    for name, shift in (("one", 0.5), ("two", 2.0)):
        write_csv(
            tmp_path / name / "predictions.csv",
            ["filename", "label", "anomaly_score", "anomalous"],
            [
                {
                    "filename": f"{n:02d}.png",
                    "label": ("normal", "anomalous")[truth[n]],
                    "anomaly_score": (score := random.normal(shift * truth[n])),
                    "anomalous": str(bool(score > 1)).lower(),
                }
                for n in range(40)
            ],
        )
        write_csv(
            tmp_path / name / "masks" / "cases.csv",
            ["filename", "dice", "hd95_mm", "missed", "dice_Ulna"],
            [
                {
                    "filename": f"{n:02d}.png",
                    "dice": 0.5 + 0.1 * shift,
                    "hd95_mm": "" if n == 3 else n + shift,
                    "missed": 0,
                    "dice_Ulna": 0.1,
                }
                for n in range(40)
            ],
        )
    groups = [str(n // 2) for n in range(40)]
    for place, metrics in (("", "auroc"), ("masks", "dice")):
        films = [read_films(tmp_path / name / place) for name in ("one", "two")]
        runs = [
            paired_run(name, list(table.values()), {})
            for name, table in zip(("one", "two"), films, strict=True)
        ]
        found = {pair.metric: pair for pair in compare_pairs(runs, groups, resamples=200)}
        assert found[metrics].difference.value > 0
    assert set(found) == {"dice", "hd95_mm"}
    assert found["dice"].difference.value == pytest.approx(0.15)
    assert found["hd95_mm"].difference.value == pytest.approx(1.5)
    assert found["hd95_mm"].p is None


def test_many_pairs_are_cut_short_and_one_patient_has_no_interval():
    runs = [
        PairedRun(f"r{k}", lambda weights, k=k: {"dice": np.full(len(weights), float(k))})
        for k in range(8)
    ]
    pairs = compare_pairs(runs, ["p", "p"], resamples=3)
    assert {(each.difference.low, each.difference.high) for each in pairs} == {(None, None)}
    lines = format_pairs(pairs, shown={"dice": "Dice"}).splitlines()
    assert lines[-1] == "and 16 more pairs in comparison_pairs.csv"


def test_runs_whose_tables_cannot_be_read_are_compared_without_pairs(compared, tmp_path, caplog):
    for name in ("one", "two"):
        shutil.copytree(compared[-1] / "run0", tmp_path / name)
        text = (tmp_path / name / "predictions.csv").read_text("utf-8")
        (tmp_path / name / "predictions.csv").write_text(text.replace("prob_NORMAL", "of_NORMAL"))
    with caplog.at_level(logging.WARNING):
        comparison = compare([tmp_path / "one", tmp_path / "two"], tmp_path / "out")
    assert (len(comparison.runs), comparison.pairs) == (2, ())
    assert "not compared film by film" in caplog.text
    assert not (tmp_path / "out" / "comparison_pairs.csv").exists()
