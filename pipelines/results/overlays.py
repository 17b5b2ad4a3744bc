"""Pictures of what was predicted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.drawing import GROUND, MUTED, PANEL, TEXT, font, letterboxed, shortened
from pipelines.files import whole_file
from pipelines.radiograph import Pixels

CONTACT_SHEET = "contact_sheet.png"
CONTACT_SHEET_FILMS = 24
"""How many films, the first ones, stand on the sheet."""

# Okabe and Ito, told apart by colour-blind people; lightened blue for a dark ground.
_COLOURS = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
_GAP, _FRAME, _CAPTION = 16, 4, 64
FOREIGN = "#F0E442"
"""Ground of the mark on a film that does not belong."""


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands below a film on a contact sheet.

    Attributes:
        title: What was predicted, in a few words.
        filename: Of the film.
        value: A number or other short text beside the title; may be empty.
        share: Length of the bar, 0 to 1; None draws no bar.
        colour: Number of the frame's colour.
        foreign: Whether the film is unlike those that the network knows: it is framed in grey
            and says so.
    """

    title: str
    filename: str
    value: str = ""
    share: float | None = None
    colour: int = 0
    foreign: bool = False


def write_contact_sheet(
    path: Path,
    films: Iterable[tuple[Pixels, Caption]],
    *,
    columns: int = 4,
    side: int = 300,
) -> None:
    """Write one PNG with all films, each framed in the colour of what was predicted.

    Below each film stand what was predicted, a value as text and bar, and the file name. Films
    keep their aspect ratio. They are taken one at a time, so that a generator needs no more memory
    than one film.

    Args:
        path: PNG to write.
        films: Pixels of each film, 0 to 1, (channel, height, width), and its caption.
        columns: Films in a row at most.
        side: Width and height of a film's panel in pixels.

    Raises:
        ConfigurationError: If there is no film.
    """
    write_tiles(path, [_tile(pixels, caption, side) for pixels, caption in films], columns=columns)


def write_tiles(path: Path, tiles: Sequence[Image.Image], *, columns: int = 4) -> None:
    """Write a contact sheet of films that are drawn and framed already.

    Args:
        path: PNG to write.
        tiles: As `tiles_of` gives them.
        columns: Films in a row at most.

    Raises:
        ConfigurationError: If there is no film.
    """
    if not tiles:
        raise ConfigurationError(
            Reason.CONFIGURATION, "expected at least one film, got 0; predict some films first"
        )
    across = min(columns, len(tiles))
    down = -(-len(tiles) // across)
    width, height = tiles[0].size
    sheet = Image.new(
        "RGB", (_GAP + across * (width + _GAP), _GAP + down * (height + _GAP)), GROUND
    )
    for place, tile in enumerate(tiles):
        row, column = divmod(place, across)
        sheet.paste(tile, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    with whole_file(path) as temporary:
        # Less than half of the usual time for a tenth more bytes.
        sheet.save(temporary, format="PNG", compress_level=3)


def tiles_of(path: Path, *, side: int = 300) -> list[Image.Image]:
    """Cut a contact sheet into its films, as they were drawn; PNG loses nothing.

    Args:
        path: Of the sheet.
        side: As of `write_contact_sheet`.

    Returns:
        A picture a film, in order, and as many empty ones as the last row has room for.

    Raises:
        OSError: If there is no such picture.
    """
    width, height = side + 2 * _FRAME, side + 2 * _FRAME + _CAPTION
    with Image.open(path) as sheet:
        return [
            sheet.crop((left, top, left + width, top + height))
            for top in range(_GAP, sheet.height - height, height + _GAP)
            for left in range(_GAP, sheet.width - width, width + _GAP)
        ]


def _tile(pixels: Pixels, caption: Caption, side: int) -> Image.Image:
    colour = MUTED if caption.foreign else _COLOURS[caption.colour % len(_COLOURS)]
    outer = side + 2 * _FRAME
    tile = Image.new("RGB", (outer, outer + _CAPTION), GROUND)
    draw = ImageDraw.Draw(tile)
    draw.rectangle((0, 0, outer - 1, outer - 1), fill=PANEL, outline=colour, width=_FRAME)
    film = letterboxed(pixels, side)
    tile.paste(film, ((outer - film.width) // 2, (outer - film.height) // 2))
    if caption.foreign:
        _mark_foreign(draw, outer)

    label, name = font(17, bold=True), font(12)
    room = outer - int(label.getlength(caption.value)) - _GAP
    draw.text((0, outer + 8), shortened(caption.title, label, room), fill=colour, font=label)
    draw.text((outer, outer + 8), caption.value, fill=TEXT, font=label, anchor="ra")
    bar = outer + 34
    if caption.share is not None:
        draw.rectangle((0, bar, outer - 1, bar + 4), fill="#33383E")
        draw.rectangle((0, bar, round(caption.share * (outer - 1)), bar + 4), fill=colour)
    draw.text((0, bar + 11), shortened(caption.filename, name, outer), fill=MUTED, font=name)
    return tile


def _mark_foreign(draw: ImageDraw.ImageDraw, outer: int) -> None:
    """Write across the film that it does not belong."""
    tall = 34
    top = outer - tall - _FRAME
    draw.rectangle((_FRAME, top, outer - 1 - _FRAME, outer - 1 - _FRAME), fill=FOREIGN)
    draw.text(
        (outer / 2, top + tall / 2),
        "unlike the training films",
        fill=GROUND,
        font=font(15, bold=True),
        anchor="mm",
    )
