"""Plots left blank: drawing is most of what a small run costs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from matplotlib.figure import Figure
from PIL import Image


@contextmanager
def blank_plots() -> Iterator[None]:
    """Write a white picture for each plot, which is built but not drawn."""

    def save_blank(_figure: Figure, path: Path, **_options: object) -> None:
        Image.new("L", (320, 240), 255).save(path)

    with mock.patch.object(Figure, "savefig", save_blank):
        yield
