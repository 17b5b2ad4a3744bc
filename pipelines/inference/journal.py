"""What a batch has done so far, on disk line by line, so that a killed run goes on where it was."""

import itertools
import json
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipelines.errors import ConfigurationError, Reason
from pipelines.files import whole_file
from pipelines.ingest.collect import Item
from pipelines.predictions import (
    AnomalyDetection,
    Classification,
    Prediction,
    Refusal,
    Region,
    Segmentation,
)

JOURNAL_NAME = ".journal.jsonl"

PACKAGE = "plainfilm"
"""Name in the fingerprint of every journal, by which a file is known to be one."""

INPUT_FOLDER = "input folder"
"""Name in the fingerprint of what may not change: tables of other films are not to be replaced."""

WEIGHTS = "weights"
"""Name in the fingerprint of the hash of the weights."""

ENGINE = "engine"
"""Name in the fingerprint of what ran the network, as `torch on cpu`."""

_MOST_FINGERPRINT_BYTES = 10_000

# These come from the machine and not from the file, so the next run tries again.
_PASSING = frozenset(
    {
        *(Reason.DECODER_MISSING, Reason.FILE_UNREADABLE, Reason.INTERNAL, Reason.TOO_SLOW),
        *(Reason.MISSING, Reason.FETCH_FAILED, Reason.OUT_OF_MEMORY),
    }
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """How a file looked when it was about to be read; another look means another content.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change in nanoseconds.
        version: What a store calls the version of an object; empty for a file.
    """

    size: int
    mtime_ns: int
    version: str = ""

    @classmethod
    def of(cls, item: Item) -> "Stamp":
        """Look at a file; one that cannot be looked at gets zeros, and reading it says why."""
        if item.origin is not None:
            return cls(item.origin.size, 0, item.origin.version)
        try:
            status = item.path.stat()
        except OSError:
            return cls(0, 0)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal: one input and what became of it.

    Attributes:
        frame: Index of the frame in its file, from 0.
        stamp: How the file looked.
        record: The prediction or the refusal; it holds the filename.
    """

    frame: int
    stamp: Stamp
    record: Prediction | Refusal


class Journal:
    """An append-only file: first what shapes every result (the fingerprint), then a line an input.

    A process that is killed leaves at most one unfinished line, which is dropped on reading. A
    journal with another fingerprint is of no use and is replaced; only one of another input folder
    is refused, since it stands beside the tables of other films.

    Args:
        path: Where the journal stands.
        fingerprint: What shapes a result (weights, operating point, versions …), by name.
        restart: Forget what an earlier run has done.

    Attributes:
        changed: Names whose values differ from those of the journal that was found; empty when it
            fits or when there was none.

    Raises:
        ConfigurationError: If the journal that was found is of another input folder.
    """

    def __init__(
        self, path: Path, fingerprint: Mapping[str, str], *, restart: bool = False
    ) -> None:
        self._path = path
        self._reading: BinaryIO | None = None
        found = {} if restart else _first_line(path)
        self.changed = tuple(_differences(found, fingerprint)) if found else ()
        if INPUT_FOLDER in found and INPUT_FOLDER in self.changed:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                "expected the input folder that the tables in OUTPUT are of, got another one; "
                "choose another OUTPUT, or replace those tables with --restart",
            )
        names, places = array("q"), array("Q")
        with whole_file(path) as temporary, temporary.open("wb") as written:
            written.write(_bytes(dict(fingerprint)))
            # Rewriting what was understood also drops unfinished and superseded lines.
            for entry in _last_entries(path) if found and not self.changed else ():
                names.append(hash(entry.record.filename))
                places.append(written.tell())
                written.write(_bytes(_line(entry)))
        order = np.argsort(names, kind="stable")
        self._names = np.frombuffer(names, np.int64)[order]
        self._places = np.frombuffer(places, np.uint64)[order]

    def __len__(self) -> int:
        """How many inputs an earlier run has recorded."""
        return len(self._names)

    def find(self, item: Item, stamp: Stamp) -> Prediction | Refusal | None:
        """Return what became of an input; None if it is new, has changed, or is to be tried again.

        Args:
            item: The film.
            stamp: How its file looks now.
        """
        place = self.place_of(item, stamp)
        return None if place is None else self.record_at(place)

    def place_of(self, item: Item, stamp: Stamp) -> int | None:
        """Return where it stands what became of an input, for `record_at`; None as of `find`.

        Args:
            item: The film.
            stamp: How its file looks now.
        """
        name = hash(item.filename)
        first = int(np.searchsorted(self._names, name))
        if first == len(self._names) or self._names[first] != name:
            return None
        place = int(self._places[first])
        entry = self._entry_at(place)
        known = (entry.record.filename, entry.frame, entry.stamp)
        if known != (item.filename, item.frame, stamp):
            return None
        if isinstance(entry.record, Refusal) and entry.record.reason in _PASSING:
            return None
        return place

    def record_at(self, place: int) -> Prediction | Refusal:
        """Read a record.

        Args:
            place: Where it stands, as `add` or `place_of` says.
        """
        return self._entry_at(place).record

    def add(self, entries: Iterable[Entry]) -> list[int]:
        """Append lines and hand them to the operating system, so that they outlive this process.

        Args:
            entries: What became of some inputs.

        Returns:
            Where each stands.
        """
        places = []
        with self._path.open("ab") as journal:
            for entry in entries:
                places.append(journal.tell())
                journal.write(_bytes(_line(entry)))
        return places

    def _entry_at(self, place: int) -> Entry:
        if self._reading is None:
            self._reading = self._path.open("rb")
            weakref.finalize(self, self._reading.close)
        self._reading.seek(place)
        return _parse(json.loads(self._reading.readline()))


def is_output(folder: Path) -> bool:
    """Whether a folder is the output of a prediction: it holds a journal."""
    return PACKAGE in found_fingerprint(folder / JOURNAL_NAME)


def found_fingerprint(path: Path) -> Mapping[str, object]:
    """Read the fingerprint of a journal; of a file that is none, or not there, nothing."""
    try:
        if not path.is_file():
            return {}
        with path.open("rb") as journal:
            first = journal.readline(_MOST_FINGERPRINT_BYTES)
    except OSError:
        return {}
    fingerprint = _json(first.decode("utf-8", errors="replace"))
    return fingerprint if isinstance(fingerprint, dict) else {}


def journal_lines(path: Path) -> Iterator[tuple[str, Entry | None]]:
    """Give the lines of a journal one at a time: first the fingerprint, then entries.

    Args:
        path: The journal.

    Yields:
        The line as it stands there, and its entry; None for the fingerprint and damaged lines.
    """
    with path.open(encoding="utf-8", errors="replace") as journal:
        for line in journal:
            content = _json(line)
            yield line, _entry(content) if isinstance(content, dict) else None


def _line(entry: Entry) -> dict[str, object]:
    kind = type(entry.record).__name__
    content = asdict(entry.record)
    filename = content.pop("filename")
    stamp: dict[str, object] = {"size": entry.stamp.size, "mtime_ns": entry.stamp.mtime_ns}
    if entry.stamp.version:
        stamp["version"] = entry.stamp.version
    return {"filename": filename, "frame": entry.frame, **stamp, kind: content}


def _entry(line: Mapping[str, object]) -> Entry | None:
    try:
        return _parse(line)
    except (KeyError, TypeError, ValueError, StopIteration):
        return None  # a damaged line costs one prediction and not the run


def _parse(line: Mapping[str, Any]) -> Entry:
    kind = next(kind for kind in _KINDS if kind in line)
    record = _KINDS[kind](line["filename"], line[kind])
    stamp = Stamp(line["size"], line["mtime_ns"], line.get("version", ""))
    return Entry(line["frame"], stamp, record)


def _refusal(filename: str, content: Mapping[str, Any]) -> Refusal:
    return Refusal(filename, Reason(content["reason"]), content["message"])


def _segmentation(filename: str, content: Mapping[str, Any]) -> Segmentation:
    regions = tuple(Region(**region) for region in content["regions"])
    return Segmentation(filename, **{**content, "regions": regions})


_KINDS: Mapping[str, Callable[[str, Mapping[str, Any]], Prediction | Refusal]] = {
    "Refusal": _refusal,
    "Segmentation": _segmentation,
    "Classification": lambda filename, content: Classification(filename, **content),
    "AnomalyDetection": lambda filename, content: AnomalyDetection(filename, **content),
}
"""How a line becomes a record, by the name of its class."""


def _bytes(line: Mapping[str, object]) -> bytes:
    return f"{json.dumps(line)}\n".encode("ascii")


def _whole_lines(path: Path) -> Iterator[object]:
    """Give what stands in each line that was finished; None for damaged ones."""
    try:
        with path.open("rb") as journal:
            for line in journal:
                if line.endswith(b"\n"):
                    yield _json(line.decode("utf-8", errors="replace"))
    except FileNotFoundError:
        return


def _first_line(path: Path) -> dict[str, object]:
    """Read the fingerprint; empty if there is none, without which the rest means nothing."""
    first = next(_whole_lines(path), None)
    return first if isinstance(first, dict) else {}


def _entries(path: Path) -> Iterator[Entry]:
    lines = itertools.islice(_whole_lines(path), 1, None)
    read = (_entry(line) for line in lines if isinstance(line, dict))
    return (entry for entry in read if entry is not None)


def _last_entries(path: Path) -> Iterator[Entry]:
    """Give the last entry of each input, an entry at a time."""
    names = np.array(array("q", (hash(entry.record.filename) for entry in _entries(path))))
    last = np.zeros(len(names), bool)
    # The first of each name from behind.
    last[len(names) - 1 - np.unique(names[::-1], return_index=True)[1]] = True
    return (entry for entry, is_last in zip(_entries(path), last, strict=True) if is_last)


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _differences(found: Mapping[str, object], now: Mapping[str, str]) -> list[str]:
    return sorted(name for name in {*found, *now} if found.get(name) != now.get(name))
