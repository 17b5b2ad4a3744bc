"""Every overlay of the hand bones builds a network, a loss and an inferer that fit each other."""

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from pipelines.evaluation.refiner import Refiner
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.labels import HAND_BONES

CONFIGS = Path(__file__).resolve().parents[2] / "bundles" / "hand_bone_segmentation" / "configs"
OVERLAYS = {
    None: 29,
    "flexible_unet": 29,
    "attention_unet": 29,
    "segresnet": 29,
    "dice_focal": 29,
    "full_resolution": 29,
    "lungs": 1,
    "two_lungs": 2,
}
SMALL = {"device": "cpu", "image_size": 64, "dataset_dir": "nowhere", "output_dir": "nowhere"}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


def merged(base, overlay, **changes):
    parser = ConfigParser()
    files = [CONFIGS / f"{name}.json" for name in (base, overlay) if name]
    parser.read_config([str(file) for file in files])
    parser.update(SMALL | changes)
    return parser


@pytest.mark.parametrize("overlay", OVERLAYS, ids=str)
def test_overlay_builds_what_fits_together(overlay):
    torch.manual_seed(0)
    changes = {"validate::inferer::inferer::roi_size": 64} if overlay == "full_resolution" else {}
    parser = merged("train", overlay, **changes)
    channels = OVERLAYS[overlay]
    assert len(parser.get_parsed_content("classes")) == channels
    network = parser.get_parsed_content("network_def")
    films = torch.rand(1, 1, 96, 64) if overlay == "full_resolution" else torch.rand(1, 1, 64, 64)
    maps = parser.get_parsed_content("validate::inferer")(films, network.eval())
    assert maps.shape == (1, channels, *films.shape[2:])
    loss = parser.get_parsed_content("loss")(maps, torch.zeros(maps.shape, dtype=torch.uint8))
    assert torch.isfinite(loss)
    assert parser.get_parsed_content("train::preprocessing")
    assert parser.get_parsed_content("data").split("train") == []


@pytest.mark.parametrize(
    ("training", "prediction"),
    [
        ("full_resolution", "inference_full_resolution"),
        ("lungs", "inference_lungs"),
        ("two_lungs", "inference_two_lungs"),
    ],
)
def test_prediction_prepares_films_as_its_training_did(training, prediction):
    train, infer = merged("train", training), merged("inference", prediction)
    for one, other in (("network_def", "network_def"), ("validate::inferer", "inferer")):
        assert train[one] == infer[other]
    reading = {"reduced_reading": "@reduced_reading"}
    assert train["validate::preprocessing"] | reading == infer["preprocessing"]
    assert train["classes"] == infer["classes"]


def test_classes_are_the_bones_in_order():
    for name in ("train", "inference"):
        content = json.loads((CONFIGS / f"{name}.json").read_text("utf-8"))
        assert tuple(content["classes"]) == HAND_BONES
    metadata = json.loads((CONFIGS / "metadata.json").read_text("utf-8"))
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    assert tuple(channels.values()) == HAND_BONES


def test_the_refiner_has_its_shape_from_its_overlay_and_the_first_network_from_the_bundle():
    parser = merged("train", "refine")
    train = json.loads((CONFIGS / "train.json").read_text("utf-8"))
    assert parser["first::network"] == train["network_def"]
    assert parser["first_size"] == train["image_size"]
    network = parser.get_parsed_content("network_def").eval()
    height, width = (parser.get_parsed_content(f"image_{side}") for side in ("height", "width"))
    with torch.inference_mode():
        maps = network(torch.rand(1, 2 * len(HAND_BONES), height, width))
    assert maps.shape == (1, len(HAND_BONES), height, width)


def test_the_shipped_refiner_fits_the_shipped_network():
    weights = CONFIGS.parent / "models" / "model.pt"
    refiner = Refiner.find("beside", weights=weights)
    assert refiner is not None
    refiner.check_classes(SegmentationPoint.beside(weights))
    assert refiner.about()["sha256"]
    assert (weights.parent / "refiner.pt").stat().st_size < 1.2e6
