"""A refiner is trained by the overlay `refine` behind the shipped network, and evaluated."""

import csv
import json

import pytest
from bundle_fixture import quick_run

from pipelines.datasets.phantoms.hand_samples import write_hand_samples
from pipelines.workflows import run
from pipelines.workflows.bundle import find_bundle

SMALL = {
    "image_height": 32,
    "image_width": 16,
    "network_def::channels": [4, 8],
    "batch_size": 2,
    "num_workers": 0,
    "max_epochs": 1,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hands")
    write_hand_samples(folder, count=6, seed=5, side=256)
    return folder


@pytest.fixture(scope="module")
def trained(hands, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "refiner"
    bundle = find_bundle("hand_bone_segmentation")
    with quick_run():
        run.train(bundle, data=hands, output_dir=output, overlays=["refine"], overrides=dict(SMALL))
    return output


def test_a_run_leaves_a_refiner_and_figures_at_the_films_size(trained):
    for name in ("refiner.pt", "log.csv", "curves.png", "report.html", "checkpoints/last.pt"):
        assert (trained / name).stat().st_size > 50, name
    assert not (trained / "model.pt").exists()
    settings = json.loads((trained / "refiner.json").read_text("utf-8"))
    assert (settings["height"], settings["width"], settings["channels"]) == (32, 16, [4, 8])
    assert settings["split"] == "validation"
    metrics = json.loads((trained / "metrics.json").read_text("utf-8"))
    assert metrics["split"] == "validation"
    # The first network finds the bones, and what an untrained refiner draws is not believed.
    assert metrics["metrics"]["dice"]["value"] > 0.5


def test_evaluation_takes_a_refiner_by_its_key(trained, hands, tmp_path):
    bundle = find_bundle("hand_bone_segmentation")

    def dice(name, refiner):
        given = {"refiner": refiner}
        with quick_run():
            run.evaluate(bundle, data=hands, output_dir=tmp_path / name, overrides=given)
        with (tmp_path / name / "cases.csv").open(newline="", encoding="utf-8") as table:
            return [float(row["dice"]) for row in csv.DictReader(table)]

    without, other = dice("without", None), dice("other", str(trained / "refiner.pt"))
    assert len(without) == len(other) > 0
    assert min(without) > 0.5
