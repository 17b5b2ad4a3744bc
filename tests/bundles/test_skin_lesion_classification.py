"""The bundle of skin lesions: its networks, its recipes, its layouts, and the region first."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundle_fixture import quick_run
from monai.bundle import ConfigParser
from segformer_fixture import write_tiny_segformer

from pipelines.inference.batch import predict_folder
from pipelines.networks.classifiers import build_classifier
from pipelines.workflows import run
from pipelines.workflows.bundle import find_bundle

BUNDLE = find_bundle(
    str(Path(__file__).resolve().parents[2] / "bundles/skin_lesion_classification")
)
NETWORKS = {
    "resnet18": "ResNet",
    "resnet50": "ResNet",
    "efficientnet_b0": "EfficientNetBN",
    "efficientnet_b1": "EfficientNetBN",
    "efficientnet_b2": "EfficientNetBN",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3",
    "densenet121": "DenseNet121",
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


def parsed(base, *overlays):
    parser = ConfigParser()
    parser.read_config([str(base), *(str(BUNDLE.overlay(name)) for name in overlays)])
    parser["bundle_root"] = str(BUNDLE.root)
    return parser


@pytest.mark.parametrize("name", NETWORKS)
def test_an_overlay_names_the_network_of_training_and_of_prediction(name):
    for base in (BUNDLE.train, BUNDLE.inference):
        definition = parsed(base, name)["network_def"]
        assert definition["name"] == name
        assert definition["in_channels"] == 3
    network = build_classifier(name, in_channels=3, out_channels=7)
    assert type(network).__name__ == NETWORKS[name]


@pytest.mark.parametrize("recipe", ["focal", "class_weights"])
def test_recipes_change_the_loss_by_key(recipe):
    parser = parsed(BUNDLE.train, recipe)
    loss = parser["loss"]
    assert (loss["gamma"], isinstance(loss["class_weights"], dict)) == {
        "focal": (2.0, False),
        "class_weights": (0.0, True),
    }[recipe]


def write_class_folders(root):
    """Round grey spots and large red ones, in four formats, with a folder a lesion."""
    random = np.random.default_rng(0)
    suffixes = ("jpg", "jpeg", "png", "bmp")
    for split, count in (("trainset", 12), ("testset", 4)):
        for label, name in enumerate(("benign", "malignant")):
            for number in range(count):
                # Skin of its own for each, so that none counts as a copy of another.
                skin = random.integers(120, 230, (6, 8, 3), dtype=np.uint8)
                film = cv2.resize(skin, (80, 60), interpolation=cv2.INTER_CUBIC)
                colour = (30, 30, 200) if label else (90, 90, 90)
                cv2.circle(film, (40, 30), 20 if label else 8, colour, -1)
                lesion = root / split / name / f"{split}{label}{number // 2}"
                lesion.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(lesion / f"{number}.{suffixes[number % 4]}"), film)
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Class folders of two classes, and what a run of two epochs left."""
    data = write_class_folders(tmp_path_factory.mktemp("data"))
    output = tmp_path_factory.mktemp("runs") / "two"
    settings = {
        "device": "cpu",
        "num_workers": 0,
        "image_size": 64,
        "batch_size": 4,
        "learning_rate": 0.05,
        "optimizer::name": "sgd",
        "data::val_fraction": 0.3,
        "train::trainer::max_epochs": 2,
    }
    with quick_run():
        run.train(
            BUNDLE,
            data=data,
            output_dir=output,
            overlays=["two_classes", "mobilenet_v3_small", "focal"],
            overrides=settings,
        )
    return data, output


def test_class_folders_of_two_classes_train_with_another_network(trained):
    data, output = trained
    told = json.loads((output / "class_info.json").read_text("utf-8"))
    assert told["names"] == ["benign", "malignant"]
    assert told["preprocessing"]["height"] == 64
    overrides = {"weights": str(output / "model.pt"), "image_size": 64, "num_workers": 0}
    with quick_run():
        run.evaluate(
            BUNDLE,
            data=data,
            output_dir=output.parent / "evaluated",
            overlays=["mobilenet_v3_small"],
            overrides=overrides,
        )
    metrics = json.loads((output.parent / "evaluated" / "metrics.json").read_text("utf-8"))
    assert (metrics["split"], metrics["n"]) == ("test", 8)


def test_the_region_that_a_segformer_finds_is_classified_alone(trained, tmp_path):
    pytest.importorskip("transformers", reason="transformers is not installed")
    data, output = trained
    folder = write_tiny_segformer(tmp_path / "segformer")
    overrides = {
        "weights": str(output / "model.pt"),
        "image_size": 64,
        "finder::folder": str(folder),
        "device": "cpu",
    }
    source = data / "testset" / "malignant"
    with quick_run():
        summary = predict_folder(
            BUNDLE,
            source,
            tmp_path / "out",
            overrides=overrides,
            overlays=["mobilenet_v3_small", "segformer"],
        )
    assert summary["predicted"] == summary["inputs"] == 4
    assert sum(summary["regions"].values()) == 4
    assert summary["region"]["labels"] == ["lesion"]
    with (tmp_path / "out" / "predictions.csv").open(newline="", encoding="utf-8") as table:
        found = [row["filename"] for row in csv.DictReader(table) if row["region"] == "found"]
    assert found
    for kind in ("regions", "crops", "overlays"):
        kept = {
            p.relative_to(tmp_path / "out" / kind).as_posix()
            for p in (tmp_path / "out" / kind).rglob("*.png")
        }
        assert kept == {f"{name}.png" for name in found}
