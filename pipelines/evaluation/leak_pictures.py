"""What the leak check found as pictures: pairs of films side by side."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.datasets.datalist import Datalist
from pipelines.datasets.leak_report import PICTURE_NAME
from pipelines.datasets.leakage import Finding, Severity
from pipelines.errors import PlainfilmError
from pipelines.evaluation.drawing import GROUND, MUTED, PANEL, TEXT, font, letterboxed, shortened
from pipelines.files import whole_file
from pipelines.ingest.read import read_radiograph

_MOST_PAIRS = 30
_COLUMNS = 3
_SIDE, _GAP, _MARGIN = 200, 6, 16
_LINE = 17
_CAPTION = 4 * _LINE
_LEAK = "#FF8A65"


def draw_leaks(folder: Path, datalist: Datalist, findings: Sequence[Finding]) -> None:
    """Draw `leakage.png`: the first thirty pairs, as they are sorted, leaks first.

    Where no pairs were found an old picture goes.

    Args:
        folder: Where to write.
        datalist: The films.
        findings: What the leak check found.
    """
    pairs = [finding for finding in findings if finding.second.file]
    if not pairs:
        (folder / PICTURE_NAME).unlink(missing_ok=True)
        return
    shown = pairs[:_MOST_PAIRS]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    wide, high = 2 * _SIDE + _GAP + _MARGIN, _SIDE + _CAPTION + _MARGIN
    sheet = Image.new("RGB", (columns * wide + _MARGIN, rows * high + _MARGIN + 2 * _LINE), GROUND)
    title = f"{len(shown)} of {len(pairs)} pairs"
    ImageDraw.Draw(sheet).text((_MARGIN, _MARGIN - 4), title, TEXT, font(14, bold=True))
    top = _MARGIN + _LINE + 8
    for number, finding in enumerate(shown):
        corner = (_MARGIN + number % columns * wide, top + number // columns * high)
        sheet.paste(_pair(finding, datalist.root), corner)
    with whole_file(folder / PICTURE_NAME) as temporary:
        sheet.save(temporary, optimize=True)


def _pair(finding: Finding, root: Path) -> Image.Image:
    width = 2 * _SIDE + _GAP
    tile = Image.new("RGB", (width, _SIDE + _CAPTION), GROUND)
    draw = ImageDraw.Draw(tile)
    lettering, small = font(12, bold=True), font(11)
    alike = "" if finding.similarity is None else f"  {finding.similarity:.3f}"
    colour = _LEAK if finding.severity is Severity.LEAK else MUTED
    draw.text((0, 0), f"{finding.kind}{alike}  {finding.severity}", colour, lettering)
    for number, place in enumerate((finding.first, finding.second)):
        left = number * (_SIDE + _GAP)
        tile.paste(_film(root / place.file), (left, _LINE))
        where = " · ".join(filter(None, (place.split, place.label)))
        draw.text((left, _SIDE + _LINE + 3), shortened(where, small, _SIDE), TEXT, small)
        name = shortened(place.file, small, _SIDE)
        draw.text((left, _SIDE + 2 * _LINE + 2), name, MUTED, small)
    return tile


def _film(path: Path) -> Image.Image:
    panel = Image.new("RGB", (_SIDE, _SIDE), PANEL)
    try:
        film = letterboxed(read_radiograph(path).pixels, _SIDE)
    except PlainfilmError:
        return panel
    panel.paste(film, ((_SIDE - film.width) // 2, (_SIDE - film.height) // 2))
    return panel
