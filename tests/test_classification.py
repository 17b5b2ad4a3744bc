"""Figures equal scikit-learn's and those of published tables."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from pipelines.errors import ConfigurationError
from pipelines.evaluation.calibration import probabilities
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.classification import evaluate, format_table
from pipelines.evaluation.figures import TITLES, classification_figures
from pipelines.evaluation.operating_point import OperatingPoint

CLASSES = ("NORMAL", "PNEUMONIA")
POINT = OperatingPoint(0.5, 1.0, CLASSES, "youden", "validation")


def make(labels, logits, *, groups=None):
    names = [str(i) for i in range(len(labels))]
    return Cases.of(names, groups or names, labels=labels, logits=logits, classes=CLASSES)


def values(cases, **options):
    options = {"temperature": 1.0, "threshold": 0.5, "resamples": 1} | options
    found = classification_figures(cases, **options)
    return {name: figure.value for name, figure in found.items()}


scored = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([-9.0, -2.5, -1.0, -0.2, 0.0, 0.7, 2.0, 40.0])),
    min_size=2,
    max_size=60,
)


@settings(deadline=None)
@given(scored.filter(lambda rows: {label for label, _ in rows} == {0, 1}))
def test_values_equal_scikit_learn(rows):
    labels, logits = map(np.array, zip(*rows, strict=True))
    positive = probabilities(logits, 1.0)[:, 1]
    called = (positive >= 0.5).astype(int)
    want = {
        "accuracy": metrics.accuracy_score(labels, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, called),
        "sensitivity": metrics.recall_score(labels, called),
        "specificity": metrics.recall_score(labels, called, pos_label=0),
        "ppv": metrics.precision_score(labels, called) if called.any() else None,
        "npv": metrics.precision_score(labels, called, pos_label=0) if (1 - called).any() else None,
        "f1": metrics.f1_score(labels, called),
        "mcc": metrics.matthews_corrcoef(labels, called) if np.ptp(called) else None,
        "auroc": metrics.roc_auc_score(labels, logits),
        "auprc": metrics.average_precision_score(labels, logits),
        "brier": metrics.brier_score_loss(labels, positive),
    }
    got = values(make(labels, logits))
    for name, value in want.items():
        assert got[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


@settings(deadline=None)
@given(scored.filter(lambda rows: {label for label, _ in rows} == {0, 1}))
def test_auroc_and_auprc_keep_under_monotone_transforms(rows):
    labels, logits = map(np.array, zip(*rows, strict=True))
    before, after = values(make(labels, logits)), values(make(labels, np.cbrt(logits) * 3 + 1))
    for name in ("auroc", "auprc"):
        assert after[name] == pytest.approx(before[name])


def test_auroc_tells_logits_apart_whose_probabilities_are_equal():
    assert values(make([0, 1], [50.0, 60.0]))["auroc"] == 1.0


def test_published_table():
    """Altman and Bland, BMJ 1994;308:1552 and 309:102: liver scan against pathology."""
    # 231 true positive, 27 false negative, 32 false positive, 54 true negative of 344 patients.
    labels = np.repeat([1, 1, 0, 0], [231, 27, 32, 54])
    logits = np.repeat([1.0, -1.0, 1.0, -1.0], [231, 27, 32, 54])
    got = values(make(labels, logits))
    assert round(got["sensitivity"], 2) == 0.90
    assert round(got["specificity"], 2) == 0.63
    assert round(got["ppv"], 2) == 0.88
    assert round(got["npv"], 2) == 0.67
    evaluation = evaluate(make(labels, logits), POINT, split="test", resamples=10)
    assert evaluation.confusion.tolist() == [[54, 32], [27, 231]]


def test_expected_calibration_error_by_hand():
    # Bin 0.1 to 0.2: mean 0.15, observed 1/2; bin 0.9 to 1: mean 0.95, observed 1.
    p = np.array([0.14, 0.16, 0.92, 0.98])
    got = values(make([0, 1, 1, 1], np.log(p / (1 - p))))
    assert got["ece"] == pytest.approx((2 * 0.35 + 2 * 0.05) / 4)


def test_temperature_and_threshold_are_used():
    cases = make([0, 1, 1], [-1.0, 0.5, 3.0])
    assert values(cases, threshold=0.7)["sensitivity"] == 0.5
    assert values(cases, threshold=0.6, temperature=10.0)["sensitivity"] == 0.0
    assert values(cases, temperature=10.0)["auroc"] == values(cases)["auroc"] == 1.0


def test_what_is_undefined_is_none():
    got = classification_figures(make([0, 0], [-1.0, -2.0]), temperature=1.0, threshold=0.5)
    undefined = {name for name, figure in got.items() if figure.value is None}
    assert undefined == {"balanced_accuracy", "sensitivity", "ppv", "f1", "auroc", "auprc", "mcc"}
    assert all((got[n].low, got[n].high) == (None, None) for n in undefined)
    # Two patients and no false alarm: exactly, by Clopper and Pearson.
    assert (got["specificity"].value, got["specificity"].high) == (1.0, 1.0)
    assert got["specificity"].low == pytest.approx(0.025 ** (1 / 2))


def test_no_interval_claims_to_know_a_share_exactly():
    # 20 patients of two films each, ten of them ill and all of those called.
    labels = np.repeat(np.arange(20) % 2, 2)
    logits = np.where(labels == 1, 2.0, np.repeat(np.where(np.arange(20) < 6, 1.0, -1.0), 2))
    groups = [str(n // 2) for n in range(40)]
    got = classification_figures(
        make(labels, logits, groups=groups), temperature=1.0, threshold=0.5, resamples=500
    )
    low = binomtest(10, 10).proportion_ci(method="exact").low
    assert (got["sensitivity"].value, got["sensitivity"].high) == (1.0, 1.0)
    assert got["sensitivity"].low == pytest.approx(low)
    assert 0 < got["specificity"].low < 0.7 < got["specificity"].high
    none = classification_figures(
        make(labels, -np.abs(logits), groups=groups), temperature=1.0, threshold=0.5, resamples=500
    )
    assert (none["sensitivity"].value, none["sensitivity"].low) == (0.0, 0.0)
    assert none["sensitivity"].high == pytest.approx(1 - low)


def test_intervals_hold_the_value_and_are_those_of_patients():
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(100) % 2, 4)
    logits = np.repeat(generator.normal(2.0 * (np.arange(100) % 2) - 1, 1.5), 4)
    repeated = make(labels, logits, groups=[f"p{i // 4}" for i in range(400)])
    once = make(labels[::4], logits[::4])
    options = {"temperature": 1.0, "threshold": 0.5}
    by_patient = classification_figures(repeated, **options)
    # Four copies of each film tell no more than one.
    for name, figure in classification_figures(once, **options).items():
        want = pytest.approx((figure.value, figure.low, figure.high))
        copied = by_patient[name]
        assert (copied.value, copied.low, copied.high) == want, name
    for name, figure in by_patient.items():
        if name != "ece":
            assert figure.low < figure.value < figure.high, name


def test_the_interval_of_the_auroc_is_the_one_of_hanley_and_mcneil():
    generator = np.random.default_rng(1)
    labels = np.arange(600) % 2
    cases = make(labels, generator.normal(1.5 * labels, 1))
    figure = classification_figures(cases, temperature=1.0, threshold=0.5)["auroc"]
    a, n = figure.value, 300
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    error = np.sqrt((a * (1 - a) + (n - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / n**2)
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * error, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(scored)
def test_any_cases_give_figures_that_are_numbers_or_none(rows):
    labels, logits = map(np.array, zip(*rows, strict=True))
    evaluation = evaluate(make(labels, logits), POINT, split="test", resamples=20)
    assert list(evaluation.figures) == list(TITLES)
    assert evaluation.confusion.sum() == evaluation.n == len(rows)
    for figure in evaluation.figures.values():
        known = [x for x in (figure.value, figure.low, figure.high) if x is not None]
        assert np.isfinite(known).all()
    assert len(format_table(evaluation).splitlines()) == 5 + len(TITLES) + 4


def test_other_classes_are_refused():
    cases = Cases.of(["a"], ["a"], labels=[0], logits=[0.0], classes=("PNEUMONIA", "NORMAL"))
    with pytest.raises(ConfigurationError, match="of the operating point"):
        evaluate(cases, POINT, split="test")


def test_table_for_the_terminal():
    labels = [0, 0, 1, 1, 1]
    cases = make(labels, [-2.0, 1.0, 1.0, 2.0, -1.0], groups=list("aabcd"))
    text = format_table(evaluate(cases, POINT, split="test"))
    assert "test: 5 films of 4 patients (2 NORMAL, 3 PNEUMONIA)" in text
    assert "youden, chosen on validation and used unchanged" in text
    assert "Accuracy              0.600   " in text
    assert text.splitlines()[-1].split() == ["true", "PNEUMONIA", "1", "2"]
    assert "optimistic" in format_table(evaluate(cases, POINT, split="validation", resamples=2))


def test_table_of_several_classes_for_the_terminal():
    classes = ("nv", "bkl", "mel")
    labels = np.arange(30) % 3
    names = [str(i) for i in range(30)]
    logits = np.random.default_rng(0).normal(3 * np.eye(3)[labels], 1)
    cases = Cases.of(names, names, labels=labels, logits=logits, classes=classes)
    point = OperatingPoint(None, 1.0, classes, "argmax", "validation", positive_classes=("mel",))
    text = format_table(evaluate(cases, point, split="test", resamples=5))
    lines = [line.split() for line in text.splitlines()]
    assert "the most probable class is called, temperature 1" in text
    assert ["mean", "of", "classes"] in [line[:3] for line in lines]
    assert lines[-4] == [*("predicted", "nv", "predicted", "bkl", "predicted", "mel")]
    (row,) = [line for line in lines if line[:2] == ["bkl", "10"]]
    assert row[2:4] == [
        f"{metrics.recall_score(labels == 1, logits.argmax(axis=1) == 1):.3f}",
        f"{metrics.recall_score(labels != 1, logits.argmax(axis=1) != 1):.3f}",
    ]


def test_seven_classes_of_thousands_of_cases_take_seconds():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 7, 4000)
    names = [str(i) for i in range(4000)]
    classes = tuple("abcdefg")
    cases = Cases.of(
        names, names, labels=labels, logits=generator.normal(size=(4000, 7)), classes=classes
    )
    point = OperatingPoint(None, 1.0, classes, "argmax", "validation")
    # Processor time: how busy the machine is does not count.
    start = time.process_time()
    evaluate(cases, point, split="test", resamples=500)
    assert time.process_time() - start < 5
