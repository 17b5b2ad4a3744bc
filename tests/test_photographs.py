"""Photographs in colour on their way to a network."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.transforms.photographs import (
    RandColourd,
    RandCoverd,
    RandViewd,
    photograph_augmentation,
    photograph_preprocessing,
)


def write_photograph(path, *, height=150, width=200):
    """A red disc in the middle of skin, with a green bar at the left end."""
    film = np.full((450, 600, 3), (120, 160, 220), np.uint8)  # blue, green, red
    cv2.circle(film, (300, 225), 90, (30, 30, 160), -1, cv2.LINE_AA)
    cv2.rectangle(film, (0, 0), (40, 450), (0, 255, 0), -1)
    cv2.imwrite(str(path), cv2.resize(film, (width, height), interpolation=cv2.INTER_AREA))
    return {"image": str(path), "label": 1}


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "bmp"])
def test_the_middle_of_a_photograph_stays_in_its_ratio_and_colour(tmp_path, suffix):
    item = write_photograph(tmp_path / f"a.{suffix}")
    image = photograph_preprocessing(112)(item)["image"]
    assert image.shape == (3, 112, 112)
    assert image.dtype == torch.float32
    red = np.asarray(image[0]) * 0.229 + 0.485
    assert red[56, 56] == pytest.approx(160 / 255, abs=0.03)
    assert red[5, 5] == pytest.approx(220 / 255, abs=0.03)  # the bar lies outside of the square
    disc = red < 190 / 255
    assert np.ptp(np.flatnonzero(disc.any(0))) == pytest.approx(112 * 180 / 450, abs=2)
    assert np.ptp(np.flatnonzero(disc.any(1))) == pytest.approx(112 * 180 / 450, abs=2)


def test_a_full_size_photograph_gives_what_its_small_copy_gives(tmp_path):
    chain = photograph_preprocessing(112)
    small = chain(write_photograph(tmp_path / "small.png"))["image"]
    large = chain(write_photograph(tmp_path / "large.png", height=450, width=600))["image"]
    assert (small - large).abs().max() < 0.02


def test_training_and_prediction_agree_where_nothing_is_changed(tmp_path):
    item = write_photograph(tmp_path / "a.png")
    still = photograph_augmentation(
        150, zoom=(1, 1), stretch=0, degrees=0, shift=0, flip_prob=0, colour=0, cover_prob=0
    )
    plain = photograph_preprocessing(150)(item)["image"]
    assert (still(item)["image"] - plain).abs().max() < 1e-4


def test_equal_seeds_give_equal_views_and_others_differ(tmp_path):
    item = write_photograph(tmp_path / "a.png")
    chain = photograph_augmentation(96)
    views = [chain.set_random_state(seed=seed)(item)["image"] for seed in (1, 1, 2)]
    assert views[0].shape == (3, 96, 96)
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[0], views[2])


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(8, 60), width=st.integers(8, 60))
def test_views_hold_only_values_of_the_photograph(seed, height, width):
    film = np.random.default_rng(seed).uniform(0.2, 0.7, (3, height, width)).astype(np.float32)
    view = RandViewd(keys="image", size=24).set_random_state(seed=seed)({"image": film})["image"]
    assert view.shape == (3, 24, 24)
    assert 0.2 - 1e-6 <= view.min() <= view.max() <= 0.7 + 1e-6


def test_a_view_turned_by_a_right_angle_is_exact():
    film = np.arange(3 * 9 * 9, dtype=np.float32).reshape(3, 9, 9) / 243
    turning = RandViewd(
        keys="image", size=9, zoom=(1, 1), stretch=0, degrees=90, shift=0, flip_prob=0
    )
    turning.R = _Always(1.0)
    turning.draw()
    turned = turning.change(film)
    assert np.allclose(turned, np.rot90(film, -1, (1, 2)), atol=1e-4)


class _Always:
    """A source of numbers that always draws the highest."""

    def __init__(self, value):
        self.value = value

    def uniform(self, low=0.0, high=1.0, size=None):
        return high * self.value if size is None else np.full(size, high * self.value)


@given(seed=st.integers(0, 2**32 - 1))
def test_colours_change_within_bounds(seed):
    film = np.full((3, 6, 6), 0.5, np.float32)
    film[0] = 0.6
    changed = RandColourd(keys="image").set_random_state(seed=seed)({"image": film})["image"]
    assert 0 <= changed.min() <= changed.max() <= 1
    assert abs(float(changed.mean()) - film.mean()) < 0.3 * film.mean()


def test_a_covered_rectangle_has_the_mean_of_the_photograph():
    film = np.random.default_rng(0).random((3, 40, 40), dtype=np.float32)
    covered = RandCoverd(keys="image", prob=1.0).set_random_state(seed=3)({"image": film})["image"]
    changed = (covered.numpy() != film).all(axis=0)
    assert 16 <= changed.sum() <= 196
    assert np.allclose(covered.numpy()[:, changed], film.mean(axis=(1, 2))[:, None])


@pytest.mark.parametrize("wrong", [{"zoom": (0, 1)}, {"zoom": (2, 1)}, {"size": 0}])
def test_an_impossible_view_is_refused(wrong):
    with pytest.raises(ConfigurationError, match="expected a zoom"):
        RandViewd(keys="image", **{"size": 8, **wrong})
