import numpy as np
import pytest
import torch

from pipelines.transforms.photometric import (
    RandBlurd,
    RandGreyd,
    RandJitterd,
    RandResizedCropd,
)

EVERY = [
    lambda: RandResizedCropd(keys="image", scale=(0.3, 0.8)),
    lambda: RandJitterd(keys="image"),
    lambda: RandBlurd(keys="image", sigma=(1.0, 2.0), prob=1.0),
]
NOTHING = [
    lambda: RandResizedCropd(keys="image", scale=(1.0, 1.0), ratio=(1.0, 1.0)),
    lambda: RandJitterd(keys="image", brightness=0.0, contrast=0.0),
    lambda: RandBlurd(keys="image", sigma=(0.0, 0.0), prob=1.0),
    lambda: RandGreyd(keys="image", prob=1.0),
]


@pytest.fixture
def film():
    rows, columns = np.mgrid[0:60, 0:50].astype(np.float32)
    disc = ((rows - 25) ** 2 + (columns - 20) ** 2 < 150).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.03, (60, 50)).astype(np.float32)
    return torch.from_numpy((0.3 + 0.4 * disc + noise).clip(0, 1)[None])


@pytest.mark.parametrize("build", [*EVERY, *NOTHING])
def test_changed_film_keeps_shape_type_and_range(build, film):
    transform = build()
    before = film.clone()
    for seed in range(20):
        transform.set_random_state(seed=seed)
        changed = transform({"image": film, "label": 1})["image"]
        assert changed.shape == film.shape
        assert changed.dtype == torch.float32
        assert changed.min() >= 0
        assert changed.max() <= 1
    assert torch.equal(film, before)


@pytest.mark.parametrize("build", EVERY)
def test_change_follows_the_seed_and_films_are_changed(build, film):
    transform = build()
    results = []
    for seed in (3, 3, 4):
        transform.set_random_state(seed=seed)
        results.append(transform({"image": film})["image"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert not torch.equal(results[0], film)


@pytest.mark.parametrize("build", NOTHING)
def test_zero_strength_changes_nothing(build, film):
    assert torch.allclose(build()({"image": film})["image"], film, atol=1e-4)


def test_resized_crop_enlarges_what_lies_inside_the_film():
    columns = np.linspace(0, 1, 200, dtype=np.float32)
    ramp = torch.from_numpy(np.tile(columns, (100, 1))[None])
    crop = RandResizedCropd(keys="image", scale=(0.25, 0.25), ratio=(1.0, 1.0))
    lefts = []
    for seed in range(30):
        crop.set_random_state(seed=seed)
        row = crop({"image": ramp})["image"][0, 50]
        # A quarter of the area is half of the width; a ramp stays a ramp, half as steep.
        assert row[-1] - row[0] == pytest.approx(0.5, abs=0.01)
        assert (row.diff() >= -1e-6).all()
        lefts.append(float(row[0]))
    assert min(lefts) < 0.1
    assert max(lefts) > 0.4


def test_jitter_moves_brightness_and_contrast_within_its_bounds(film):
    jitter = RandJitterd(keys="image", brightness=0.2, contrast=0.0)
    gains = []
    for seed in range(50):
        jitter.set_random_state(seed=seed)
        gains.append(float(jitter({"image": film})["image"].mean() / film.mean()))
    assert 0.79 < min(gains) < 0.9
    assert 1.1 < max(gains) < 1.21
    jitter = RandJitterd(keys="image", brightness=0.0, contrast=0.2)
    spreads = []
    for seed in range(50):
        jitter.set_random_state(seed=seed)
        changed = jitter({"image": film})["image"]
        assert float(changed.mean()) == pytest.approx(float(film.mean()), abs=0.01)
        spreads.append(float(changed.std() / film.std()))
    assert 0.79 < min(spreads) < 0.9
    assert 1.1 < max(spreads) < 1.21


def test_grey_makes_the_channels_of_a_photograph_alike(film):
    photograph = torch.cat([film, film * 0.5, film * 0.2])
    grey = RandGreyd(keys="image", prob=1.0)({"image": photograph})["image"]
    assert torch.equal(grey[0], grey[1])
    assert torch.equal(grey[0], grey[2])
    luma = film[0] * (0.299 + 0.587 * 0.5 + 0.114 * 0.2)
    assert torch.allclose(grey[0], luma, atol=1e-5)


def test_blur_is_relative_to_the_size_of_the_film():
    def width(side):
        film = torch.zeros(1, side, side)
        film[0, :, side // 2 :] = 1
        blur = RandBlurd(keys="image", sigma=(2.0, 2.0), prob=1.0)
        edge = blur({"image": film})["image"][0, side // 2].diff()
        return float((edge > edge.max() / 2).sum()) / side

    assert width(224) == pytest.approx(width(672), rel=0.35)
