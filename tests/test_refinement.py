"""The data of a refiner: crops of bones with truth and first answer, moved and joined."""

import json

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.refinement import JoinCropsd, RandReframed
from pipelines.transforms.refinement_chains import (
    refinement_augmentation,
    refinement_preprocessing,
)

NAMES = ("finger-2", "finger-18", "Capitate")
SIZE = (128, 96)
PLACES = (((30, 40), (6, 18), -30), ((70, 40), (6, 16), 10), ((50, 95), (14, 10), 0))


class First:
    """Says where the bones are, a little off, without a network."""

    def __call__(self, film):
        placement = Letterbox(film.shape[1:], (64, 64))
        logits = np.full((3, 64, 64), -6, np.float32)
        for plane, ((x, y), axes, degrees) in zip(logits, PLACES, strict=True):
            center = ((x + 1) / 2 + placement.corner[1], (y + 1) / 2)
            cv2.ellipse(plane, (center, axes, degrees), 6, -1)
        return logits, placement

    def decide(self, logits):
        return logits > 0


@pytest.fixture(scope="module")
def item(tmp_path_factory):
    """A film with bright bones and their outlines."""
    folder = tmp_path_factory.mktemp("bones")
    film = np.full(SIZE, 40, np.uint8)
    entries = []
    for number, (name, (center, axes, degrees)) in enumerate(zip(NAMES, PLACES, strict=True)):
        mask = np.zeros(SIZE, np.uint8)
        cv2.ellipse(mask, (center, (2 * axes[0], 2 * axes[1]), degrees), 1, -1)
        film[mask > 0] = 200
        ring = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0][0][:, 0]
        entries.append(
            {
                "id": f"a{number}",
                "type": "poly_seg",
                "attributes": {},
                "points": ring.tolist(),
                "label": name,
            }
        )
    Image.fromarray(film).save(folder / "film.png")
    content = {"annotations": entries, "metadata": {"height": SIZE[0], "width": SIZE[1]}}
    (folder / "film.json").write_text(json.dumps(content), "utf-8")
    return {"image": str(folder / "film.png"), "label": str(folder / "film.json")}


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def test_film_truth_and_first_answer_lie_on_each_other(item):
    chain = refinement_preprocessing(48, 32, coarse=First(), classes=NAMES)
    made = chain(dict(item))
    image, label = np.asarray(made["image"]), np.asarray(made["label"])
    assert image.shape == (6, 48, 32)
    assert label.shape == (3, 48, 32)
    assert label.dtype == np.uint8
    film, first = image[:3], image[3:]
    assert np.abs(film.mean(axis=(1, 2))).max() < 1e-4
    assert film.std(axis=(1, 2)) == pytest.approx(1, abs=1e-3)
    assert first.min() >= -1
    assert first.max() <= 1
    for bone in range(3):
        assert dice(film[bone] > 0, label[bone] > 0) > 0.95
        assert dice(first[bone] > 0, label[bone] > 0) > 0.8
        rows, columns = np.nonzero(label[bone])
        assert rows.min() > 2 < columns.min()  # there is a margin


def test_a_film_without_masks_is_cut_as_well(item):
    chain = refinement_preprocessing(48, 32, coarse=First(), classes=NAMES)
    alone = chain({"image": item["image"]})
    assert torch.equal(alone["image"], chain(dict(item))["image"])


def test_augmented_crops_are_of_the_same_kind_and_follow_the_seed(item):
    chain = refinement_augmentation(48, 32, coarse=First(), classes=NAMES, dropout_prob=0.0)
    made = [chain.set_random_state(seed)(dict(item)) for seed in (1, 1, 2)]
    assert torch.equal(made[0]["image"], made[1]["image"])
    assert not torch.equal(made[0]["image"], made[2]["image"])
    for each in made:
        assert each["image"].shape == (6, 48, 32)
        assert torch.isfinite(each["image"]).all()
        assert set(each["label"].unique().tolist()) == {0, 1}
        for film, label in zip(each["image"][:3], each["label"], strict=True):
            # Film and truth moved together.
            assert film[label > 0].mean() > film[label == 0].mean() + 0.5


@given(st.integers(0, 2**31))
@settings(max_examples=5)
def test_nothing_moves_where_nothing_shall(seed):
    moving = RandReframed(24, 16, span=1.5, prob=0.0)
    moving.set_random_state(seed)
    crops = np.zeros((2, 36, 24), np.uint8)
    crops[:, 6:30, 4:20] = 255
    item = moving({"image": crops / np.float32(255), "coarse": crops, "label": crops})
    for key, full in (("image", 1), ("coarse", 255), ("label", 255)):
        assert item[key] == pytest.approx(full, abs=1e-3)


def test_first_answers_move_less_than_films():
    moving = RandReframed(
        24, 16, span=1.5, shift=0.2, degrees=0, zoom=0, astray=0.1, bend=0, prob=1
    )
    moving.set_random_state(3)
    ramp = np.tile(np.linspace(0, 1, 24, dtype=np.float32), (20, 36, 1))
    levels = np.rint(ramp * 255).astype(np.uint8)
    item = moving({"image": ramp, "coarse": levels, "label": levels})
    film = item["image"][:, 12, 8]
    assert item["label"][:, 12, 8] / 255 == pytest.approx(film, abs=0.03)
    assert np.std(item["coarse"][:, 12, 8] / 255) < 0.5 * np.std(film)


def test_a_crop_of_one_grey_stays_finite():
    made = JoinCropsd(keys="image")(
        {"image": np.full((1, 8, 8), 0.5, np.float32), "coarse": np.zeros((1, 8, 8), np.uint8)}
    )
    assert made["image"].tolist() == [np.zeros((8, 8)).tolist(), np.full((8, 8), -1).tolist()]


def test_a_span_below_one_is_refused():
    with pytest.raises(ConfigurationError, match="span of 1 or more"):
        RandReframed(24, 16, span=0.5)
