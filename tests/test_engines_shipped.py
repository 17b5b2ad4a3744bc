"""Shipped weights give the same answers in every engine, on generated films."""

from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_fixture import one_torch_thread
from scipy.special import expit

from pipelines.datasets.phantoms.samples import write_samples
from pipelines.inference.configuration import InferenceConfiguration
from pipelines.inference.folder import prepare
from pipelines.ingest.collect import Item
from pipelines.workflows.bundle import find_bundle

FILMS = 2
FILM_SUFFIXES = {".dcm", ".jpeg", ".jpg", ".png"}
LEAST = {"chest": 12, "fracture": 12, "hand": 6, "skin": 21}  # of a set of samples
OTHERS = ("onnxruntime", "openvino")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with one_torch_thread():
        yield


def answers(bundle: str, samples: str, folder: Path, **overrides):
    """Predict the same films with each engine: what postprocessing gets, and what it makes."""
    written = write_samples(samples, folder / "films", count=LEAST[samples])
    paths = [path for path in written if path.suffix in FILM_SUFFIXES][:FILMS]
    found = {}
    for name in ("torch", *OTHERS):
        given = {"engine_name": name, "device": "cpu", "output_dir": str(folder / name)}
        built = InferenceConfiguration(find_bundle(bundle), given | overrides)
        chain = built.build("preprocessing")
        films = [prepare(chain, path, item=Item(path, path.name)) for path in paths]
        outputs = built.build("engine")(torch.stack([film.image for film in films]))
        found[name] = outputs, built.build("postprocessing")(films, outputs)
    return found


def test_scores_of_anomalies(tmp_path):
    found = answers("fracture_autoencoder", "fracture", tmp_path, overlays=False)
    expected, records = found["torch"]
    for name in OTHERS:
        np.testing.assert_allclose(found[name][0], expected, atol=1e-4)
        for one, other in zip(records, found[name][1], strict=True):
            assert other.anomaly_score == pytest.approx(one.anomaly_score, rel=1e-3)
            assert other.anomalous == one.anomalous


# Networks of some megabytes take PyTorch's exporter five to fifteen seconds each.
@pytest.mark.slow
def test_masks_of_bones(tmp_path):
    settings = {"refiner": None, "postprocessing::save": []}
    found = answers("hand_bone_segmentation", "hand", tmp_path, **settings)
    expected = found["torch"][0] > 0
    for name in OTHERS:
        masks = found[name][0] > 0
        dice = 2 * (masks & expected).sum() / (masks.sum() + expected.sum())
        assert dice >= 0.998, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bundle", "samples"),
    [
        ("pneumonia_classification", "chest"),
        ("pneumonia_efficientnet_b0", "chest"),
        ("skin_lesion_classification", "skin"),
    ],
)
def test_probabilities_of_classes(bundle, samples, tmp_path):
    found = answers(bundle, samples, tmp_path)
    outputs, records = found["torch"]
    assert np.ptp(expit(outputs)) > 0
    for name in OTHERS:
        for one, other in zip(records, found[name][1], strict=True):
            assert other.probabilities == pytest.approx(one.probabilities, abs=0.02)
