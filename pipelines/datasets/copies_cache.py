"""What was found among many films, kept for the next run: looking takes seconds for thousands.

It is found again by the path, size and time of change of every file. No picture and no name is
kept, only digests, sizes, histograms and which films are copies. The folder is `plainfilm/copies`
in the user's cache, which may be emptied at any time and holds the newest twenty.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

from pipelines.datasets.survey import FilmFacts, SurveyedFilm
from pipelines.errors import Reason
from pipelines.files import write_json
from pipelines.ingest.sniff import FileFormat

IndexPair: TypeAlias = tuple[int, int, float]
"""Indices of two films and how similar they are."""

FEWEST = 500
"""Fewer films than this are looked at anew each time."""

MOST = 20
"""How many sets of films are kept."""

_METHOD = 1
"""Raised when films would be told apart in another way."""


def find(paths: Sequence[Path]) -> tuple[list[SurveyedFilm], list[IndexPair]] | None:
    """Return what was found among these very files before; None when nothing is kept."""
    if len(paths) < FEWEST:
        return None
    try:
        kept = json.loads(_file(paths).read_text(encoding="utf-8"))
        return [_film(told) for told in kept["films"]], [(a, b, v) for a, b, v in kept["near"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(paths: Sequence[Path], films: Sequence[SurveyedFilm], near: Sequence[IndexPair]) -> None:
    """Keep what was found; a cache that cannot be written to keeps nothing."""
    if len(paths) < FEWEST:
        return
    told = [{name: value for name, value in asdict(film).items() if value} for film in films]
    with suppress(OSError):
        file = _file(paths)
        write_json(file, {"films": told, "near": [list(pair) for pair in near]})
        # The new one stays, whatever the clock says of it.
        others = [each for each in file.parent.glob("*.json") if each != file]
        others.sort(key=lambda each: each.stat().st_mtime_ns)
        for old in others[: max(0, len(others) + 1 - MOST)]:
            old.unlink(missing_ok=True)


def _file(paths: Sequence[Path]) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    lines = [f"method {_METHOD}"]
    for path in paths:
        status = path.stat()
        lines.append(f"{path.absolute()}\t{status.st_size}\t{status.st_mtime_ns}")
    name = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:32]
    return Path(home) / "plainfilm" / "copies" / f"{name}.json"


def _film(told: dict[str, Any]) -> SurveyedFilm:
    facts = told.get("facts")
    return SurveyedFilm(
        told.get("digest", ""),
        FileFormat(told["file_format"]) if "file_format" in told else None,
        FilmFacts(**facts | {"shares": tuple(facts["shares"])}) if facts else None,
        reason=Reason(told["reason"]) if "reason" in told else None,
    )
