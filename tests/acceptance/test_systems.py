"""Each system as its users run it: train, lose power, resume, evaluate, predict and export."""

import csv
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
import validators_fixture as validators
from bundle_fixture import quick_run
from export_fixture import quick_export
from process_fixture import Command, run_command
from sample_fixture import write_small_samples
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.datasets.phantoms.dx_file import FilmHeader, write_dx
from pipelines.deploy.export import export_bundle
from pipelines.inference.batch import predict_folder
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.ingest.read import read_radiograph
from pipelines.networks.weights import load_weights
from pipelines.workflows import run
from pipelines.workflows.bundle import find_bundle

CHECKOUT = Path(__file__).resolve().parents[2]
SMALL = {"num_workers": 0, "device": "cpu"}
SYSTEMS = {
    "pneumonia_classification": ("chest", {"image_size": 32, "batch_size": 4}),
    "pneumonia_efficientnet_b0": ("chest", {"image_size": 32, "batch_size": 4}),
    "fracture_autoencoder": ("fracture", {"image_size": 64, "batch_size": 4}),
    "hand_bone_segmentation": ("hand", {"image_size": 64, "batch_size": 2}),
    "skin_lesion_classification": ("skin", {"image_size": 32, "batch_size": 4}),
}
COUNTS = {"chest": 24, "fracture": 24, "hand": 12, "skin": 24}
# Plots of two classes are drawn by the commands of test_train.py, those of many by test_plots.py.
DRAWN = {"fracture_autoencoder", "hand_bone_segmentation"}
PREDICTION_COLUMNS = {
    "fracture_autoencoder": ["filename", "anomaly_score", "anomalous", "out_of_distribution"],
    "hand_bone_segmentation": ["image_name", "class", "rle"],
}
CASES = {"hand_bone_segmentation": "cases.csv"}
WATCHED = {
    "fracture_autoencoder": "validation/reconstructions",
    "hand_bone_segmentation": "validation/masks",
}

# MONAI's loader and exporter use what torch has begun to deprecate.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Folders of generated images by name, each made when it is first asked for."""
    made = {}

    def write(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("data") / name
            write_small_samples(name, made[name], count=COUNTS[name], seed=1)
        return made[name]

    return write


@pytest.fixture(scope="module", params=SYSTEMS)
def system(request, samples, tmp_path_factory):
    """Bundle, data and settings, and a run of two epochs that lost power before it ended."""
    name = request.param
    sample, small = SYSTEMS[name]
    data, output = samples(sample), tmp_path_factory.mktemp("runs") / name
    given = SMALL | small
    command = [
        *("run", "--config_file", CHECKOUT / "bundles" / name / "configs" / "train.json"),
        *("--dataset_dir", data, "--output_dir", output),
        *(f"--{key}={json.dumps(value)}" for key, value in given.items()),
        "--train::trainer::max_epochs=2",
    ]
    with Command(*command, module="monai.bundle", plots=False) as begun:
        deadline = time.monotonic() + 240
        while not (output / "checkpoints" / "last.pt").is_file():
            assert begun.poll() is None, begun.said
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.02)
        begun.kill()
    done = run_command(*command, module="monai.bundle", plots=name in DRAWN)
    assert done.returncode == 0, done.stderr
    assert "Going on after epoch" in done.stdout
    bundle = find_bundle(str(CHECKOUT / "bundles" / name))
    overrides = given | {"weights": str(output / "model.pt")}
    return bundle, data, overrides, output


def rows(path):
    csv.field_size_limit(10**8)  # run lengths of an untrained network are long
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_a_resumed_run_leaves_what_a_run_leaves(system):
    _, _, _, output = system
    for name in (
        *("config.json", "environment.json", "datalist.json", "log.csv", "curves.png"),
        *("model.pt", "operating_point.json", "metrics.json", "metrics.csv"),
        *(CASES.get(output.name, "predictions.csv"), "checkpoints/best.pt"),
    ):
        assert (output / name).stat().st_size > 0, name
    assert [row["epoch"] for row in rows(output / "log.csv")] == ["1", "2"]
    pictures = EventAccumulator(str(output)).Reload().Tags()["images"]
    assert {"train/images", WATCHED.get(output.name, "validation/roc")} <= set(pictures)


def test_its_weights_are_evaluated(system, tmp_path):
    bundle, data, overrides, output = system
    with quick_run():
        run.evaluate(bundle, data=data, output_dir=tmp_path / "e", overrides=dict(overrides))
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text("utf-8"))
    chosen = json.loads((output / "metrics.json").read_text("utf-8"))
    assert metrics["split"] == "test"
    assert metrics["n"] >= 1
    assert metrics["metrics"].keys() == chosen["metrics"].keys()


def test_it_predicts_a_folder_and_accounts_for_every_file(system, tmp_path):
    bundle, data, overrides, _ = system
    images = sorted(
        path for path in data.rglob("*") if path.suffix in {".png", ".dcm", ".jpg", ".jpeg"}
    )
    folder = tmp_path / "films"
    folder.mkdir()
    for number, image in enumerate(images[:3]):
        shutil.copy(image, folder / f"{number} of [3]{image.suffix}")
    (folder / "notes.txt").write_text("not an image")
    (folder / "cut.png").write_bytes(images[0].read_bytes()[:200])
    given = {key: overrides[key] for key in ("image_size", "device", "weights")}
    with quick_run():
        summary = predict_folder(bundle, folder, tmp_path / "out", overrides=given)
    assert (summary["inputs"], summary["predicted"]) == (5, 3)
    assert summary["skipped"] + summary["failed"] == 2
    assert summary["out_of_distribution"] is not None
    table = rows(tmp_path / "out" / "predictions.csv")
    classes = [f"prob_{name}" for name in bundle_classes(bundle)]
    mark = ["out_of_distribution"]
    expected = PREDICTION_COLUMNS.get(
        bundle.name,
        ["filename", "predicted_class", "predicted_label", "confidence", *classes, *mark],
    )
    assert list(table[0]) == expected
    assert len({row[expected[0]] for row in table}) == 3
    assert (tmp_path / "out" / "contact_sheet.png").stat().st_size > 1000


def test_its_answers_become_dicom_objects(system, tmp_path):
    bundle, data, overrides, _ = system
    image = next(
        path for path in sorted(data.rglob("*")) if path.suffix in {".png", ".dcm", ".jpg"}
    )
    film = read_radiograph(image).pixels.mean(axis=0)
    header = FilmHeader(key="x", patient_id="P", number=1, inverted=True, sex="F", age_years=40)
    (tmp_path / "films").mkdir()
    write_dx(tmp_path / "films" / "film.dcm", film, header=header)
    given = {key: overrides[key] for key in ("image_size", "device", "weights")}
    kinds = {"sr", "sc", "gsps"} | ({"seg"} if bundle.name == "hand_bone_segmentation" else set())
    with quick_run():
        summary = predict_folder(
            bundle,
            tmp_path / "films",
            tmp_path / "out",
            overrides=given | {"dicom": ",".join(kinds), "evaluator::report": False},
        )
    # Weights of a few steps may find no bone.
    assert summary["dicom"]["reasons"].keys() <= {"nothing_found"}
    objects = rows(tmp_path / "out" / "dicom" / "objects.csv")
    assert {row["kind"] for row in objects} | {"seg"} == kinds | {"seg"}
    if not validators.MISSING:
        for row in objects:
            assert validators.iod_errors(tmp_path / "out" / "dicom" / row["file"]) == []


def bundle_classes(bundle):
    train = json.loads(bundle.train.read_text("utf-8"))
    return train.get("classes", [])


def test_it_is_exported_and_gives_the_same_numbers(system, tmp_path):
    bundle, _, overrides, _ = system
    given = {key: overrides[key] for key in ("image_size", "weights")}
    with quick_export():
        path = export_bundle(bundle, output=tmp_path / "model.ts", overrides=given).path
    files = {"operating_point.json": ""}
    network = torch.jit.load(path, _extra_files=files)
    assert json.loads(files["operating_point.json"])
    channels = 3 if bundle.name.startswith("skin") else 1
    size = overrides["image_size"]
    films = torch.rand(3, channels, size, size)
    configuration = InferenceConfiguration(bundle, given)
    original = load_weights(configuration.build("network_def"), given["weights"]).eval()
    with torch.inference_mode():
        expected = original(films)
        assert torch.allclose(network(films), expected, atol=1e-4 * float(expected.abs().max()))
