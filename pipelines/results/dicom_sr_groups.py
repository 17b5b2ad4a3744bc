"""The measurement groups of a report (TID 1410, TID 1501): film, classes, structures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegmentationFrame,
    SourceImageForMeasurementGroup,
    SourceImageForSegmentation,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from pipelines.predictions import AnomalyDetection, Classification, Region, Segmentation
from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import Finding
from pipelines.table_cells import table_number

Group: TypeAlias = (
    MeasurementsAndQualitativeEvaluations | PlanarROIMeasurementsAndQualitativeEvaluations
)

_Evaluation: TypeAlias = tuple[CodedConcept, CodedConcept]
"""What is judged, and how."""

_FILM = "film"


@dataclass(frozen=True)
class Groups:
    """Makes the measurement groups of one film.

    Attributes:
        finding: The film and what was predicted of it.
        segments: Segmentation and number of each segment, by the UID that it is tracked by.
    """

    finding: Finding
    segments: Mapping[str, tuple[Dataset, int]]

    def all(self) -> Iterator[Group]:
        """Give the group of the whole film, then those of its parts."""
        record = self.finding.record
        if isinstance(record, Classification):
            yield from self._classification(record)
        elif isinstance(record, AnomalyDetection):
            yield self._anomaly(record)
        else:
            yield from self._segmentation(record)

    def _classification(self, record: Classification) -> Iterator[Group]:
        decision = self.finding.decision
        numbers = []
        if decision.threshold is not None:
            positive = sum(record.probabilities[name] for name in decision.positive_classes)
            numbers = [
                _plain_number(code.POSITIVE_PROBABILITY, min(positive, 1.0)),
                _plain_number(code.THRESHOLD, decision.threshold),
            ]
        called = code.finding_code(record.predicted_label)
        yield self._group(
            _FILM,
            code.WHOLE_FILM,
            measurements=[*numbers, *self._guard_numbers()],
            evaluations=[(code.CALLED_CLASS, called), *self._guard_flag()],
        )
        for name, probability in record.probabilities.items():
            yield self._group(
                f"class {name}",
                code.finding_code(name),
                measurements=[_plain_number(code.PROBABILITY, probability)],
                evaluations=[(code.CALLED, answer(name == record.predicted_label))],
            )

    def _anomaly(self, record: AnomalyDetection) -> Group:
        numbers = [_plain_number(code.ANOMALY_SCORE, record.anomaly_score)]
        if self.finding.decision.threshold is not None:
            numbers.append(_plain_number(code.THRESHOLD, self.finding.decision.threshold))
        return self._group(
            _FILM,
            code.WHOLE_FILM,
            measurements=[*numbers, *self._guard_numbers()],
            evaluations=[(code.ANOMALOUS, answer(record.anomalous)), *self._guard_flag()],
        )

    def _segmentation(self, record: Segmentation) -> Iterator[Group]:
        found = [region for region in record.regions if region.area_px > 0]
        for region in found:
            yield self._region(region)
        if not found:
            yield self._group(
                _FILM,
                code.WHOLE_FILM,
                measurements=[_plain_number(code.FOUND_COUNT, 0), *self._guard_numbers()],
                evaluations=self._guard_flag(),
            )

    def _region(self, region: Region) -> Group:
        measured = (
            (code.AREA, region.area_px, code.PIXELS),
            (code.AREA, region.area_mm2, code.SQUARE_MM),
            (code.LENGTH, region.length_px, code.PIXELS),
            (code.LENGTH, region.length_mm, code.MM),
        )
        numbers = [
            self._measured(name, value, unit) for name, value, unit in measured if value is not None
        ]
        side = code.SIDES.get(self.finding.source.laterality)
        return self._group(
            region.name,
            code.ANATOMY,
            measurements=[*numbers, _plain_number(code.PARTS, region.components)],
            evaluations=[(code.FOUND, code.YES)],
            sites=[FindingSite(code.structure_code(region.name), laterality=side)],
        )

    def _measured(self, name: CodedConcept, value: float, unit: CodedConcept) -> Measurement:
        in_mm = unit in {code.MM, code.SQUARE_MM}
        at_detector = in_mm and self.finding.source.is_measured_at_detector
        return Measurement(
            name=name,
            value=_rounded(value),
            unit=unit,
            method=code.AT_DETECTOR if at_detector else None,
        )

    def _guard_numbers(self) -> list[Measurement]:
        numbers = (
            (code.FOREIGN_SCORE, self.finding.record.guard_score),
            (code.FOREIGN_LIMIT, self.finding.decision.foreign_limit),
        )
        return [_plain_number(name, value) for name, value in numbers if value is not None]

    def _guard_flag(self) -> list[_Evaluation]:
        flag = self.finding.record.out_of_distribution
        return [] if flag is None else [(code.FOREIGN, answer(flag))]

    def _group(
        self,
        name: str,
        finding: CodedConcept,
        *,
        measurements: list[Measurement],
        evaluations: Sequence[_Evaluation],
        sites: list[FindingSite] | None = None,
    ) -> Group:
        source = self.finding.source.attributes
        tracking_uid = self.finding.tracking_uid("" if name is _FILM else name)
        said = {
            "tracking_identifier": TrackingIdentifier(
                uid=tracking_uid, identifier=code.label(name)
            ),
            "finding_type": finding,
            "algorithm_id": self._algorithm,
            "finding_sites": sites,
            "measurements": measurements,
            "qualitative_evaluations": [
                QualitativeEvaluation(name=each, value=value) for each, value in evaluations
            ],
        }
        if tracking_uid in self.segments:
            return PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_segment=self._segment(*self.segments[tracking_uid]), **said
            )
        image = SourceImageForMeasurementGroup(
            referenced_sop_class_uid=source.SOPClassUID,
            referenced_sop_instance_uid=source.SOPInstanceUID,
            referenced_frame_numbers=self.finding.source.frame_numbers,
        )
        return MeasurementsAndQualitativeEvaluations(source_images=[image], **said)

    def _segment(self, segmentation: Dataset, number: int) -> ReferencedSegmentationFrame:
        source = self.finding.source.attributes
        reference = ReferencedSegmentationFrame(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            frame_number=number,
            segment_number=number,
            source_image=SourceImageForSegmentation(source.SOPClassUID, source.SOPInstanceUID),
        )
        # A reference names frames or segments, not both (PS3.3 10.3).
        del reference[0].ReferencedSOPSequence[0].ReferencedFrameNumber
        return reference

    @cached_property
    def _algorithm(self) -> AlgorithmIdentification:
        model = self.finding.model
        return AlgorithmIdentification(
            name=model.name,
            version=model.version,
            parameters=[f"weights_sha256={model.weights_sha256}"],
        )


def _plain_number(name: CodedConcept, value: float) -> Measurement:
    return Measurement(name=name, value=_rounded(value), unit=code.ONE)


def _rounded(value: float) -> float:
    """A number as the tables have it: a decimal string of DICOM has 16 characters at most."""
    return float(table_number(value))


def answer(holds: bool) -> CodedConcept:
    """Return yes or no as a code."""
    return code.YES if holds else code.NO
