"""What lies on the network's picture is found at its place on the film."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from pipelines.radiograph import Provenance, Radiograph
from pipelines.transforms.chains import efficientnet_preprocessing, radiograph_preprocessing
from pipelines.transforms.window import Window, window_of


def prepared(chain, pixels, spacing_mm=None):
    return chain({"image": Radiograph(pixels, spacing_mm, Provenance("png", 8))})


@pytest.mark.parametrize("spacing_mm", [None, (0.2, 0.1)])
@pytest.mark.parametrize(
    ("chain", "shown"),
    [
        (radiograph_preprocessing(48, film_size=64), (0, 0, 120, 80)),
        (efficientnet_preprocessing(48), (20, 0, 80, 80)),
    ],
)
def test_window_follows_resizing_and_cropping(chain, shown, spacing_mm):
    film = np.zeros((1, 120, 80), np.float32)
    film[0, 30:40, 50:60] = 1
    item = prepared(chain, film, spacing_mm)
    window = item["placement"]
    assert (window.top, window.left, window.height, window.width) == pytest.approx(shown, abs=1.7)

    back = window.to_film(item["image"].numpy())[0]
    assert back.shape == (120, 80)
    bright = back > (back.min() + back.max()) / 2
    rows, columns = np.nonzero(bright)
    assert rows.mean() == pytest.approx(34.5, abs=1)
    assert columns.mean() == pytest.approx(54.5, abs=1)
    outside = np.ones((120, 80), bool)
    outside[round(window.top) : round(window.top + window.height)] = False
    assert (back[outside] == 0).all()


def test_masks_keep_their_values_and_nothing_changes_at_the_film_s_own_size():
    masks = np.random.default_rng(0).random((2, 6, 8)) > 0.5
    same = Window((6, 8), 0, 0, 6, 8).to_film(masks)
    assert same.dtype == bool
    assert np.array_equal(same, masks)
    twice = Window((12, 16), 0, 0, 12, 16).to_film(masks.astype(np.uint8))
    assert np.array_equal(twice, masks.repeat(2, 1).repeat(2, 2))


def test_a_turned_picture_has_no_window():
    turned = MetaTensor(
        torch.zeros(1, 4, 4), affine=torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
    )
    assert window_of(turned, film=(4, 4), spacing_mm=None) is None
