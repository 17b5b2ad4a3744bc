"""An overlay shows the untouched film, and names that hide nothing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.evaluation.region_pictures import draw_outline, film_picture, outline
from pipelines.labels import HAND_BONES
from pipelines.results.bone_overlays import _spread, write_overlay


def disc(row, column, radius, shape=(300, 200)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def overlay(tmp_path, structures, *, shape=(300, 200), longest=300, channels=1):
    film = np.random.default_rng(0).random((channels, *shape), np.float32)
    path = tmp_path / "overlays" / "film.png.png"
    write_overlay(path, film, structures, longest=longest)
    with Image.open(path) as picture:
        return film, np.asarray(picture.convert("RGB"))


def test_film_stands_untouched_beside(tmp_path):
    film, picture = overlay(tmp_path, [("Radius", outline(disc(150, 100, 40)))])
    levels = np.rint(film[0] * 255).astype(np.uint8)
    assert np.array_equal(picture[16:316, 16:216], np.repeat(levels[..., None], 3, axis=2))
    beside = picture[16:316, -(200 + 16) :]
    assert (np.ptp(picture[16:316, 216:].astype(int), axis=2) > 60).any()
    assert beside.shape[0] == 300


def test_all_names_have_room_even_beside_small_films(tmp_path):
    structures = [
        (name, outline(disc(10 + 9 * k, 20 + 5 * (k % 7), 6))) for k, name in enumerate(HAND_BONES)
    ]
    _, picture = overlay(tmp_path, structures, longest=120)
    assert picture.shape[0] > 15 * 11  # letters of 11 pixels, 15 names a side
    _, coloured = overlay(tmp_path, structures, longest=120, channels=3)
    assert coloured.shape == picture.shape


def test_missing_structures_are_named(tmp_path):
    found = ("Radius", outline(disc(150, 100, 40)))
    _, alone = overlay(tmp_path, [found])
    _, with_missing = overlay(tmp_path, [found, ("Ulna", None)])
    assert with_missing[-32:].max() > 100 > alone[-32:].max()
    overlay(tmp_path, [("Ulna", None)])


def test_outline_of_a_ring_keeps_its_hole_and_its_centre_is_inside():
    ring = disc(60, 60, 40, (120, 120)) & ~disc(60, 60, 20, (120, 120))
    traced = outline(ring)
    assert len(traced.contours) == 2
    column, row = map(int, traced.centre)
    assert ring[row, column]
    picture = np.zeros((120, 120, 3), np.uint8)
    draw_outline(picture, traced, scale=1.0, number=0)
    assert picture[60, 60].max() == 0
    assert picture[60, 30].max() > 0
    assert picture[5, 5].max() == 0
    assert outline(np.zeros((5, 5), bool)) is None


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_outline_lies_where_the_structure_is(scale):
    mask = disc(100, 80, 30, (200, 160))
    picture, found = film_picture(np.zeros((1, 200, 160), np.float32), round(200 * scale))
    assert found == pytest.approx(scale)
    draw_outline(picture, outline(mask), scale=scale, number=1)
    rows, columns = np.nonzero(picture.any(axis=2))
    assert rows.mean() == pytest.approx((100 + 0.5) * scale - 0.5, abs=0.6)
    assert columns.mean() == pytest.approx((80 + 0.5) * scale - 0.5, abs=0.6)
    assert np.ptp(rows) == pytest.approx(60 * scale, abs=4)


@given(st.lists(st.floats(0, 300), max_size=15).map(sorted))
def test_names_move_apart_and_stay_in_order(rows):
    spread = _spread(rows, step=20, room=300)
    assert len(spread) == len(rows)
    assert all(b - a >= 20 - 1e-6 for a, b in itertools.pairwise(spread))
    assert all(10 - 1e-6 <= row <= 290 + 1e-6 for row in spread)
    wide_apart = all(b - a >= 20 for a, b in itertools.pairwise(rows))
    if wide_apart and all(10 <= row <= 290 for row in rows):
        assert spread == pytest.approx(rows)
