"""The contact sheet shows every film in its own proportions and in the colour of its class."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.results.overlays import Caption, write_contact_sheet

BLUE, ORANGE = (0x56, 0xB4, 0xE9), (0xE6, 0x9F, 0x00)


def predicted(k=0, *, filename="film.dcm", label=None, confidence=0.9):
    label = label or ("NORMAL", "PNEUMONIA")[k]
    return Caption(label, filename, f"{confidence:.1%}", confidence, k)


def sheet(tmp_path, films, **options):
    path = tmp_path / "out" / "sheet.png"
    write_contact_sheet(path, films, **options)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def white(height, width, channels=1):
    return np.ones((channels, height, width), np.float32)


@pytest.mark.parametrize(("height", "width"), [(40, 20), (20, 40), (30, 30), (700, 350), (1, 300)])
def test_films_keep_their_proportions(height, width, tmp_path):
    picture = sheet(tmp_path, [(white(height, width), predicted())], side=200)
    bright = (picture[20:220, 20:220] == 255).all(axis=2)
    shown = (bright.any(axis=1).sum(), bright.any(axis=0).sum())
    scale = 200 / max(height, width)
    assert shown == pytest.approx((max(1, height * scale), max(1, width * scale)), abs=1)


def test_frames_tell_the_classes_and_colour_stays(tmp_path):
    red = np.zeros((3, 10, 10), np.float32)
    red[0] = 1
    picture = sheet(tmp_path, [(white(9, 9), predicted(0)), (red, predicted(1))], side=100)
    step = 100 + 8 + 16
    assert tuple(picture[17, 17 + 50]) == BLUE
    assert tuple(picture[17, 17 + step + 50]) == ORANGE
    assert tuple(picture[20 + 50, 20 + 50]) == (255, 255, 255)
    assert tuple(picture[20 + 50, 20 + step + 50]) == (255, 0, 0)


def test_a_foreign_film_is_framed_in_grey_and_marked(tmp_path):
    both = [(white(9, 9), predicted(1)), (white(9, 9), replace(predicted(1), foreign=True))]
    picture = sheet(tmp_path, both, side=100)
    step = 100 + 8 + 16
    assert tuple(picture[17, 17 + 50]) == ORANGE
    assert len({*picture[17, 17 + step + 50]} - {0xA9, 0xAF, 0xB6}) == 0
    mark = (picture[20:120, 20 + step : 120 + step] == (0xF0, 0xE4, 0x42)).all(axis=2)
    assert mark[:60].sum() == 0
    assert mark[70:].mean() > 0.5


def test_captions_differ_with_what_they_say(tmp_path):
    film = white(9, 9)
    one = sheet(tmp_path, [(film, predicted(confidence=0.9))])
    other = sheet(tmp_path, [(film, predicted(confidence=0.4))])
    assert (one[:320] == other[:320]).all()
    assert (one != other).any()


def test_rows_and_columns_from_a_generator(tmp_path):
    films = ((white(5, 5), predicted(i % 2)) for i in range(7))
    picture = sheet(tmp_path, films, columns=3, side=50)
    assert picture.shape == (16 + 3 * (50 + 8 + 64 + 16), 16 + 3 * (50 + 8 + 16), 3)


@pytest.mark.parametrize(
    "filename", ["x" * 400, "r\udcf6ntgen\n.png", "胸部レントゲン.dcm", "عظم.png", ""]
)
def test_any_name_can_be_shown(filename, tmp_path):
    sheet(tmp_path, [(white(5, 5), predicted(filename=filename, label="a long label " * 9))])


def test_pixels_out_of_range_are_clipped(tmp_path):
    picture = sheet(tmp_path, [(white(5, 5) * 3, predicted()), (white(5, 5) * -3, predicted())])
    assert tuple(picture[170, 170]) == (255, 255, 255)
    assert tuple(picture[170, 170 + 324]) == (0, 0, 0)


def test_no_film_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="at least one film, got 0"):
        sheet(tmp_path, [])
