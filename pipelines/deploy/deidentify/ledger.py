"""What was done with each input: a table that tells nothing of it, and by choice one that does.

The journal beside the table lets a killed run go on. It knows an input by a pseudonym that its
name, size and time make together with the key.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import whole_file, write_csv, write_text
from pipelines.table_cells import table_filename, table_name

TABLE = "deidentified.csv"
JOURNAL = ".deidentified.jsonl"
LINKING_COLUMNS = (
    *("input", "filename", "file", "patient_id", "study_instance_uid", "sop_instance_uid"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of an input.

    Attributes:
        file: Path of the film below OUTPUT; empty if none was written.
        outcome: `exported`, `held`, `skipped` or `failed`.
        reason: Why not, if it was not exported: a reason code, or the flag that held it back.
        flags: All flags of its pixels, with a blank between them.
        input: Pseudonym of the input's name; the linking table knows the name.
    """

    file: str
    outcome: str
    reason: str
    flags: str
    input: str


COLUMNS = tuple(each.name for each in fields(Row))


class Ledger:
    """Rows by stamp, on disk line by line.

    Args:
        output: The folder of the export.
        fingerprint: What shapes every film: the key, the options, the versions.

    Raises:
        ConfigurationError: If the folder holds the films of another key or other options, or
            something else.
    """

    def __init__(self, output: Path, fingerprint: Mapping[str, str]) -> None:
        self._path = output / JOURNAL
        self._rows: dict[str, Row] = {}
        self._asked: set[str] = set()
        self._fingerprint = dict(fingerprint)
        found = _read(self._path)
        if found and found[0] != self._fingerprint:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected the key and the options that the films in OUTPUT were made with, got "
                "others; choose another OUTPUT",
            )
        if not found and any(each.name != JOURNAL for each in output.iterdir()):
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected an empty or new folder, or one that this command has made, got one with "
                "other files; choose another OUTPUT",
            )
        for line in found[1:]:
            self._take(line)
        self._write()

    def _take(self, line: Mapping[str, object]) -> None:
        if set(line) == {"stamp", *COLUMNS}:
            values = {name: str(value) for name, value in line.items()}
            stamp = values.pop("stamp")
            self._rows[stamp] = Row(**values)

    def find(self, stamp: str) -> Row | None:
        """Return what became of an input in an earlier run; None if it is new or has changed."""
        self._asked.add(stamp)
        return self._rows.get(stamp)

    def add(self, stamp: str, row: Row) -> None:
        """Note what became of an input."""
        self._rows[stamp] = row
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"stamp": stamp, **asdict(row)}) + "\n")

    def finish(self) -> None:
        """Forget every input that was not asked for: it is gone, or is no longer what it was."""
        self._rows = {stamp: row for stamp, row in self._rows.items() if stamp in self._asked}
        self._write()

    def _write(self) -> None:
        rows = ({"stamp": stamp, **asdict(row)} for stamp, row in self._rows.items())
        write_text(
            self._path, "".join(json.dumps(line) + "\n" for line in (self._fingerprint, *rows))
        )


def _read(path: Path) -> list[dict[str, object]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = []
    for line in text.split("\n")[:-1]:
        try:
            content = json.loads(line)
        except ValueError:
            continue  # a damaged line costs one film and not the run
        if isinstance(content, dict):
            lines.append(content)
    return lines


def write_table(output: Path, rows: Iterable[Row]) -> None:
    """Write the table of what was done, sorted by what tells nothing of the order of the inputs."""
    ordered = sorted(rows, key=lambda row: (row.outcome, row.file, row.input))
    write_csv(output / TABLE, COLUMNS, map(asdict, ordered))


def is_linking_table(path: Path) -> bool:
    """Whether a file is a table that `write_linking_table` has written."""
    header = (",".join(LINKING_COLUMNS) + "\n").encode()
    if not path.is_file():  # a pipe is not waited for
        return False
    try:
        with path.open("rb") as content:
            return content.read(len(header)) == header
    except OSError:
        return False


def write_linking_table(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write the table that leads back from pseudonyms, readable by its owner alone.

    Args:
        path: The file; it is replaced.
        rows: Values in the order of `LINKING_COLUMNS`.
    """
    with (
        whole_file(path, mode=0o600) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as out,
    ):
        table = csv.writer(out, lineterminator="\n")
        table.writerow(LINKING_COLUMNS)
        for row in rows:
            pseudonym, filename, *others = row
            table.writerow([pseudonym, table_filename(filename), *map(table_name, others)])
