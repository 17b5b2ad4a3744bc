import json

import cv2
import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import ConfigurationError, InputError
from pipelines.transforms.layers import (
    LoadLayersd,
    UnpackLayersd,
    load_layers,
    pack_layers,
    unpack_layers,
)
from pipelines.transforms.polygons import fill_polygons
from pipelines.transforms.sides import split_sides

CLASSES = ("Radius", "Ulna", "Lunate")
SIZE = (30, 40)


def masks_of_three():
    """Three masks, of which the last two overlap."""
    masks = np.zeros((3, *SIZE), np.uint8)
    masks[0, 2:12, 3:10] = 1
    masks[1, 10:25, 20:30] = 1
    masks[2, 20:28, 25:38] = 1
    return masks


def label_map(masks):
    return np.max(masks * np.arange(1, len(masks) + 1, dtype=np.uint8)[:, None, None], axis=0)


def write_polygons(path, masks):
    def ring(mask):
        (outline,), _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        return outline[:, 0].tolist()

    entries = [
        {"type": "poly_seg", "label": name, "points": ring(mask)}
        for name, mask in zip(CLASSES, masks, strict=True)
    ]
    path.write_text(json.dumps({"annotations": entries}), "utf-8")
    return path


@settings(max_examples=40)
@given(st.integers(1, 31), st.integers(0, 2**32 - 1))
def test_what_is_packed_is_unpacked(channels, seed):
    masks = np.random.default_rng(seed).integers(0, 2, (channels, 7, 5), dtype=np.uint8)
    layers = pack_layers(masks)
    assert layers.dtype == np.int32
    assert layers.shape == (1, 7, 5)
    assert np.array_equal(unpack_layers(layers, channels), masks)


def test_more_channels_than_bits_are_refused():
    with pytest.raises(ConfigurationError, match="1 to 31 classes, got 32"):
        pack_layers(np.zeros((32, 2, 2)))


def test_polygons_are_filled_as_opencv_fills_them():
    random = np.random.default_rng(3)
    polygons = {name: random.integers(0, 30, (6, 2)).astype(float) for name in CLASSES}
    layers = unpack_layers(fill_polygons(polygons, classes=CLASSES, size=SIZE), 3)
    for name, mask in zip(CLASSES, layers, strict=True):
        expected = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(expected, [polygons[name].astype(np.int32)], 1)
        assert np.array_equal(mask, expected)


def test_every_form_of_masks_gives_the_same_layers(tmp_path):
    masks = masks_of_three()
    folder = tmp_path / "film"
    folder.mkdir()
    for name, mask in zip(CLASSES, masks, strict=True):
        Image.fromarray(mask * 255).save(folder / f"{name}.png")
    nifti = tmp_path / "film.nii.gz"
    nibabel.save(nibabel.Nifti1Image(masks.transpose(2, 1, 0), np.eye(4)), nifti)
    polygons = write_polygons(tmp_path / "film.json", masks)
    for source in (folder, nifti, polygons):
        layers = load_layers(source, classes=CLASSES, size=SIZE)
        assert np.array_equal(unpack_layers(layers, 3), masks), source.name


@pytest.mark.parametrize("suffix", [".png", ".nii"])
def test_a_label_map_numbers_the_classes_from_one(tmp_path, suffix):
    masks = masks_of_three()
    masks[1][masks[2] != 0] = 0
    path = tmp_path / f"film{suffix}"
    if suffix == ".png":
        Image.fromarray(label_map(masks)).save(path)
    else:
        nibabel.save(nibabel.Nifti1Image(label_map(masks).T, np.eye(4)), path)
    layers = load_layers(path, classes=CLASSES, size=SIZE)
    assert np.array_equal(unpack_layers(layers, 3), masks)


def test_a_smoothed_mask_is_decided_at_128(tmp_path):
    levels = np.zeros(SIZE, np.uint8)
    levels[5:9, 5:9] = [[0, 127, 128, 255]] * 4
    Image.fromarray(levels).save(tmp_path / "mask.png")
    layers = load_layers(tmp_path / "mask.png", classes=["lung"], size=SIZE)
    assert layers.sum() == 8


def test_two_organs_are_told_apart_by_their_side(tmp_path):
    mask = np.zeros(SIZE, np.uint8)
    mask[5:25, 25:38] = 255  # larger, on the right of the film
    mask[8:20, 3:12] = 255
    mask[28, 4] = 255  # a crumb below the left one
    Image.fromarray(mask).save(tmp_path / "mask.png")
    names = ["right lung", "left lung"]
    layers = load_layers(tmp_path / "mask.png", classes=names, size=SIZE, sides=True)
    first, second = unpack_layers(layers, 2)
    assert (first.sum(), second.sum()) == (12 * 9 + 1, 20 * 13)
    assert first[28, 4]


def test_organs_that_touch_are_worn_down_until_they_part():
    mask = np.zeros((60, 80), np.uint8)
    cv2.circle(mask, (22, 30), 16, 1, -1)
    cv2.circle(mask, (57, 30), 17, 1, -1)
    mask[29:32, 30:50] = 1
    left, right = split_sides(mask)
    assert np.array_equal(left | right, mask)
    assert not (left & right).any()
    assert left[:, :38].sum() > 0.97 * left.sum()
    assert right[:, 40:].sum() > 0.97 * right.sum()


@pytest.mark.parametrize("mask", [np.ones((50, 50)), np.zeros((5, 5))], ids=["one", "none"])
def test_what_is_not_two_organs_is_refused(mask):
    with pytest.raises(InputError, match="does not fall into two parts"):
        split_sides(mask)


def bad_masks():
    masks = masks_of_three()
    yield "size", masks[:1, :20] * 255, "size of its film, 30 x 40, got 20 x 40"
    yield "empty", masks[:1] * 0, "got none of Radius, Ulna, Lunate"
    yield "class missing", masks[:1] * 2, "got none of Radius, Lunate"
    yield "labels", masks[:1] * 4, "expected labels from 0 to 3, one a class, got 0 to 4"
    yield "channels", masks[:2], "as many channels as classes, 3, got 2"


@pytest.mark.parametrize(("case", "masks", "problem"), list(bad_masks()), ids=lambda x: str(x)[:9])
def test_masks_that_cannot_be_right_are_refused(tmp_path, case, masks, problem):
    path = tmp_path / "film.nii"
    nibabel.save(nibabel.Nifti1Image(masks.transpose(2, 1, 0), np.eye(4)), path)
    with pytest.raises(InputError, match=problem):
        load_layers(path, classes=CLASSES, size=SIZE)


def test_a_folder_that_lacks_a_class_is_refused(tmp_path):
    Image.fromarray(masks_of_three()[0]).save(tmp_path / "Radius.png")
    with pytest.raises(InputError, match=r"expected a mask named Ulna\.png"):
        load_layers(tmp_path, classes=CLASSES, size=SIZE)


def test_items_are_loaded_and_unpacked(tmp_path):
    path = write_polygons(tmp_path / "film.json", masks_of_three())
    item = {"image": torch.zeros(1, *SIZE), "label": str(path)}
    loaded = LoadLayersd("label", classes=CLASSES)(item)
    assert loaded["label"].dtype == torch.int32
    unpacked = UnpackLayersd("label", channels=3)(loaded)["label"]
    assert unpacked.dtype == torch.uint8
    assert np.array_equal(unpacked, masks_of_three())


def test_films_without_masks_pass():
    item = {"image": torch.zeros(1, *SIZE), "label": None}
    chained = UnpackLayersd("label", channels=3)(LoadLayersd("label", classes=CLASSES)(item))
    assert chained["label"] is None
    bare = {"image": torch.zeros(1, *SIZE)}
    assert LoadLayersd("label", classes=CLASSES, allow_missing_keys=True)(bare).keys() == {"image"}


def test_two_sides_need_two_classes():
    with pytest.raises(ConfigurationError, match="two classes for two sides, got 3"):
        LoadLayersd("label", classes=CLASSES, sides=True)
