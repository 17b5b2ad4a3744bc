import cv2
import numpy as np
import pytest
import torch

from pipelines.errors import ConfigurationError, DatasetError, RunError
from pipelines.evaluation.guard import Guard
from pipelines.evaluation.guard_fit import fit_and_save_guard, fit_guard
from pipelines.training.dataset import RadiographDataset
from pipelines.transforms.chains import (
    efficientnet_augmentation,
    efficientnet_preprocessing,
    radiograph_augmentation,
    radiograph_preprocessing,
)

RANDOM = np.random.default_rng(0)
RED = np.array([1.0, 0.6, 0.5], np.float32)[:, None, None]


def trunk(side=96, channels=1):
    """A dark field on either side of a bright middle, as a chest has them."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    centre, width = RANDOM.uniform(0.22, 0.3), RANDOM.uniform(0.1, 0.14)
    film = np.full((side, side), 0.8)
    for column in (centre, 1 - centre):
        lung = np.exp(-(((columns - column) / width) ** 2) - ((rows - 0.45) / 0.3) ** 2)
        film -= RANDOM.uniform(0.5, 0.65) * lung
    film += 0.05 * np.sin(rows * 60 + RANDOM.uniform(0, 6)) + RANDOM.normal(0, 0.02, film.shape)
    return np.repeat(film.clip(0, 1)[None], channels, axis=0).astype(np.float32)


def limb(side=96):
    """Two bright shafts on black."""
    columns = np.mgrid[0:side, 0:side][1] / side
    film = sum(np.exp(-(((columns - place) / 0.05) ** 2)) for place in (0.4, 0.6))
    return (film + RANDOM.normal(0, 0.02, film.shape)).clip(0, 1).astype(np.float32)[None]


def write(folder, films):
    items = []
    for index, film in enumerate(films):
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), np.rint(film[0] * 255).astype(np.uint8))
        items.append({"image": path, "label": 0})
    return items


@pytest.fixture(scope="module")
def guard():
    return fit_guard([trunk() for _ in range(80)], [trunk() for _ in range(120)])


def flagged(guard, films):
    return guard.flags(guard.score(np.stack(films))).mean()


def test_films_that_belong_pass_and_others_are_flagged(guard):
    belong = [trunk() for _ in range(100)]
    assert flagged(guard, belong) < 0.06
    assert flagged(guard, [limb() for _ in range(10)]) == 1
    assert flagged(guard, [np.rot90(film, 1, (1, 2)) for film in belong]) == 1
    assert flagged(guard, [1 - film for film in belong]) == 1


@pytest.mark.parametrize(
    "pattern",
    [
        np.zeros((96, 96)),
        np.full((96, 96), 0.7),
        np.mgrid[0:96, 0:96][0] / 96,
        np.kron(np.indices((12, 12)).sum(0) % 2, np.ones((8, 8))),
        np.random.default_rng(1).random((96, 96)),
    ],
    ids=["black", "grey", "ramp", "board", "noise"],
)
def test_blank_films_and_test_patterns_are_flagged(guard, pattern):
    assert flagged(guard, [pattern[None].astype(np.float32)]) == 1


def test_mirrored_film_scores_alike(guard):
    films = np.stack([trunk() for _ in range(20)])
    assert np.allclose(guard.score(films), guard.score(films[..., ::-1]), atol=0.2)


def test_scale_of_grey_size_and_type_do_not_matter(guard):
    films = np.stack([trunk(192) for _ in range(5)])
    plain = guard.score(films)
    assert np.allclose(guard.score(torch.from_numpy(films * 3 - 1)), plain, atol=0.02)
    coarse = films.reshape(5, 1, 96, 2, 96, 2).mean((3, 5))
    assert np.allclose(guard.score(coarse), plain, atol=0.05)


def test_film_that_is_not_finite_is_flagged_and_leaves_others_alone(guard):
    films = np.stack([trunk(), trunk()])
    alone = guard.score(films[1:])
    films[0, 0, 3, 3] = np.nan
    scores = guard.score(films)
    assert scores[0] == np.inf
    assert np.allclose(scores[1:], alone)
    assert guard.flags(scores)[0]


def test_guard_read_back_scores_alike(guard, tmp_path):
    guard.save(tmp_path / "guard.npz")
    assert (tmp_path / "guard.npz").stat().st_size < 1_000_000
    again = Guard.load(tmp_path / "guard.npz")
    films = np.stack([trunk() for _ in range(5)])
    assert np.allclose(again.score(films), guard.score(films), atol=1e-4)
    assert (again.limit, again.edge_weight) == (guard.limit, guard.edge_weight)


def test_wrong_files_and_channels_are_refused(guard, tmp_path):
    with pytest.raises(RunError, match=r"expected a guard, found no file guard\.npz"):
        Guard.load(tmp_path / "guard.npz")
    for content in (b"", b"no guard", b"PK\x03\x04broken"):
        (tmp_path / "guard.npz").write_bytes(content)
        with pytest.raises(RunError, match="holds none"):
            Guard.load(tmp_path / "guard.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(RunError, match="holds none"):
        Guard.load(tmp_path / "other.npz")
    with pytest.raises(ConfigurationError, match="expected films of 1 channels, got 3"):
        guard.score(np.zeros((1, 3, 96, 96)))


def photograph():
    """Red skin, whose texture is not the same in each colour."""
    noise = RANDOM.normal(0, 0.03, (3, 96, 96)).astype(np.float32)
    return cv2.GaussianBlur((trunk(channels=3) * RED + noise).T, (0, 0), 1.5).T


def test_colour_is_seen():
    guard = fit_guard([photograph() for _ in range(40)], [photograph() for _ in range(30)])
    belong = [photograph() for _ in range(20)]
    assert flagged(guard, belong) < 0.2
    assert flagged(guard, [film[::-1] for film in belong]) == 1
    # A radiograph, whatever each of its channels was scaled by.
    grey = [trunk(channels=3) * RED + RED for _ in range(5)]
    assert flagged(guard, grey) == 1


def test_limit_with_few_validation_films_lies_beyond_them():
    train = [trunk() for _ in range(40)]
    val = [trunk() for _ in range(8)]
    guard = fit_guard(train, val)
    assert guard.limit > guard.score(np.stack(val)).max()


def test_weight_of_edges_is_kept_with_the_guard(tmp_path):
    films = [trunk() for _ in range(40)]
    plain, heavy = (fit_guard(films[:20], films[20:], edge_weight=weight) for weight in (0.5, 3.0))
    heavy.save(tmp_path / "guard.npz")
    other = np.stack([limb()])
    assert heavy.score(other) != plain.score(other)
    assert np.allclose(Guard.load(tmp_path / "guard.npz").score(other), heavy.score(other))


def test_too_few_films_and_wrong_share_are_refused():
    with pytest.raises(DatasetError, match="at least two validation films"):
        fit_guard([trunk()], [trunk()])
    with pytest.raises(ConfigurationError, match="expected false_alarms between 0 and 1, got 1"):
        fit_guard([], [], false_alarms=1)


@pytest.mark.parametrize(
    ("augmentation", "preprocessing"),
    [
        (radiograph_augmentation, radiograph_preprocessing),
        (efficientnet_augmentation, efficientnet_preprocessing),
    ],
)
def test_guard_of_a_run_sees_what_the_network_sees(tmp_path, augmentation, preprocessing):
    items = write(tmp_path, [trunk() for _ in range(30)])
    train = RadiographDataset(items[:20], augmentation(64))
    val = RadiographDataset(items[20:], preprocessing(64))
    train.read_all()
    still = RadiographDataset(items[:20], preprocessing(64))
    for plain, prepared in zip(train.plain(), still.plain(), strict=True):
        assert torch.allclose(plain, prepared, atol=1e-3)
    guard = fit_and_save_guard(train, val, tmp_path / "guard.npz")
    assert Guard.load(tmp_path / "guard.npz").limit == guard.limit
