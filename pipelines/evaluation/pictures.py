"""The look of all pictures; colours from Okabe and Ito, told apart by colour-blind people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from pipelines.files import whole_file

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#767676"
_LETTERS_AN_INCH = 14
CLASS_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5D3A9B")
"""Colour of each class, in all pictures; beyond the last they begin anew."""


@contextmanager
def picture_file(path: Path, inches: tuple[float, float]) -> Iterator[Picture]:
    """Give an empty picture and write it, whole or not at all, when the block ends well.

    Args:
        path: PNG to write.
        inches: Width and height; 150 pixels an inch.

    Yields:
        The picture to draw on.
    """
    picture = Picture(figsize=inches, layout="constrained")
    yield picture
    with whole_file(path) as temporary:
        picture.savefig(temporary, dpi=150)


def note_below(picture: Picture, text: str) -> None:
    """Write a note in small letters below a picture, in as many lines as it needs.

    Args:
        picture: The picture; its size is known.
        text: The note.
    """
    picture.supxlabel(_in_lines(picture, text), fontsize=8, color=GREY)


def legend_below(picture: Picture, axes: Axes, note: str, *, columns: int = 4) -> None:
    """Write a note below a picture, and below it what its lines and areas mean.

    Args:
        picture: The picture; its size is known.
        axes: Those whose lines and areas are named.
        note: The note.
        columns: Names side by side.
    """
    handles, labels = axes.get_legend_handles_labels()
    picture.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
        title=_in_lines(picture, note),
        title_fontproperties={"size": 8},
    )


def _in_lines(picture: Picture, text: str) -> str:
    return fill(text, round(float(picture.get_figwidth()) * _LETTERS_AN_INCH))


def plain_axes(axes: Axes, x: str, y: str) -> Axes:
    """Give axes the look of all pictures.

    Args:
        axes: Empty axes.
        x: Label of the horizontal axis.
        y: Label of the vertical axis.

    Returns:
        The same axes.
    """
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    return axes
