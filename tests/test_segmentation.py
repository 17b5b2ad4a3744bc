"""Figures of a split by hand: means, intervals, what is left out; and the files they become."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from pipelines.errors import DatasetError
from pipelines.evaluation.segmentation import SegmentedFilm
from pipelines.evaluation.segmentation_figures import Tolerance
from pipelines.evaluation.segmentation_report import evaluate_segmentation, format_segmentation
from pipelines.evaluation.trained_on import SeenFilms, SplitFacts

CLASSES = ("Radius", "Ulna")


def square(left, *, side=20, size=64, height=48):
    mask = np.zeros((height, size), np.uint8)
    mask[10 : 10 + side, left : left + side] = 1
    return mask


NOTHING = square(0, side=0)


def film(name, prediction, *, group=None, truth=None, spacing=(0.5, 0.5)):
    truth = truth or (square(2), square(40))
    return SegmentedFilm(
        name,
        group or name,
        np.full((1, 48, 64), 0.5, np.float32),
        np.stack(truth),
        np.stack(prediction),
        spacing,
    )


def table(path):
    with path.open(newline="", encoding="utf-8") as content:
        return list(csv.DictReader(content))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    films = [
        film("a/perfect.png", (square(2), square(40)), group="p1"),
        film("a/shifted.png", (square(4), square(40)), group="p1"),  # Dice 0.9, HD95 1 mm
        film("b/missed.png", (square(2), NOTHING), group="p2"),
        film("b/specks.png", (square(2) | (square(30, side=1)), square(40)), group="p2"),
    ]
    facts = SplitFacts({"sex": ["F", "F", "M", "M"]}, SeenFilms(4, 1, 0), "0" * 64)
    evaluation = evaluate_segmentation(
        iter(films),
        classes=CLASSES,
        output_dir=folder,
        split="test",
        facts=facts,
        threshold_origin="highest Dice, chosen on validation and used unchanged",
    )
    return folder, evaluation


def test_means_by_hand(evaluated):
    _, found = evaluated
    speck = (2 * 400 + 1e-4) / (801 + 1e-4)
    shifted = (2 * 360 + 1e-4) / (800 + 1e-4)
    radius, ulna = found.regions["Radius"], found.regions["Ulna"]
    assert radius["dice"].value == pytest.approx((1 + shifted + 1 + speck) / 4, abs=1e-9)
    assert ulna["dice"].value == pytest.approx((3 + 1e-4 / (400 + 1e-4)) / 4, abs=1e-9)
    assert found.figures["dice"].value == pytest.approx(
        (radius["dice"].value + ulna["dice"].value) / 2, abs=1e-12
    )
    assert radius["hd95_mm"].value == pytest.approx(1 / 4)
    assert ulna["hd95_mm"].value == 0  # of three films: undefined where it was missed
    assert radius["one_piece"].value == pytest.approx(3 / 4)
    assert ulna["one_piece"].value == 1
    assert (found.unit, found.tolerance, found.n, found.n_groups) == ("mm", 0.5, 4, 2)


def test_intervals_enclose_values(evaluated):
    _, found = evaluated
    for figures in (found.figures, *found.regions.values()):
        for figure in figures.values():
            assert figure.low <= figure.value + 1e-12
            assert figure.value <= figure.high + 1e-12
    # Two patients: each resample holds one of them alone, or both.
    assert found.regions["Ulna"]["dice"].low == pytest.approx(0.5, abs=1e-3)
    assert found.regions["Ulna"]["dice"].high == 1


def test_tables(evaluated):
    folder, found = evaluated
    rows = table(folder / "metrics.csv")
    assert [row["class"] for row in rows] == ["Radius", "Ulna", "mean"]
    assert [row["missed"] for row in rows] == ["0", "1", "1"]
    assert [row["invented"] for row in rows] == ["0", "0", "0"]
    assert float(rows[2]["dice"]) == found.figures["dice"].value
    assert float(rows[1]["dice_ci_low"]) == found.regions["Ulna"]["dice"].low

    cases = table(folder / "cases.csv")
    assert [row["filename"] for row in cases] == [
        "a/perfect.png", "a/shifted.png", "b/missed.png", "b/specks.png"
    ]  # fmt: skip
    assert (cases[0]["dice"], cases[0]["dice_Ulna"]) == ("1.0", "1.0")
    assert (cases[2]["lowest"], cases[2]["missed"]) == ("Ulna", "1")
    assert float(cases[2]["hd95_mm"]) == 0

    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics["metrics"]["dice"]["value"] == found.figures["dice"].value
    assert (metrics["unit"], metrics["surface_dice_tolerance"]) == ("mm", 0.5)
    assert list(metrics["structures"]) == list(CLASSES)
    assert (metrics["missed"], metrics["invented"]) == (1, 0)
    assert metrics["threshold_origin"].endswith("chosen on validation and used unchanged")
    assert metrics["films_seen"] == {"trained_on": 1, "chosen_on": 0}
    assert "1 of these 4 films trained these weights" in format_segmentation(found)

    parts = {(r["subgroup"], r["metric"]): r for r in table(folder / "subgroups.csv")}
    assert float(parts["all", "dice"]["value"]) == found.figures["dice"].value
    dices = [float(row["dice"]) for row in cases]
    assert float(parts["F", "dice"]["value"]) == pytest.approx(np.mean(dices[:2]), abs=1e-6)
    assert float(parts["M", "dice"]["value"]) == pytest.approx(np.mean(dices[2:]), abs=1e-6)
    assert parts["F", "dice"]["ci_low"] == ""  # one patient
    text = "".join(p.read_text("utf-8") for p in folder.glob("*.[cj]s*"))
    assert "p1" not in text


def test_pictures(evaluated):
    folder, _ = evaluated
    assert sorted(p.name for p in (folder / "cases").iterdir()) == [
        "median.png", "worst_1.png", "worst_2.png", "worst_3.png", "worst_4.png"
    ]  # fmt: skip
    assert not list(folder.glob(".*"))
    for name in ("dice.png", "hd95_mm.png", "surface_dice.png", "cases/median.png"):
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 200
    with Image.open(folder / "cases" / "worst_1.png") as picture:
        panels = np.asarray(picture.convert("RGB")).astype(int)
    # The film is grey; the truth is orange and blue, the prediction of the worst film orange alone.
    step = (panels.shape[1] - 12) // 3
    parts = [panels[60:, 12 + k * step : 4 + (k + 1) * step] for k in range(3)]
    warmth = [part[..., 0] - part[..., 2] for part in parts]
    assert [bool((each > 60).any()) for each in warmth] == [False, True, True]
    assert [bool((each < -60).any()) for each in warmth] == [False, True, False]


def test_pixels_where_one_film_has_no_spacing(tmp_path):
    films = [
        film("a.png", (square(4), square(40))),
        film("b.png", (square(4), square(40)), spacing=None),
    ]
    found = evaluate_segmentation(
        films, classes=CLASSES, output_dir=tmp_path, split="val", tolerance=Tolerance(px=1.0)
    )
    assert (found.unit, found.tolerance) == ("px", 1.0)
    assert found.regions["Radius"]["hd95_px"].value == 2
    assert found.regions["Radius"]["surface_dice"].value < 1
    assert "HD95 (px)" in format_segmentation(found)


def test_nothing_to_find_and_nothing_found(tmp_path):
    films = [film("a.png", (square(2), NOTHING), truth=(square(2), NOTHING))]
    found = evaluate_segmentation(films, classes=CLASSES, output_dir=tmp_path, split="val")
    assert found.regions["Ulna"]["dice"].value == 1
    assert found.regions["Ulna"]["hd95_mm"].value is None
    assert found.figures["hd95_mm"].value == 0
    assert found.figures["dice"].low is None  # one patient
    assert format_segmentation(found).splitlines()[-2].split() == [
        "Ulna",
        "1.0000",
        "1.0000",
        "-",
        "1.0000",
        "-",
    ]


def test_refusals(tmp_path):
    def run(films):
        evaluate_segmentation(films, classes=CLASSES, output_dir=tmp_path, split="val")

    with pytest.raises(DatasetError, match="at least one film"):
        run([])
    one = film("a.png", (square(2), square(40)))
    with pytest.raises(DatasetError, match="each once, got 2 films of 1 names"):
        run([one, one])
    with pytest.raises(DatasetError, match=r"expected masks of \(2, 48, 64\)"):
        run([film("a.png", (square(2), square(40)), truth=(square(2),))])
    assert not list(tmp_path.iterdir())
