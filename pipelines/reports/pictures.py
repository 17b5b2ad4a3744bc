"""Pictures in a page: those of cases, as many as there is room for, and those of figures."""

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from pipelines.evaluation.drawing import FILM_KEY, PANELS_KEY
from pipelines.reports.cases import Case
from pipelines.reports.sources import Sources
from pipelines.reports.thumbnails import SIDE, encode

MOST_BYTES = 24_000_000
"""Of the pictures of all cases together, as text in the page."""
LONGEST = 1600
"""Longer side of a case's picture in pixels."""

_QUALITY, _GAP = 74, 4
_MOST_PIXELS = 60_000_000
_log = logging.getLogger(__name__)

SUBJECTS: Mapping[str, str] = {
    "explanations": "The film as it is, and beside it where the network looked.",
    "overlays": "The film as it is, and beside it what was found on it.",
}
"""Folders that hold a picture of a case under its name, the more telling first, with captions."""


@dataclass(frozen=True, slots=True)
class CasePictures:
    """The pictures of cases that a page holds.

    Attributes:
        strips: Small pictures of the panels side by side, WebP in base64, by place of the case.
        large: The whole pictures, the same.
        found: How many there are in the folder.
        caption: What they show.
    """

    strips: dict[int, str] = field(default_factory=dict)
    large: dict[int, str] = field(default_factory=dict)
    found: int = 0
    caption: str = ""


def gather(
    sources: Sources,
    cases: Sequence[Case],
    *,
    most_bytes: int = MOST_BYTES,
) -> CasePictures:
    """Take up the pictures of cases, the first cases first, until there is no room.

    Args:
        sources: The folder's files; no picture outside of the folder is taken.
        cases: In the order of the table.
        most_bytes: Room for them.

    Returns:
        The pictures.
    """
    roots = {name: (sources.folder / name).resolve() for name in _drawn_now(sources)}
    named = _named(sources)
    found = [_find(roots, case, named) for case in cases]
    paths = {place: path for place, path in enumerate(found) if path is not None}
    made = CasePictures(found=len(paths), caption=_caption(roots, paths))
    room = most_bytes
    for place, path in paths.items():
        drawn = _draw(path)
        if drawn is None:
            continue
        strip, large = drawn
        room -= len(strip) + len(large)
        if room < 0:
            break
        made.strips[place], made.large[place] = strip, large
    return made


def figure_source(path: Path) -> str | None:
    """Return a PNG as an address that holds it; None if it cannot be read."""
    try:
        held = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        _log.warning("the report goes without %s: %s", path.name, error.strerror)
        return None
    return f"data:image/png;base64,{held}"


def _drawn_now(sources: Sources) -> list[str]:
    """Folders whose pictures belong to the tables: an earlier prediction may have left others."""
    summary = sources.summary
    if not summary:
        return list(SUBJECTS)
    saved = summary.get("save") or ()
    told = {
        "explanations": bool(summary.get("explanations")),
        "overlays": "overlays" in saved or bool(summary.get("overlays") or summary.get("region")),
    }
    return [name for name in SUBJECTS if told[name]]


def _named(sources: Sources) -> dict[str, Path]:
    """Pictures of chosen films, which tell the film in their text."""
    found = {}
    for path in sorted((sources.folder / "cases").glob("*.png")):
        try:
            with Image.open(path) as picture:
                film = picture.info.get(FILM_KEY)
        except (OSError, ValueError, SyntaxError):
            continue
        if isinstance(film, str):
            found[str(film)] = path
    return found


def _find(roots: Mapping[str, Path], case: Case, named: Mapping[str, Path]) -> Path | None:
    if case.filename in named:
        return named[case.filename]
    for root in roots.values():
        path = (root / f"{case.filename}.png").resolve()
        # A table may come from elsewhere: its names lead nowhere else.
        if path.is_relative_to(root) and path.is_file():
            return path
    return None


def _caption(roots: Mapping[str, Path], paths: Mapping[int, Path]) -> str:
    if not paths:
        return ""
    said = [
        SUBJECTS[name]
        for name, root in roots.items()
        if any(path.is_relative_to(root) for path in paths.values())
    ]
    return " ".join(said) or "The film, and beside it what was found."


def _draw(path: Path) -> tuple[str, str] | None:
    """Make the strip and the large picture."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                return None
            boxes = _boxes(picture.info.get(PANELS_KEY), picture.size)
            whole = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        _log.warning("the report goes without a picture: %s", error)
        return None
    strip = _strip([whole.crop(box) for box in boxes])
    whole.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return encode(strip), encode(whole, quality=_QUALITY)


def _boxes(text: object, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Read where the panels lie; a picture that does not tell is one panel."""
    whole = (0, 0, *size)
    try:
        boxes = [tuple(map(int, box)) for box in json.loads(str(text))]
    except (ValueError, TypeError):
        return [whole]
    good = [
        (left, top, right, bottom)
        for left, top, right, bottom in boxes
        if 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    ]
    return good or [whole]


def _strip(panels: Sequence[Image.Image]) -> Image.Image:
    small = [
        panel.resize((max(1, round(panel.width * SIDE / panel.height)), SIDE)) for panel in panels
    ]
    strip = Image.new("RGB", (sum(p.width for p in small) + _GAP * (len(small) - 1), SIDE))
    left = 0
    for panel in small:
        strip.paste(panel, (left, 0))
        left += panel.width + _GAP
    return strip
