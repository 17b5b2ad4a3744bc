"""What MONAI and its model zoo ask of every bundle, and what we ask beyond that."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.bundle import load as load_bundle
from monai.bundle.scripts import ckpt_export, verify_net_in_out

from pipelines.workflows.bundle import Bundle
from pipelines.workflows.card import read_facts
from pipelines.workflows.card_text import card_text
from pipelines.workflows.check import check_bundle

BUNDLES = sorted(
    path.parent.parent
    for path in (Path(__file__).resolve().parents[2] / "bundles").glob("*/configs/metadata.json")
)

# MONAI's exporter and loader use what torch has begun to deprecate.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*nvImageCodec"),
    pytest.mark.filterwarnings("ignore:parsing config_file"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(params=BUNDLES, ids=lambda root: root.name)
def root(request, tmp_path, monkeypatch):
    """A copy of the bundle alone, as someone has who downloaded it; the working folder is in it."""
    copy = tmp_path / request.param.name
    shutil.copytree(request.param, copy)
    monkeypatch.chdir(copy)
    return copy


def read(root, name):
    return json.loads((root / "configs" / name).read_text("utf-8"))


def image_size_of(root):
    """Side of the network's square: in the configuration, or with the weights."""
    size = read(root, "inference.json")["image_size"]
    if isinstance(size, int):
        return size
    return json.loads((root / "models" / "operating_point.json").read_text("utf-8"))["image_size"]


def workflow(root, kind, *names, **overrides):
    return ConfigWorkflow(
        workflow_type=kind,
        config_file=[str(root / "configs" / name) for name in names],
        meta_file=str(root / "configs" / "metadata.json"),
        logging_file=str(root / "configs" / "logging.conf"),
        bundle_root=str(root),
        **overrides,
    )


def test_static_check_finds_nothing(root):
    assert check_bundle(Bundle(root.name, root)) == []


@pytest.mark.parametrize(("kind", "name"), [("train", "train.json"), ("infer", "inference.json")])
def test_required_properties_are_there_without_any_data(root, kind, name):
    run = workflow(root, kind, name)
    run.initialize()
    assert run.check_properties() == []


def test_model_card_is_what_its_files_give(root):
    """`plainfilm card NAME` makes it anew after a change of weights, README or metadata."""
    card = root / "docs" / "model_card.md"
    assert card.read_text("utf-8") == card_text(read_facts(Bundle(root.name, root)))


def test_metadata_follows_the_schema(root):
    schema = json.loads(Path(__file__).with_name("meta_schema_20240725.json").read_text("utf-8"))
    jsonschema.validate(read(root, "metadata.json"), schema)


def test_metadata_names_what_is_installed(root):
    metadata = read(root, "metadata.json")
    assert metadata["version"] in metadata["changelog"]
    assert metadata["name"] == root.name
    named = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert named == {name: version(name).split("+")[0] for name in named}


def test_network_has_the_shapes_of_the_metadata(root):
    configs = root / "configs"
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        bundle_root=str(root),
    )


def test_weights_load_and_export_to_torchscript(root):
    network = load_bundle(root.name, bundle_dir=root.parent)
    size = image_size_of(root)
    image = read(root, "metadata.json")["network_data_format"]["inputs"]["image"]
    film = torch.rand(1, image["num_channels"], size, size)
    exported = root / "models" / "model.ts"
    ckpt_export(
        net_id="network_def",
        filepath=str(exported),
        ckpt_file=str(root / "models" / "model.pt"),
        meta_file=str(root / "configs" / "metadata.json"),
        config_file=str(root / "configs" / "inference.json"),
        bundle_root=str(root),
    )
    with torch.inference_mode():
        expected = network.eval()(film)
        assert torch.allclose(torch.jit.load(exported).eval()(film), expected, atol=1e-4)


def test_train_and_inference_agree(root):
    train, inference = read(root, "train.json"), read(root, "inference.json")
    assert train["network_def"] == inference["network_def"]
    size = inference["image_size"]
    assert train["image_size"] == (size if isinstance(size, int) else size["without"])
    # Training and evaluation read films whole.
    reading = {"reduced_reading": "@reduced_reading"}
    assert train["validate"]["preprocessing"] | reading == inference["preprocessing"]
    assert train["validate"]["inferer"] == inference["inferer"]
    # Its form differs between tasks; what it decides on does not.
    point = json.loads((root / "models" / "operating_point.json").read_text("utf-8"))
    if "classes" in train:
        assert point["classes"] == train["classes"]


def test_train_config_is_short_and_holds_no_logic(root):
    text = (root / "configs" / "train.json").read_text("utf-8")
    assert 50 <= len(text.splitlines()) <= 80
    for expression in re.findall(r'"(\$[^"]*)"', text):
        assert len(expression) <= 80
        assert not re.search(r"\b(lambda|import|for|if)\b|\[", expression)


def test_everything_the_zoo_asks_for_is_there_and_small(root):
    for name in ("LICENSE", "docs/README.md", "docs/data_license.txt", "models/model.pt"):
        assert (root / name).stat().st_size > 100, name
    assert all(path.stat().st_size < 16e6 for path in root.rglob("*") if path.is_file())
    readme = (root / "docs" / "README.md").read_text("utf-8")
    for heading in ("Model description", "Data", "Performance", "Limitations", "Citation"):
        assert re.search(rf"^#+ {heading}", readme, re.MULTILINE | re.IGNORECASE), heading
    assert "python -m monai.bundle run" in readme


def test_keys_stand_once(root, monkeypatch):
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    for path in (root / "configs").glob("*.json"):
        assert ConfigParser.load_config_file(path)


@pytest.mark.parametrize("inside", [True, False], ids=["from inside", "from the checkout"])
def test_bundle_finds_itself(inside):
    bundle = BUNDLES[0]
    code = (
        f"from pipelines.workflows.bundle import bundle_root; print(bundle_root({bundle.name!r}))"
    )
    folder = bundle if inside else bundle.parents[1]
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert Path(answer.stdout.strip()) == bundle
