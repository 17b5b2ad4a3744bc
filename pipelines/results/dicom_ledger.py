"""Which DICOM objects stand in an output folder, film by film, so that a killed run goes on."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.errors import Outcome, Reason
from pipelines.files import link, write_csv, write_text
from pipelines.results.dicom_kinds import Kind, MissingObject, WrittenObject
from pipelines.table_cells import table_filename, table_text

FOLDER = "dicom"
OBJECTS, FAILURES = "objects.csv", "failures.csv"

_NAME = ".objects.jsonl"
_OWN_FILE = re.compile(r"[a-z]+-[0-9a-f]{32}\.dcm")
_OBJECT_COLUMNS = ("filename", "kind", "file", "sop_class_uid", "sop_instance_uid")
_FAILURE_COLUMNS = ("filename", "kind", "outcome", "reason", "message")
# These come from the machine and not from the film, so the next run tries again.
_PASSING = frozenset({Reason.FILE_UNREADABLE, Reason.INTERNAL})


@dataclass(frozen=True, slots=True)
class FilmObjects:
    """What became of the objects of one film.

    Attributes:
        filename: Of the film, as in every table.
        made_by: Names the settings that they were made with.
        objects: Those that were written.
        missing: Those that could not be made.
    """

    filename: str
    made_by: str
    objects: tuple[WrittenObject, ...]
    missing: tuple[MissingObject, ...]


class ObjectLedger:
    """An append-only file: a line a film. A later line of the same film replaces an earlier one.

    Args:
        output: Output folder of the prediction; the ledger stands in `dicom/` below it.
        made_by: Names the settings of this run; films with others are made again.
    """

    def __init__(self, output: Path, made_by: str) -> None:
        self.folder = output / FOLDER
        self._path = self.folder / _NAME
        self._made_by = made_by
        self._lock = threading.Lock()
        self._films = {film.filename: film for film in _read(self._path)}

    def find(self, filename: str) -> FilmObjects | None:
        """Return what became of the objects of a film, if it was with the settings of this run."""
        film = self._films.get(filename)
        return film if film is not None and film.made_by == self._made_by else None

    def has(self, filename: str) -> bool:
        """Whether all objects of a film are there, or are known to be impossible."""
        film = self.find(filename)
        if film is None:
            return False
        if any(missing.reason in _PASSING for missing in film.missing):
            return False
        return all((self.folder / each.file).is_file() for each in film.objects)

    def add(self, filename: str, results: Iterable[WrittenObject | MissingObject]) -> None:
        """Take down what became of the objects of a film; they are on disk already.

        Args:
            filename: Of the film.
            results: Its objects, and those that could not be made.

        Raises:
            OSError: If the line cannot be written.
        """
        each = list(results)
        film = FilmObjects(
            filename,
            self._made_by,
            tuple(one for one in each if isinstance(one, WrittenObject)),
            tuple(one for one in each if isinstance(one, MissingObject)),
        )
        with self._lock:
            self._films[filename] = film
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as ledger:
                ledger.write(json.dumps(asdict(film)) + "\n")

    def forget(self, filename: str) -> None:
        """Remove what is known of a film from memory: its objects have gone elsewhere."""
        with self._lock:
            self._films.pop(filename, None)

    def take(self, filenames: Iterable[str], folder: Path) -> None:
        """Take over what another output folder has of some films; its files are linked.

        Args:
            filenames: The films.
            folder: The other output folder.

        Raises:
            OSError: If a file is missing or cannot be written.
        """
        other = ObjectLedger(folder, self._made_by)
        for film in filter(None, map(other.find, filenames)):
            for each in film.objects:
                link(folder / FOLDER / each.file, self.folder / each.file)
            self.add(film.filename, (*film.objects, *film.missing))

    def adopt(self, films: Mapping[str, Path]) -> None:
        """Take over what other output folders have of films; their files are linked.

        Args:
            films: The output folder that each film was predicted into, by its name.

        Raises:
            OSError: If a file is missing or cannot be written.
        """
        ledgers = {folder: ObjectLedger(folder, self._made_by) for folder in {*films.values()}}
        adopted = []
        for filename, folder in films.items():
            film = ledgers[folder].find(filename)
            if film is not None:
                adopted.append(film)
                for each in film.objects:
                    link(folder / FOLDER / each.file, self.folder / each.file)
        with self._lock:
            self._films = {film.filename: film for film in adopted}
            lines = "".join(json.dumps(asdict(film)) + "\n" for film in adopted)
            write_text(self._path, lines)

    def finish(self, filenames: Sequence[str]) -> dict[str, object]:
        """Write `objects.csv` and `failures.csv`, and remove objects that are not of these films.

        Args:
            filenames: The films that were predicted, in the order of the rows.

        Returns:
            What `summary.json` says: objects of each kind, films without all of theirs, reasons.

        Raises:
            OSError: If a file cannot be written.
        """
        found = map(self.find, filenames)
        films = [film for film in found if film is not None]
        write_csv(self.folder / OBJECTS, _OBJECT_COLUMNS, _object_rows(films))
        write_csv(self.folder / FAILURES, _FAILURE_COLUMNS, _failure_rows(films))
        named = {each.file for film in films for each in film.objects}
        for path in self.folder.glob("*.dcm"):
            if _OWN_FILE.fullmatch(path.name) and path.name not in named:
                path.unlink(missing_ok=True)
        made = Counter(each.kind.value for film in films for each in film.objects)
        failed = [
            film.filename
            for film in films
            if any(each.reason.outcome is Outcome.FAILED for each in film.missing)
        ]
        reasons = Counter(each.reason.value for film in films for each in film.missing)
        return {
            "objects": dict(sorted(made.items())),
            "films_without": len(failed),
            "reasons": dict(sorted(reasons.items())),
        }


def _object_rows(films: Iterable[FilmObjects]) -> Iterable[Mapping[str, object]]:
    for film in films:
        for each in film.objects:
            yield {"filename": table_filename(film.filename)} | asdict(each)


def _failure_rows(films: Iterable[FilmObjects]) -> Iterable[Mapping[str, object]]:
    for film in films:
        for each in film.missing:
            yield {
                "filename": table_filename(film.filename),
                "kind": each.kind.value,
                "outcome": each.reason.outcome.value,
                "reason": each.reason.value,
                "message": table_text(each.message),
            }


def _read(path: Path) -> Iterable[FilmObjects]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            content = json.loads(line)
            yield FilmObjects(
                content["filename"],
                content["made_by"],
                tuple(
                    WrittenObject(**each | {"kind": Kind(each["kind"])})
                    for each in content["objects"]
                ),
                tuple(
                    MissingObject(Kind(each["kind"]), Reason(each["reason"]), each["message"])
                    for each in content["missing"]
                ),
            )
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a process that was killed
