"""Subgroups: the figures of a part are those of its films alone."""

import csv

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import recall_score, roc_auc_score

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.choice import choose_operating_point
from pipelines.evaluation.figures import TITLES, Figure
from pipelines.evaluation.report_files import write_evaluation
from pipelines.evaluation.subgroups import measure_subgroups, write_subgroups
from pipelines.evaluation.trained_on import SplitFacts

COUNT = 160


def rows(path):
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


@pytest.fixture(scope="module", params=[2, 3])
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("subgroups")
    random = np.random.default_rng(0)
    labels = np.arange(COUNT) % request.param
    sex = random.choice(["F", "M", "not stated"], COUNT, p=[0.5, 0.4, 0.1])
    strength = np.where(sex == "F", 2.0, 0.3)
    if request.param == 2:
        classes, positive = ("NORMAL", "PNEUMONIA"), ()
        logits = 2 * strength * (labels - 0.5) + random.normal(0, 1, COUNT)
    else:
        classes, positive = ("nv", "bkl", "mel"), ("mel",)
        logits = strength[:, None] * np.eye(3)[labels] + random.normal(0, 1, (COUNT, 3))
    names = [f"CANARY{number // 2}" for number in range(COUNT)]
    cases = Cases.of(
        [f"{n}.png" for n in range(COUNT)], names, labels=labels, logits=logits, classes=classes
    )
    point = choose_operating_point(cases, criterion="youden", positive_classes=positive)
    ages = random.choice(["80+", "2-11", "18-39"], COUNT)
    columns = {"age": ages.tolist(), "sex": sex.tolist()}
    evaluation = write_evaluation(folder, cases, point, split="test", facts=SplitFacts(columns))
    return folder, cases, point, evaluation, sex


def test_each_part_has_the_figures_of_its_films(written):
    folder, cases, point, evaluation, sex = written
    suffix = "" if len(cases.classes) == 2 else "_positive"
    table = {(r["column"], r["subgroup"], r["metric"]): r for r in rows(folder / "subgroups.csv")}
    truth = np.isin(cases.labels, point.positive)
    calibrated = point.calibrate(cases.logits)
    called = np.isin(point.decide(calibrated), point.positive)
    score = calibrated[:, list(point.positive)].sum(axis=1)
    for name in ("F", "M"):
        part = sex == name
        auroc = table["sex", name, f"auroc{suffix}"]
        assert float(auroc["value"]) == pytest.approx(roc_auc_score(truth[part], score[part]))
        assert int(auroc["films"]) == part.sum()
        assert int(auroc["groups"]) == len({cases.groups[place] for place in np.flatnonzero(part)})
        assert float(auroc["ci_low"]) < float(auroc["value"]) < float(auroc["ci_high"])
        sensitivity = recall_score(truth[part], called[part])
        got = float(table["sex", name, f"sensitivity{suffix}"]["value"])
        assert got == pytest.approx(sensitivity)
    assert float(table["sex", "F", f"auroc{suffix}"]["ci_low"]) > float(
        table["sex", "M", f"auroc{suffix}"]["ci_high"]
    )
    whole = table["all", "all", "auroc"]
    assert float(whole["value"]) == evaluation.figures["auroc"].value
    assert float(whole["ci_low"]) == evaluation.figures["auroc"].low


def test_values_stand_in_order_and_no_patient_in_any_file(written):
    folder, cases = written[:2]
    table = rows(folder / "subgroups.csv")
    names = list(dict.fromkeys((row["column"], row["subgroup"]) for row in table))
    assert names == [
        *[("all", "all"), ("age", "2-11"), ("age", "18-39"), ("age", "80+")],
        *[("sex", "F"), ("sex", "M"), ("sex", "not stated")],
    ]
    assert len(table) == len(names) * len(TITLES) * (1 if len(cases.classes) == 2 else 2)
    assert "CANARY" not in (folder / "subgroups.csv").read_text("utf-8")
    with Image.open(folder / "subgroups.png") as picture:
        assert picture.width > picture.height


def test_a_part_of_one_class_or_one_patient(tmp_path):
    def measure(places):
        return {"auroc": Figure(None) if len(places) == 1 else Figure(0.5)}

    columns = {"a very long name of a column": ["=x", "y\n", "y\n"]}
    found = measure_subgroups(columns, ["p"] * 3, measure=measure)
    assert [(each.name, each.films, each.groups) for each in found] == [
        *[("all", 3, 1), ("=x", 1, 1), ("y\n", 2, 1)],
    ]
    write_subgroups(tmp_path, found, shown={"auroc": "AUROC"}, heading="Subgroups")
    (row,) = [row for row in rows(tmp_path / "subgroups.csv") if row["films"] == "1"]
    assert (row["subgroup"], row["value"], row["ci_low"]) == ("'=x", "", "")


def test_without_columns_nothing_is_written(tmp_path):
    found = measure_subgroups({}, ["p"], measure=lambda places: {})
    write_subgroups(tmp_path, found, shown={"auroc": "AUROC"}, heading="Subgroups")
    assert not list(tmp_path.iterdir())
