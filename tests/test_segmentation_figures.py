"""Figures of agreement by hand, and against MONAI's on the same masks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from monai.metrics import (
    compute_dice,
    compute_hausdorff_distance,
    compute_iou,
    compute_surface_dice,
)

from pipelines.errors import ConfigurationError
from pipelines.evaluation.segmentation_figures import Tolerance, compare_masks, dice

pairs = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=12).flatmap(
    lambda shape: st.tuples(arrays(np.bool_, shape), arrays(np.bool_, shape))
)


def square(top, left, *, side=4, size=12):
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_shifted_square():
    # 16 pixels each, 12 in common, shifted by one column.
    found = compare_masks(square(2, 2), square(2, 3), tolerance=Tolerance(px=0))
    assert found.dice == pytest.approx((24 + 1e-4) / (32 + 1e-4), abs=1e-12)
    assert found.iou == pytest.approx(12 / 20)
    assert found.hd95_px == 1
    # 12 edge pixels each. On the other edge lie: top and bottom row 3 each, and of the 2 inner
    # pixels of the side columns none, since the other edge is one column further.
    assert found.surface_dice_px == pytest.approx(12 / 24)
    assert np.isnan(found.hd95_mm)
    assert np.isnan(found.surface_dice_mm)
    assert (found.components, found.missed, found.invented) == (1, False, False)


def test_spacing_of_rows_and_columns_counts():
    wide = compare_masks(square(2, 2), square(2, 3), spacing_mm=(0.1, 0.4))
    high = compare_masks(square(2, 2), square(3, 2), spacing_mm=(0.1, 0.4))
    assert wide.hd95_mm == pytest.approx(0.4)
    assert high.hd95_mm == pytest.approx(0.1)
    assert wide.hd95_px == high.hd95_px == 1
    assert wide.surface_dice_mm == 1  # 0.4 mm lies within 0.5 mm


def test_a_far_speck_moves_hd95_only_when_it_is_more_than_a_twentieth():
    truth = square(2, 2, side=30, size=200)
    speck, blob = truth.copy(), truth.copy()
    speck[180, 180] = True
    blob[180:188, 180:188] = True
    assert compare_masks(truth, speck).hd95_px == 0
    assert compare_masks(truth, blob).hd95_px > 200
    assert compare_masks(truth, blob).components == 2


def test_empty_masks():
    empty, full = np.zeros((12, 12), bool), square(2, 2)
    both = compare_masks(empty, empty, spacing_mm=(1, 1))
    assert (both.dice, both.iou, both.surface_dice_px, both.surface_dice_mm) == (1, 1, 1, 1)
    assert np.isnan(both.hd95_px)
    assert (both.missed, both.invented) == (False, False)
    missed = compare_masks(full, empty)
    assert missed.dice == pytest.approx(1e-4 / (16 + 1e-4))
    assert (missed.iou, missed.surface_dice_px, missed.components) == (0, 0, 0)
    assert np.isnan(missed.hd95_px)
    assert (missed.missed, missed.invented) == (True, False)
    assert compare_masks(empty, full).invented


def test_dice_is_that_of_the_definition():
    assert dice(0, 0, 0) == 1
    assert dice(10, 10, 10) == 1
    assert dice(1, 2, 2) == (2 + 1e-4) / (4 + 1e-4)


# MONAI's metrics warn of an argument that they themselves hand on.
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy.*:FutureWarning")
@given(pairs)
def test_the_same_as_monai(pair):
    truth, prediction = pair
    tensors = [torch.from_numpy(m)[None, None] for m in (prediction, truth)]
    for spacing, tolerance in (((1.0, 1.0), 1.5), ((0.3, 1.1), 0.7)):
        found = compare_masks(
            truth, prediction, spacing_mm=spacing, tolerance=Tolerance(mm=tolerance)
        )
        if truth.any() and prediction.any():
            expected = compute_hausdorff_distance(
                *tensors, include_background=True, percentile=95, spacing=list(spacing)
            )
            assert found.hd95_mm == pytest.approx(float(expected), abs=1e-5)
            expected = compute_surface_dice(
                *tensors, [tolerance], include_background=True, spacing=list(spacing)
            )
            assert found.surface_dice_mm == pytest.approx(float(expected), abs=1e-6)
            assert found.dice == pytest.approx(float(compute_dice(*tensors)), abs=1e-4)
            assert found.iou == pytest.approx(float(compute_iou(*tensors)), abs=1e-6)


@given(pairs)
def test_laws(pair):
    there, back = compare_masks(*pair), compare_masks(*pair[::-1])
    assert (there.dice, there.iou) == (back.dice, back.iou)
    assert there.hd95_px == back.hd95_px or np.isnan(there.hd95_px)
    assert 0 <= there.iou <= there.dice <= 1
    same = compare_masks(pair[0], pair[0])
    assert (same.dice, same.iou, same.surface_dice_px) == (1, 1, 1)
    assert same.hd95_px == 0 or not pair[0].any()


def test_negative_tolerance_is_refused():
    with pytest.raises(ConfigurationError, match="at least 0"):
        Tolerance(mm=-1)
