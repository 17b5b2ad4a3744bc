"""The look of all pictures; colours from Okabe and Ito, told apart by colour-blind people."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from pipelines.files import whole_file

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#767676"
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
