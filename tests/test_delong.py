"""Tests of differences on the same films: published examples, and patients with several films."""

import numpy as np
import pytest
from scipy.stats import binomtest, chi2
from sklearn.metrics import roc_auc_score

from pipelines.evaluation.delong import auroc_covariance, compare_aurocs
from pipelines.evaluation.mcnemar import compare_decisions

# DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), as printed in the SAS/STAT User's Guide,
# PROC LOGISTIC, "Comparing Receiver Operating Characteristic Curves": albumin, total protein, K-G
# score, and whether surgery helped, of 43 patients with ovarian cancer.
OVARIAN = """
3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0 1.6 5.6 5 1
3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1 4.3 7.0 4 1 3.6 6.7 4 0
2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1 3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1
3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1 3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0
3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1 3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1
3.3 5.7 6 1 3.7 6.9 5 1 3.6 6.6 5 1
"""


def alone(count):
    return [str(number) for number in range(count)]


def ovarian():
    table = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4)
    scores = np.stack([10 - table[:, 2], table[:, 0], table[:, 1]])
    return table[:, 3] == 1, scores


def test_published_example_of_delong():
    truth, scores = ovarian()
    aurocs, covariance = auroc_covariance(truth, scores, alone(len(truth)))
    # K-G score, albumin, total protein: areas, standard errors.
    assert aurocs == pytest.approx([0.7258, 0.7366, 0.6478], abs=5e-5)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.1028, 0.0927, 0.1000], abs=5e-5)
    albumin = compare_aurocs(truth, scores[0], scores[1], groups=alone(len(truth)))
    assert albumin.difference == pytest.approx(0.0108, abs=5e-5)
    assert (albumin.low, albumin.high) == pytest.approx((-0.1761, 0.1976), abs=1e-4)
    assert albumin.p == pytest.approx(0.9102, abs=1e-4)
    protein = compare_aurocs(truth, scores[0], scores[2], groups=alone(len(truth)))
    assert protein.difference == pytest.approx(-0.0780, abs=5e-5)
    assert protein.p == pytest.approx(0.4561, abs=1e-4)
    # Both against the K-G score together: chi squared 2.534 with two degrees of freedom.
    contrast = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    apart = contrast @ aurocs
    statistic = apart @ np.linalg.solve(contrast @ covariance @ contrast.T, apart)
    assert statistic == pytest.approx(2.5340, abs=1e-4)
    assert chi2.sf(statistic, df=2) == pytest.approx(0.2817, abs=1e-4)


def test_ties_and_order_do_not_matter():
    random = np.random.default_rng(0)
    truth = random.random(60) < 0.4
    scores = random.integers(0, 5, (2, 60)).astype(float)
    aurocs, covariance = auroc_covariance(truth, scores, alone(60))
    assert aurocs == pytest.approx([roc_auc_score(truth, each) for each in scores])
    order = random.permutation(60)
    again = auroc_covariance(truth[order], scores[:, order], alone(60))
    assert again[1] == pytest.approx(covariance)


def test_equal_scores_and_too_few_patients():
    truth = np.array([False, True] * 4)
    score = np.arange(8.0)
    assert compare_aurocs(truth, score, score, groups=alone(8)).p == 1.0
    assert compare_aurocs(truth, score, -score, groups=["p", "q"] * 4) is None


def simulated(random, *, patients=60, films=3):
    """Films of patients who share most of what a score sees; both scores are equally good."""
    ill = np.repeat(np.arange(patients) % 2, films)
    own = random.normal(size=(2, patients)).repeat(films, axis=1)
    scores = ill + own + 0.3 * random.normal(size=(2, patients * films))
    return ill == 1, scores, [str(n) for n in np.arange(patients).repeat(films)]


def test_films_of_one_patient_are_no_independent_films():
    random = np.random.default_rng(0)
    rejected = {"films": 0, "patients": 0, "decisions": 0}
    rounds = 300
    for _ in range(rounds):
        truth, scores, groups = simulated(random)
        naive = compare_aurocs(truth, *scores, groups=alone(len(truth)))
        rejected["films"] += naive.p < 0.05
        rejected["patients"] += compare_aurocs(truth, *scores, groups=groups).p < 0.05
        right = (scores > 0.5) == truth
        rejected["decisions"] += compare_decisions(*right, groups=groups).p < 0.05
    assert rejected["films"] / rounds > 0.15
    assert 0.02 < rejected["patients"] / rounds < 0.09
    assert 0.02 < rejected["decisions"] / rounds < 0.09


def test_copies_of_a_film_add_nothing():
    truth, scores = ovarian()
    once = compare_aurocs(truth, scores[0], scores[1], groups=alone(len(truth)))
    copied = compare_aurocs(
        truth.repeat(3), *scores[:2].repeat(3, axis=1), groups=np.repeat(alone(43), 3).tolist()
    )
    assert copied.p == pytest.approx(once.p)
    right = scores[:2] > 3
    one = compare_decisions(*right, groups=alone(43))
    three = compare_decisions(*right.repeat(3, axis=1), groups=np.repeat(alone(43), 3).tolist())
    assert three.p == pytest.approx(one.p)
    assert three.gained == 3 * one.gained


def test_published_example_of_mcnemar():
    """Agresti, Categorical Data Analysis: approval of 1600 people asked twice; z is -4.17."""
    first = np.repeat([True, True, False, False], [794, 150, 86, 570])
    second = np.repeat([True, False, True, False], [794, 150, 86, 570])
    found = compare_decisions(first, second, groups=alone(1600))
    assert (found.gained, found.lost, found.exact) == (86, 150, False)
    assert found.p == pytest.approx(chi2.sf(4.17**2, df=1), rel=0.05)


@pytest.mark.parametrize(("gained", "lost"), [(1, 8), (0, 5), (3, 3), (0, 0), (20, 4)])
def test_few_discordant_pairs_are_counted_out(gained, lost):
    first = np.repeat([True, False, True], [lost, gained, 30])
    second = np.repeat([False, True, True], [lost, gained, 30])
    found = compare_decisions(first, second, groups=alone(len(first)))
    want = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert found.exact
    assert found.p == pytest.approx(want)
