"""What a batch leaves beside its journal: tables, its first films on a sheet, the notes of a share.

All is made of records, whoever has predicted them and whenever.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.inference.dicom_results import DicomResults
from pipelines.inference.folder import RadiographFolder
from pipelines.inference.part import Part, write_part
from pipelines.inference.prepared import Postprocessing, PreparedFilm
from pipelines.inference.reading import ReaderPool
from pipelines.inference.recorded import Joined, RunRecords
from pipelines.inference.thumbnails import Thumbnails
from pipelines.radiograph import Pixels
from pipelines.reports.thumbnails import stretched
from pipelines.results.overlays import CONTACT_SHEET, CONTACT_SHEET_FILMS, write_contact_sheet
from pipelines.results.tables import write_batch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BatchResults:
    """Writes what comes out of a batch; errors of the file system are the caller's.

    Attributes:
        dataset: The films.
        reader: How films are read that are drawn and were predicted earlier.
        postprocessing: Made the records.
        output: Folder for the results.
        dicom: What has written DICOM objects.
    """

    dataset: RadiographFolder
    reader: ReaderPool
    postprocessing: Postprocessing
    output: Path
    dicom: DicomResults | None = None

    def draw(self, records: RunRecords, thumbnails: Thumbnails) -> None:
        """Draw the first predicted films; those of an earlier run are read once more.

        Args:
            records: Of all films.
            thumbnails: Pictures of films of this run.
        """
        predicted = records.first_predicted(CONTACT_SHEET_FILMS)
        captioned = self.postprocessing.caption
        films = [
            (
                self._picture(place, thumbnails),
                replace(captioned(record), foreign=bool(record.out_of_distribution)),
            )
            for place, record in predicted
        ]
        shown = [(picture, caption) for picture, caption in films if picture is not None]
        sheet = self.output / CONTACT_SHEET
        if shown:
            write_contact_sheet(sheet, shown)
        else:
            sheet.unlink(missing_ok=True)

    def _picture(self, position: int, thumbnails: Thumbnails) -> Pixels | None:
        kept = thumbnails.find(position)
        if kept is not None:
            return kept
        read = self.reader.read(self.dataset.__getitem__, [position])
        return next((stretched(f.image) for _, f in read if isinstance(f, PreparedFilm)), None)

    def write(self, records: RunRecords, about: Mapping[str, object]) -> Mapping[str, Any]:
        """Write all tables.

        Args:
            records: Of all films.
            about: What `summary.json` says beside the counts.

        Returns:
            What stands in `summary.json`.
        """
        collection, predicted = self.dataset.collection, records.predicted
        made: Mapping[str, object] = {}
        if self.dicom is not None:
            kinds = self.dicom.kinds
            made = self.dicom.finish([r.filename for r in predicted] if kinds else [])
        write_batch(
            self.output,
            predicted,
            Joined(collection.refusals, records.refused),
            tables=self.postprocessing.tables,
            summary={"inputs": collection.inputs, **about, **made},
        )
        summary: Mapping[str, Any] = json.loads((self.output / "summary.json").read_text("utf-8"))
        outcomes = ("predicted", "skipped", "failed")
        counts = ", ".join(f"{summary[outcome]} {outcome}" for outcome in outcomes)
        _log.info("%d inputs: %s", summary["inputs"], counts)
        if summary["out_of_distribution"]:
            _log.warning(
                "%d are unlike the training films; their answers mean nothing: see the column "
                "out_of_distribution",
                summary["out_of_distribution"],
            )
        return summary

    def finish_part(self, about: Mapping[str, object], speed: Mapping[str, object]) -> None:
        """Say that a share is finished, with what brings it together with the others.

        Args:
            about: What predicted.
            speed: How long it took.
        """
        listing, shard = self.dataset.collection.listing, self.dataset.shard
        if listing is None or shard is None:
            return
        objects: Mapping[str, object] = {}
        if self.dicom is not None and self.dicom.kinds:
            objects = {"kinds": self.dicom.kinds, "made_by": self.dicom.made_by}
        part = Part(
            folder=self.output,
            shard=shard,
            task=self.postprocessing.record.__name__,
            tables=self.postprocessing.tables,
            about=about,
            speed=speed,
            objects=objects,
            listing=listing,
        )
        write_part(part)
