import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.segmentation_point import SegmentationPoint, choose_segmentation_point

CLASSES = ("Radius", "Ulna")


def disc(radius, centre=(30, 30), size=60):
    down, across = np.mgrid[:size, :size]
    return np.hypot(down - centre[0], across - centre[1]) < radius


def test_point_is_read_back_beside_weights(tmp_path):
    point = SegmentationPoint(CLASSES, (0.4, 0.65), largest_piece=False, dice=0.97)
    point.save(tmp_path / "operating_point.json")
    assert SegmentationPoint.beside(tmp_path / "model.pt") == point
    assert json.loads((tmp_path / "operating_point.json").read_text("utf-8"))["task"] == (
        "segmentation"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, Reason.WEIGHTS_MISSING),
        ("{", Reason.CONFIGURATION),
        ('{"classes": ["NORMAL"], "threshold": 0.5}', Reason.CONFIGURATION),
        (
            '{"classes": ["a"], "thresholds": [1], "largest_piece": true, "split": "x", "dice": 1}',
            Reason.CONFIGURATION,
        ),
    ],
    ids=["missing", "broken", "of a classification", "out of range"],
)
def test_no_usable_point_beside_weights(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "operating_point.json").write_text(content, "utf-8")
    with pytest.raises(ConfigurationError) as seen:
        SegmentationPoint.beside(tmp_path / "model.pt")
    assert seen.value.reason is reason


def test_masks_are_decided_at_the_threshold_and_lose_their_crumbs():
    probability = np.where(disc(10), 0.6, 0.1)
    probability[5, 5] = 0.9
    logits = np.log(probability / (1 - probability)).astype(np.float32)
    plain = SegmentationPoint(CLASSES, (0.5, 0.7), largest_piece=False)
    assert np.array_equal(plain.decide(logits, 0), probability > 0.5)
    assert plain.decide(logits, 1).sum() == 1
    assert np.array_equal(SegmentationPoint.even(CLASSES).decide(logits, 0), disc(10))


@given(st.floats(0.001, 0.999))
def test_a_threshold_decides_exactly_whatever_lies_next_to_it(threshold):
    logit = np.log(threshold / (1 - threshold))
    near = np.float32(logit)
    least, most = np.float32(-np.inf), np.float32(np.inf)
    logits = np.array([[np.nextafter(near, least), near, np.nextafter(near, most)]])
    point = SegmentationPoint(("Radius",), (threshold,), largest_piece=False)
    assert np.array_equal(point.decide(logits, 0), logits.astype(np.float64) >= logit)


def test_each_structure_gets_the_threshold_that_fits_it():
    # The first network is right at even odds, the second one too bold: its outline lies at 0.6.
    films = []
    for shift in (0, 4):
        truth = np.stack([disc(12, (30, 26 + shift)), disc(14, (30, 26 + shift))])
        down, across = np.mgrid[:60, :60]
        distance = np.hypot(down - 30, across - 26 - shift)
        logits = np.stack([(12 - distance) / 2, (14 - distance) / 4 + np.log(0.6 / 0.4)])
        films.append((logits.astype(np.float32), truth))
    point = choose_segmentation_point(films, classes=CLASSES, split="validation")
    assert point.thresholds == (0.5, 0.6)
    assert point.dice > 0.99
    assert point.split == "validation"
