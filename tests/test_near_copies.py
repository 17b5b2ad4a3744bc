"""Near copies are found whatever was done to the film, and films that look alike are not."""

import os

import cv2
import numpy as np
import pytest

from pipelines.datasets import copies_cache
from pipelines.datasets.copies import FilmCopies
from pipelines.datasets.matching import SAME_FILM
from pipelines.datasets.near_copies import find_near_copies, original_name
from pipelines.datasets.phantoms.chest import chest_film
from pipelines.datasets.phantoms.fracture import limb_film
from pipelines.datasets.survey import SIDE, SurveyedFilm, survey_films

CHANGES = {
    "turned by 90": np.rot90,
    "turned by 15": lambda film: turned(film, 15),
    "turned and mirrored": lambda film: turned(film[:, ::-1], -15),
    "mirrored": lambda film: film[:, ::-1],
    "half the size": lambda film: cv2.resize(film, None, fx=0.5, fy=0.5),
    "JPEG of quality 40": lambda film: compressed(film, 40),
    "cropped around the middle": lambda film: cropped(film, 0.05, 0.05, 0.05, 0.05),
    "cropped at a corner": lambda film: cropped(film, 0.05, 0, 0, 0.05),
    "cropped at a side": lambda film: cropped(film, 0, 0, 0.05, 0),
    "brighter": lambda film: gamma(film, 0.6),
    "darker": lambda film: gamma(film, 1.6),
}


def film_of(seed, *, limb=False):
    random = np.random.default_rng(seed)
    if limb:
        drawn = limb_film(random, broken=False)
    else:
        drawn = chest_film(random, opacity=seed % 2 == 1, shape=(256, 210))
    return np.rint(drawn * 255).astype(np.uint8)


def turned(film, degrees):
    rows, columns = film.shape
    middle = (columns / 2 - 0.5, rows / 2 - 0.5)
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1)
    return cv2.warpAffine(np.ascontiguousarray(film), matrix, (columns, rows))


def compressed(film, quality):
    encoded = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)


def cropped(film, top, bottom, left, right):
    rows, columns = film.shape
    return film[
        round(top * rows) : rows - round(bottom * rows),
        round(left * columns) : columns - round(right * columns),
    ]


def gamma(film, exponent):
    return np.rint(255 * (film / 255) ** exponent).astype(np.uint8)


def small(film):
    film = np.ascontiguousarray(film)
    return cv2.resize(film, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def chests():
    return [film_of(seed) for seed in range(16)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_film_is_found_among_films_that_look_alike(chests, change):
    changed = CHANGES[change](chests[5])
    pairs = find_near_copies([small(film) for film in [*chests, changed]])
    assert [(pair.first, pair.second) for pair in pairs] == [(5, 16)]
    assert SAME_FILM <= pairs[0].similarity <= 1.0001


@pytest.mark.parametrize("limb", [False, True])
def test_generated_films_are_no_copies_of_each_other(limb):
    assert find_near_copies([small(film_of(seed, limb=limb)) for seed in range(40, 64)]) == ()


def test_films_that_cannot_be_read_or_show_nothing_are_like_no_other():
    film = small(film_of(1))
    empty = np.full_like(film, 90)
    assert find_near_copies([]) == find_near_copies([film]) == ()
    assert find_near_copies([film, None, empty, empty]) == ()
    assert len(find_near_copies([film, None, film[:, ::-1], empty])) == 1


def test_copies_of_copies_are_one_set(tmp_path):
    film = film_of(2)
    for name, content in {"a": film, "b": film, "c": turned(film, 15), "d": film_of(3)}.items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), content)
    copies = FilmCopies(tmp_path.iterdir())
    a, b, c = (tmp_path / f"{name}.png" for name in "abc")
    assert copies.same_bytes == ((a, b),)
    assert [(pair.first, pair.second) for pair in copies.near] == [(a, c)]
    assert copies.sets == ((a, b, c),)


def test_what_was_found_among_many_films_is_kept_without_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("pipelines.datasets.copies_cache.FEWEST", 3)
    film = film_of(2)
    for name, content in {"a": film, "b": film[:, ::-1], "c": film_of(3)}.items():
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), content)
    (tmp_path / "d.png").write_bytes(b"no film")
    paths = sorted(tmp_path.glob("*.png"))
    first = FilmCopies(paths)
    assert len(first.near) == 1
    monkeypatch.setattr("pipelines.datasets.copies.survey_films", None)
    again = FilmCopies(reversed(paths))
    assert again.near == first.near
    assert [again.surveyed(path) for path in paths] == [first.surveyed(path) for path in paths]
    (kept,) = (tmp_path / "cache").rglob("*.json")
    assert "a.png" not in kept.read_text("utf-8")
    paths[0].touch()
    monkeypatch.setattr("pipelines.datasets.copies.survey_films", survey_films)
    assert FilmCopies(paths).near == first.near
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2


def test_only_the_newest_sets_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("pipelines.datasets.copies_cache.FEWEST", 1)
    path = tmp_path / "a.png"
    path.touch()
    folder = tmp_path / "cache" / "plainfilm" / "copies"
    films = [SurveyedFilm("", None, None)]
    for second in range(copies_cache.MOST + 2):
        os.utime(path, (second, second))
        copies_cache.keep([path], films, [])
        newest = max(folder.iterdir(), key=lambda each: each.stat().st_mtime_ns)
        os.utime(newest, (second, second))
    assert len(list(folder.iterdir())) == copies_cache.MOST
    assert copies_cache.find([path]) == (films, [])
    os.utime(path, (1, 1))
    assert copies_cache.find([path]) is None


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("fractured/1-rotated1-rotated2 - Copy (1).jpg", "fractured/1"),
        ("IMG0002-rotated1.jpg", "IMG0002"),
        ("image11 (1).jpeg", "image11"),
        ("(1).png", "(1)"),
        ("rotated1.png", "rotated1"),
        ("left-hand.png", "left-hand"),
    ],
)
def test_endings_of_copies_are_taken_off(name, original):
    assert original_name(name) == original


def test_real_copies_are_found_without_their_names(shared_data):
    folder = shared_data / "fracture" / "not fractured"
    paths = [p for n in (1, 2, 3, 69, 8) for p in sorted(folder.glob(f"{n}-rotated*"))[:6]]
    sets = [{path.name.split("-")[0] for path in each} for each in FilmCopies(paths).sets]
    # 3 and 69 are one film under two numbers; 1 and 2 are the right and the left hand of a child.
    assert sorted(sets, key=sorted) == [{"1"}, {"2"}, {"3", "69"}, {"8"}]


def test_real_chest_films_have_no_false_copies(shared_data):
    folder = shared_data / "chest_xray" / "train" / "NORMAL"
    # The films that are most alike in the whole set are among them.
    paths = sorted(folder.glob("IM-06*"))[:40] + sorted(folder.glob("NORMAL2-IM-09*"))[:40]
    assert FilmCopies(paths).near == ()
