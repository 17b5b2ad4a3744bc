"""A SegFormer from a folder on this machine: real loading, of a network made here."""

import json
import sys

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from segformer_fixture import write_tiny_segformer

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.networks.segformer import load_segformer

pytest.importorskip("transformers", reason="the optional package transformers is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_segformer(tmp_path_factory.mktemp("hub") / "tiny-segformer")


def test_it_labels_every_pixel_of_a_film_of_any_size(folder):
    loaded = load_segformer(folder)
    assert loaded.labels == ("background", "lesion")
    assert loaded.size == (64, 64)
    film = np.random.default_rng(0).random((3, 45, 71), dtype=np.float32)
    shares = loaded.probabilities(film)
    assert shares.shape == (2, 45, 71)
    assert np.allclose(shares.sum(0), 1, atol=1e-5)


def test_the_answer_is_that_of_transformers_itself(folder):
    import torch
    from transformers import SegformerForSemanticSegmentation

    film = np.random.default_rng(1).random((3, 64, 64), dtype=np.float32)
    mean, deviation = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    images = torch.from_numpy(((film - mean) / deviation).astype(np.float32))[None]
    peer = SegformerForSemanticSegmentation.from_pretrained(str(folder)).eval()
    with torch.no_grad():
        logits = torch.nn.functional.interpolate(peer(images).logits, 64, mode="bilinear")
    assert np.allclose(load_segformer(folder).probabilities(film), logits.softmax(1)[0], atol=1e-5)


def test_without_a_preprocessor_the_published_one_holds(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert load_segformer(tmp_path).size == (512, 512)
    (tmp_path / "preprocessor_config.json").write_text('{"size": 96, "image_mean": [0, 0, 0]}')
    assert load_segformer(tmp_path).size == (96, 96)
    assert load_segformer(tmp_path).mean == (0, 0, 0)


def spoil(copy, what):
    weights = copy / "model.safetensors"
    if what == "no weights":
        weights.unlink()
    elif what == "another network":
        (copy / "config.json").write_text(json.dumps({"model_type": "vit"}))
    elif what == "no JSON":
        (copy / "config.json").write_text("{")
    elif what == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        state = load_file(weights)
        head = "decode_head.classifier.weight"
        if what == "no head":
            state.pop(head)
        else:
            state[head] = state[head][:, :3].contiguous()
        save_file(state, weights, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("no weights", Reason.WEIGHTS_MISSING),
        ("another network", Reason.WEIGHTS_MISMATCH),
        ("no JSON", Reason.WEIGHTS_MISMATCH),
        ("cut off", Reason.WEIGHTS_MISMATCH),
        ("no head", Reason.WEIGHTS_MISMATCH),
        ("head of another shape", Reason.WEIGHTS_MISMATCH),
    ],
)
def test_a_spoilt_folder_is_refused_and_never_filled_at_random(folder, tmp_path, what, reason):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil(tmp_path, what)
    with pytest.raises(RunError) as refusal:
        load_segformer(tmp_path)
    assert refusal.value.reason is reason
    assert str(tmp_path) not in str(refusal.value)


def test_without_the_optional_package_the_error_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'plainfilm\[segformer\]'"):
        load_segformer(folder)
