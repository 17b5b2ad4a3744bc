"""How well one mask agrees with another: overlap, distance of the edges, pieces.

Both masks are those of one structure on one film at its original size. Where one or both are empty:

======================  ========================  =========================
Figure                  Both empty                One empty
======================  ========================  =========================
Dice                    1                         0 (1e-4 / area, in fact)
IoU                     1                         0
Surface Dice            1                         0
HD95                    undefined                 undefined
======================  ========================  =========================

An undefined value is left out of means, so structures that were missed (there, but not predicted)
or invented (predicted, but not there) are counted beside it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import cKDTree

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.regions import Box, Mask, count_components, edge_points

DICE_EPSILON = 1e-4
"""Added above and below the line of Dice, so that two empty masks agree."""

_PERCENTILE = 95


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an edge may lie off for surface Dice.

    Attributes:
        mm: For films that tell their spacing, in mm.
        px: For all others, in pixels of the film.
    """

    mm: float = 0.5
    px: float = 3.0

    def __post_init__(self) -> None:
        """Hold both against their rule.

        Raises:
            ConfigurationError: If one is negative.
        """
        if not (self.mm >= 0 and self.px >= 0):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected tolerances of at least 0, got {self.mm} mm and {self.px} pixels; "
                "give the distance between two readers",
            )


@dataclass(frozen=True, slots=True)
class RegionAgreement:
    """One structure on one film: truth against prediction.

    Attributes:
        dice: 0 to 1.
        iou: 0 to 1.
        hd95_px: In pixels; NaN where undefined.
        hd95_mm: In mm; NaN where undefined or the film tells no spacing.
        surface_dice_px: 0 to 1, within the tolerance in pixels.
        surface_dice_mm: 0 to 1, within the tolerance in mm; NaN where the film tells no spacing.
        components: Connected parts of the prediction.
        missed: True if the structure is there and was not predicted.
        invented: True if it was predicted and is not there.
    """

    dice: float
    iou: float
    hd95_px: float
    hd95_mm: float
    surface_dice_px: float
    surface_dice_mm: float
    components: int
    missed: bool
    invented: bool


def compare_masks(
    truth: Mask,
    prediction: Mask,
    *,
    spacing_mm: tuple[float, float] | None = None,
    tolerance: Tolerance | None = None,
) -> RegionAgreement:
    """Compare two masks of one structure.

    Args:
        truth: bool or uint8, (height, width).
        prediction: The same.
        spacing_mm: Between rows and between columns; None where unknown.
        tolerance: Of surface Dice; None for the default one.

    Returns:
        Every figure.
    """
    allowed = tolerance or Tolerance()
    common, true_area, predicted_area = _areas(truth, prediction)
    edges = edge_points(truth), edge_points(prediction)
    hd95_px, surface_dice_px = _edge_figures(edges, (1.0, 1.0), allowed.px)
    hd95_mm = surface_dice_mm = np.nan
    if spacing_mm is not None:
        hd95_mm, surface_dice_mm = _edge_figures(edges, spacing_mm, allowed.mm)
    union = true_area + predicted_area - common
    return RegionAgreement(
        dice=dice(common, true_area, predicted_area),
        iou=common / union if union else 1.0,
        hd95_px=hd95_px,
        hd95_mm=hd95_mm,
        surface_dice_px=surface_dice_px,
        surface_dice_mm=surface_dice_mm,
        components=count_components(prediction),
        missed=bool(true_area and not predicted_area),
        invented=bool(predicted_area and not true_area),
    )


def dice(common: int, true_area: int, predicted_area: int) -> float:
    """Return (2 I + 1e-4) / (A + B + 1e-4).

    Args:
        common: Pixels in both masks.
        true_area: Pixels of the one.
        predicted_area: Pixels of the other.
    """
    return (2 * common + DICE_EPSILON) / (true_area + predicted_area + DICE_EPSILON)


EdgeDistances = tuple[Floats, Floats]
"""Of each pixel of one edge to the other edge, and back."""


def edge_distances(truth_edge: Floats, predicted_edge: Floats) -> EdgeDistances:
    """Measure how far each pixel of one edge is from the nearest pixel of the other.

    Args:
        truth_edge: (n, 2), places of edge pixels in any unit.
        predicted_edge: (m, 2), in the same unit.

    Returns:
        (n,) and (m,), in the same unit; infinite where the other edge is empty.
    """
    # Edges are lines of a few thousand pixels: trees over them are far quicker than distance maps.
    return _nearest(truth_edge, predicted_edge), _nearest(predicted_edge, truth_edge)


def hausdorff_95(distances: EdgeDistances) -> float:
    """Return the 95th percentile of the distances between two edges, the larger of both ways.

    Args:
        distances: Between the edges.

    Returns:
        In the unit of the distances; NaN if either edge is empty.
    """
    if not all(map(len, distances)):
        return np.nan
    return float(max(np.percentile(way, _PERCENTILE) for way in distances))


def surface_dice(distances: EdgeDistances, tolerance: float) -> float:
    """Return the share of the pixels of both edges that lie within a distance of the other edge.

    Args:
        distances: Between the edges.
        tolerance: In the unit of the distances.

    Returns:
        0 to 1; 1 if both edges are empty, 0 if one is.

    References:
        Nikolov et al., Clinically applicable segmentation of head and neck anatomy, Journal of
        Medical Internet Research 23 (2021).
    """
    pixels = sum(map(len, distances))
    near = sum(int(np.count_nonzero(way <= tolerance)) for way in distances)
    return near / pixels if pixels else 1.0


def _nearest(points: Floats, others: Floats) -> Floats:
    if not len(others):
        return np.full(len(points), np.inf)
    distances: Floats = cKDTree(others).query(points)[0]
    return distances


def _edge_figures(
    edges: tuple[Floats, Floats], spacing: tuple[float, float], tolerance: float
) -> tuple[float, float]:
    distances = edge_distances(*(points * np.asarray(spacing) for points in edges))
    return hausdorff_95(distances), surface_dice(distances, tolerance)


def _areas(truth: Mask, prediction: Mask) -> tuple[int, int, int]:
    one, other = Box.around(truth), Box.around(prediction)
    true_area = 0 if one is None else cv2.countNonZero(one.mask)
    predicted_area = 0 if other is None else cv2.countNonZero(other.mask)
    if one is None or other is None:
        return 0, true_area, predicted_area
    there = prediction[one.row : one.row + len(one.mask)]
    there = there[:, one.column : one.column + one.mask.shape[1]]
    return int(np.count_nonzero((there != 0) & (one.mask != 0))), true_area, predicted_area
