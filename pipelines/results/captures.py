"""The picture of a Secondary Capture: the film at its own size, and what was found laid over it.

The pixels of the film stay where they are, one for one; words stand in a band below and beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.anomaly_pictures import overlaid
from pipelines.evaluation.drawing import GROUND, MUTED, TEXT, font, shortened
from pipelines.evaluation.explanation_pictures import Plane, covered
from pipelines.evaluation.region_pictures import Picture, film_picture, outline
from pipelines.predictions import AnomalyDetection, Classification, Prediction, Segmentation
from pipelines.radiograph import Pixels
from pipelines.results.bone_overlays import outlined_film
from pipelines.results.rle import decode

NOTICE = "Algorithm result, for research only"

_LINES_HIGH = 40
"""Letters of the band are a fortieth of the film's width high."""
_SMALLEST, _LARGEST = 11, 48
_WIDEST = 1024
"""Pixels to which a small film's picture is widened for its words, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Where on a film an answer comes from.

    Attributes:
        plane: float32, 0 to 1, (height, width) of the film.
        name: What it shows, such as `Grad-CAM, 6 x 6 places`.
        is_error: Whether it is the error of a reconstruction rather than a weight.
    """

    plane: Plane
    name: str
    is_error: bool = False


def words_of(record: Prediction, threshold: float | None) -> str:
    """Say in one line what was found.

    Args:
        record: Of the film.
        threshold: That decided; None where there is none.
    """
    decided = "" if threshold is None else f" (threshold {threshold:.3g})"
    if isinstance(record, Classification):
        said = f"{record.predicted_label} {record.confidence:.1%}{decided}"
    elif isinstance(record, AnomalyDetection):
        name = "anomalous" if record.anomalous else "normal"
        said = f"{name}, score {record.anomaly_score:.3g}{decided}"
    else:
        found = sum(region.area_px > 0 for region in record.regions)
        said = f"{found} of {len(record.regions)} found"
    return f"{said}; unlike the training films" if record.out_of_distribution else said


def capture(
    pixels: Pixels, record: Prediction, *, heat: Heat | None, lines: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Draw the picture.

    Args:
        pixels: float32, 0 to 1, (1 or 3, height, width) of the film at its original size.
        record: What was predicted.
        heat: For a classifier or a detector of anomalies; a segmentation shows its outlines.
        lines: Words for the band, the most important first.

    Returns:
        (height, width, 3); of a heat map the film lies at the top left, of outlines at the top
        between its margins.

    Raises:
        ConfigurationError: If there is nothing to lay over the film.
    """
    if isinstance(record, Segmentation):
        shape = (pixels.shape[1], pixels.shape[2])
        structures = [
            (region.name, outline(decode(region.rle, shape)) if region.area_px else None)
            for region in record.regions
        ]
        return _with_band(outlined_film(pixels, structures), lines, colours=None)
    if heat is None:
        raise ConfigurationError(
            Reason.CONFIGURATION,
            "expected a heat map to lay over the film, got none; give the step that makes them",
        )
    plain, _ = film_picture(pixels, max(pixels.shape[1:]))
    laid = _over(plain, heat.plane, is_error=heat.is_error)
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (1, 1))
    colours = _over(np.full((1, 256, 3), 110, np.uint8), ramp, is_error=heat.is_error)
    words = [*lines, f"{heat.name}: least to most"]
    return _with_band(Image.fromarray(laid), words, colours=Image.fromarray(colours))


def _over(film: Picture, heat: Plane, *, is_error: bool) -> npt.NDArray[np.uint8]:
    if is_error:
        return overlaid(np.asarray(film[..., 0] / 255, dtype=np.float32), heat, light=1.0)
    return covered(film, heat)


def _with_band(
    film: Image.Image, lines: Sequence[str], *, colours: Image.Image | None
) -> npt.NDArray[np.uint8]:
    """Put words, and the colours of a heat map, below a picture."""
    size = min(_LARGEST, max(_SMALLEST, film.width // _LINES_HIGH))
    large, small = font(size, bold=True), font(max(_SMALLEST, size * 3 // 4))
    step = round(size * 1.4)
    bar = step if colours is not None else 0
    # A small film is not as wide as the words.
    longest = max(
        letters.getlength(line)
        for line, letters in zip(lines, [large, *[small] * len(lines)], strict=False)
    )
    width = max(film.width, min(round(longest) + step, _WIDEST))
    sheet = Image.new("RGB", (width, film.height + step * len(lines) + bar + step), GROUND)
    sheet.paste(film, (0, 0))
    draw, left, top = ImageDraw.Draw(sheet), step // 2, film.height + step // 3
    room = width - 2 * left
    for place, line in enumerate(lines):
        letters: ImageFont.FreeTypeFont = large if place == 0 else small
        colour = TEXT if place == 0 else MUTED
        draw.text((left, top), shortened(line, letters, room), fill=colour, font=letters)
        top += step
    if colours is not None:
        sheet.paste(colours.resize((max(room, 1), step // 2)), (left, top))
    return np.asarray(sheet)
