"""Measurement reports: TID 1500 of PS3.16 in Comprehensive 3D SR, for every task.

A report has one group for the whole film (the decision, its operating point, whether the film
belongs) and one for each class or structure. Each names the algorithm and the film.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from pipelines.predictions import AnomalyDetection, Classification, Region, Segmentation
from pipelines.results import dicom_codes as code
from pipelines.results.dicom_common import (
    MANUFACTURER,
    Finding,
    common_arguments,
    completed,
    reference_to,
)
from pipelines.results.dicom_kinds import Kind
from pipelines.table_cells import table_number

_Evaluation: TypeAlias = tuple[CodedConcept, CodedConcept]
"""What is judged, and how."""

_DEVICE_OBSERVER = code.dcm("121007", "Device")
_SIDES = {
    "L": code.sct("7771000", "Left"),
    "R": code.sct("24028007", "Right"),
}


def measurement_report(finding: Finding) -> Dataset:
    """Make the report of a film.

    Args:
        finding: The film and what was predicted of it.

    Returns:
        A Comprehensive 3D SR with a TID 1500 report.
    """
    groups = list(_Groups(finding).all())
    report = MeasurementReport(
        observation_context=_observer(finding),
        procedure_reported=code.IMAGING,
        imaging_measurements=groups,
    )
    dataset = Comprehensive3DSR(
        evidence=[reference_to(finding.source)],
        content=report[0],
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[code.private_scheme()],
        **common_arguments(finding, Kind.SR),
    )
    return completed(dataset, finding)


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


@dataclass(frozen=True)
class _Groups:
    """Makes the measurement groups of one film."""

    finding: Finding

    def all(self) -> Iterator[MeasurementsAndQualitativeEvaluations]:
        """Give the group of the whole film, then those of its parts."""
        record = self.finding.record
        if isinstance(record, Classification):
            yield from self._classification(record)
        elif isinstance(record, AnomalyDetection):
            yield self._anomaly(record)
        else:
            yield from self._segmentation(record)

    def _classification(
        self, record: Classification
    ) -> Iterator[MeasurementsAndQualitativeEvaluations]:
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
            "film",
            code.WHOLE_FILM,
            measurements=[*numbers, *self._guard_numbers()],
            evaluations=[(code.CALLED_CLASS, called), *self._guard_flag()],
        )
        for name, probability in record.probabilities.items():
            yield self._group(
                f"class {name}",
                code.finding_code(name),
                measurements=[_plain_number(code.PROBABILITY, probability)],
                evaluations=[(code.CALLED, _answer(name == record.predicted_label))],
            )

    def _anomaly(self, record: AnomalyDetection) -> MeasurementsAndQualitativeEvaluations:
        numbers = [_plain_number(code.ANOMALY_SCORE, record.anomaly_score)]
        if self.finding.decision.threshold is not None:
            numbers.append(_plain_number(code.THRESHOLD, self.finding.decision.threshold))
        return self._group(
            "film",
            code.WHOLE_FILM,
            measurements=[*numbers, *self._guard_numbers()],
            evaluations=[(code.ANOMALOUS, _answer(record.anomalous)), *self._guard_flag()],
        )

    def _segmentation(
        self, record: Segmentation
    ) -> Iterator[MeasurementsAndQualitativeEvaluations]:
        found = sum(region.area_px > 0 for region in record.regions)
        yield self._group(
            "film",
            code.WHOLE_FILM,
            measurements=[_plain_number(code.FOUND_COUNT, found), *self._guard_numbers()],
            evaluations=self._guard_flag(),
        )
        for region in record.regions:
            yield self._region(region)

    def _region(self, region: Region) -> MeasurementsAndQualitativeEvaluations:
        numbers = []
        if region.area_px > 0:
            measured = (
                (code.AREA, region.area_px, code.PIXELS),
                (code.AREA, region.area_mm2, code.SQUARE_MM),
                (code.LENGTH, region.length_px, code.PIXELS),
                (code.LENGTH, region.length_mm, code.MM),
            )
            numbers = [
                self._measured(name, value, unit)
                for name, value, unit in measured
                if value is not None
            ]
            numbers.append(_plain_number(code.PARTS, region.components))
        side = _SIDES.get(self.finding.source.laterality)
        return self._group(
            region.name,
            code.ANATOMY,
            measurements=numbers,
            evaluations=[(code.FOUND, _answer(region.area_px > 0))],
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
        return [] if flag is None else [(code.FOREIGN, _answer(flag))]

    def _group(
        self,
        name: str,
        finding: CodedConcept,
        *,
        measurements: list[Measurement],
        evaluations: Sequence[_Evaluation],
        sites: list[FindingSite] | None = None,
    ) -> MeasurementsAndQualitativeEvaluations:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=self.finding.uid(Kind.SR, "group", name), identifier=code.label(name)
            ),
            finding_type=finding,
            algorithm_id=self._algorithm,
            finding_sites=sites,
            measurements=measurements,
            qualitative_evaluations=[
                QualitativeEvaluation(name=each, value=value) for each, value in evaluations
            ],
            source_images=[
                SourceImageForMeasurementGroup(
                    referenced_sop_class_uid=self.finding.source.attributes.SOPClassUID,
                    referenced_sop_instance_uid=self.finding.source.sop_instance_uid,
                    referenced_frame_numbers=self.finding.source.frame_numbers,
                )
            ],
        )

    @cached_property
    def _algorithm(self) -> AlgorithmIdentification:
        model = self.finding.model
        return AlgorithmIdentification(
            name=model.name,
            version=f"{model.bundle_version} (plainfilm {model.plainfilm_version})",
            parameters=[f"weights_sha256={model.weights_sha256}"],
        )


def _plain_number(name: CodedConcept, value: float) -> Measurement:
    return Measurement(name=name, value=_rounded(value), unit=code.ONE)


def _rounded(value: float) -> float:
    """A number as the tables have it: a decimal string of DICOM has 16 characters at most."""
    return float(table_number(value))


def _answer(holds: bool) -> CodedConcept:
    return code.YES if holds else code.NO
