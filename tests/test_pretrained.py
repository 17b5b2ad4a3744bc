"""Weights of others: every layer is loaded, adapted or named, and nothing is random in silence."""

import http.server
import json
import logging
import threading
import time
from functools import partial

import pytest
import torch
from huggingface_hub import constants
from monai.networks.nets import EfficientNetBN, UNet
from safetensors.torch import save, save_file

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.classifiers import build_classifier
from pipelines.networks.naming import naming_of
from pipelines.networks.pretrained import load_pretrained

# Names and shapes in published state dicts, one of each kind of layer.
PUBLISHED = {
    ("efficientnet_b0", "torchvision"): {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.1.0.block.0.0.weight": (32, 1, 3, 3),
        "features.1.0.block.1.fc1.weight": (8, 32, 1, 1),
        "features.1.0.block.2.1.running_var": (16,),
        "features.2.1.block.1.0.weight": (144, 1, 3, 3),
        "features.6.3.block.2.fc2.bias": (1152,),
        "features.7.0.block.3.0.weight": (320, 1152, 1, 1),
        "features.8.0.weight": (1280, 320, 1, 1),
        "features.8.1.running_mean": (1280,),
        "classifier.1.weight": (1000, 1280),
    },
    ("efficientnet_b0", "timm"): {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.se.conv_reduce.weight": (8, 32, 1, 1),
        "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
        "blocks.0.0.bn2.weight": (16,),
        "blocks.5.2.conv_dw.weight": (1152, 1, 5, 5),
        "blocks.5.2.se.conv_expand.weight": (1152, 48, 1, 1),
        "blocks.5.2.bn3.running_mean": (192,),
        "conv_head.weight": (1280, 320, 1, 1),
        "bn2.weight": (1280,),
        "classifier.bias": (1000,),
    },
    ("efficientnet_b0", "EfficientNet-PyTorch"): {
        "_conv_stem.weight": (32, 3, 3, 3),
        "_blocks.0._depthwise_conv.weight": (32, 1, 3, 3),
        "_blocks.15._project_conv.weight": (320, 1152, 1, 1),
        "_fc.weight": (1000, 1280),
    },
    ("densenet121", "torchvision"): {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.denseblock1.denselayer1.norm1.weight": (64,),
        "features.denseblock4.denselayer16.conv2.weight": (32, 128, 3, 3),
        "features.transition1.conv.weight": (128, 256, 1, 1),
        "features.norm5.weight": (1024,),
        "classifier.weight": (1000, 1024),
    },
    ("densenet121", "older"): {
        "features.denseblock1.denselayer1.norm.1.weight": (64,),
        "features.denseblock4.denselayer16.conv.2.weight": (32, 128, 3, 3),
    },
    ("mobilenet_v2", "timm"): {
        "conv_stem.weight": (32, 3, 3, 3),
        "blocks.0.0.conv_pw.weight": (16, 32, 1, 1),
        "blocks.5.2.conv_pwl.weight": (160, 960, 1, 1),
        "blocks.6.0.bn3.weight": (320,),
        "conv_head.weight": (1280, 320, 1, 1),
        "classifier.weight": (1000, 1280),
    },
    ("mobilenet_v3_large", "timm"): {
        "blocks.0.0.conv_pw.weight": (16, 16, 1, 1),
        "blocks.2.0.se.conv_reduce.weight": (24, 72, 1, 1),
        "blocks.5.2.se.conv_reduce.bias": (240,),
        "blocks.5.2.conv_pwl.weight": (160, 960, 1, 1),
        "blocks.6.0.conv.weight": (960, 160, 1, 1),
        "blocks.6.0.bn1.bias": (960,),
        "conv_head.bias": (1280,),
        "classifier.weight": (1000, 1280),
    },
    ("mobilenet_v3_small", "timm"): {
        "blocks.0.0.se.conv_reduce.weight": (8, 16, 1, 1),
        "blocks.1.0.conv_pw.weight": (72, 16, 1, 1),
        "blocks.4.2.conv_pwl.weight": (96, 576, 1, 1),
        "blocks.5.0.conv.weight": (576, 96, 1, 1),
        "conv_head.bias": (1024,),
    },
}


def written(network, scheme):
    """The state of a network under the names of another library, moved off its random values."""
    rename = naming_of(network).schemes.get(scheme, str)
    state = {}
    for index, (name, value) in enumerate(network.state_dict().items()):
        changed = value + 0.001 * (index + 1) if value.is_floating_point() else value + 7
        if scheme == "timm" and rename(name) == "conv_head.weight" and value.dim() == 2:
            changed = changed[:, :, None, None]
        state[rename(name)] = changed
    return state


@pytest.mark.parametrize(("name", "scheme"), PUBLISHED)
def test_names_are_the_published_ones(name, scheme):
    with torch.device("meta"):
        network = build_classifier(name, in_channels=3, out_channels=1000)
    found = {key: tuple(value.shape) for key, value in written(network, scheme).items()}
    expected = PUBLISHED[name, scheme]
    if name.startswith("mobilenet_v3"):
        last = 1280 if name.endswith("large") else 1024
        assert found["conv_head.weight"] == (last, found["conv_head.weight"][1], 1, 1)
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("name", "scheme", "suffix"),
    [
        ("efficientnet_b0", "torchvision", "pth"),
        ("efficientnet_b0", "timm", "safetensors"),
        ("efficientnet_b0", "EfficientNet-PyTorch", "pth"),
        ("densenet121", "older", "pth"),
        ("resnet18", "own", "safetensors"),
        ("mobilenet_v2", "own", "pth"),
        ("mobilenet_v2", "timm", "safetensors"),
        ("mobilenet_v3_small", "timm", "safetensors"),
    ],
)
def test_weights_of_colour_images_begin_a_grey_network(tmp_path, name, scheme, suffix):
    state = written(build_classifier(name, in_channels=3, out_channels=10), scheme)
    path = tmp_path / f"model.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, path)

    network = build_classifier(name, in_channels=1, out_channels=1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    load_pretrained(network, path, report=tmp_path / "report.json")

    report = json.loads((tmp_path / "report.json").read_text())
    naming = naming_of(network)
    rename = naming.schemes.get(scheme, str)
    after = network.state_dict()
    first = next(key for key, value in after.items() if value.dim() == 4)
    torch.testing.assert_close(after[first], state[rename(first)].sum(1, keepdim=True))
    for key, value in after.items():
        if naming.is_head(key):
            assert torch.equal(value, before[key])
        elif key != first:
            assert torch.equal(value.flatten(), state[rename(key)].flatten())
    assert report["naming"] == scheme
    assert first in report["adapted"]
    assert report["left_random"] == [f"{naming.head}.weight", f"{naming.head}.bias"]
    assert report["unused"] == []
    assert len(report["loaded"]) + len(report["adapted"]) + 2 == len(after)
    assert report["source"] == path.name
    assert len(report["sha256"]) == 64


def test_a_grey_network_sees_what_the_colour_network_saw(tmp_path):
    colour = build_classifier("resnet18", in_channels=3, out_channels=1).eval()
    torch.save(colour.state_dict(), tmp_path / "model.pth")
    grey = build_classifier("resnet18", in_channels=1, out_channels=1)
    load_pretrained(grey, tmp_path / "model.pth")
    film = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(grey.eval()(film), colour(film.expand(-1, 3, -1, -1)))


def test_weights_of_stock_monai_load_under_their_own_names(tmp_path):
    stock = EfficientNetBN("efficientnet-b0", pretrained=False, in_channels=1, num_classes=2)
    torch.save(stock.state_dict(), tmp_path / "model.pt")
    network = build_classifier("efficientnet_b0", in_channels=1, out_channels=2)
    load_pretrained(network, tmp_path / "model.pt")
    assert all(
        torch.equal(value, stock.state_dict()[key]) for key, value in network.state_dict().items()
    )


def small(**arguments):
    return build_classifier("mobilenet_v3_small", in_channels=3, **arguments)


def test_a_head_with_a_hidden_layer_is_left_and_what_is_unused_is_named(tmp_path, caplog):
    torch.save({"model": small(out_channels=5).state_dict()}, tmp_path / "model.pth")
    with caplog.at_level(logging.INFO):
        load_pretrained(
            small(out_channels=5, hidden=4), tmp_path / "model.pth", report=tmp_path / "r.json"
        )
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["left_random"] == [
        f"classifier.3.{layer}.{part}" for layer in (0, 3) for part in ("weight", "bias")
    ]
    assert report["unused"] == ["classifier.3.bias", "classifier.3.weight"]
    assert "left random: classifier.3.0.weight" in caplog.text
    assert "4 left random, 2 unused" in caplog.text


def test_half_a_head_is_not_loaded(tmp_path):
    state = small(out_channels=5).state_dict()
    del state["classifier.3.bias"]
    torch.save(state, tmp_path / "model.pth")
    network = small(out_channels=5)
    before = network.classifier[3].weight.clone()
    load_pretrained(network, tmp_path / "model.pth")
    assert torch.equal(network.classifier[3].weight, before)


def test_a_missing_layer_is_refused_unless_it_is_allowed(tmp_path):
    state = small(out_channels=5).state_dict()
    state = {name: value for name, value in state.items() if not name.startswith("features.4.")}
    torch.save(state, tmp_path / "model.pth")
    network = small(out_channels=2)
    before = network.features[0][0].weight.clone()
    with pytest.raises(RunError, match=r"such as 'features\.4\.") as raised:
        load_pretrained(network, tmp_path / "model.pth")
    assert raised.value.reason is Reason.WEIGHTS_MISMATCH
    assert torch.equal(network.features[0][0].weight, before)
    with pytest.raises(RunError):
        load_pretrained(network, tmp_path / "model.pth", allow_random=["feature"])
    load_pretrained(network, tmp_path / "model.pth", allow_random=["features.4"])
    assert torch.equal(network.features[0][0].weight, state["features.0.0.weight"])


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(small(out_channels=5).state_dict(), tmp_path / "model.pth")
    network = build_classifier("mobilenet_v2", in_channels=3, out_channels=5)
    with pytest.raises(RunError, match="expected weights for every layer of MobileNetV2"):
        load_pretrained(network, tmp_path / "model.pth")


def test_a_network_without_classes_takes_all_or_nothing(tmp_path):
    make = partial(UNet, 2, 1, channels=(4, 8), strides=(2,))
    torch.save(make(out_channels=3).state_dict(), tmp_path / "model.pth")
    load_pretrained(make(out_channels=3), tmp_path / "model.pth")
    with pytest.raises(RunError):
        load_pretrained(make(out_channels=2), tmp_path / "model.pth")


def test_no_source_does_nothing():
    network = small(out_channels=1)
    assert load_pretrained(network, None) is network


@pytest.mark.parametrize("name", ["gone.pth", "text.pth", "text.safetensors"])
def test_files_that_cannot_be_are_named(tmp_path, name):
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(RunError, match=name) as raised:
        load_pretrained(small(out_channels=1), tmp_path / name)
    assert str(tmp_path) not in str(raised.value)


@pytest.mark.parametrize("source", ["hf://", "hf://alone", "hf://a/b@", "hf://a b/c"])
def test_a_wrong_name_of_the_hub_is_refused(source):
    with pytest.raises(ConfigurationError, match="expected hf://owner/name"):
        load_pretrained(small(out_channels=1), source)


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub as a download needs."""

    files: dict[str, bytes]

    def do_GET(self):
        content = self.files.get(self.path.split("?")[0])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", '"0123"')
            self.send_header("X-Repo-Commit", "c" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The address and files of a hub on this machine; the cache is empty."""
    Hub.files = {}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield Hub.files
    server.shutdown()
    server.server_close()
    thread.join()


def test_weights_come_from_the_hub_and_then_from_the_cache(hub, tmp_path, monkeypatch):
    state = small(out_channels=5).state_dict()
    torch.save(state, tmp_path / "model.pth")
    # The repository has no safetensors.
    hub["/owner/name/resolve/main/pytorch_model.bin"] = (tmp_path / "model.pth").read_bytes()
    for report in ("first.json", "second.json"):
        network = small(out_channels=2)
        load_pretrained(network, "hf://owner/name", report=tmp_path / report)
        assert torch.equal(network.features[0][0].weight, state["features.0.0.weight"])
        assert json.loads((tmp_path / report).read_text())["source"] == "hf://owner/name"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    load_pretrained(small(out_channels=2), "hf://owner/name/pytorch_model.bin")


def test_without_a_network_the_file_to_provide_is_named(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(RunError, match=r"expected model\.safetensors of owner/name") as raised:
        load_pretrained(small(out_channels=1), "hf://owner/name")
    assert raised.value.reason is Reason.WEIGHTS_MISSING
    assert "--set pretrained=FILE" in str(raised.value)


def test_a_connection_that_breaks_is_said_and_leaves_no_half_file(hub, monkeypatch, tmp_path):
    hub["/owner/name/resolve/main/model.safetensors"] = save(small(out_channels=2).state_dict())
    whole = Hub.do_GET

    def half(answer):
        write = answer.wfile.write
        answer.wfile.write = lambda content: write(content[: len(content) // 2])
        whole(answer)

    monkeypatch.setattr(Hub, "do_GET", half)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)  # between the hub's own tries
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    with pytest.raises(RunError, match="try again") as raised:
        load_pretrained(small(out_channels=2), "hf://owner/name")
    assert raised.value.reason is Reason.WEIGHTS_MISSING
    assert not [path for path in (tmp_path / "cache").rglob("*model*") if path.is_file()]
    monkeypatch.setattr(Hub, "do_GET", whole)
    load_pretrained(small(out_channels=2), "hf://owner/name")


def test_a_repository_without_weights_is_named(hub):
    with pytest.raises(RunError, match=r"model\.safetensors or pytorch_model\.bin of owner/name"):
        load_pretrained(small(out_channels=1), "hf://owner/name")
