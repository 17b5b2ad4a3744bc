"""Net benefit equals what a person works out, and the files hold it."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.evaluation.cases import Cases
from pipelines.evaluation.classification import evaluate
from pipelines.evaluation.decision_curve import decision_curve
from pipelines.evaluation.decision_files import write_decision_curves
from pipelines.evaluation.operating_point import OperatingPoint
from pipelines.evaluation.questions import Question


def ask(truth, probability):
    truth, probability = np.array(truth, dtype=bool), np.array(probability, dtype=float)
    return Question("", "ILL", truth, called=truth, odds=probability, probability=probability)


def test_worked_example():
    # Ten people, four of them ill.
    truth = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    probability = [0.9, 0.7, 0.5, 0.1, 0.6, 0.3, 0.2, 0.2, 0.1, 0.05]
    groups = [str(person) for person in range(10)]
    curve = decision_curve(
        ask(truth, probability), groups, thresholds=(0.2, 0.5, 0.8), resamples=200
    )
    want = [
        # At 0.2: 3 true and 4 false positives, one of which weighs a quarter.
        (3 - 4 * 0.25) / 10,
        # At 0.5: 3 true and 1 false positive, which weighs as much.
        (3 - 1) / 10,
        # At 0.8: 1 true positive, none false.
        1 / 10,
    ]
    assert curve.model == pytest.approx(want)
    assert curve.treat_all == pytest.approx([0.4 - 0.6 * 0.25, 0.4 - 0.6, 0.4 - 0.6 * 4])
    assert (curve.low <= curve.model).all()
    assert (curve.model <= curve.high).all()


def test_the_interval_is_that_of_patients():
    random = np.random.default_rng(0)
    truth = np.arange(60) % 2
    question = ask(truth, np.clip(0.3 + 0.4 * truth + random.normal(0, 0.3, 60), 0, 1))
    once = decision_curve(question, [str(n) for n in range(60)], thresholds=(0.4,))
    four = ask(np.repeat(truth, 4), np.repeat(question.probability, 4))
    copied = decision_curve(four, [str(n // 4) for n in range(240)], thresholds=(0.4,))
    assert (copied.low, copied.high) == (pytest.approx(once.low), pytest.approx(once.high))
    alone = decision_curve(question, ["one"] * 60, thresholds=(0.4,))
    assert np.isnan([alone.low, alone.high]).all()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=30),
    st.floats(0.05, 0.95),
)
def test_no_model_has_more_than_the_truth_and_one_that_says_1_of_all_is_treating_all(rows, place):
    truth, probability = zip(*rows, strict=True)
    groups = [str(number) for number in range(len(rows))]
    options = {"thresholds": (place,), "resamples": 2}
    curve = decision_curve(ask(truth, probability), groups, **options)
    assert curve.model[0] <= np.mean(truth) + 1e-12
    assert decision_curve(ask(truth, truth), groups, **options).model[0] == pytest.approx(
        np.mean(truth)
    )
    of_all = decision_curve(ask(truth, np.ones(len(rows))), groups, **options)
    assert of_all.model == pytest.approx(of_all.treat_all)


@pytest.mark.parametrize(("positive", "panels"), [(("mel",), 1), ((), 3)], ids=["positive", "none"])
def test_files_of_three_classes(positive, panels, tmp_path):
    classes = ("nv", "bkl", "mel")
    labels = np.arange(60) % 3
    logits = np.random.default_rng(0).normal(3 * np.eye(3)[labels], 2)
    names = [f"CANARY{number}" for number in range(60)]
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=classes)
    point = OperatingPoint(None, 1.0, classes, "argmax", "validation")
    if positive:
        point = replace(
            point, threshold=0.4, criterion="youden", positive_classes=positive, target=None
        )
    evaluation = evaluate(cases, point, split="test", resamples=50)
    write_decision_curves(tmp_path, cases, evaluation=evaluation)
    with (tmp_path / "decision_curve.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert len(rows) == 99 * 3
    assert {row["positive"] for row in rows} == set(classes)
    (row,) = [r for r in rows if (r["positive"], r["threshold"]) == ("nv", "0.25")]
    question = point.questions_of(cases)[0]
    acts = question.probability >= 0.25
    benefit = ((acts & question.truth).sum() - (acts & ~question.truth).sum() / 3) / 60
    assert float(row["model"]) == pytest.approx(benefit)
    assert float(row["ci_low"]) < benefit < float(row["ci_high"])
    assert float(row["treat_all"]) == pytest.approx((20 - 40 / 3) / 60)
    with Image.open(tmp_path / "decision_curve.png") as picture:
        assert (picture.width > 1000) == (panels == 3)
