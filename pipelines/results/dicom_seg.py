"""Segmentations: the masks of a film as BINARY SEG (PS3.3 A.51), pixel for pixel.

Structures may overlap. One object holds them all, a frame each; for viewers that show one label a
pixel they can be dealt out to several objects, in each of which none overlap.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation as SegmentationObject
from highdicom.seg import SegmentDescription
from pydicom.dataset import Dataset

from pipelines.errors import InputError, Reason
from pipelines.evaluation.region_pictures import COLOURS
from pipelines.evaluation.regions import Mask
from pipelines.predictions import Region, Segmentation
from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import (
    MANUFACTURER,
    Finding,
    common_arguments,
    completed,
    reference_to,
)
from pipelines.results.dicom_kinds import Kind, SegLayers
from pipelines.results.rle import decode

_FAMILY = code.dcm("123110", "Artificial Intelligence")


@dataclass(frozen=True, slots=True, eq=False)
class _Structure:
    """A structure that was found, and its place in the list of classes."""

    number: int
    region: Region
    mask: Mask


def segmentations(finding: Finding) -> list[Dataset]:
    """Make the segmentations of a film.

    Args:
        finding: The film and its masks.

    Returns:
        One object, or several without overlap; structures that were not found are left out.

    Raises:
        InputError: NOTHING_FOUND if there is no structure; VOLUME if the film is of a class of
            several frames, which a SEG cannot refer to without a frame of reference.
    """
    record = finding.record
    structures = list(_structures(record, finding)) if isinstance(record, Segmentation) else []
    if not structures:
        raise InputError(
            Reason.NOTHING_FOUND, "expected at least one structure to outline, found none"
        )
    if finding.source.is_of_frames:
        raise InputError(
            Reason.VOLUME,
            "expected a film of a SOP class of single frames for a segmentation, got one of "
            f"several, with {finding.source.header.frames}; ask for sr, sc or gsps, which can name "
            "a frame",
        )
    layers = [structures]
    if finding.seg_layers is SegLayers.SEPARATE:
        layers = _without_overlap(structures)
    return [_object(finding, layer, number) for number, layer in enumerate(layers, start=1)]


def _structures(record: Segmentation, finding: Finding) -> Iterator[_Structure]:
    layout = finding.source.header.layout
    for number, region in enumerate(record.regions):
        if region.area_px > 0:
            yield _Structure(number, region, decode(region.rle, (layout.rows, layout.columns)))


def _without_overlap(structures: Sequence[_Structure]) -> list[list[_Structure]]:
    """Deal structures out, each to the first layer in which it overlaps none."""
    layers: list[list[_Structure]] = []
    covered: list[Mask] = []
    for each in structures:
        for layer, taken in zip(layers, covered, strict=True):
            if not np.any(taken & each.mask):
                layer.append(each)
                np.logical_or(taken, each.mask, out=taken)
                break
        else:
            layers.append([each])
            covered.append(each.mask.copy())
    return layers


def _object(finding: Finding, structures: Sequence[_Structure], number: int) -> Dataset:
    dataset = SegmentationObject(
        source_images=[reference_to(finding.source)],
        pixel_array=np.stack([each.mask for each in structures], axis=-1)[None].view(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[
            _description(finding, each, place) for place, each in enumerate(structures, start=1)
        ],
        content_label="PLAINFILM",
        content_description=code.label(finding.model.name),
        coding_schemes=[code.private_scheme()],
        **common_arguments(finding, Kind.SEG, finding.seg_layers, number=number),
    )
    _fix_dimension(dataset, finding.uid(Kind.SEG, "dimensions", str(number)))
    return completed(dataset, finding, copies=("ImageLaterality", "PatientOrientation"))


def _description(finding: Finding, structure: _Structure, place: int) -> SegmentDescription:
    name, model = structure.region.name, finding.model
    region, side = code.structure_region(name), code.SIDES.get(finding.source.laterality)
    description = SegmentDescription(
        segment_number=place,
        segment_label=code.label(name),
        segmented_property_category=code.ANATOMY,
        segmented_property_type=code.structure_code(name),
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=model.name,
            family=_FAMILY,
            version=model.version,
            source=MANUFACTURER,
            parameters={"weights_sha256": model.weights_sha256},
        ),
        tracking_uid=finding.tracking_uid(name),
        tracking_id=code.label(name),
        anatomic_regions=None if region is None else [region],
        display_color=CIELabColor.from_rgb(*COLOURS[structure.number % len(COLOURS)]),
    )
    if side is not None:
        described = description.SegmentedPropertyTypeCodeSequence[0]
        described.SegmentedPropertyTypeModifierCodeSequence = [side]
    return description


def _fix_dimension(dataset: Dataset, uid: str) -> None:
    """Name the dimension organization after film and model; highdicom draws its name by lot."""
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
