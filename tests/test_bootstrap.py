"""Intervals cover what they should, and patients are drawn whole."""

import numpy as np
import pytest

from pipelines.evaluation import bootstrap
from pipelines.evaluation.bootstrap import bootstrap_intervals


def mean_of(values):
    return lambda weights: {"mean": weights @ values / weights.sum(axis=1)}


def test_films_of_a_patient_are_drawn_together_and_as_many_patients_as_there_are():
    seen = []

    def keep(weights):
        seen.append(weights)
        return {"n": weights.sum(axis=1)}

    groups = ["b", "a", "b", "c", "a", "b"]
    bootstrap_intervals(keep, groups, resamples=200)
    weights = np.concatenate(seen)
    assert weights.shape == (200, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.2)


def test_the_interval_of_a_mean_is_the_one_of_the_textbook():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_intervals(mean_of(values), range(400), resamples=4000)["mean"]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_coverage_is_nominal_by_patient_and_not_by_film():
    generator = np.random.default_rng(3)
    patients = np.repeat(np.arange(60), 4)
    hits = {"patient": 0, "film": 0}
    for _ in range(200):
        values = generator.normal(0, 1, 60)[patients] + generator.normal(0, 0.5, 240)
        for name, groups in (("patient", patients), ("film", np.arange(240))):
            low, high = bootstrap_intervals(mean_of(values), groups, resamples=300)["mean"]
            hits[name] += low <= 0 <= high
    assert 0.90 <= hits["patient"] / 200 <= 0.985
    assert hits["film"] / 200 < 0.8


def test_equal_seeds_give_equal_intervals_whatever_the_block(monkeypatch):
    values = np.random.default_rng(4).normal(size=50)
    first = bootstrap_intervals(mean_of(values), range(50), resamples=300, seed=7)
    monkeypatch.setattr(bootstrap, "LARGEST_BLOCK", 50 * 11)
    again = bootstrap_intervals(mean_of(values), range(50), resamples=300, seed=7)
    assert again["mean"] == pytest.approx(first["mean"], rel=1e-12)
    assert bootstrap_intervals(mean_of(values), range(50), resamples=300, seed=8) != first


def test_no_interval_without_two_patients_or_where_mostly_undefined():
    assert bootstrap_intervals(mean_of(np.arange(3.0)), ["a"] * 3) == {"mean": None}

    def undefined(share):
        return lambda weights: {"x": np.where(np.arange(len(weights)) < share * 100, np.nan, 1.0)}

    assert bootstrap_intervals(undefined(0.2), ["a", "b"], resamples=100) == {"x": None}
    assert bootstrap_intervals(undefined(0.05), ["a", "b"], resamples=100) == {"x": (1.0, 1.0)}
