import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.training.dataset import RadiographDataset
from pipelines.transforms.reconstruction import (
    reconstruction_augmentation,
    reconstruction_preprocessing,
)


@pytest.fixture
def films(tmp_path):
    """Films of every mode that the public set has, and a GIF under a JPEG's name."""
    random = np.random.default_rng(0)
    grey = Image.fromarray(random.integers(0, 256, (40, 60), dtype=np.uint8))
    paths = []
    for name, mode, kind in (
        ("a (1).png", "L", "PNG"),
        ("b [2].jpg", "RGB", "JPEG"),
        ("c.png", "RGBA", "PNG"),
        ("d.png", "P", "PNG"),
        ("e - Copy.jpg", "P", "GIF"),
    ):
        grey.convert(mode).save(tmp_path / name, format=kind)
        paths.append(tmp_path / name)
    return [{"image": str(path), "label": 0, "group": path.name} for path in paths]


def test_every_mode_becomes_one_grey_square_and_is_its_own_label(films):
    dataset = RadiographDataset(films, reconstruction_preprocessing(32))
    dataset.read_all()
    for place in range(len(films)):
        item = dataset[place]
        assert item["image"].shape == (1, 32, 32)
        assert 0 <= item["image"].min() < item["image"].max() <= 1
        assert torch.equal(torch.as_tensor(item["image"]), torch.as_tensor(item["label"]))
    grey, other = dataset[0]["image"], dataset[2]["image"]
    assert torch.allclose(torch.as_tensor(grey), torch.as_tensor(other), atol=0.01)


def test_label_moves_with_the_film_and_has_no_noise(films):
    chain = reconstruction_augmentation(32, tone=0.5, noise=0.05)
    dataset = RadiographDataset(films, chain)
    dataset.read_all()
    item = dataset[0]
    still = reconstruction_preprocessing(32)(films[0])["image"]
    assert not torch.allclose(torch.as_tensor(item["label"]), torch.as_tensor(still), atol=0.05)
    noise = torch.as_tensor(item["image"] - item["label"])
    assert 0.001 < noise.std() < 0.06


def test_clahe_is_a_choice(films):
    plain = reconstruction_preprocessing(64)(films[0])["image"]
    equalised = reconstruction_preprocessing(64, clahe=True)(films[0])["image"]
    assert not torch.allclose(torch.as_tensor(plain), torch.as_tensor(equalised), atol=0.01)


def test_default_size_is_1024():
    assert reconstruction_preprocessing().transforms[1].size == 1024
