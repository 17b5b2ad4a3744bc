from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.training.sampling import EpochSampler


def labelled(*labels):
    return [{"label": label} for label in labels]


labels = st.lists(st.integers(0, 2), min_size=3, max_size=60)


@given(labels, st.integers(0, 5), st.integers(0, 5))
def test_epoch_is_a_function_of_seed_and_number(drawn, seed, epoch):
    draws = []
    for _ in range(2):
        sampler = EpochSampler(labelled(*drawn), seed=seed)
        list(sampler)  # what was drawn before does not matter
        sampler.epoch = epoch
        draws.append(list(sampler))
    assert draws[0] == draws[1]
    assert len(draws[0]) == len(drawn)


@given(labels)
def test_classes_are_drawn_equally_often(drawn):
    sampler = EpochSampler(labelled(*drawn))
    counts = Counter(drawn[draw.film] for draw in sampler)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert set(counts) == set(drawn)


@given(labels)
def test_within_a_class_no_film_is_drawn_twice_as_often_as_another(drawn):
    films = Counter(draw.film for draw in EpochSampler(labelled(*drawn)))
    for label in set(drawn):
        of_class = [films[i] for i, value in enumerate(drawn) if value == label]
        assert max(of_class) - min(of_class) <= 1


@given(labels)
def test_unbalanced_sampler_draws_every_film_once(drawn):
    sampler = EpochSampler(labelled(*drawn), balance="none")
    assert sorted(draw.film for draw in sampler) == list(range(len(drawn)))


def test_epochs_differ_and_so_do_the_seeds_of_a_film_drawn_twice():
    sampler = EpochSampler(labelled(*[0] * 30, 1))
    first = list(sampler)
    sampler.epoch = 1
    assert first != list(sampler)
    seeds = [draw.seed for draw in first if draw.film == 30]
    assert len(seeds) == len(set(seeds)) > 10


def test_empty_data_gives_an_empty_epoch():
    assert list(EpochSampler([])) == []
    assert len(EpochSampler([], balance="none")) == 0
    assert np.array_equal(EpochSampler([]).labels, [])


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=40), st.integers(0, 5))
def test_films_are_drawn_as_often_as_they_weigh(weights, epoch):
    sampler = EpochSampler(labelled(*[0] * len(weights)), weights=lambda: np.array(weights))
    sampler.epoch = epoch
    films = Counter(draw.film for draw in sampler)
    for film, weight in enumerate(weights):
        expected = weight * len(weights) / sum(weights)
        assert abs(films[film] - expected) < 1 + 1e-6


def test_films_with_masks_are_drawn_once_each():
    data = [{"image": "a.png", "label": "a.json"}, {"image": "b.png", "label": "b.json"}]
    sampler = EpochSampler(data, balance="none")
    assert sorted(draw.film for draw in sampler) == [0, 1]
