"""Grayscale Softcopy Presentation States: contours and words that a viewer draws over the film."""

from collections.abc import Iterator

import cv2
import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from pydicom.dataset import Dataset

from pipelines.errors import InputError, Reason
from pipelines.evaluation.cases import Floats
from pipelines.evaluation.region_pictures import COLOURS, Outline, outline
from pipelines.predictions import Segmentation
from pipelines.results import dicom_codes as code
from pipelines.results.captures import NOTICE, words_of
from pipelines.results.dicom_common import Finding, common_arguments, completed, reference_to
from pipelines.results.dicom_grey_scale import grey_scale
from pipelines.results.dicom_kinds import Kind
from pipelines.results.rle import decode

_LAYER = "PLAINFILM"
_MOST_POINTS = 8000
"""A value of 16-bit length holds 65,534 bytes, which are 8,191 points (PS3.5 7.1.2)."""
_CAPTION_BOX = (0.01, 0.01, 0.7, 0.12)
"""Left, top, right and bottom of the words at the top, as shares of the display."""


def presentation_state(finding: Finding) -> Dataset:
    """Make the presentation state of a film.

    Args:
        finding: The film and what was predicted of it.

    Returns:
        Contours and names of structures, or words about the film; the grey scale of the film.

    Raises:
        InputError: UNSUPPORTED_PHOTOMETRIC if the film has colours; UNSUPPORTED_FORMAT if it has a
            look-up table that begins below 0.
    """
    layout = finding.source.header.layout
    if not layout.photometric.grey:
        raise InputError(
            Reason.UNSUPPORTED_PHOTOMETRIC,
            f"expected a grey film for a grayscale presentation state, got {layout.photometric}; "
            "ask for sr or sc",
        )
    reference = reference_to(finding.source)
    # highdicom looks there for a grey scale of an image of several frames; ours is given.
    reference.NumberOfFrames = finding.source.header.frames
    reference.SharedFunctionalGroupsSequence = [Dataset()]
    layer = GraphicLayer(
        layer_name=_LAYER,
        order=1,
        description="What an algorithm found",
        display_color=CIELabColor.from_rgb(*COLOURS[0]),
    )
    dataset = GrayscaleSoftcopyPresentationState(
        referenced_images=[reference],
        content_label="PLAINFILM",
        content_description=code.label(finding.model.name),
        graphic_layers=[layer],
        graphic_annotations=[
            _annotation(finding, each, layer=layer, reference=reference)
            for each in (_words(finding), *_structures(finding))
        ],
        **grey_scale(finding.source.header),
        **common_arguments(finding, Kind.GSPS),
    )
    area = dataset.DisplayedAreaSelectionSequence[0]
    area.PresentationPixelAspectRatio = list(finding.source.aspect_ratio)
    # It has no image of its own whose laterality could be told, so its series tells it; empty where
    # it is unknown (PS3.3 C.7.3.1).
    side = finding.source.laterality
    dataset.Laterality = side if side in code.SIDES else ""
    return completed(dataset, finding)


def _annotation(
    finding: Finding,
    drawn: tuple[list[GraphicObject], list[TextObject]],
    *,
    layer: GraphicLayer,
    reference: Dataset,
) -> GraphicAnnotation:
    graphics, texts = drawn
    return GraphicAnnotation(
        referenced_images=[reference],
        graphic_layer=layer,
        referenced_frame_number=finding.source.frame_numbers,
        graphic_objects=graphics or None,
        text_objects=texts or None,
    )


def _words(finding: Finding) -> tuple[list[GraphicObject], list[TextObject]]:
    said = words_of(finding.record, finding.decision.threshold)
    text = TextObject(
        text_value=code.label(f"{finding.model.name}: {said}. {NOTICE}.", most=200),
        units="DISPLAY",
        bounding_box=_CAPTION_BOX,
        text_justification="LEFT",
    )
    return [], [text]


def _structures(finding: Finding) -> Iterator[tuple[list[GraphicObject], list[TextObject]]]:
    if not isinstance(finding.record, Segmentation):
        return
    layout = finding.source.header.layout
    for region in finding.record.regions:
        traced = outline(decode(region.rle, (layout.rows, layout.columns)))
        if traced is None:
            continue
        tracking = {
            "tracking_id": code.label(region.name),
            "tracking_uid": finding.tracking_uid(region.name),
        }
        graphics = [
            GraphicObject("POLYLINE", points, units="PIXEL", **tracking)
            for points in _polylines(traced)
        ]
        name = TextObject(
            text_value=code.label(region.name),
            units="PIXEL",
            anchor_point=(traced.centre[0] + 0.5, traced.centre[1] + 0.5),
            anchor_point_visible=False,
            **tracking,
        )
        yield graphics, [name]


def _polylines(traced: Outline) -> Iterator[Floats]:
    """Close each contour; (n, 2), column and row, where 0 is the edge of the first pixel."""
    for contour in traced.contours:
        points = contour.astype(np.float32)
        tolerance = 0.0
        while len(points) >= _MOST_POINTS:
            tolerance += 0.5
            points = cv2.approxPolyDP(contour.astype(np.float32), tolerance, closed=True)[:, 0]
        closed = np.concatenate([points, points[:1]]).astype(np.float64)
        yield closed + 0.5
