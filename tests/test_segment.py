"""Logits become masks at the film's own size, tables and files."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.segment import Segment, on_film
from pipelines.ingest.collect import Item
from pipelines.predictions import Refusal, Segmentation
from pipelines.results.rle import decode
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.window import Window

CLASSES = ("Radius", "Ulna", "odd/name")
SIZE = (90, 60)


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "models"
    SegmentationPoint(CLASSES, (0.5, 0.9, 0.5), largest_piece=True).save(
        folder / "operating_point.json"
    )
    return folder / "model.pt"


def prepared(tmp_path, name="sub/film.png", *, spacing=(0.5, 0.5), placement=True):
    path = tmp_path / "films" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(SIZE, 128, np.uint8)).save(path)
    return PreparedFilm(
        item=Item(path, name),
        image=torch.zeros(1, 30, 30),
        original_size=SIZE,
        spacing_mm=spacing,
        placement=Letterbox(SIZE, (30, 30)) if placement else None,
    )


def logits():
    """The film takes columns 5 to 24 of the square; a block, a weak block, nothing."""
    maps = np.full((1, 3, 30, 30), -9, np.float32)
    maps[0, 0, 10:20, 10:20] = 9
    maps[0, 0, 25, 22] = 9  # a speck
    maps[0, 1, 10:20, 10:20] = 1  # probability 0.73, below 0.9
    return maps


def segment(weights, tmp_path, **settings):
    return Segment(weights, output_dir=tmp_path / "out", **settings)


def test_masks_lie_on_the_film_at_its_own_size(weights, tmp_path):
    post = segment(weights, tmp_path, save=[])
    (record,) = post([prepared(tmp_path)], logits())
    assert isinstance(record, Segmentation)
    assert [region.name for region in record.regions] == list(CLASSES)
    radius, ulna, odd = record.regions
    mask = decode(radius.rle, SIZE)
    rows, columns = np.nonzero(mask)
    # Three pixels of the film to one of the square, that begins at column 5.
    assert (rows.min(), rows.max()) == (30, 59)
    assert (columns.min(), columns.max()) == (15, 44)
    assert (radius.components, ulna.area_px, odd.rle) == (1, 0, "")
    assert radius.area_mm2 == pytest.approx(radius.area_px / 4)
    assert not (tmp_path / "out").exists()


def test_pieces(weights, tmp_path):
    def first(**settings):
        (record,) = segment(weights, tmp_path, save=[], **settings)([prepared(tmp_path)], logits())
        return record.regions[0]

    assert first(largest_piece=False).components == 2
    assert first(largest_piece=False, smallest_area=100).components == 1
    assert first(smallest_area=5000).area_px == 0


def test_files_of_a_film(weights, tmp_path):
    post = segment(weights, tmp_path, save=["masks", "nifti", "overlays"], overlay_size=200)
    (record,) = post([prepared(tmp_path)], logits())
    out = tmp_path / "out"
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        "masks/sub/film.png.nii.gz",
        "masks/sub/film.png/Radius.png",
        "masks/sub/film.png/Ulna.png",
        "masks/sub/film.png/odd_name.png",
        "overlays/sub/film.png.png",
    ]
    with Image.open(out / "masks/sub/film.png/Radius.png") as picture:
        assert np.array_equal(np.asarray(picture) > 0, decode(record.regions[0].rle, SIZE))

    assert post.tables(out, [record]) == {"found": {"Radius": 1, "Ulna": 0, "odd/name": 0}}
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as content:
        assert [row["class"] for row in csv.DictReader(content)] == list(CLASSES)
    caption = post.caption(record)
    assert (caption.title, caption.share) == ("1 of 3 found", pytest.approx(1 / 3))
    assert post.about()["thresholds"] == {"Radius": 0.5, "Ulna": 0.9, "odd/name": 0.5}


def test_one_bad_film_is_refused_and_the_others_go_on(weights, tmp_path):
    post = segment(weights, tmp_path, save=["overlays"])
    films = [prepared(tmp_path, f"{k}.png") for k in range(3)]
    films[2].item.path.unlink()
    maps = np.concatenate([logits()] * 3)
    maps[0, 0, 0, 0] = np.nan
    first, second, third = post(films, maps)
    assert isinstance(first, Refusal)
    assert first.reason is Reason.NOT_FINITE
    assert isinstance(second, Segmentation)
    assert isinstance(third, Refusal)  # read once more for its overlay


def test_a_film_from_python_gets_a_record_alone(weights, tmp_path):
    film = prepared(tmp_path)
    film = PreparedFilm(
        type(film.item)(type(film.item.path)(), ""), film.image, SIZE, None, film.placement
    )
    (record,) = segment(weights, tmp_path)([film], logits())
    assert record.regions[0].area_px > 0
    assert record.regions[0].area_mm2 is None
    assert not (tmp_path / "out").exists()


def test_what_the_network_did_not_see_holds_nothing(tmp_path):
    film = prepared(tmp_path)
    window = PreparedFilm(
        film.item, film.image, SIZE, placement=Window(SIZE, top=30, left=15, height=30, width=30)
    )
    placed = on_film(window, np.full((30, 30), 5.0, np.float32))
    assert (placed[:30] < -15).all()
    assert (placed[30:60, 15:45] == 5).all()
    seen = np.full((30, 30), 5.0, np.float32)
    seen[0] = -3
    placed = on_film(window, seen)
    assert (placed[:30] < 0).all()
    assert (placed[40:59, 20:40] == 5).all()


def test_preparation_that_loses_the_way_back_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="Letterboxd"):
        on_film(prepared(tmp_path, placement=False), np.zeros((30, 30), np.float32))
    same = prepared(tmp_path, placement=False)
    assert on_film(same, np.zeros(SIZE, np.float32)).shape == SIZE


@pytest.mark.parametrize(
    "settings",
    [{"save": ["pictures"]}, {"image_names": "full"}, {"smallest_area": 0}, {"overlay_size": -1}],
)
def test_wrong_settings_are_refused(settings, weights, tmp_path):
    with pytest.raises(ConfigurationError, match="expected"):
        segment(weights, tmp_path, **settings)
