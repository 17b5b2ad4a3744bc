import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError
from pipelines.transforms.letterbox import Letterbox, Letterboxd

sides = st.integers(1, 90)
sizes = st.tuples(sides, sides)


@given(sizes, sizes)
def test_film_fits_keeps_its_proportions_and_lies_in_the_middle(film, network):
    box = Letterbox(film, network)
    assert all(inner <= side for inner, side in zip(box.inner, network, strict=True))
    assert any(inner == side for inner, side in zip(box.inner, network, strict=True))
    scale = min(n / f for n, f in zip(network, film, strict=True))
    for inner, side, corner, outer in zip(box.inner, film, box.corner, network, strict=True):
        assert inner == pytest.approx(side * scale, abs=1)
        assert 0 <= outer - inner - 2 * corner <= 1


@settings(max_examples=50)
@given(sizes, st.integers(1, 3), st.integers(0, 2**31 - 1))
def test_masks_come_back_unchanged_from_a_rectangle_that_is_a_multiple(film, factor, seed):
    layers = np.random.default_rng(seed).integers(0, 2**31, (1, *film)).astype(np.int32)
    box = Letterbox(film, (film[0] * factor, film[1] * factor + 7))
    there = box.layers_to_network(layers)
    assert there.shape == (1, *box.network)
    for channel in (0, 5, 30):
        mask = there >> channel & 1
        back = box.to_film(mask.astype(np.uint8))
        assert np.array_equal(back, layers >> channel & 1)


def test_smooth_pictures_come_back_from_a_smaller_rectangle():
    rows, columns = np.mgrid[:120, :80] / 120
    film = (0.5 + 0.3 * np.sin(5 * rows) * np.cos(4 * columns)).astype(np.float32)[None]
    box = Letterbox((120, 80), (64, 64))
    there = box.to_network(film)
    assert there.shape == (1, 64, 64)
    assert box.inner == (64, 43)
    assert box.corner == (0, 10)
    assert not there[:, :, :10].any()
    assert not there[:, :, 53:].any()
    back = box.to_film(there)
    assert back.shape == film.shape
    assert np.abs(back - film).max() < 0.03


def test_a_shrunken_mask_neither_grows_nor_moves():
    down, across = np.mgrid[:200, :200]
    mask = (np.hypot(down - 80, across - 99) < 61.3).astype(np.int32)[None] << 4
    box = Letterbox((200, 200), (50, 50))
    back = box.to_film((box.layers_to_network(mask) != 0).astype(np.float32)) > 0.5
    rows, columns = np.nonzero(back[0])
    assert rows.mean() == pytest.approx(80, abs=0.3)
    assert columns.mean() == pytest.approx(99, abs=0.3)
    assert back.sum() == pytest.approx((mask != 0).sum(), rel=0.02)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_masks_take_their_nearest_neighbour(dtype):
    mask = np.eye(4, dtype=dtype)[None]
    film = Letterbox((8, 8), (4, 4)).to_film(mask)
    assert film.dtype == dtype
    assert np.array_equal(film[0], np.kron(np.eye(4), np.ones((2, 2))).astype(dtype))


def test_film_and_layers_of_an_item_lie_alike():
    item = {"image": torch.rand(1, 40, 20), "label": torch.ones(1, 40, 20, dtype=torch.int32)}
    laid = Letterboxd(["image", "label"], height=16, width=24)(item)
    assert laid["image"].shape == laid["label"].shape == (1, 16, 24)
    assert laid["label"].dtype == torch.int32
    inside = laid["label"][0].bool()
    assert inside.sum() == 16 * 8
    assert torch.equal(laid["image"][0] > 0, inside)
    assert laid["placement"] == Letterbox((40, 20), (16, 24))


def test_a_film_without_masks_is_laid_alone():
    laid = Letterboxd(["image", "label"], height=8, width=8, allow_missing_keys=True)(
        {"image": torch.rand(1, 4, 4)}
    )
    assert laid.keys() == {"image", "placement"}


@given(sizes, sizes, st.integers(1, 3))
def test_finer_masks_lie_where_coarse_ones_do(film, network, fineness):
    box = Letterbox(film, network)
    fine = box.layers_to_network(np.ones((1, *film), np.int32), fineness=fineness)
    coarse = box.layers_to_network(np.ones((1, *film), np.int32))
    assert np.array_equal(fine, np.kron(coarse, np.ones((1, fineness, fineness), np.int32)))


def test_a_rectangle_without_area_is_refused():
    with pytest.raises(ConfigurationError, match="at least 1, got 0, 5 and 1"):
        Letterboxd("image", height=0, width=5)
