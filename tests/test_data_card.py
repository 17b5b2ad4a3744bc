"""What the data card counts, on a small data set with gaps."""

import csv
from pathlib import Path

import numpy as np
import pytest
from dataset_fixture import make_chest_set, make_image, make_images

from pipelines.datasets.data_card import describe_data
from pipelines.datasets.datalist import Datalist, build_datalist
from pipelines.datasets.opened import OpenedDataset
from pipelines.datasets.survey import grey_shares, survey_films
from pipelines.errors import Reason


def card_of(datalist: Datalist):
    paths = [Path(item["image"]) for _, item in datalist.with_splits()]
    return describe_data(datalist, survey_films(paths))


def test_films_and_patients_are_counted_by_split_and_class(tmp_path):
    card = OpenedDataset(
        make_chest_set(tmp_path, persons=20), classes=["NORMAL", "PNEUMONIA"]
    ).data_card
    films = [of for split in card["splits"].values() for of in split.values()]
    assert sum(of["films"] for of in films) == card["films"] == 79
    assert card["splits"]["test"] == {
        "NORMAL": {"films": 1, "groups": 1},
        "PNEUMONIA": {"films": 1, "groups": 1},
    }
    assert card["sizes"] == [{"width": 8, "height": 8, "count": 79}]
    assert card["bit_depths"] == {"8": 79}
    assert card["formats"] == {"PNG": 79}
    assert card["missing"] == {"patient": 0, "spacing": 79}
    assert card["unreadable"] == 0


def test_histograms_are_shares_of_each_class(tmp_path):
    make_images(tmp_path, [f"{name}/{name}{n}.png" for name in "ab" for n in range(6)])
    card = card_of(build_datalist(tmp_path))
    assert card["histogram_edges"] == pytest.approx(np.linspace(0, 1, 33))
    assert list(card["histograms"]) == ["a", "b"]
    assert all(sum(shares) == pytest.approx(1, abs=1e-4) for shares in card["histograms"].values())
    assert grey_shares(np.full((4, 4), 255, np.uint8))[31] == 1


def test_gaps_of_a_table_and_films_that_cannot_be_read_are_counted(tmp_path):
    make_images(tmp_path, [f"{n}.png" for n in range(12)])
    with (tmp_path / "labels.csv").open("w", newline="") as table:
        rows = csv.writer(table)
        rows.writerow(["image", "label", "age", "sex"])
        rows.writerows([f"{n}.png", n % 2, "" if n < 3 else n, "unknown"] for n in range(12))
    broken = tmp_path / "5.png"
    broken.write_bytes(broken.read_bytes()[:60])
    card = card_of(build_datalist(tmp_path / "labels.csv"))
    assert card["missing"] == {"patient": 12, "spacing": 11, "age": 3, "sex": 12}
    assert card["unreadable"] == 1
    surveyed = survey_films([broken, tmp_path / "nothing.png"])
    assert [film.reason for film in surveyed] == [Reason.TRUNCATED, Reason.FILE_UNREADABLE]


def test_masks_show_all_classes(tmp_path):
    images = [make_image(tmp_path / f"{n}.png") for n in range(3)]
    items = [{"image": str(p), "label": "mask.png", "group": p.stem} for p in images]
    card = card_of(Datalist(("a", "b"), train=items, val=[], test=[], root=tmp_path))
    assert card["splits"]["train"] == {"all": {"films": 3, "groups": 3}}
    assert list(card["histograms"]) == ["all"]
