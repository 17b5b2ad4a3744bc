"""Films that end the process that reads them: the next run knows them and refuses them.

Films are read by threads, so a decoder that crashes takes the run with it. Which films the readers
are at stands in a file that outlives the process. The next run finds it, reads those few films in a
process of their own each, and refuses the one that ends it.
"""

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pipelines.errors import Reason
from pipelines.inference.stream import Film
from pipelines.ingest import alone
from pipelines.ingest.collect import Item
from pipelines.predictions import Refusal

NOTES_NAME = ".reading"

_DIGITS = 40
_LONGEST_SECONDS = 60
_PACKAGE = Path(alone.__file__).parents[2]
_EXPECTED_ENDS = frozenset({0, 1})

AnyFilm = TypeVar("AnyFilm", bound=Film)


class ReadingNotes:
    """Notes in a folder which films are being read; gone when a run ends by itself.

    What cannot be written is not noted: a full disk is no reason to refuse a film.

    Args:
        folder: The output of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NOTES_NAME
        self._lock = threading.Lock()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._free: list[int] = []
        self._slots = 0

    def __enter__(self) -> Self:
        """Return the notes."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take them away; readers that took too long may be at work, and note nothing any more."""
        with self._lock:
            os.close(self._file)
            self._file = -1
        self._path.unlink(missing_ok=True)

    @contextmanager
    def of(self, item: Item) -> Iterator[None]:
        """Note a film while the block reads it.

        Args:
            item: The film.

        Yields:
            Nothing.
        """
        with self._lock:
            slot = self._free.pop() if self._free else self._slots
            self._slots = max(self._slots, slot + 1)
        self._write(slot, _digest(item))
        try:
            yield
        finally:
            self._write(slot, bytes(_DIGITS))
            with self._lock:
                self._free.append(slot)

    def _write(self, slot: int, content: bytes) -> None:
        with self._lock, suppress(OSError):
            if self._file >= 0:
                os.pwrite(self._file, content, slot * _DIGITS)


def fatal_films(folder: Path, films: Iterable[AnyFilm]) -> list[AnyFilm]:
    """Return the films that were being read when an earlier run ended, and end a process again.

    Args:
        folder: The output of both runs.
        films: What is about to be read. Objects of a store are not tried.
    """
    try:
        notes = (folder / NOTES_NAME).read_bytes()
    except OSError:
        return []
    noted = {notes[at : at + _DIGITS] for at in range(0, len(notes), _DIGITS)}
    return [film for film in films if _digest(film.item) in noted and _ends_process(film.item)]


def fatal(item: Item) -> Refusal:
    """Refuse a film that ends the process that reads it."""
    return Refusal(
        item.filename,
        Reason.WORKER_DIED,
        "expected a film that leaves the process that reads it alive, got one that ended two; "
        "take it away and report it",
    )


def _digest(item: Item) -> bytes:
    name = item.filename.encode("utf-8", "surrogatepass")
    return hashlib.sha1(name, usedforsecurity=False).hexdigest().encode()


def _ends_process(item: Item) -> bool:
    if item.origin is not None:
        return False
    command = [sys.executable, "-m", alone.__name__, str(item.path.absolute()), str(item.frame)]
    path = os.pathsep.join(filter(None, (str(_PACKAGE), os.environ.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False  # the readers have a limit of their own
    return done.returncode not in _EXPECTED_ENDS
