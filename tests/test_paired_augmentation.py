import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.transforms.layers import pack_layers, unpack_layers
from pipelines.transforms.paired_augmentation import RandCoarseDropoutd, RandWarpd, swap_channels
from pipelines.transforms.segmentation_chains import (
    segmentation_augmentation,
    segmentation_preprocessing,
)

KEYS = ["image", "label"]


def blobs(size=96):
    """A film of two blurred ellipses, with a layer for each."""
    masks = np.zeros((2, size, size), np.uint8)
    cv2.ellipse(masks[0], (30, 40), (14, 9), 20, 0, 360, 1, -1)
    cv2.ellipse(masks[1], (62, 58), (16, 10), -40, 0, 360, 1, -1)
    film = masks.sum(0).astype(np.float32)
    return {
        "image": torch.from_numpy(film[None].clip(0, 1)),
        "label": torch.from_numpy(pack_layers(masks)),
    }


def drawn(transform, seed, item):
    transform.set_random_state(seed=seed)
    return transform(item)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_film_and_masks_move_together(seed):
    moved = drawn(RandWarpd(KEYS, degrees=30, elastic=0.01, elastic_prob=0.7), seed, blobs())
    assert moved["label"].dtype == torch.int32
    film = moved["image"][0].numpy() > 0.5
    mask = moved["label"][0].numpy() != 0
    assert film.sum() > 100
    assert (film & mask).sum() * 2 / (film.sum() + mask.sum()) > 0.97


def test_layers_are_never_mixed():
    layers = torch.from_numpy(np.random.default_rng(0).integers(0, 2**31, (1, 40, 40)))
    item = {"image": torch.zeros(1, 40, 40), "label": layers.int()}
    moved = drawn(RandWarpd(KEYS, elastic_prob=1.0), 3, item)["label"]
    assert set(moved.unique().tolist()) <= {0, *layers.unique().tolist()}


def test_mirroring_alone_is_exact_and_swaps_the_sides():
    still = {"degrees": 0, "zoom": (1, 1), "shift": 0, "elastic": 0, "flip_prob": 1.0}
    item = blobs()
    moved = drawn(RandWarpd(KEYS, swaps=[(0, 1)], **still), 0, item)
    assert torch.equal(moved["image"], item["image"].flip(2))
    before, after = (unpack_layers(part["label"].numpy(), 2) for part in (item, moved))
    assert np.array_equal(after, before[::-1, :, ::-1])


@given(st.integers(0, 2**31 - 1), st.integers(0, 30), st.integers(0, 30))
def test_channels_swapped_twice_are_what_they_were(value, one, other):
    layers = np.array([[[value]]], np.int32)
    once = swap_channels(layers, [(one, other)])
    assert once >> one & 1 == layers >> other & 1
    assert np.array_equal(swap_channels(once, [(one, other)]), layers)


def test_a_crop_is_a_piece_of_the_film_at_full_scale():
    item = blobs()
    moved = drawn(RandWarpd(KEYS, crop=32, prob=0.0), 5, item)
    assert moved["image"].shape == moved["label"].shape == (1, 32, 32)
    whole = item["label"][0].unfold(0, 32, 1).unfold(1, 32, 1)
    assert (whole == moved["label"][0]).all(-1).all(-1).any()


def test_nothing_changes_where_nothing_is_drawn():
    item = blobs()
    moved = drawn(RandWarpd(KEYS, prob=0.0), 1, item)
    assert torch.equal(moved["image"], item["image"])
    assert torch.equal(moved["label"], item["label"])


def test_finer_masks_are_read_as_often_as_their_share_of_a_pixel():
    down, across = np.mgrid[:192, :192]
    fine = (down * 0.3 + across < 120.7).astype(np.int32)[None] << 7
    item = {"image": torch.zeros(1, 96, 96), "label": torch.from_numpy(fine)}
    still = RandWarpd(KEYS, prob=0.0)
    drawn_often = np.stack([drawn(still, seed, item)["label"][0].numpy() for seed in range(400)])
    assert drawn_often.shape == (400, 96, 96)
    assert set(np.unique(drawn_often)) == {0, 1 << 7}
    share = cv2.resize((fine[0] != 0).astype(np.float32), (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs((drawn_often != 0).mean(0) - share).max() < 0.12
    assert np.array_equal((drawn_often != 0).all(0), share == 1)


def test_finer_masks_move_with_their_film():
    item = blobs()
    fine = item["label"].repeat_interleave(2, 1).repeat_interleave(2, 2)
    for seed in range(10):
        transform = RandWarpd(KEYS, degrees=30, elastic=0.01, elastic_prob=0.7)
        coarse = drawn(transform, seed, item)["label"] != 0
        finer = drawn(transform, seed, item | {"label": fine})["label"] != 0
        assert finer.shape == coarse.shape
        assert (coarse & finer).sum() * 2 / (coarse.sum() + finer.sum()) > 0.94


def test_covered_rectangles_leave_most_of_the_film():
    item = {"image": torch.full((1, 100, 100), 2.0)}
    covered = drawn(RandCoarseDropoutd("image", prob=1.0, holes=4, size=(0.1, 0.2)), 2, item)
    share = float((covered["image"] != 2).float().mean())
    assert 0.01 * 0.9 <= share <= 4 * 0.04
    assert item["image"].min() == 2


def test_a_zoom_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="smallest zoom above 0"):
        RandWarpd(KEYS, zoom=(0, 1))


@pytest.fixture
def pair(tmp_path):
    random = np.random.default_rng(0)
    film = cv2.GaussianBlur(random.random((150, 100), dtype=np.float32), (0, 0), 5)
    film = (film - film.min()) / (film.max() - film.min())
    Image.fromarray((film * 255).astype(np.uint8)).save(tmp_path / "film.png")
    mask = np.zeros((150, 100), np.uint8)
    mask[30:90, 20:50] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return {"image": str(tmp_path / "film.png"), "label": str(tmp_path / "mask.png")}


def test_chains_agree_where_nothing_is_random(pair):
    still = dict.fromkeys(
        (
            *("flip_prob", "degrees", "shift", "elastic", "brightness", "contrast", "tone"),
            *("clahe_prob", "noise_prob", "blur_prob", "dropout_prob"),
        ),
        0.0,
    )
    changing = segmentation_augmentation(
        48, 32, classes=["organ"], zoom=(1, 1), fineness=1, **still
    )
    plain = segmentation_preprocessing(48, 32, classes=["organ"])(pair)
    augmented = changing(pair)
    assert plain["image"].shape == plain["label"].shape == (1, 48, 32)
    assert plain["image"].dtype == torch.float32
    assert plain["label"].dtype == torch.uint8
    assert torch.equal(plain["label"], augmented["label"])
    assert torch.allclose(plain["image"], augmented["image"], atol=0.02)


def test_a_film_without_masks_is_prepared_for_prediction(pair):
    prepared = segmentation_preprocessing(48, 32, classes=["organ"])({"image": pair["image"]})
    assert "label" not in prepared
    back = prepared["placement"].to_film(prepared["image"].numpy())
    assert back.shape == (1, 150, 100)


def test_a_brighter_exposure_gives_the_same_picture(pair, tmp_path):
    dim = np.asarray(Image.open(pair["image"]), np.float32)
    Image.fromarray((dim * 0.5 + 90).round().astype(np.uint8)).save(tmp_path / "bright.png")
    chained = segmentation_preprocessing(48, 32, classes=["organ"])
    one, other = (
        chained({"image": str(tmp_path / n)})["image"] for n in ("film.png", "bright.png")
    )
    assert (one - other).abs().mean() < 0.06
