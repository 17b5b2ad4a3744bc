"""Parts of one prediction, made on one machine or many, become one output folder.

What comes out is what one run over all films would have left, row by row and in its order. Nothing
is merged that does not fit together: a part that is missing or not finished, parts of other weights
or settings, parts that saw other inputs.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import read_json_object
from pipelines.inference.dicom_results import finish_objects
from pipelines.inference.fitting import (
    fingerprint_of,
    in_order,
    mismatch,
    named,
    read_parts,
    require_agreement,
    resolved,
)
from pipelines.inference.journal import JOURNAL_NAME, Journal, journal_lines
from pipelines.inference.lock import locked
from pipelines.inference.merged_files import (
    is_drawn,
    merge_journals,
    merge_pictures,
    merge_sheets,
    merge_thumbnails,
)
from pipelines.inference.output import check_writable, output_errors
from pipelines.inference.part import PART_NAME, Part
from pipelines.ingest.collect import Found, frame_name
from pipelines.predictions import Prediction, Refusal
from pipelines.reports.page import draw_report
from pipelines.reports.thumbnails import ThumbnailFile
from pipelines.results.dicom_ledger import ObjectLedger
from pipelines.results.tables import write_batch


def merge_shards(output: Path, folders: Sequence[Path] = ()) -> Mapping[str, Any]:
    """Make one set of tables of the shards of a prediction.

    Args:
        output: Where it is written to; what an earlier merge left there is replaced.
        folders: Of the shards; by default those in `output`.

    Returns:
        What stands in `summary.json`.

    Raises:
        ConfigurationError: PARTS_MISMATCH if the shards do not fit together.
        RunError: If the folder cannot be written, or another run is at it.
    """
    parts = read_parts(output, folders)
    require_agreement(parts)
    inputs = resolved(in_order(parts))
    with locked(output):
        check_writable(output)
        with output_errors():
            return _Merged(output, parts, inputs).write()


class _Merged:
    """What is written of parts that fit together.

    Args:
        output: Where to.
        parts: In order.
        inputs: All inputs in the order of one run, each with the part that it stands in.
    """

    def __init__(
        self, output: Path, parts: Sequence[Part], inputs: Sequence[tuple[Part, Found]]
    ) -> None:
        self._output = output
        self._parts = parts
        self._refused = [found.refusal for _, found in inputs if found.refusal is not None]
        self._films = {
            frame_name(found.filename, frame, frames=found.frames): part
            for part, found in inputs
            for frame in range(found.frames)
        }

    def write(self) -> Mapping[str, Any]:
        """Write everything, `summary.json` after all tables and pictures.

        Raises:
            ConfigurationError: PARTS_MISMATCH if a part is run meanwhile.
        """
        output, parts, films = self._output, self._parts, self._films
        fingerprint = {name: str(value) for name, value in fingerprint_of(parts[0]).items()}
        Journal(output / JOURNAL_NAME, fingerprint)  # it refuses a folder of other films
        (output / "summary.json").unlink(missing_ok=True)
        before = {part: _identity(part) for part in parts}
        known = self._known()
        records = [known[name] for name in films]
        predicted = [each for each in records if not isinstance(each, Refusal)]
        merge_pictures(output, films)
        self._merge_sheets([each.filename for each in predicted], known)
        merge_thumbnails(output, films)
        merge_journals(output, films, fingerprint=fingerprint)
        made = self._merge_objects([each.filename for each in predicted])
        changed = [part for part in parts if _identity(part) != before[part]]
        if changed:
            raise ConfigurationError(
                Reason.PARTS_MISMATCH,
                mismatch("shards that stay as they are", named(changed), "run"),
            )
        write_batch(
            output,
            predicted,
            [*self._refused, *(each for each in records if isinstance(each, Refusal))],
            tables=parts[0].tables,
            summary={
                "inputs": len(films) + len(self._refused),
                **parts[0].about,
                **made,
                **_speed(parts),
                "shards": len(parts),
            },
        )
        summary: Mapping[str, Any] = read_json_object(output / "summary.json")
        if any(map(is_drawn, parts)):
            title = f"{summary['bundle']} {summary['bundle_version']}"
            small = ThumbnailFile(output).read
            draw_report(output, title=title, kind="prediction", thumbnails=small)
        return summary

    def _known(self) -> dict[str, Prediction | Refusal]:
        """Read the records of all parts, those of copies in other parts among them.

        Raises:
            ConfigurationError: PARTS_MISMATCH if one is missing.
        """
        known: dict[str, Prediction | Refusal] = {}
        for part in self._parts:
            own = {*_own_films(part)}
            for _, entry in journal_lines(part.folder / JOURNAL_NAME):
                if entry is not None and entry.record.filename in own:
                    known[entry.record.filename] = entry.record
        lost = [name for name in self._films if name not in known]
        if lost:
            raise ConfigurationError(
                Reason.PARTS_MISMATCH,
                mismatch(
                    "a record of each input",
                    f"none of {len(lost)}, which the journals of their shards lack",
                    "run",
                ),
            )
        return known

    def _merge_sheets(
        self, predicted: Sequence[str], known: Mapping[str, Prediction | Refusal]
    ) -> None:
        """Draw one contact sheet; that of a part begins with its own first predicted films."""
        drawn = {
            part.folder: [
                name
                for name in _own_films(part)
                if name in known and not isinstance(known[name], Refusal)
            ]
            for part in self._parts
        }
        merge_sheets(self._output, predicted, drawn)

    def _merge_objects(self, filenames: Sequence[str]) -> Mapping[str, object]:
        objects = self._parts[0].objects
        if not objects:
            return {"dicom": None}
        ledger = ObjectLedger(self._output, objects["made_by"])
        ledger.adopt({name: self._films[name].folder for name in filenames})
        return finish_objects(ledger, filenames, kinds=objects["kinds"])


def _own_films(part: Part) -> Iterator[str]:
    """Name the films of a part in its order, as they were before other parts were known."""
    for found in part.listing.found:
        for frame in range(found.frames):
            yield frame_name(found.filename, frame, frames=found.frames)


def _speed(parts: Sequence[Part]) -> dict[str, object]:
    """Put together what was done side by side."""
    rates = [part.speed["films_per_second"] for part in parts]
    return {
        "from_earlier_run": sum(part.speed["from_earlier_run"] for part in parts),
        "seconds": max(part.speed["seconds"] for part in parts),
        "films_per_second": round(sum(rate or 0.0 for rate in rates), 2) or None,
    }


def _identity(part: Part) -> tuple[int, int]:
    """Tell whether a shard has been run again meanwhile."""
    try:
        status = (part.folder / PART_NAME).stat()
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
