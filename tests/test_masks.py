"""Masks are read back from every file they are written to; measurements are those made by hand."""

import csv
import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from pipelines.errors import DatasetError
from pipelines.ingest.masks import read_mask
from pipelines.predictions import Segmentation
from pipelines.results.masks import (
    ImageNames,
    measure_region,
    write_mask,
    write_nifti,
    write_segmentations,
)
from pipelines.results.rle import decode

CLASSES = ("Radius", "Ulna")


def bar(height=10, width=3):
    mask = np.zeros((20, 16), bool)
    mask[4 : 4 + height, 5 : 5 + width] = True
    return mask


def table(path):
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


def test_measurements_by_hand():
    region = measure_region("Radius", bar(), spacing_mm=(0.5, 0.25))
    assert (region.area_px, region.components) == (30, 1)
    assert region.area_mm2 == pytest.approx(30 * 0.125)
    assert region.length_px == pytest.approx(10)
    assert region.length_mm == pytest.approx(5)
    assert np.array_equal(decode(region.rle, (20, 16)), bar())


def test_nothing_is_invented():
    region = measure_region("Radius", bar())
    assert (region.area_mm2, region.length_mm) == (None, None)
    empty = measure_region("Radius", np.zeros((4, 4), bool), spacing_mm=(1, 1))
    assert (empty.area_px, empty.area_mm2, empty.length_px, empty.components) == (0, 0, 0, 0)
    assert empty.rle == ""


@pytest.mark.parametrize("kind", [np.bool_, np.uint8])
def test_png_is_black_and_white(kind, tmp_path):
    path = tmp_path / "sub" / "film.dcm#2" / "Radius.png"
    write_mask(path, bar().astype(kind))
    with Image.open(path) as picture:
        assert picture.mode == "L"
        assert np.array_equal(np.asarray(picture), bar() * 255)
    assert np.array_equal(read_mask(path)[0] > 0, bar())


@pytest.mark.parametrize("spacing", [(0.2, 0.1), None])
def test_nifti_is_read_back_by_our_reader(spacing, tmp_path):
    masks = np.stack([bar(), np.zeros_like(bar()), bar(3, 10)]).view(np.uint8)
    path = tmp_path / "film.png.nii.gz"
    write_nifti(path, masks, spacing_mm=spacing)
    assert np.array_equal(read_mask(path), masks)
    image = nibabel.load(path)
    assert image.shape == (16, 20, 1, 3)
    assert image.header.get_zooms()[:2] == pytest.approx(spacing[::-1] if spacing else (1, 1))
    assert image.header.get_xyzt_units()[0] == ("mm" if spacing else "unknown")


def films(*names, spacing=None):
    return [
        Segmentation(
            name,
            (
                measure_region("Radius", bar(), spacing_mm=spacing),
                measure_region("Ulna", np.zeros((20, 16), bool), spacing_mm=spacing),
            ),
            out_of_distribution=None if spacing is None else True,
        )
        for name in names
    ]


def test_tables(tmp_path):
    summary = write_segmentations(
        tmp_path, films("a/1.png", "=b.png", spacing=(0.5, 0.5)), classes=CLASSES
    )
    assert summary == {"found": {"Radius": 2, "Ulna": 0}}
    rows = table(tmp_path / "predictions.csv")
    assert list(rows[0]) == ["image_name", "class", "rle"]
    assert [(r["image_name"], r["class"]) for r in rows] == [
        ("a/1.png", "Radius"), ("a/1.png", "Ulna"), ("./=b.png", "Radius"), ("./=b.png", "Ulna")
    ]  # fmt: skip
    assert np.array_equal(decode(rows[0]["rle"], (20, 16)), bar())
    assert rows[1]["rle"] == ""

    rows = table(tmp_path / "measurements.csv")
    assert rows[0] == {
        "filename": "a/1.png", "class": "Radius", "found": "true", "area_px": "30",
        "area_mm2": "7.5", "length_px": "10.0", "length_mm": "5.0", "components": "1",
        "out_of_distribution": "true",
    }  # fmt: skip
    assert (rows[1]["found"], rows[1]["area_mm2"], rows[1]["components"]) == ("false", "0.0", "0")

    content = json.loads((tmp_path / "predictions.json").read_text("utf-8"))
    assert content["classes"] == list(CLASSES)
    assert content["predictions"][0]["regions"][0]["area_mm2"] == 7.5
    assert "rle" not in content["predictions"][0]["regions"][0]


def test_cells_in_mm_are_empty_without_spacing(tmp_path):
    write_segmentations(tmp_path, films("a.png"), classes=CLASSES)
    row = table(tmp_path / "measurements.csv")[0]
    assert (row["area_mm2"], row["length_mm"], row["out_of_distribution"]) == ("", "", "")


def test_names_without_folders(tmp_path):
    write_segmentations(
        tmp_path, films("ID1/a.png", "ID2/b.png"), classes=CLASSES, image_names=ImageNames.NAME
    )
    assert {r["image_name"] for r in table(tmp_path / "predictions.csv")} == {"a.png", "b.png"}
    with pytest.raises(DatasetError, match="different names, got 1 repeated"):
        write_segmentations(
            tmp_path, films("ID1/a.png", "ID2/a.png"), classes=CLASSES, image_names=ImageNames.NAME
        )
