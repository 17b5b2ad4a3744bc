"""The DICOM objects of one film, written whole: what a batch and a service call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from pipelines.errors import ConfigurationError, PlainfilmError, Reason, refusal_of
from pipelines.files import whole_file
from pipelines.ingest.read import read_radiograph
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.predictions import Prediction
from pipelines.radiograph import Pixels
from pipelines.results.captures import NOTICE, Heat, capture, words_of
from pipelines.results.dicom_common import Decision, Finding, Model, now_in
from pipelines.results.dicom_gsps import presentation_state
from pipelines.results.dicom_identity import Identities, film_object
from pipelines.results.dicom_kinds import Kind, MissingObject, SegLayers, WrittenObject
from pipelines.results.dicom_sc import secondary_capture
from pipelines.results.dicom_seg import segmentations
from pipelines.results.dicom_source import SourceImage, read_source
from pipelines.results.dicom_sr import measurement_report


@dataclass(frozen=True, slots=True)
class ObjectWriter:
    """Writes the objects of films that one model predicts.

    Attributes:
        folder: Where the files are written.
        kinds: What is written, in this order.
        model: What predicts.
        decision: How it decides.
        seg_layers: Whether structures that overlap share one segmentation.
        identities: Of films that are no DICOM files.
    """

    folder: Path
    kinds: Sequence[Kind]
    model: Model
    decision: Decision = field(default_factory=Decision)
    seg_layers: SegLayers = SegLayers.ONE
    identities: Identities | None = None

    def write(
        self,
        source: Path | SourceImage,
        record: Prediction,
        *,
        frame: int = 0,
        heat: Heat | None = None,
        pixels: Pixels | None = None,
        created: datetime | None = None,
    ) -> list[WrittenObject | MissingObject]:
        """Write the objects of one film.

        An object whose file is there stays as it is: its name and UID follow from film, model and
        settings, so it says the same, and another time of creation would make it another object.

        Args:
            source: The film's file, or what was read of it. A file that is no DICOM file, and of
                which it is known whose it is, is written as a DICOM object first.
            record: What was predicted.
            frame: Index of the frame, where `source` is a file.
            heat: For `sc` of a classifier or a detector of anomalies.
            pixels: The film as it was read, for `sc`; None reads it from the file.
            created: When the objects are made, with a time zone; None takes the time of now.

        Returns:
            One or more objects of each kind, or why there is none.

        Raises:
            OSError: If a file cannot be written.
        """
        film_itself: list[WrittenObject | MissingObject] = []
        try:
            if isinstance(source, Path):
                own = self._as_dicom(source, record.filename)
                film_itself = [] if own is None else [own]
                source = source if own is None else self.folder / own.file
                film = read_source(source, frame=frame)
            else:
                film = source
        except PlainfilmError as error:
            return [MissingObject(kind, error.reason, str(error)) for kind in self.kinds]
        finding = Finding(
            film, record, self.decision, self.model, created or now_in(film), self.seg_layers
        )
        path = source if isinstance(source, Path) else None
        return [*film_itself, *self._results(_Maker(finding, heat, pixels, path))]

    def _as_dicom(self, path: Path, filename: str) -> WrittenObject | None:
        """Write a film that is no DICOM file as one, if it is known whose it is."""
        identity = None if self.identities is None else self.identities.find(filename)
        if identity is None or sniff(path) is FileFormat.DICOM:
            return None
        return self._written(Kind.FILM, film_object(path, identity))

    def _written(self, kind: Kind, dataset: Dataset) -> WrittenObject:
        name = f"{kind}-{_digits(dataset)}.dcm"
        _save(self.folder / name, dataset)
        return WrittenObject(kind, name, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))

    def _results(self, maker: "_Maker") -> Iterator[WrittenObject | MissingObject]:
        for kind in self.kinds:
            try:
                datasets = maker.make(kind)
            except Exception as error:  # noqa: BLE001 - a film without an object keeps its prediction
                refusal = refusal_of(error)
                yield MissingObject(kind, refusal.reason, str(refusal))
                continue
            for dataset in datasets:
                yield self._written(kind, dataset)


@dataclass(slots=True)
class _Maker:
    """Makes the objects of one film, one kind after the other."""

    finding: Finding
    heat: Heat | None
    pixels: Pixels | None
    path: Path | None
    segmentations: list[Dataset] = field(default_factory=list)

    def make(self, kind: Kind) -> list[Dataset]:
        """Make the objects of one kind; segmentations come before the report that names them."""
        if kind is Kind.SEG:
            self.segmentations = segmentations(self.finding)
            return self.segmentations
        if kind is Kind.SR:
            return [measurement_report(self.finding, self.segmentations)]
        if kind is Kind.GSPS:
            return [presentation_state(self.finding)]
        return [self._capture()]

    def _capture(self) -> Dataset:
        finding, heat = self.finding, self.heat
        shows = "Outlines of structures" if heat is None else heat.name
        model = finding.model
        lines = [
            words_of(finding.record, finding.decision.threshold),
            f"plainfilm {model.bundle} {model.bundle_version} · {NOTICE}",
        ]
        picture = capture(self._pixels(), finding.record, heat=heat, lines=lines)
        return secondary_capture(finding, picture, shows=shows)

    def _pixels(self) -> Pixels:
        if self.pixels is not None:
            return self.pixels
        if self.path is None:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected the pixels of a film that comes without a file, got none; give them",
            )
        return read_radiograph(self.path, frame=self.finding.source.frame).pixels


def _digits(dataset: Dataset) -> str:
    """The UUID behind a UID, in 32 hexadecimal digits."""
    return f"{int(str(dataset.SOPInstanceUID).rpartition('.')[2]):032x}"


def _save(path: Path, dataset: Dataset) -> None:
    if path.exists():
        return
    dataset.preamble = b"\0" * 128  # where a file of two formats would hide the other one
    with whole_file(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
