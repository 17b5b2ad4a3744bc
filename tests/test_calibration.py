"""Calibration finds the likeliest temperature and bias and keeps the order of the cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from pipelines.errors import ConfigurationError, DatasetError
from pipelines.evaluation.calibration import (
    TEMPERATURE_RANGE,
    fit_calibration,
    log_odds,
    negative_log_likelihood,
    probabilities,
    probability_of,
)
from pipelines.evaluation.cases import Cases


def make(labels, logits):
    names = [str(i) for i in range(len(labels))]
    return Cases.of(names, names, labels=labels, logits=logits, classes=("A", "B"))


def test_probabilities_by_hand():
    got = probabilities(np.array([0.0, np.log(3), -np.log(3)]), 1.0)
    np.testing.assert_allclose(got, [[0.5, 0.5], [0.25, 0.75], [0.75, 0.25]])
    np.testing.assert_allclose(probabilities(np.array([2 * np.log(3)]), 2.0), [[0.25, 0.75]])


@settings(deadline=None)
@given(
    st.lists(st.floats(-30, 30, width=16), min_size=2, max_size=30, unique=True),
    st.floats(1.0, 20),
)
def test_temperature_keeps_the_order_and_the_side(logits, temperature):
    logits = np.sort(np.array(logits))
    got = probabilities(logits, temperature)
    # Beyond about 36 a probability cannot be told from 1, the one of the other class still can.
    assert (np.diff(got[:, 1]) >= 0).all()
    assert (np.diff(got[:, 0] - got[:, 1]) <= 0).all()
    assert ((got[:, 1] >= 0.5) == (logits >= 0)).all()
    np.testing.assert_allclose(got.sum(axis=1), 1)


@pytest.mark.parametrize(("truth", "bias"), [(0.5, 0.0), (1.0, 1.5), (2.5, -1.0)])
def test_a_known_calibration_is_found(truth, bias):
    generator = np.random.default_rng(1)
    honest = generator.normal(0, 2, 20_000)
    labels = generator.random(20_000) < 1 / (1 + np.exp(-honest))
    found = fit_calibration(make(labels, (honest - bias) * truth))
    assert found == pytest.approx((truth, bias), rel=0.06, abs=0.05)


def test_no_other_calibration_is_likelier():
    generator = np.random.default_rng(2)
    labels = np.arange(200) % 2
    cases = make(labels, generator.normal(3.0 * (2 * labels - 1), 4.0))
    best = negative_log_likelihood(cases, *fit_calibration(cases))
    grid = np.geomspace(*TEMPERATURE_RANGE, 200)
    biases = np.linspace(-2, 2, 41)
    others = [negative_log_likelihood(cases, t, b) for t in grid for b in biases]
    assert best <= min(others) + 1e-9
    plain = log_loss(labels, probabilities(cases.logits, 1.0)[:, 1])
    assert negative_log_likelihood(cases, 1.0) == pytest.approx(plain, rel=0.1)


def test_perfect_separation_does_not_make_the_network_certain():
    temperature, bias = fit_calibration(make([0, 0, 0, 1, 1, 1], [-2, -1.5, -1, 1, 1.5, 2]))
    assert bias == pytest.approx(0, abs=1e-3)
    assert TEMPERATURE_RANGE[0] < temperature < TEMPERATURE_RANGE[1]
    # Three of three positive: (3 + 1) / (3 + 2) = 0.8 is what so few cases can vouch for.
    assert probabilities(np.array([1.5]), temperature)[0, 1] == pytest.approx(0.8, abs=0.05)


def test_bias_mends_the_class_balance_of_training():
    generator = np.random.default_rng(3)
    honest = generator.normal(1.0, 2.0, 5000)
    labels = generator.random(5000) < 1 / (1 + np.exp(-honest))
    cases = make(labels, honest - 2.0)
    calibrated = probabilities(cases.logits, *fit_calibration(cases))[:, 1]
    assert calibrated.mean() == pytest.approx(labels.mean(), abs=0.005)


def test_wrong_use_is_refused():
    with pytest.raises(ConfigurationError, match="above 0, got 0"):
        probabilities(np.zeros(2), 0)
    with pytest.raises(DatasetError, match="every class to fit a calibration"):
        fit_calibration(make([1, 1], [0.0, 1.0]))


CLASSES = ("A", "B", "C")


def several(labels, logits):
    names = [str(i) for i in range(len(labels))]
    return Cases.of(names, names, labels=labels, logits=logits, classes=CLASSES)


def test_probabilities_of_three_classes_by_hand():
    logits = np.log([[1.0, 2.0, 1.0], [4.0, 1.0, 4.0]])
    got = probabilities(logits, 1.0)
    np.testing.assert_allclose(got, [[0.25, 0.5, 0.25], [4 / 9, 1 / 9, 4 / 9]])
    np.testing.assert_allclose(probabilities(2 * logits, 2.0), got)
    # Beyond the range of exponentials.
    np.testing.assert_allclose(
        probabilities(np.array([[900.0, -900.0, 900.0]]), 1), [[0.5, 0, 0.5]]
    )


def test_odds_of_a_group_by_hand():
    logits = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(log_odds(logits, 1.0, [0, 1]), np.log(3 / 5))
    np.testing.assert_allclose(log_odds(logits, 0.5, [2]), np.log(25 / 5))
    np.testing.assert_allclose(probability_of(probabilities(logits, 1.0), [0, 1]), 3 / 8)


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_a_known_temperature_of_three_classes_is_found(truth):
    generator = np.random.default_rng(4)
    honest = generator.normal(0, 2, (20_000, 3))
    drawn = generator.random((20_000, 1)) > probabilities(honest, 1.0).cumsum(axis=1)
    cases = several(drawn.sum(axis=1), honest * truth)
    temperature, bias = fit_calibration(cases)
    assert temperature == pytest.approx(truth, rel=0.05)
    assert bias == 0.0
    best = negative_log_likelihood(cases, temperature)
    others = [negative_log_likelihood(cases, t) for t in np.geomspace(*TEMPERATURE_RANGE, 60)]
    assert best <= min(others) + 1e-9
    plain = log_loss(cases.labels, probabilities(cases.logits, temperature))
    assert best == pytest.approx(plain, rel=0.01)


def test_three_classes_told_apart_do_not_make_the_network_certain():
    cases = several([0, 1, 2] * 3, np.tile(2 * np.eye(3), (3, 1)))
    temperature, _ = fit_calibration(cases)
    assert TEMPERATURE_RANGE[0] < temperature < TEMPERATURE_RANGE[1]
    # Three of three: (3 + 1) / (3 + 2) = 0.8 is what so few cases can vouch for.
    assert probabilities(cases.logits, temperature)[0, 0] == pytest.approx(0.8, abs=0.01)
