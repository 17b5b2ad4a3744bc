"""The shape of a structure, measured by hand on small masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pipelines.evaluation.regions import (
    Box,
    count_components,
    edge_points,
    principal_length,
    without_fragments,
)

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))


def drawn(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_box_is_cut_out_of_any_kind_of_mask():
    mask = drawn("......", "..##..", "...#..")
    for kind in (mask, mask.astype(np.uint8) * 255, mask.astype(np.int64), np.asfortranarray(mask)):
        box = Box.around(kind)
        assert (box.row, box.column) == (1, 2)
        assert np.array_equal(box.mask != 0, drawn("##", ".#"))
    assert Box.around(np.zeros((3, 3), bool)) is None


@given(masks)
def test_edge_is_what_erosion_takes(mask):
    edge = np.zeros_like(mask)
    edge[tuple(edge_points(mask).astype(int).T)] = True
    assert np.array_equal(edge, mask & ~ndimage.binary_erosion(mask))


@given(masks)
def test_components_touch_at_corners_too(mask):
    assert count_components(mask) == ndimage.label(mask, np.ones((3, 3)))[1]


def test_fragments():
    mask = drawn("##...#", "##..#.", ".....#", "#.....")
    assert count_components(mask) == 3
    assert np.array_equal(without_fragments(mask), drawn("##....", "##....", "......", "......"))
    kept = without_fragments(mask, largest=False, smallest_area=3)
    assert np.array_equal(kept, drawn("##...#", "##..#.", ".....#", "......"))
    assert not without_fragments(mask, smallest_area=5).any()
    assert without_fragments(np.zeros((2, 2), np.uint8)).sum() == 0


@given(masks, st.integers(0, 4))
def test_cleaning_only_removes_and_is_done_at_once(mask, smallest_area):
    cleaned = without_fragments(mask, smallest_area=smallest_area)
    assert not (cleaned & ~mask).any()
    assert count_components(cleaned) <= 1
    assert np.array_equal(without_fragments(cleaned, smallest_area=smallest_area), cleaned)


def test_length_of_a_bar():
    bar = np.zeros((40, 30), np.uint8)
    bar[5:33, 10:14] = 1  # 28 rows, 4 columns
    assert principal_length(bar) == pytest.approx(28)
    assert principal_length(bar.T) == pytest.approx(28)
    assert principal_length(bar, (0.5, 0.5)) == pytest.approx(14)
    # Columns that are ten times as wide as rows are high turn the axis: 4 x 5 > 28 x 0.5.
    assert principal_length(bar, (0.5, 5.0)) == pytest.approx(20)
    assert principal_length(np.zeros((4, 4), bool)) == 0


@pytest.mark.parametrize("degrees", [0, 17, 45, 60, 90, 135])
def test_length_does_not_depend_on_the_direction(degrees):
    rows, columns = np.mgrid[:301, :301] - 150
    along = np.cos(np.deg2rad(degrees)) * columns + np.sin(np.deg2rad(degrees)) * rows
    across = -np.sin(np.deg2rad(degrees)) * columns + np.cos(np.deg2rad(degrees)) * rows
    ellipse = (along / 120) ** 2 + (across / 40) ** 2 <= 1
    assert principal_length(ellipse) == pytest.approx(240, abs=2)
    # The same ellipse on a film with half the rows.
    assert principal_length(ellipse[::2], (2.0, 1.0)) == pytest.approx(240, abs=3)
