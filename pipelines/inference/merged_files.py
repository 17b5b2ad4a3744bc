"""What stands beside the tables of parts, brought together: pictures, journal, contact sheet."""

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from PIL.Image import Image

from pipelines.files import link, whole_file
from pipelines.inference.journal import JOURNAL_NAME, journal_lines
from pipelines.inference.part import Part
from pipelines.reports.page import FILE_NAME as REPORT
from pipelines.reports.thumbnails import FILE_NAME as THUMBNAILS
from pipelines.reports.thumbnails import MOST
from pipelines.results.overlays import CONTACT_SHEET, CONTACT_SHEET_FILMS, tiles_of, write_tiles
from pipelines.table_cells import table_filename

PICTURES = ("overlays", "explanations", "masks", "regions", "crops")
"""Folders with files of each film, named after the film."""

_SUFFIXES = (".nii.gz", ".png")


def is_drawn(part: Part) -> bool:
    """Whether a part has a report."""
    return (part.folder / REPORT).is_file()


def merge_pictures(output: Path, films: Mapping[str, Part]) -> None:
    """Link the pictures and masks of each film; those of an earlier merge are replaced.

    Args:
        output: Where to.
        films: The part that each film stands in, by its name.
    """
    for name in PICTURES:
        shutil.rmtree(output / name, ignore_errors=True)
    for part in {id(part): part for part in films.values()}.values():
        for name in PICTURES:
            folder = part.folder / name
            for path in sorted(folder.rglob("*")):
                relative = path.relative_to(folder)
                if path.is_file() and _film(relative, films) is part:
                    link(path, output / name / relative)


def _film(relative: Path, films: Mapping[str, Part]) -> Part | None:
    """Return the part of the film that a picture is of: it is named after it, or stands in it."""
    whole, above = relative.as_posix(), relative.parent.as_posix()
    names = [whole.removesuffix(suffix) for suffix in _SUFFIXES]
    return next((films[name] for name in (*names, above) if name in films), None)


def merge_sheets(
    output: Path, predicted: Sequence[str], drawn: Mapping[Path, Sequence[str]]
) -> None:
    """Put the first films on one contact sheet, as the parts have drawn them.

    Args:
        output: Where to.
        predicted: All predicted films in order.
        drawn: The films that the sheet of each part begins with, by its folder.
    """
    first = predicted[:CONTACT_SHEET_FILMS]
    tiles: dict[str, Image] = {}
    for folder, names in drawn.items():
        if not {*names[:CONTACT_SHEET_FILMS]}.isdisjoint(first):
            with suppress(OSError):
                tiles.update(zip(names, tiles_of(folder / CONTACT_SHEET), strict=False))
    shown = [tiles[name] for name in first if name in tiles]
    if shown:
        write_tiles(output / CONTACT_SHEET, shown)
    else:
        (output / CONTACT_SHEET).unlink(missing_ok=True)


def merge_thumbnails(output: Path, films: Mapping[str, Part]) -> None:
    """Bring together the small pictures of the first films.

    Args:
        output: Where to.
        films: The part that each film stands in, by its name, in order.
    """
    named = {table_filename(name): part for name, part in films.items()}
    kept = 0
    with (
        whole_file(output / THUMBNAILS) as temporary,
        temporary.open("w", encoding="utf-8") as merged,
    ):
        for part in {id(part): part for part in films.values()}.values():
            path = part.folder / THUMBNAILS
            if not path.is_file():
                continue
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if kept < MOST and named.get(_name(line)) is part:
                        merged.write(line)
                        kept += 1


def _name(line: str) -> str:
    try:
        return str(json.loads(line)["filename"])
    except (ValueError, KeyError, TypeError):
        return ""  # the last line of a process that was killed


def merge_journals(
    output: Path, films: Mapping[str, Part], *, fingerprint: Mapping[str, object]
) -> None:
    """Write one journal, with which a run over all films would go on.

    Args:
        output: Where to.
        films: The part that each film stands in, by its name.
        fingerprint: Its first line.
    """
    with (
        whole_file(output / JOURNAL_NAME) as temporary,
        temporary.open("w", encoding="utf-8") as merged,
    ):
        merged.write(json.dumps(fingerprint) + "\n")
        for part in {id(part): part for part in films.values()}.values():
            for line, entry in journal_lines(part.folder / JOURNAL_NAME):
                if entry is not None and films.get(entry.record.filename) is part:
                    merged.write(line)
