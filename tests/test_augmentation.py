import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.strategies import floats, integers
from monai.transforms import Compose

from pipelines.transforms.augmentation import (
    RandBandGaind,
    RandGraind,
    RandPositiond,
    RandTextured,
    RandToned,
)
from pipelines.transforms.chains import radiograph_augmentation, radiograph_preprocessing

EVERY = [
    lambda: RandPositiond(keys="image", prob=1.0),
    lambda: RandBandGaind(keys="image", prob=1.0),
    lambda: RandTextured(keys="image", prob=1.0),
    lambda: RandGraind(keys="image", prob=1.0),
    lambda: RandToned(keys="image", prob=1.0),
]
NOTHING = [
    lambda: RandPositiond(keys="image", zoom=(1.0, 1.0), degrees=0.0, shift=0.0, flip_prob=0.0),
    lambda: RandBandGaind(keys="image", strength=0.0, prob=1.0),
    lambda: RandGraind(keys="image", largest=0.0, prob=1.0),
    lambda: RandToned(keys="image", strength=0.0),
]


@pytest.fixture
def film():
    rows, columns = np.mgrid[0:60, 0:50].astype(np.float32)
    disc = ((rows - 25) ** 2 + (columns - 20) ** 2 < 150).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.03, (60, 50)).astype(np.float32)
    return torch.from_numpy((0.3 + 0.4 * disc + noise).clip(0, 1)[None])


@pytest.mark.parametrize("build", EVERY)
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
    changed = build()({"image": film})["image"]
    assert torch.allclose(changed, film, atol=1e-5)


@given(seed=integers(0, 2**32 - 1), strength=floats(0, 1))
def test_greys_follow_the_curve_between_its_points(seed, strength):
    toned = RandToned(keys="image", strength=strength).set_random_state(seed=seed)
    greys = np.concatenate([np.linspace(0, 1, 999), np.arange(257) / 256]).astype(np.float32)
    made = toned({"image": torch.from_numpy(greys[None, None])})["image"]
    curve = np.interp(greys, np.linspace(0, 1, 257), toned._curve)
    assert np.allclose(made[0, 0], curve, atol=1e-6)


@pytest.mark.parametrize("build", EVERY)
def test_probability_zero_gives_the_very_film(build, film):
    transform = build()
    transform.prob = 0.0
    assert transform({"image": film})["image"] is film


def test_all_channels_and_keys_move_alike(film):
    move = RandPositiond(keys=["image", "mask"], prob=1.0)
    move.set_random_state(seed=1)
    item = move({"image": torch.cat([film, film]), "mask": film})
    assert torch.equal(item["image"][0], item["image"][1])
    assert torch.equal(item["image"][:1], item["mask"])


def test_mirrored_film_is_the_mirror_image(film):
    mirror = RandPositiond(keys="image", zoom=(1.0, 1.0), degrees=0.0, shift=0.0, flip_prob=1.0)
    assert torch.allclose(mirror({"image": film})["image"], film.flip(2), atol=1e-4)


def test_training_chain_differs_from_preprocessing_only_in_what_is_random(tmp_path, film):
    from PIL import Image

    levels = (film[0].numpy() * 255).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "film.png")
    item = {"image": tmp_path / "film.png"}
    augmentation = radiograph_augmentation(32)
    for transform in augmentation.transforms:
        if hasattr(transform, "prob"):
            transform.prob = 0.0
    plain = radiograph_preprocessing(32)(item)["image"]
    assert torch.equal(augmentation(item)["image"], plain)
    assert tuple(plain.shape) == (1, 32, 32)
    assert abs(float(plain.mean())) < 1e-5


def test_film_at_full_size_and_its_small_copy_give_the_same(tmp_path):
    import cv2

    random = np.random.default_rng(0)
    coarse = random.random((40, 52), np.float32)
    full = cv2.resize(coarse, (1300, 1000), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    small = cv2.resize(full, (224, 224), interpolation=cv2.INTER_AREA)
    for name, pixels in (("full", full), ("small", small)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.rint(pixels * 255).astype(np.uint8))
    chain = radiograph_preprocessing(160)
    one, two = (chain({"image": tmp_path / f"{n}.png"})["image"] for n in ("full", "small"))
    assert (one - two).abs().max() < 0.03


def test_chain_is_a_compose_that_takes_a_seed():
    assert isinstance(radiograph_augmentation(32), Compose)
