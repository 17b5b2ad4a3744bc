"""Frames of bones: where they lie, what is cut out there, and the way back to the film."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.labels import HAND_BONES
from pipelines.transforms.bone_crops import FilmFrames
from pipelines.transforms.bone_frames import (
    BoneFrame,
    Pyramid,
    compose,
    find_frames,
    footprint,
    paste,
)
from pipelines.transforms.letterbox import Letterbox

NAMES = ("finger-2", "finger-18", "Capitate", "Radius")
SIZE = (200, 160)


def ellipse(center, axes, degrees, size=SIZE):
    plane = np.zeros(size, np.uint8)
    cv2.ellipse(plane, (center, (2 * axes[0], 2 * axes[1]), degrees), 1, -1)
    return plane.astype(bool)


def hand(*, mirrored=False):
    """A thumb that points to the upper left, a little finger, a wrist bone, a forearm bone."""
    masks = np.stack(
        [
            ellipse((40, 80), (6, 20), -40),
            ellipse((110, 60), (6, 18), 10),
            ellipse((80, 130), (10, 10), 0),
            ellipse((80, 175), (12, 20), 0),
        ]
    )
    return np.ascontiguousarray(masks[:, :, ::-1]) if mirrored else masks


def test_a_frame_lies_along_its_bone_with_the_thumb_on_its_right():
    thumb, _, capitate, radius = find_frames(hand(), classes=NAMES, margin=0.0)
    across, along = thumb.matrix[:, 0], thumb.matrix[:, 1]
    assert np.linalg.norm(along) == pytest.approx(20, abs=1.5)
    assert np.linalg.norm(across) == pytest.approx(6, abs=1.5)
    # Down the frame is towards the wrist: along the thumb, to the lower right.
    assert np.degrees(np.arctan2(along[1], along[0])) == pytest.approx(50, abs=4)
    assert thumb.matrix[:, 2] == pytest.approx([40, 80], abs=0.7)
    for upright in (capitate, radius):
        assert upright.matrix[1, 1] > 0 > upright.matrix[0, 0]  # the thumb is on the film's left


def test_both_hands_look_alike_in_their_frames():
    masks = hand()
    for bone, (one, other) in enumerate(
        zip(
            find_frames(masks, classes=NAMES, margin=0.3),
            find_frames(hand(mirrored=True), classes=NAMES, margin=0.3),
            strict=True,
        )
    ):
        picture = masks[bone].astype(np.float32)
        left = Pyramid(picture).cut(one, (24, 16))
        right = Pyramid(np.ascontiguousarray(picture[:, ::-1])).cut(other, (24, 16))
        assert np.abs(left - right).max() < 0.1
        assert left.max() > 0.9


def test_what_is_not_found_has_no_frame_and_one_pixel_has_one():
    masks = hand()
    masks[0] = False
    masks[1] = False
    masks[1, 60, 110] = True
    missing, dot, *_ = find_frames(masks, classes=NAMES, margin=0.3)
    assert missing is None
    assert abs(np.linalg.det(dot.matrix[:, :2])) > 0
    assert find_frames(np.zeros((29, 8, 8), bool), classes=HAND_BONES, margin=0.3) == [None] * 29


def test_without_fingers_frames_are_upright():
    (frame,) = find_frames(hand()[:1], classes=["lung"], margin=0.0)
    assert frame.matrix[0, 1] == frame.matrix[1, 0] == 0
    assert frame.matrix[0, 0] > 0 < frame.matrix[1, 1]


@given(
    st.floats(-3.2, 3.2),
    st.floats(8, 60),
    st.floats(8, 60),
    st.floats(0, 160),
    st.floats(0, 200),
)
def test_what_is_cut_out_and_pasted_is_where_it_was(angle, width, height, x, y):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    frame = BoneFrame(np.column_stack([turn @ np.diag([width, height]), [x, y]]))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    ramp = columns + 1000 * rows / 1000
    part, back = paste(Pyramid(ramp).cut(frame, (96, 64)), frame, SIZE, outside=-1e6)
    places = np.stack([columns[part] - x, rows[part] - y], axis=-1) @ turn / [width, height]
    inside = (np.abs(places) < 0.85).all(axis=-1)
    near = (columns[part] > 4) & (columns[part] < SIZE[1] - 5)
    near &= (rows[part] > 4) & (rows[part] < SIZE[0] - 5)
    assert np.abs(back - ramp[part])[inside & near].max(initial=0) < 1.0
    # Beyond the box it is no bone.
    assert (back[(np.abs(places) > 1.2).any(axis=-1)] == -1e6).all()


def test_pasting_beyond_the_film_gives_nothing():
    frame = BoneFrame(np.array([[5.0, 0, -40], [0, 5.0, -40]]))
    _, plane = paste(np.ones((8, 8), np.float32), frame, SIZE, outside=0)
    assert plane.size == 0
    assert Pyramid(np.ones(SIZE, np.float32)).cut(frame, (8, 8)).max() == 0


def test_a_large_picture_is_averaged_and_not_sampled():
    checks = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    frame = BoneFrame(np.array([[100.0, 0, 127.5], [0, 100.0, 127.5]]))
    crop = Pyramid(checks).cut(frame, (16, 16))
    assert np.abs(crop - 0.5).max() < 0.05


def test_the_way_from_the_network_to_the_film():
    placement = Letterbox((200, 100), (50, 50))
    # The film's first pixel is a quarter of one of the network's, which lies 12 columns in.
    corners = compose(placement.matrix, np.array([[0, 0, 12.0 - 0.375], [0, 0, -0.375]]))
    assert corners[:, 2] == pytest.approx([0, 0], abs=2)
    frame = BoneFrame(np.array([[4.0, 0, 24.5], [0, 8.0, 24.5]])).placed(placement.matrix)
    assert frame.matrix[:, 2] == pytest.approx([99.5 / 2, 199 / 2], abs=2.1)
    assert frame.matrix[1, 1] == pytest.approx(32)


@given(
    size=st.tuples(st.integers(20, 203), st.integers(20, 203)),
    middle=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    half=st.tuples(st.floats(2, 120), st.floats(2, 120)),
    degrees=st.floats(0, 360),
    span=st.sampled_from([1.0, 1.5]),
)
def test_a_crop_depends_on_its_footprint_alone(size, middle, half, degrees, span):
    angle = np.deg2rad(degrees)
    axes = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * half
    center = np.array(middle) * size[::-1]
    frame = BoneFrame(np.column_stack([axes, center]))
    picture = np.random.default_rng(1).random(size, np.float32)
    part = footprint(frame, size, (12, 8), span=span)
    alone = np.zeros_like(picture)
    alone[part] = picture[part]
    crops = [Pyramid(each).cut(frame, (12, 8), span=span) for each in (picture, alone)]
    assert np.array_equal(*crops)


def test_what_a_first_network_said_is_cut_as_from_the_whole_film():
    masks = hand()
    logits = np.where(masks, 4, -4).astype(np.float32)
    logits += np.random.default_rng(2).normal(0, 1, logits.shape).astype(np.float32)
    frames = FilmFrames(logits, masks, placement=Letterbox(SIZE, SIZE), classes=NAMES, margin=0.3)
    whole = [
        Pyramid(1 / (1 + np.exp(-plane))).cut(frame, (24, 16))
        for plane, frame in zip(logits, frames.frames, strict=True)
    ]
    assert np.allclose(frames.coarse((24, 16)), whole, atol=1e-6)
