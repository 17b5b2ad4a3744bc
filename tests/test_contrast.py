import numpy as np
import pytest
import torch
from monai.transforms import Compose
from skimage.exposure import equalize_adapthist

from pipelines.transforms.contrast import Clahed, RandClahed, equalise_clahe


@pytest.fixture
def film():
    rows = np.linspace(0.4, 0.6, 128, dtype=np.float32)
    noise = np.random.default_rng(0).normal(0, 0.02, (1, 128, 128)).astype(np.float32)
    return (rows[None, :, None] + noise).clip(0, 1)


@pytest.mark.parametrize("bits", [8, 16])
def test_contrast_grows_and_range_is_kept(film, bits):
    equalised = equalise_clahe(film, bits=bits)
    assert equalised.shape == film.shape
    assert equalised.dtype == np.float32
    assert equalised.std() > 1.3 * film.std()
    assert equalised.min() >= 0
    assert equalised.max() <= 1


def test_sixteen_bits_keep_fine_grey_steps(film):
    assert len(np.unique(equalise_clahe(film, bits=16))) > 1000
    assert len(np.unique(equalise_clahe(film, bits=8))) <= 256


def test_higher_clip_limit_gives_more_contrast(film):
    spread = [equalise_clahe(film, clip_limit=limit, bits=8).std() for limit in (1.0, 2.0, 8.0)]
    assert spread[0] < spread[1] < spread[2]


def test_agrees_in_structure_with_scikit_image(film):
    ours = equalise_clahe(film, clip_limit=2.0, tile_grid=(4, 4))[0]
    theirs = equalize_adapthist(film[0], kernel_size=32, clip_limit=0.02)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


def test_each_channel_is_equalised_alone(film):
    both = np.concatenate([film, film[:, ::-1]])
    assert np.array_equal(equalise_clahe(both)[:1], equalise_clahe(film))


def test_flat_film_stays_finite():
    assert np.isfinite(equalise_clahe(np.full((1, 64, 64), 0.5, np.float32))).all()


def test_transform_works_in_a_chain_and_leaves_the_input(film):
    tensor = torch.from_numpy(film.copy())
    item = Compose([Clahed(keys="image", clip_limit=2.0)])({"image": tensor})
    assert np.array_equal(item["image"].numpy(), equalise_clahe(film))
    assert np.array_equal(tensor.numpy(), film)


def test_random_transform_follows_its_seed(film):
    item = {"image": torch.from_numpy(film)}
    chain = Compose([RandClahed(keys="image", prob=0.5, clip_limit=(1.0, 4.0))])
    runs = []
    for _ in range(2):
        chain.set_random_state(seed=7)
        runs.append([chain(item)["image"].numpy() for _ in range(8)])
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))
    changed = [not np.array_equal(result, film) for result in runs[0]]
    assert 0 < sum(changed) < 8


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_probability_at_its_bounds(film, prob):
    item = RandClahed(keys="image", prob=prob)({"image": torch.from_numpy(film)})
    assert np.array_equal(item["image"].numpy(), film) == (prob == 0)


def test_wrong_arguments_are_refused(film):
    with pytest.raises(ValueError, match=r"got 0\.0"):
        equalise_clahe(film, clip_limit=0.0)
    with pytest.raises(ValueError, match="and 12"):
        equalise_clahe(film, bits=12)
