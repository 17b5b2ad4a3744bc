"""Pictures of a segmentation's evaluation: figures of each structure, films with their outlines."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipelines.evaluation.drawing import GROUND, MUTED, TEXT, font, save_sheet, shortened
from pipelines.evaluation.pictures import (
    BLUE,
    GREY,
    VERMILION,
    legend_below,
    picture_file,
    plain_axes,
)
from pipelines.evaluation.region_pictures import (
    Picture,
    draw_outline,
    film_picture,
    outline,
)
from pipelines.evaluation.regions import Mask
from pipelines.evaluation.segmentation import (
    SegmentationCases,
    SegmentationEvaluation,
    SegmentedFilm,
    figure_titles,
)
from pipelines.table_cells import table_filename

_GAP, _CAPTION = 12, 52


def draw_structures(
    path: Path, cases: SegmentationCases, *, evaluation: SegmentationEvaluation, figure: str
) -> None:
    """Draw one figure of every structure: each film, the quartiles, the mean with its interval.

    Args:
        path: PNG to write.
        cases: The figures of every film.
        evaluation: Of these cases.
        figure: Name of the figure.
    """
    title = figure_titles(cases.unit, cases.tolerance)[figure]
    with picture_file(path, (7.2, 1.6 + 0.26 * len(cases.classes))) as picture:
        axes = plain_axes(picture.add_subplot(), title, "")
        for row, name in enumerate(cases.classes):
            values = cases.figures[figure][:, row]
            defined = values[~np.isnan(values)]
            if not len(defined):
                continue
            axes.plot(
                defined,
                np.full(len(defined), row),
                linestyle="",
                marker="|",
                color=GREY,
                alpha=0.5,
                label="Film" if row == 0 else None,
            )
            low, high = np.quantile(defined, [0.25, 0.75])
            axes.plot(
                [low, high],
                [row, row],
                color=BLUE,
                linewidth=6,
                alpha=0.35,
                solid_capstyle="butt",
                label="Middle half" if row == 0 else None,
            )
            mean = evaluation.regions[name][figure]
            value = mean.value or 0.0
            ends = [
                [value - (value if mean.low is None else mean.low)],
                [(value if mean.high is None else mean.high) - value],
            ]
            axes.errorbar(
                [value],
                [row],
                xerr=np.maximum(ends, 0),
                color=VERMILION,
                marker="o",
                markersize=4,
                capsize=3,
                label="Mean, 95 % interval" if row == 0 else None,
            )
        axes.set_yticks(range(len(cases.classes)), labels=list(cases.classes))
        axes.set_ylim(len(cases.classes) - 0.4, -0.6)
        axes.set_title(
            f"{title}, {evaluation.split} split, {evaluation.n} films of "
            f"{evaluation.n_groups} patients"
        )
        legend_below(picture, axes, evaluation.note, columns=3)


def draw_case(
    path: Path, film: SegmentedFilm, *, caption: tuple[str, str], side: int = 640
) -> None:
    """Draw a film, its true outlines and the predicted ones side by side.

    Args:
        path: PNG to write.
        film: The film.
        caption: A line in bold and a line below it.
        side: Length of the longer side of each of the three in pixels.
    """
    plain, scale = film_picture(film.pixels, side)
    panels = (
        ("Film", plain),
        ("Truth", _outlined(plain, film.truth, scale)),
        ("Prediction", _outlined(plain, film.prediction, scale)),
    )
    height, width = plain.shape[:2]
    sheet = Image.new(
        "RGB",
        (_GAP + len(panels) * (width + _GAP), _CAPTION + 2 * _GAP + height + _GAP),
        GROUND,
    )
    draw = ImageDraw.Draw(sheet)
    name, small, room = font(16, bold=True), font(13), sheet.width - 2 * _GAP
    draw.text((_GAP, 8), shortened(caption[0], name, room), fill=TEXT, font=name)
    draw.text((_GAP, 30), shortened(caption[1], small, room), fill=MUTED, font=small)
    boxes = []
    for place, (title, panel) in enumerate(panels):
        left, top = _GAP + place * (width + _GAP), _CAPTION + 2 * _GAP - 4
        draw.text((left, _CAPTION), title, fill=TEXT, font=small)
        sheet.paste(Image.fromarray(panel), (left, top))
        boxes.append((left, top, left + width, top + height))
    save_sheet(path, sheet, boxes, film=table_filename(film.filename))


def _outlined(plain: Picture, masks: Mask, scale: float) -> Picture:
    picture = plain.copy()
    for number, mask in enumerate(masks):
        traced = outline(mask)
        if traced is not None:
            draw_outline(picture, traced, scale=scale, number=number)
    return picture
