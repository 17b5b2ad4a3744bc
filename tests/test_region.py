"""The region of a film, classified alone, and what is kept of it."""

import cv2
import numpy as np
import pytest
import torch
from monai.networks.nets import UNet
from segformer_fixture import write_tiny_segformer

from pipelines.errors import ConfigurationError
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.region import RegionFolder, RegionStep
from pipelines.inference.region_finders import NetworkFinder, SegFormerFinder
from pipelines.ingest.read import read_radiograph
from pipelines.networks.weights import save_weights
from pipelines.predictions import Classification, Refusal
from pipelines.results.tables import write_classifications
from pipelines.transforms.photographs import photograph_preprocessing
from pipelines.transforms.segmentation_chains import segmentation_preprocessing


def write_photograph(path, *, centre=(40, 110), radius=20):
    """A red disc, at (row, column), on grey; without a radius nothing but grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    film = np.full((150, 200, 3), 128, np.uint8)
    if radius:
        cv2.circle(film, centre[::-1], radius, (20, 20, 230), -1)
    cv2.imwrite(str(path), film)
    return path


class RednessFinder:
    """Takes what is redder than it is green for the region."""

    def about(self):
        return {"by": "redness"}

    def __call__(self, film):
        red, green, _ = film.pixels if film.pixels.shape[0] == 3 else [film.pixels[0]] * 3
        return red - green > 0.3


@pytest.fixture
def folder(tmp_path):
    write_photograph(tmp_path / "films" / "sub" / "red [1].png")
    write_photograph(tmp_path / "films" / "grey.png", radius=0)
    return tmp_path / "films"


def opened(folder, output, **settings):
    step = RegionStep("mask", finder=RednessFinder(), output_dir=output, **settings)
    return RegionFolder(folder, photograph_preprocessing(64), region=step), step


def records_of(prepared):
    return [
        Classification(film.filename, 0, "nv", confidence=1.0, probabilities={"nv": 1.0})
        for film in prepared
    ]


def test_the_region_fills_the_picture_and_everything_is_kept(folder, tmp_path):
    films, _ = opened(folder, tmp_path / "out", margin=0.25)
    prepared = {film.filename: film for film in map(films.__getitem__, range(len(films)))}
    film = prepared["sub/red [1].png"]
    assert film.region == "found"
    assert film.original_size == (150, 200)
    red = film.image[0] - film.image[1] > 1
    # The disc of 41 pixels in a square of 41 x 1.5.
    assert red.float().mean() == pytest.approx(np.pi / 4 / 1.5**2, abs=0.02)
    kept = {
        kind: cv2.imread(str(tmp_path / "out" / kind / "sub" / "red [1].png.png"))
        for kind in ("regions", "crops", "overlays")
    }
    assert kept["regions"].shape[:2] == (150, 200)
    assert (kept["regions"][..., 0] > 0).sum() == pytest.approx(np.pi * 20**2, rel=0.05)
    assert kept["crops"].shape == (62, 62, 3)
    assert tuple(kept["crops"][31, 31]) == (20, 20, 230)
    assert kept["overlays"].shape == (384, 512, 3)


def test_the_place_on_the_whole_film_is_known(folder, tmp_path):
    films, _ = opened(folder, tmp_path / "out")
    film = next(f for f in map(films.__getitem__, range(2)) if f.region == "found")
    heat = (film.image[0] - film.image[1] > 1).numpy().astype(np.float32)[None]
    placed = film.placement.to_film(heat)[0]
    assert placed.shape == (150, 200)
    rows, columns = np.nonzero(placed > 0.5)
    assert (rows.mean(), columns.mean()) == pytest.approx((40, 110), abs=1)
    assert (placed > 0.5).sum() == pytest.approx(np.pi * 20**2, rel=0.1)


def test_a_film_without_a_region_is_classified_whole_and_the_tables_say_so(folder, tmp_path):
    films, step = opened(folder, tmp_path / "out")
    prepared = [films[index] for index in range(2)]
    refused = Refusal.of("x", ConfigurationError("configuration", "expected y, got z"))
    records = step([*prepared, prepared[0]], [*records_of(prepared), refused])
    assert records[2] is refused
    regions = {record.filename: record.region for record in records[:2]}
    assert regions == {"sub/red [1].png": "found", "grey.png": "none_found_classified_whole"}
    whole = next(film for film in prepared if film.filename == "grey.png")
    plain = photograph_preprocessing(64)({"image": str(folder / "grey.png")})["image"]
    assert torch.allclose(whole.image, plain.as_tensor() if hasattr(plain, "as_tensor") else plain)
    said = write_classifications(tmp_path / "out", records[:2], classes=["nv"])
    assert said["regions"] == {"found": 1, "none_found_classified_whole": 1}
    lines = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert lines[0].endswith(",region")
    assert sorted(line.rsplit(",")[-1] for line in lines[1:]) == sorted(regions.values())


def test_a_speck_is_no_region_and_of_two_the_larger_one_counts(tmp_path):
    film = np.full((150, 200, 3), 128, np.uint8)
    cv2.circle(film, (150, 75), 30, (20, 20, 230), -1)
    cv2.circle(film, (20, 20), 4, (20, 20, 230), -1)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "two.png"), film)
    found = opened(tmp_path / "in", tmp_path / "out")[0][0]
    assert found.placement.left > 90
    films, _ = opened(tmp_path / "in", tmp_path / "out", smallest=0.5)
    assert films[0].region == "none_found_classified_whole"


def test_without_a_search_nothing_changes(folder, tmp_path):
    step = RegionStep("none", finder=None, output_dir=tmp_path / "out")
    films = RegionFolder(folder, photograph_preprocessing(64), region=step)
    prepared = films[0]
    assert prepared.region is None
    assert step.about() == {}
    assert step([prepared], records_of([prepared]))[0].region is None
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"mode": "face"}, {"mode": "mask", "finder": None}, {"margin": -1}, {"smallest": 1}]
)
def test_impossible_settings_are_refused(tmp_path, wrong):
    settings = {"mode": "mask", "finder": RednessFinder(), "output_dir": tmp_path} | wrong
    with pytest.raises(ConfigurationError, match="expected"):
        RegionStep(settings.pop("mode"), **settings)


def test_a_segformer_finds_it(folder, tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed")
    finder = SegFormerFinder(write_tiny_segformer(tmp_path / "segformer"))
    assert finder.about()["labels"] == ["lesion"]
    mask = finder(read_radiograph(folder / "sub" / "red [1].png"))
    assert mask.shape == (150, 200)
    assert mask[40, 110]
    assert not mask[130, 20]
    assert finder(read_radiograph(folder / "grey.png")).mean() < 0.5
    with pytest.raises(ConfigurationError, match="no label named 'face'"):
        SegFormerFinder(tmp_path / "segformer", labels=["face"]).about()


def test_a_network_of_ours_finds_it(folder, tmp_path):
    network = UNet(2, 1, 1, channels=(4, 8), strides=(2,))
    save_weights(network, tmp_path / "model.pt")
    SegmentationPoint.even(["lesion"]).save(tmp_path / "operating_point.json")
    finder = NetworkFinder(
        network,
        tmp_path / "model.pt",
        preprocessing=segmentation_preprocessing(32, 48, classes=["lesion"]),
    )
    mask = finder(read_radiograph(folder / "sub" / "red [1].png"))
    assert mask.shape == (150, 200)
    assert mask.dtype == bool
    assert finder.about()["thresholds"] == {"lesion": 0.5}
