import cv2
import numpy as np
import pytest
import torch

from pipelines.training.dataset import RadiographDataset
from pipelines.training.sampling import Draw
from pipelines.transforms.chains import (
    efficientnet_augmentation,
    efficientnet_preprocessing,
    radiograph_augmentation,
    radiograph_preprocessing,
    recipe_augmentation,
)

RECIPES = {
    "basic": {"rotation": 20, "scale": [0.8, 1.0], "ratio": [0.75, 1.33]},
    "balanced": {"scale": [0.8, 1.0], "rotation": 10},
    "precise": {"colour_jitter": 0.2, "rotation": 15},
    "final": {"zoom": [0.9, 1.1], "shift": 0.05, "blur_prob": 0.2, "grayscale_prob": 0.1},
}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """The path of a landscape film, bright in its right third."""
    coarse = np.random.default_rng(0).random((30, 45), np.float32) * 0.5
    coarse[:, 30:] += 0.4
    pixels = cv2.resize(coarse, (900, 600), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    path = tmp_path_factory.mktemp("films") / "film.png"
    cv2.imwrite(str(path), np.rint(pixels * 255).astype(np.uint8))
    return path


def still(chain):
    for transform in chain.transforms:
        if hasattr(transform, "prob"):
            transform.prob = 0.0
    return chain


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("augmentation", "preprocessing"),
    [
        (efficientnet_augmentation, efficientnet_preprocessing),
        (recipe_augmentation, radiograph_preprocessing),
    ],
)
def test_training_chain_differs_from_preprocessing_only_in_what_is_random(
    film, augmentation, preprocessing, channels
):
    item = {"image": film}
    plain = preprocessing(96, channels=channels)(item)["image"]
    assert torch.equal(still(augmentation(96, channels=channels))(item)["image"], plain)
    assert tuple(plain.shape) == (channels, 96, 96)
    assert plain.dtype == torch.float32


def test_still_radiographs_are_those_of_preprocessing(film):
    still_film = still(radiograph_augmentation(96))({"image": film})["image"]
    assert torch.equal(still_film, radiograph_preprocessing(96)({"image": film})["image"])


def test_a_recipe_without_keys_changes_nothing_but_the_side(film):
    plain = radiograph_preprocessing(96)({"image": film})["image"]
    same = recipe_augmentation(96, flip_prob=0.0)({"image": film})["image"]
    mirrored = recipe_augmentation(96, flip_prob=1.0)({"image": film})["image"]
    assert torch.allclose(same, plain, atol=1e-3)
    assert torch.allclose(mirrored.flip(2), plain, atol=0.01)


def test_efficientnet_keeps_the_ratio_and_takes_the_middle(film):
    image = efficientnet_preprocessing(224)({"image": film})["image"]
    levels = cv2.imread(str(film), cv2.IMREAD_GRAYSCALE)
    small = cv2.resize(levels, (336, 224), interpolation=cv2.INTER_AREA)[:, 56:280]
    expected = (small / 255 - 0.449) / 0.226
    assert np.abs(image[0].numpy() - expected).max() < 0.03


def test_one_channel_is_what_three_channels_are_summed_to(film):
    one = efficientnet_preprocessing(64)({"image": film})["image"]
    three = efficientnet_preprocessing(64, channels=3)({"image": film})["image"]
    assert torch.allclose(three.mean(0), one[0], atol=0.02)


@pytest.mark.parametrize("name", [*RECIPES, "efficientnet"])
def test_draws_follow_their_seed_through_the_cache(film, name):
    chain = (
        efficientnet_augmentation(64)
        if name == "efficientnet"
        else recipe_augmentation(64, film_size=64, **RECIPES[name])
    )
    dataset = RadiographDataset([{"image": film, "label": 0}], chain)
    dataset.read_all()
    assert next(iter(dataset.films())).shape == (1, 64, 64)
    draws = [dataset[Draw(0, seed)]["image"] for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert tuple(draws[0].shape) == (1, 64, 64)
