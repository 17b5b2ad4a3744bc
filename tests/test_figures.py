"""Figures of three classes or more equal scikit-learn's and what a person works out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import calibration_curve

from pipelines.evaluation.calibration import log_odds, probabilities, probability_of
from pipelines.evaluation.cases import Cases
from pipelines.evaluation.figures import TITLES, classification_figures, figure_titles
from pipelines.evaluation.one_against_rest import OF_CLASS
from pipelines.evaluation.thresholds import decide

SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
MALIGNANT = ("mel", "bcc", "akiec")


def make(labels, logits, classes, *, groups=None):
    names = [str(i) for i in range(len(labels))]
    return Cases.of(names, groups or names, labels=labels, logits=logits, classes=classes)


def drawn(seed, *, n=80, classes=SEVEN):
    """Cases of every class, of two films a patient, with logits that are right more often."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(n) % len(classes))
    logits = generator.normal(0, 2, (n, len(classes)))
    logits[np.arange(n), labels] += 2
    return make(labels, logits, classes, groups=[f"p{i // 2}" for i in range(n)])


def values(cases, **options):
    options = {"temperature": 1.0, "threshold": None, "resamples": 1} | options
    found = classification_figures(cases, **options)
    return {name: figure.value for name, figure in found.items()}


def of_matrix(matrix):
    """Cases whose most probable class gives this confusion matrix."""
    rows, columns = np.nonzero(matrix)
    labels = np.repeat(rows, [matrix[place] for place in zip(rows, columns, strict=True)])
    called = np.repeat(columns, [matrix[place] for place in zip(rows, columns, strict=True)])
    return make(labels, 3.0 * np.eye(3)[called], ("a", "b", "c"))


def test_worked_example():
    got = values(of_matrix(np.array([[3, 1, 0], [1, 2, 1], [0, 0, 2]])))
    want = {
        "accuracy": 7 / 10,
        **{"sensitivity_a": 3 / 4, "specificity_a": 5 / 6, "ppv_a": 3 / 4, "npv_a": 5 / 6},
        **{"sensitivity_b": 2 / 4, "specificity_b": 5 / 6, "ppv_b": 2 / 3, "f1_b": 4 / 7},
        **{"sensitivity_c": 2 / 2, "specificity_c": 7 / 8, "ppv_c": 2 / 3, "f1_c": 4 / 5},
        "sensitivity": 0.75,
        "balanced_accuracy": 0.75,
        "f1": (3 / 4 + 4 / 7 + 4 / 5) / 3,
        # 7 right of 10; 4, 4, 2 true and 4, 3, 3 called: (70 - 34) / sqrt((100 - 34) (100 - 36)).
        "mcc": 36 / np.sqrt(66 * 64),
    }
    assert {name: got[name] for name in want} == pytest.approx(want)


def test_calibration_of_the_most_probable_class_by_hand():
    # Bin 0.5 to 0.6: mean 0.55, one of two right; bin 0.8 to 0.9: 0.8, right.
    p = np.array([[0.55, 0.25, 0.2], [0.2, 0.55, 0.25], [0.1, 0.1, 0.8]])
    got = values(make([0, 2, 2], np.log(p), ("a", "b", "c")))
    assert got["ece"] == pytest.approx((2 * 0.05 + 0.2) / 3)
    squares = [0.45**2 + 0.25**2 + 0.2**2, 0.2**2 + 0.55**2 + 0.75**2, 0.1**2 + 0.1**2 + 0.2**2]
    assert got["brier"] == pytest.approx(sum(squares) / 3)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([0.5, 1.0, 3.0]))
def test_values_equal_scikit_learn(seed, temperature):
    cases = drawn(seed)
    got = values(cases, temperature=temperature, positive_classes=MALIGNANT)
    p = probabilities(cases.logits, temperature)
    called, truth = p.argmax(axis=1), np.eye(7)[cases.labels]
    report = metrics.classification_report(
        cases.labels, called, target_names=SEVEN, output_dict=True, zero_division=0.0
    )
    malignant = [SEVEN.index(name) for name in MALIGNANT]
    together = p[:, malignant].sum(axis=1)
    is_malignant = np.isin(cases.labels, malignant)
    want = {
        "accuracy": metrics.accuracy_score(cases.labels, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(cases.labels, called),
        "sensitivity": report["macro avg"]["recall"],
        "f1": report["macro avg"]["f1-score"],
        "auroc": metrics.roc_auc_score(truth, p, average="macro"),
        "auprc": metrics.average_precision_score(truth, p, average="macro"),
        "mcc": metrics.matthews_corrcoef(cases.labels, called),
        "brier": ((p - truth) ** 2).sum(axis=1).mean(),
        "auroc_positive": metrics.roc_auc_score(is_malignant, together),
        "auprc_positive": metrics.average_precision_score(is_malignant, together),
        "accuracy_positive": metrics.accuracy_score(is_malignant, np.isin(called, malignant)),
        "f1_positive": metrics.f1_score(is_malignant, np.isin(called, malignant)),
        "brier_positive": metrics.brier_score_loss(is_malignant, np.minimum(together, 1)),
        **{f"auroc_{c}": metrics.roc_auc_score(truth[:, k], p[:, k]) for k, c in enumerate(SEVEN)},
        **{f"sensitivity_{c}": report[c]["recall"] for c in SEVEN},
        **{f"f1_{c}": report[c]["f1-score"] for c in SEVEN},
    }
    assert {name: got[name] for name in want} == pytest.approx(want)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([None, 0.3, 0.6]))
def test_every_figure_of_every_class_equals_scikit_learn(seed, threshold):
    cases = drawn(seed)
    got = values(cases, threshold=threshold, positive_classes=MALIGNANT)
    p = probabilities(cases.logits, 1.0)
    members = [SEVEN.index(name) for name in MALIGNANT]
    called = decide(p, threshold=threshold, positive=members)
    questions = {f"_{name}": [place] for place, name in enumerate(SEVEN)}
    for suffix, group in (questions | {"_positive": members}).items():
        truth, positive = np.isin(cases.labels, group), np.isin(called, group)
        score = log_odds(cases.logits, 1.0, group)
        rate = {"zero_division": np.nan}
        want = {
            "sensitivity": metrics.recall_score(truth, positive, **rate),
            "specificity": metrics.recall_score(truth, positive, pos_label=0, **rate),
            "ppv": metrics.precision_score(truth, positive, **rate),
            "npv": metrics.precision_score(truth, positive, pos_label=0, **rate),
            "f1": metrics.f1_score(truth, positive),
            "auroc": metrics.roc_auc_score(truth, score),
            "auprc": metrics.average_precision_score(truth, score),
            "accuracy": metrics.accuracy_score(truth, positive),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, positive),
            "mcc": metrics.matthews_corrcoef(truth, positive) if len(set(positive)) > 1 else np.nan,
            "brier": metrics.brier_score_loss(truth, probability_of(p, group)),
            "ece": _calibration_error(truth, probability_of(p, group)),
        }
        assert set(want) == set(TITLES)
        for name, value in want.items():
            expected = None if np.isnan(value) else pytest.approx(value, abs=1e-12)
            assert got[name + suffix] == expected, name + suffix
    for name in OF_CLASS:
        of_classes = [got[f"{name}_{each}"] for each in SEVEN]
        mean = None if None in of_classes else pytest.approx(np.mean(of_classes))
        assert got[name] == mean, name
    right = p.argmax(axis=1) == cases.labels
    assert got["ece"] == pytest.approx(_calibration_error(right, p.max(axis=1)))


def _calibration_error(truth, probability):
    """From scikit-learn's curve, whose bins hold their upper edges, and the films of each bin."""
    observed, predicted = calibration_curve(truth, probability, n_bins=10, strategy="uniform")
    counts = np.bincount(np.digitize(probability, np.linspace(0, 1, 11)[1:-1]), minlength=10)
    return np.abs(observed - predicted) @ counts[counts > 0] / len(truth)


@settings(max_examples=15)
@given(st.integers(0, 1000), st.permutations(range(7)), st.sampled_from([None, 0.3]))
def test_another_order_of_the_classes_gives_the_same_figures(seed, order, threshold):
    cases = drawn(seed)
    other = make(
        np.argsort(order)[cases.labels],
        cases.logits[:, order],
        [SEVEN[index] for index in order],
        groups=cases.groups,
    )
    options = {"temperature": 0.7, "threshold": threshold, "positive_classes": MALIGNANT}
    one = classification_figures(cases, resamples=20, **options)
    two = classification_figures(other, resamples=20, **options)
    assert set(one) == set(two)
    for name, figure in one.items():
        want = pytest.approx((figure.value, figure.low, figure.high))
        assert (two[name].value, two[name].low, two[name].high) == want, name


@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.5, 0.8]))
def test_classes_together_are_judged_as_one_of_two(seed, threshold):
    cases = drawn(seed)
    members = [SEVEN.index(name) for name in MALIGNANT]
    two = make(
        np.isin(cases.labels, members).astype(int),
        log_odds(cases.logits, 1.5, members),
        ("benign", "malignant"),
        groups=cases.groups,
    )
    options = {"threshold": threshold, "resamples": 20}
    one = classification_figures(cases, temperature=1.5, positive_classes=MALIGNANT, **options)
    for name, figure in classification_figures(two, temperature=1.0, **options).items():
        together = one[f"{name}_positive"]
        want = pytest.approx((figure.value, figure.low, figure.high))
        assert (together.value, together.low, together.high) == want, name


def test_two_logits_are_one():
    generator = np.random.default_rng(0)
    labels, logits = np.arange(50) % 2, generator.normal(size=(50, 2))
    one = make(labels, logits[:, 1] - logits[:, 0], ("NORMAL", "PNEUMONIA"))
    options = {"temperature": 1.3, "threshold": 0.4, "bias": 0.2, "resamples": 50}
    two = make(labels, logits, ("NORMAL", "PNEUMONIA"))
    assert classification_figures(two, **options) == classification_figures(one, **options)


def test_names_and_titles():
    assert list(figure_titles(("a", "b"))) == list(TITLES)
    titles = figure_titles(SEVEN, MALIGNANT)
    assert titles["auroc"] == "AUROC, mean of classes"
    assert titles["ppv_mel"] == "PPV (precision), mel"
    assert titles["auroc_positive"] == "AUROC, mel + bcc + akiec"
    assert titles["brier_mel"] == "Brier score, mel"
    assert len(titles) == (1 + 1 + 7) * len(TITLES)
    assert list(values(drawn(0), positive_classes=MALIGNANT)) == list(titles)


def test_a_class_without_cases_leaves_means_undefined_and_the_rest_as_it_is():
    cases = drawn(1, classes=SEVEN)
    kept = cases.labels != 3
    part = make(cases.labels[kept], cases.logits[kept], SEVEN)
    got = values(part)
    assert got["auroc"] is got["auroc_df"] is got["sensitivity_df"] is None
    assert got["accuracy"] == (part.labels == part.logits.argmax(axis=1)).mean()
    assert got["specificity_df"] is not None


def test_odds_tell_apart_what_probabilities_do_not():
    logits = np.array([[50.0, 0.0, 0.0], [60.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert probabilities(logits, 1.0)[0, 0] == probabilities(logits, 1.0)[1, 0] == 1.0
    assert values(make([1, 0, 2], logits, ("a", "b", "c")))["auroc_a"] == 1.0
    assert probability_of(probabilities(logits, 1.0), [0, 1, 2]).max() == 1.0
