"""An exported network runs without this package, gives the same numbers and says what it is."""

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from monai.networks.nets import AutoEncoder, UNet
from torch import nn

from pipelines.deploy import export_source
from pipelines.deploy.export import TOLERANCE, export_bundle
from pipelines.deploy.export_source import example_shape
from pipelines.deploy.torchscript import load_torchscript, save_torchscript
from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.classifiers import build_classifier
from pipelines.networks.weights import load_weights, plain_network, save_weights
from pipelines.workflows.bundle import Bundle, find_bundle

EXTRA = (
    "metadata.json",
    "inference.json",
    "operating_point.json",
    "classes.json",
    "preprocessing.json",
)
POINT = {"classes": ["SHUT", "OPEN"], "threshold": 0.4}


@pytest.fixture
def bundle(tmp_path):
    """A copy of a shipped bundle with a small network and its weights."""
    root = tmp_path / "small"
    shipped = find_bundle("pneumonia_classification").root
    shutil.copytree(shipped, root, ignore=shutil.ignore_patterns("models", "docs", "manifest.json"))
    path = root / "configs" / "inference.json"
    configuration = json.loads(path.read_text("utf-8"))
    configuration["network_def"] = {
        "_target_": "pipelines.networks.classifiers.build_classifier",
        "name": "mobilenet_v3_small",
        "in_channels": 1,
        "out_channels": 1,
    }
    path.write_text(json.dumps(configuration), "utf-8")
    network = build_classifier("mobilenet_v3_small", in_channels=1, out_channels=1)
    save_weights(network, root / "models" / "model.pt")
    (root / "models" / "operating_point.json").write_text(json.dumps(POINT), "utf-8")
    return Bundle("small", root)


def original(bundle):
    network = build_classifier("mobilenet_v3_small", in_channels=1, out_channels=1)
    return load_weights(network, bundle.weights).eval()


def extra_files(path):
    files = dict.fromkeys(EXTRA, "")
    torch.jit.load(path, _extra_files=files)
    return {name: json.loads(content) for name, content in files.items()}


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
def test_torchscript_gives_the_same_numbers_and_carries_its_description(bundle):
    path = export_bundle(bundle, export_format="torchscript").path
    assert path == bundle.root / "models" / "model.ts"
    exported = torch.jit.load(path)
    for shape in [(1, 1, 192, 192), (3, 1, 64, 96)]:
        images = torch.randn(shape)
        with torch.inference_mode():
            expected, found = original(bundle)(images), exported(images)
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE)

    files = extra_files(path)
    assert files["metadata.json"] == json.loads(bundle.metadata.read_text("utf-8"))
    assert files["inference.json"] == json.loads(bundle.inference.read_text("utf-8"))
    assert files["operating_point.json"] == POINT
    assert files["classes.json"] == POINT["classes"]
    described = files["preprocessing.json"]
    assert described["bundle"] == "small"
    assert described["preprocessing"]["_target_"].startswith("pipelines.transforms.chains.")
    assert len(described["weights_sha256"]) == 64
    assert described["network_data_format"]["inputs"]["image"]["num_channels"] == 1


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
def test_overrides_count_and_no_folder_of_this_machine_is_told(bundle, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "best.pt"
    save_weights(original(bundle), elsewhere)
    output = tmp_path / "out" / "net.ts"
    path = export_bundle(
        bundle,
        export_format="torchscript",
        output=output,
        overrides={"weights": str(elsewhere), "image_size": 64},
    ).path
    assert path == output
    files = dict.fromkeys(EXTRA[:2] + EXTRA[3:], "")
    torch.jit.load(path, _extra_files=files)
    assert json.loads(files["inference.json"])["image_size"] == 64
    assert json.loads(files["classes.json"]) == ["PNEUMONIA"]
    everything = b"".join(
        content.encode() if isinstance(content, str) else content for content in files.values()
    )
    assert str(tmp_path).encode() not in everything


def test_it_runs_where_this_package_and_monai_are_not(bundle):
    path = export_bundle(bundle, export_format="torchscript").path
    program = (
        "import sys, torch; net = torch.jit.load(sys.argv[1]); "
        "print(net(torch.zeros(2, 1, 64, 64)).shape[0]); "
        "print('pipelines' in sys.modules or 'monai' in sys.modules)"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=path.parent)
    assert done.stdout.split() == ["2", "False"]


NETWORKS = {
    "unet": lambda: UNet(2, 1, 3, channels=(4, 8), strides=(2,), num_res_units=1),
    "autoencoder": lambda: AutoEncoder(2, 1, 1, channels=(4, 8), strides=(2, 2)),
    "resnet18": partial(build_classifier, "resnet18", in_channels=1, out_channels=2, hidden=4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_is_compiled(tmp_path, name):
    save_weights(NETWORKS[name](), tmp_path / "model.pt")
    network = plain_network(NETWORKS[name](), tmp_path / "model.pt")
    save_torchscript(network, tmp_path / "model.ts", {"classes.json": "[]"})
    exported = load_torchscript(tmp_path / "model.ts")
    for shape in [(1, 1, 32, 32), (3, 1, 64, 48)]:
        images = torch.randn(shape)
        with torch.inference_mode():
            torch.testing.assert_close(exported(images), network(images), rtol=0, atol=TOLERANCE)


class Unlike(nn.Module):
    """Says something else when it is compiled."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, images):
        out = images.mean((2, 3))
        if torch.jit.is_scripting():
            return out + 1e-3
        return out


def test_other_numbers_are_refused_and_nothing_is_written(bundle, monkeypatch):
    old = bundle.root / "models" / "model.ts"
    old.write_text("earlier")
    monkeypatch.setattr(export_source, "plain_network", lambda *_: Unlike().eval())
    with pytest.raises(RunError, match="expected the exported network to give the numbers"):
        export_bundle(bundle, export_format="torchscript")
    assert old.read_text() == "earlier"
    assert sorted(each.name for each in old.parent.iterdir()) == [
        "model.pt",
        "model.ts",
        "operating_point.json",
    ]


def test_a_network_that_cannot_be_compiled_is_named(tmp_path):
    class Python(nn.Module):
        def forward(self, images):
            return images if type(images) else None

    class Generator(nn.Module):
        def forward(self, images):
            yield images

    for network in (Python(), Generator()):
        with pytest.raises(ConfigurationError, match="expected a network that TorchScript"):
            save_torchscript(network, tmp_path / "model.ts", {})
    assert not (tmp_path / "model.ts").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [("tensorflow", "known: torchscript, onnx, openvino"), ("onnxx", "did you mean 'onnx'")],
)
def test_an_unknown_format_is_refused_before_anything_is_built(bundle, name, said):
    bundle.inference.unlink()
    with pytest.raises(ConfigurationError, match=said) as raised:
        export_bundle(bundle, export_format=name)
    assert raised.value.reason is Reason.UNKNOWN_NAME


def test_missing_weights_are_named(bundle):
    bundle.weights.unlink()
    with pytest.raises(RunError) as raised:
        export_bundle(bundle, export_format="torchscript")
    assert raised.value.reason is Reason.WEIGHTS_MISSING


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([224, 192], (3, 224, 192)),
        (["*", "*"], (3, 64, 64)),
        (["16*n", "48*n"], (3, 64, 48)),
        (["128*n", "2**p*n"], (3, 128, 64)),
        (None, (1, 64, 64)),
    ],
)
def test_size_of_the_example_follows_the_metadata(tmp_path, written, expected):
    image = {} if written is None else {"num_channels": 3, "spatial_shape": written}
    metadata = {"network_data_format": {"inputs": {"image": image}}}
    path = tmp_path / "configs" / "metadata.json"
    path.parent.mkdir()
    path.write_text(json.dumps(metadata), "utf-8")
    assert example_shape(Bundle("x", Path(tmp_path))) == expected
