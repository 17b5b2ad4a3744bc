import numpy as np
import pytest
from training_fixture import chain, write_films

from pipelines.training.dataset import RadiographDataset
from pipelines.training.look import LookWeights, describe_look, weigh


def looks_and_labels(seed=0, films=400):
    """A collection in which brightness gives away the class of nine films in ten."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, films)
    betrayed = random.random(films) < 0.9
    bright = np.where(betrayed, labels, 1 - labels)
    looks = np.stack([bright + random.normal(0, 0.1, films), random.normal(0, 1, films)], axis=1)
    return looks, labels.tolist(), [f"p{i}" for i in range(films)], betrayed


def test_films_whose_look_contradicts_their_class_weigh_more():
    looks, labels, groups, betrayed = looks_and_labels()
    weights = weigh(looks, labels, groups, limit=8.0)
    assert weights[~betrayed].mean() > 4 * weights[betrayed].mean()


def test_drawn_by_weight_the_look_tells_less_of_the_class():
    looks, labels, groups, _ = looks_and_labels()
    weights = weigh(looks, labels, groups, limit=8.0)
    bright, truth = looks[:, 0] > 0.5, np.array(labels)
    agreement = weights[bright == truth].sum() / weights.sum()
    assert np.mean(bright == truth) > 0.88
    assert agreement < 0.72


def test_each_class_weighs_the_same_and_the_limit_holds():
    looks, labels, groups, _ = looks_and_labels()
    weights = weigh(looks, labels, groups, limit=3.0)
    truth = np.array(labels)
    for label in (0, 1):
        of_class = weights[truth == label]
        assert of_class.sum() == pytest.approx(1.0)
        assert of_class.max() <= 3.0001 * of_class.min()


@pytest.mark.parametrize("films", [2, 10])
def test_few_patients_are_weighed_by_class_alone(films):
    looks, _, groups, _ = looks_and_labels(films=films)
    labels = [0] + [1] * (films - 1)
    weights = weigh(looks, labels, groups, limit=8.0)
    assert np.allclose(weights[1:], 1 / (films - 1))
    assert weights[0] == 1


def test_look_follows_exposure_and_sharpness():
    random = np.random.default_rng(0)
    film = random.random((1, 64, 64), np.float32)
    bright, blurred = film * 0.5 + 0.5, film.copy()
    blurred[:] = film.reshape(1, 32, 2, 32, 2).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    assert describe_look(bright)[4] > describe_look(film)[4]
    assert describe_look(blurred)[10] < describe_look(film)[10]
    assert np.isfinite(describe_look(np.zeros((1, 20, 30), np.float32))).all()


def test_weights_of_a_data_set(tmp_path):
    data = RadiographDataset(write_films(tmp_path / "films"), chain(noise=True))
    weights = LookWeights(data)
    assert weights().shape == (24,)
    assert weights() is weights()
    with pytest.raises(ValueError, match="at least 1, got 0"):
        LookWeights(data, limit=0)
