"""Measurement reports: TID 1500 of PS3.16 in Comprehensive 3D SR, for every task.

A report has one group for the whole film (the decision, its operating point, whether the film
belongs) and one for each class or structure. Each names the algorithm and the film.
"""

from collections.abc import Iterator, Sequence

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    TextContentItem,
)
from pydicom.dataset import Dataset

from pipelines.predictions import Segmentation
from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import (
    MANUFACTURER,
    Finding,
    common_arguments,
    completed,
    reference_to,
)
from pipelines.results.dicom_kinds import Kind
from pipelines.results.dicom_sr_groups import Groups, answer

_DEVICE_OBSERVER = code.dcm("121007", "Device")


def measurement_report(finding: Finding, segmentations: Sequence[Dataset] = ()) -> Dataset:
    """Make the report of a film.

    Args:
        finding: The film and what was predicted of it.
        segmentations: Those of the film, to whose segments the groups of structures refer.

    Returns:
        A Comprehensive 3D SR with a TID 1500 report.
    """
    groups = list(Groups(finding, _segments(segmentations)).all())
    report = MeasurementReport(
        observation_context=_observer(finding),
        procedure_reported=code.IMAGING,
        imaging_measurements=groups,
    )
    if statements := list(_statements(finding)):
        report[0].ContentSequence.append(_evaluations(statements))
    dataset = Comprehensive3DSR(
        evidence=[reference_to(finding.source), *segmentations],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[code.private_scheme()],
        **common_arguments(finding, Kind.SR, *(str(each.SOPInstanceUID) for each in segmentations)),
    )
    return completed(dataset, finding)


def _statements(finding: Finding) -> Iterator[ContentItem]:
    """What a report of structures says of the whole film.

    It stands outside of the measurement groups: PixelMed's check takes all groups of a report for
    groups of a region where one of them is.
    """
    record, limit = finding.record, finding.decision.foreign_limit
    if not isinstance(record, Segmentation):
        return
    lost = [region.name for region in record.regions if region.area_px == 0]
    total = len(record.regions)
    yield _text(code.FOUND_COUNT, f"{total - len(lost)} of {total}")
    for name in lost:
        yield _code(code.structure_code(name), code.NOT_FOUND)
    if record.out_of_distribution is not None:
        yield _code(code.FOREIGN, answer(record.out_of_distribution))
    if record.guard_score is not None:
        of = "" if limit is None else f" (limit {limit:.9g})"
        yield _text(code.FOREIGN_SCORE, f"{record.guard_score:.9g}{of}")


def _evaluations(statements: Sequence[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name=code.EVALUATIONS, relationship_type="CONTAINS")
    container.ContentSequence = ContentSequence(statements)
    return container


def _code(name: CodedConcept, value: CodedConcept) -> CodeContentItem:
    return CodeContentItem(name=name, value=value, relationship_type="CONTAINS")


def _text(name: CodedConcept, value: str) -> TextContentItem:
    return TextContentItem(name=name, value=value, relationship_type="CONTAINS")


def _segments(segmentations: Sequence[Dataset]) -> dict[str, tuple[Dataset, int]]:
    """Find segments by the UID that they are tracked by."""
    return {
        str(segment.TrackingUID): (each, int(segment.SegmentNumber))
        for each in segmentations
        for segment in each.SegmentSequence
    }


def _observer(finding: Finding) -> ObservationContext:
    model = finding.model
    device = DeviceObserverIdentifyingAttributes(
        uid=model.uid,
        name=model.name,
        manufacturer_name=MANUFACTURER,
        model_name=code.label(f"{model.bundle} {model.bundle_version}"),
        serial_number=model.weights_sha256,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=_DEVICE_OBSERVER, observer_identifying_attributes=device
        )
    )
