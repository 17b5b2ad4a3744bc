import numpy as np
import pytest
import torch
from anomaly_fixture import SIDE, made_films
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from pipelines.errors import DatasetError
from pipelines.evaluation.anomaly_scores import (
    AnomalyScore,
    MeasuredFilms,
    Profile,
    measure_films,
    profile_of,
)


@pytest.fixture(scope="module")
def profile():
    return Profile.fit(measure_films(*made_films(80, unusual=False, seed=9)))


def test_every_score_is_higher_for_unusual_films(profile):
    parts = [measure_films(*made_films(20, unusual=unusual)) for unusual in (False, True)]
    scores = profile.scores(MeasuredFilms.joined(parts))
    assert set(scores) == set(AnomalyScore)
    labels = [0] * 20 + [1] * 20
    for values in scores.values():
        assert (values >= 0).all()
        assert roc_auc_score(labels, values) > 0.9


def test_scores_follow_their_definitions():
    film = torch.zeros(1, 1, SIDE, SIDE)
    made = film.clone()
    made[..., 0, :10] = 0.5
    measured = measure_films(film, made)
    assert measured.scores[AnomalyScore.MEAN_ERROR][0] == pytest.approx(10 * 0.25 / SIDE**2)
    # One hundredth of 1,024 pixels are 10.
    assert measured.scores[AnomalyScore.TOP_ERROR][0] == pytest.approx(0.5)
    assert measured.measures["mae"][0] == pytest.approx(10 * 0.5 / SIDE**2)


def test_perfect_reconstruction_has_no_error_but_a_profile(profile):
    films, _ = made_films(3, unusual=False)
    measured = measure_films(films, films)
    for name in (AnomalyScore.MEAN_ERROR, AnomalyScore.TOP_ERROR, AnomalyScore.PATCH_SSIM):
        assert measured.scores[name] == pytest.approx(np.zeros(3), abs=1e-6)
    assert np.isfinite(profile.scores(measured)[AnomalyScore.PROFILE]).all()
    assert profile.scores(measured)[AnomalyScore.COMBINED] == pytest.approx(np.zeros(3), abs=1e-3)


def test_normal_films_score_about_one(profile):
    train = measure_films(*made_films(80, unusual=False, seed=9))
    scores = profile.scores(train)
    assert 0.6 < scores[AnomalyScore.PROFILE].mean() < 1.1
    assert np.log(scores[AnomalyScore.COMBINED]).mean() == pytest.approx(0, abs=1e-6)


@given(st.floats(-3, 3), st.integers(0, 5))
def test_distance_grows_along_every_line_from_the_middle(step, direction):
    random = np.random.default_rng(direction)
    errors = random.uniform(0.1, 1, 50)
    films = MeasuredFilms({}, {AnomalyScore.MEAN_ERROR: errors}, random.normal(size=(50, 6)))
    profile = Profile.fit(films)
    line = random.normal(size=6)
    moved = np.stack([profile.mean + step * line, profile.mean + 2 * step * line])
    two = MeasuredFilms({}, {AnomalyScore.MEAN_ERROR: errors[:2]}, moved)
    distances = profile.scores(two)[AnomalyScore.PROFILE]
    assert distances[1] == pytest.approx(2 * distances[0])


@given(st.floats(1.01, 100))
def test_combined_score_grows_with_either_of_its_parts(factor):
    random = np.random.default_rng(0)
    errors = random.uniform(0.1, 1, 50)
    films = MeasuredFilms({}, {AnomalyScore.MEAN_ERROR: errors}, random.normal(size=(50, 6)))
    profile = Profile.fit(films)
    worse = MeasuredFilms({}, {AnomalyScore.MEAN_ERROR: errors * factor}, films.profiles)
    before, after = (profile.scores(each)[AnomalyScore.COMBINED] for each in (films, worse))
    assert (after > before).all()


def test_profile_has_as_many_scales_as_the_size_allows():
    small = profile_of(np.zeros((32, 32), np.float32), np.zeros((32, 32), np.float32))
    large = profile_of(np.zeros((128, 128), np.float32), np.zeros((128, 128), np.float32))
    assert (len(small), len(large)) == (32, 48)


def test_one_film_is_too_few():
    with pytest.raises(DatasetError, match="two normal films"):
        Profile.fit(measure_films(*made_films(1, unusual=False)))
