"""The DICOM objects of one film, written whole: what a batch and a service call."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from pipelines.errors import PlainfilmError, refusal_of
from pipelines.files import whole_file
from pipelines.predictions import Prediction
from pipelines.results.dicom_common import Decision, Finding, Model, now_in
from pipelines.results.dicom_kinds import Kind, MissingObject, WrittenObject
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
    """

    folder: Path
    kinds: Sequence[Kind]
    model: Model
    decision: Decision = field(default_factory=Decision)

    def write(
        self,
        source: Path | SourceImage,
        record: Prediction,
        *,
        frame: int = 0,
        created: datetime | None = None,
    ) -> list[WrittenObject | MissingObject]:
        """Write the objects of one film.

        An object whose file is there stays as it is: its name and UID follow from film, model and
        settings, so it says the same, and another time of creation would make it another object.

        Args:
            source: The film's file, or what was read of it.
            record: What was predicted.
            frame: Index of the frame, where `source` is a file.
            created: When the objects are made, with a time zone; None takes the time of now.

        Returns:
            One or more objects of each kind, or why there is none.

        Raises:
            OSError: If a file cannot be written.
        """
        try:
            film = read_source(source, frame=frame) if isinstance(source, Path) else source
        except PlainfilmError as error:
            return [MissingObject(kind, error.reason, str(error)) for kind in self.kinds]
        finding = Finding(film, record, self.decision, self.model, created or now_in(film))
        return [each for kind in self.kinds for each in self._write(kind, finding)]

    def _write(self, kind: Kind, finding: Finding) -> Iterator[WrittenObject | MissingObject]:
        try:
            datasets = _MAKERS[kind](finding)
        except Exception as error:  # noqa: BLE001 - a film without an object keeps its prediction
            refusal = refusal_of(error)
            yield MissingObject(kind, refusal.reason, str(refusal))
            return
        for dataset in datasets:
            name = f"{kind}-{_digits(dataset)}.dcm"
            _save(self.folder / name, dataset)
            yield WrittenObject(kind, name, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))


_MAKERS: dict[Kind, Callable[[Finding], list[Dataset]]] = {
    Kind.SR: lambda finding: [measurement_report(finding)],
}


def _digits(dataset: Dataset) -> str:
    """The UUID behind a UID, in 32 hexadecimal digits."""
    return f"{int(str(dataset.SOPInstanceUID).rpartition('.')[2]):032x}"


def _save(path: Path, dataset: Dataset) -> None:
    if path.exists():
        return
    dataset.preamble = b"\0" * 128  # where a file of two formats would hide the other one
    with whole_file(path) as temporary:
        dataset.save_as(temporary, enforce_file_format=True)
