"""One pass over the files of a data set, which the leak check and the data card are made from."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from os import cpu_count
from pathlib import Path

import numpy as np

from pipelines.errors import PlainfilmError, Reason
from pipelines.files import sha256
from pipelines.ingest.preview import Grey, read_preview
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.progress import progress

SIDE = 128
"""Rows and columns of the picture of each film."""

BINS = 32
"""Steps of a histogram of greys, from black to white."""

_FEW = 2000
"""Up to here the pass takes a moment and says nothing."""


@dataclass(frozen=True, slots=True)
class FilmFacts:
    """What a film is like, in numbers.

    Attributes:
        height: Rows.
        width: Columns.
        bits: Bits stored a sample.
        has_spacing: Whether the file tells the distance between pixels.
        shares: Share of its pixels in each of `BINS` equal steps of grey.
    """

    height: int
    width: int
    bits: int
    has_spacing: bool
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SurveyedFilm:
    """What one file told.

    Attributes:
        digest: SHA-256 of its bytes; empty when they cannot be read.
        file_format: Told from the content; None when it is none that is read.
        facts: What the film is like; None when it cannot be read.
        reason: Why it cannot be read; None when it can.
        grey: Its picture, (128, 128), as long as it is needed.
    """

    digest: str
    file_format: FileFormat | None = None
    facts: FilmFacts | None = None
    reason: Reason | None = None
    grey: Grey | None = field(default=None, compare=False, repr=False)


def survey_films(paths: Sequence[Path]) -> tuple[SurveyedFilm, ...]:
    """Look into every file once.

    Args:
        paths: The files.

    Returns:
        What each told, in the same order. A picture takes 16 KB of memory.
    """
    with ThreadPoolExecutor(max_workers=cpu_count()) as readers:
        told = readers.map(_survey, paths)
        if len(paths) > _FEW:
            told = progress(told, "looking at films", total=len(paths))
        return tuple(told)


def grey_shares(grey: Grey) -> tuple[float, ...]:
    """Return the share of the pixels in each of `BINS` equal steps of grey."""
    counts = np.bincount((grey // (256 // BINS)).ravel(), minlength=BINS)
    return tuple(round(float(share), 6) for share in counts / counts.sum())


def _survey(path: Path) -> SurveyedFilm:
    digest, file_format = "", None
    try:
        file_format = sniff(path)
        digest = sha256(path)
        seen = read_preview(path, side=SIDE)
    except OSError:
        return SurveyedFilm(digest, file_format, reason=Reason.FILE_UNREADABLE)
    except PlainfilmError as refusal:
        return SurveyedFilm(digest, file_format, reason=refusal.reason)
    facts = FilmFacts(
        seen.height, seen.width, seen.bits, seen.has_spacing, shares=grey_shares(seen.grey)
    )
    return SurveyedFilm(digest, file_format, facts, grey=seen.grey)
