"""Generated hand films: layout, exact polygons, both hands, all ages."""

import csv
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipelines.datasets.phantoms.hand import hand_radiograph, trace_bones
from pipelines.datasets.phantoms.hand_anatomy import draw_person
from pipelines.datasets.phantoms.hand_bone import Pose
from pipelines.datasets.phantoms.hand_outline import CARPALS, closed_curve
from pipelines.datasets.phantoms.hand_placing import Film
from pipelines.datasets.phantoms.hand_pose import lay_hand
from pipelines.datasets.phantoms.hand_rendering import Placement, fill
from pipelines.datasets.phantoms.hand_samples import plan_hand_samples, write_hand_samples
from pipelines.datasets.phantoms.samples import SAMPLES
from pipelines.errors import ConfigurationError
from pipelines.files import sha256
from pipelines.labels import HAND_BONES

SIDE = 256
FLAT = Pose(spread=1.0, fan=1.0, thumb=41.0, flexion=0.0, deviation=0.0, turn=0.0)
THUMB, INDEX, MIDDLE, RING, LITTLE = (
    (1, 2, 3),
    (4, 5, 6, 7),
    (8, 9, 10, 11),
    (12, 13, 14, 15),
    (16, 17, 18, 19),
)


def person(seed=0, **changes):
    return replace(draw_person(np.random.default_rng(seed)), **changes)


def film(seed, *, right=False, side=SIDE, **changes):
    return hand_radiograph(
        person(seed, **changes), right=right, random=np.random.default_rng(seed), side=side
    )


def filled(polygon, side=SIDE):
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [polygon], 1)
    return mask


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    directory = tmp_path_factory.mktemp("hands")
    return directory, write_hand_samples(directory, count=6, seed=3, side=SIDE)


def test_layout_of_the_private_set(small_set):
    directory, written = small_set
    names = [path.relative_to(directory).as_posix() for path in written]
    assert names[-1] == "pairs.csv"
    assert [name.split("/")[0] for name in names[:-1]] == ["train"] * 8 + ["test"] * 4
    for image, label in zip(names[0:-1:2], names[1:-1:2], strict=True):
        split, kind, group, file = image.split("/")
        assert kind == "DCM"
        assert group.startswith("ID00")
        assert label == f"{split}/outputs_json/{group}/{file[:-4]}.json"
        digits, hand = file.removeprefix("image").removesuffix(".png").split("_")
        assert len(digits) == 13
        assert digits.isdigit()
        assert hand in "LR"
    with (directory / "pairs.csv").open() as listed:
        rows = list(csv.DictReader(listed))
    assert [row["image"] for row in rows] == names[0:-1:2]
    assert [row["label"] for row in rows] == names[1:-1:2]
    assert len({row["image_name"] for row in rows}) == 6


def test_json_holds_29_integer_polygons_in_the_order_of_classes(small_set):
    _, written = small_set
    for image, label in zip(written[0:-1:2], written[1:-1:2], strict=True):
        assert cv2.imread(str(image), cv2.IMREAD_UNCHANGED).shape == (SIDE, SIDE)
        content = json.loads(label.read_text())
        assert set(content) == {
            "annotations", "attributes", "file_id", "filename", "parent_path", "last_modifier_id",
            "metadata", "last_workers",
        }  # fmt: skip
        assert content["filename"] == image.name
        assert content["metadata"] == {"height": SIDE, "width": SIDE}
        assert tuple(entry["label"] for entry in content["annotations"]) == HAND_BONES
        for entry in content["annotations"]:
            assert set(entry) == {"id", "type", "attributes", "points", "label"}
            assert entry["type"] == "poly_seg"
            points = np.array(entry["points"])
            assert points.dtype.kind == "i"
            assert points.shape[1] == 2
            assert len(points) >= 3
            assert points.min() >= 0
            assert points.max() < SIDE


@pytest.mark.parametrize("seed", range(4))
def test_polygons_are_the_drawn_bones(seed):
    # The film is drawn from outlines in hand units; filled at eight times the size they say how
    # much of each pixel is bone.
    hand = lay_hand(person(seed), FLAT, np.random.default_rng(seed))
    place = Placement(0.25, 0.1, mirrored=False, shift=(120.0, 190.0))
    polygons = trace_bones(hand, place, film=Film(0, 0, 1, 1), side=SIDE)
    assert tuple(polygons) == HAND_BONES
    for bone in hand.bones:
        fine = fill(place.enlarged(8).to_pixels(bone.outline), (8 * SIDE, 8 * SIDE)) / 255
        share = fine.reshape(SIDE, 8, SIDE, 8).mean(axis=(1, 3))
        mask = filled(polygons[bone.name])
        assert (mask[share > 0.7] == 1).all()
        assert (mask[share < 0.2] == 0).all()
        assert cv2.connectedComponents(mask)[0] == 2


@pytest.mark.parametrize("seed", range(3))
def test_a_polygon_traced_again_is_the_same(seed):
    for polygon in film(seed).polygons.values():
        mask = filled(polygon)
        rings, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        assert len(rings) == 1
        assert (filled(rings[0]) == mask).all()


def test_bone_is_brighter_than_the_tissue_around_it():
    for seed in range(3):
        sample = film(seed, side=512, openness=0.0)
        for name in ("finger-10", "finger-11", "finger-7"):
            mask = filled(sample.polygons[name], 512)
            around = cv2.dilate(mask, np.ones((7, 7))) - mask
            assert sample.pixels[mask > 0].mean() > sample.pixels[around > 0].mean()


def test_fingers_are_counted_from_the_thumb_and_from_the_tip_on_both_hands():
    hand = lay_hand(person(1), FLAT, np.random.default_rng(1))
    center = {bone.name: bone.outline.mean(axis=0) for bone in hand.bones}
    for ray in (THUMB, INDEX, MIDDLE, RING, LITTLE):
        heights = [center[f"finger-{number}"][1] for number in ray]
        assert heights == sorted(heights, reverse=True)
    across = [center[f"finger-{ray[-1]}"][0] for ray in (THUMB, INDEX, MIDDLE, RING, LITTLE)]
    assert across == sorted(across, reverse=True)
    for right in (False, True):
        sample = film(5, right=right)
        middles = [sample.polygons[f"finger-{n}"].mean(axis=0) for n in (3, 7, 11, 15, 19)]
        wrist = sample.polygons["Radius"].mean(axis=0)
        tip = sample.polygons["finger-8"].mean(axis=0)
        along, over = tip - wrist, middles[-1] - middles[0]
        # Seen from the back with the fingers up, the thumb is at the right of a left hand.
        assert (np.cross([*along, 0], [*over, 0])[2] > 0) == right


def test_both_hands_of_a_person_have_the_same_bones_but_not_the_same_pose():
    one, other = (lay_hand(person(2), FLAT, np.random.default_rng(seed)) for seed in (1, 2))
    for bone, twin in zip(one.bones, other.bones, strict=True):
        assert cv2.contourArea(bone.outline.astype(np.float32)) == pytest.approx(
            cv2.contourArea(twin.outline.astype(np.float32)), rel=0.01
        )
    assert not np.allclose(one.bones[0].outline, other.bones[0].outline)


def test_children_have_all_bones_smaller_carpals_and_open_growth_plates():
    child, adult = (
        lay_hand(person(4, maturity=maturity, openness=openness), FLAT, np.random.default_rng(0))
        for maturity, openness in ((0.3, 1.0), (1.0, 0.0))
    )
    area = [
        {bone.name: cv2.contourArea(bone.outline.astype(np.float32)) for bone in hand.bones}
        for hand in (child, adult)
    ]
    assert set(area[0]) == set(area[1]) == set(HAND_BONES)
    assert all(area[0][name] < 0.6 * area[1][name] for name in CARPALS)
    assert sum(len(bone.plates) for bone in child.bones) == 21
    assert not any(bone.plates for bone in adult.bones)
    assert tuple(film(4, maturity=0.3, openness=1.0).polygons) == HAND_BONES


def test_carpal_bones_overlap():
    overlaps = 0
    for seed in range(5):
        polygons = film(seed, maturity=1.0, openness=0.0).polygons
        overlaps += (filled(polygons["Triquetrum"]) & filled(polygons["Pisiform"])).any()
    assert overlaps >= 4


def test_any_size_and_the_same_film_for_the_same_seed():
    for side in (256, 1100):
        sample = film(7, side=side)
        assert sample.pixels.shape == (side, side)
        assert sample.pixels.dtype == np.uint8
    small, large = film(7, side=256), film(7, side=1100)
    for name in HAND_BONES:
        assert cv2.contourArea(small.polygons[name]) * (1100 / 256) ** 2 == pytest.approx(
            cv2.contourArea(large.polygons[name]), rel=0.45
        )
    assert (film(7).pixels == film(7).pixels).all()
    assert (film(7).pixels != film(8).pixels).any()


def test_the_same_seed_gives_the_same_files(small_set, tmp_path):
    again = write_hand_samples(tmp_path / "b", count=6, seed=3, side=SIDE)
    assert [sha256(path) for path in small_set[1]] == [sha256(path) for path in again]
    other = write_hand_samples(tmp_path / "c", count=6, seed=4, side=SIDE)
    assert not {sha256(path) for path in other[:-1]} & {sha256(path) for path in again[:-1]}


def test_people_stand_on_one_side_and_counts_are_rounded_up():
    planned = plan_hand_samples(99)
    assert len(planned) == 100
    sides = {}
    for hand in planned:
        sides.setdefault(hand.group, set()).add(hand.split)
    assert all(len(splits) == 1 for splits in sides.values())
    assert sum(hand.split == "test" for hand in planned) == 10
    assert len({hand.stem for hand in planned}) == 100
    for count in (5, 20_001):
        with pytest.raises(ConfigurationError, match="--count"):
            plan_hand_samples(count)


def test_the_command_writes_films_of_full_size():
    assert SAMPLES["hand"] is write_hand_samples
    sample = hand_radiograph(person(), right=True, random=np.random.default_rng(0))
    assert sample.pixels.shape == (2048, 2048)


def test_a_closed_curve_goes_through_its_corners():
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    curve = closed_curve(corners, count=400)
    assert curve.shape == (400, 2)
    for corner in corners:
        assert np.hypot(*(curve - corner).T).min() < 0.05
