"""The refiner: its network, its files, what it draws on a film, and its training."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.evaluation.coarse import CoarseMasks
from pipelines.evaluation.refiner import Refiner, RefinerSettings
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.prepared import PreparedFilm
from pipelines.inference.segment import Segment
from pipelines.ingest.collect import Item
from pipelines.networks.refiner import BoneRefiner
from pipelines.networks.weights import save_weights
from pipelines.radiograph import Provenance, Radiograph
from pipelines.results.rle import decode
from pipelines.transforms.letterbox import Letterbox
from pipelines.transforms.window import Window
from pipelines.workflows.refinement_outcome import RefinementOutcome

NAMES = ("finger-2", "finger-18", "Capitate")
SIZE = (320, 240)
PLACES = (((75, 100), (15, 45), -30), ((175, 100), (15, 40), 10), ((125, 240), (35, 25), 0))


def bones(*, larger=0.0, size=SIZE):
    masks = np.zeros((3, *size), np.uint8)
    for mask, ((x, y), (a, b), degrees) in zip(masks, PLACES, strict=True):
        cv2.ellipse(mask, ((x, y), (2 * a + larger, 2 * b + larger), degrees), 1, -1)
    return masks.astype(bool)


def film():
    """Bright bones on dark flesh."""
    return np.where(bones().any(axis=0), 0.8, 0.2).astype(np.float32)[None]


def first_logits():
    """Bones that are too large, at a fifth of the film's size."""
    placement = Letterbox(SIZE, (64, 64))
    layers = bones(larger=12.0).astype(np.float32)
    shares = np.stack([placement.to_network(mask[None])[0] for mask in layers])
    return (shares * 12 - 6).astype(np.float32), placement


class Bright(torch.nn.Module):
    """Draws what is bright in each crop, as a trained refiner would on such films."""

    def forward(self, crops):
        films = crops[:, : crops.shape[1] // 2]
        return 10 * (films - (films.amax((2, 3), True) + films.amin((2, 3), True)) / 2)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    SegmentationPoint(NAMES, (0.5,) * 3).save(folder / "operating_point.json")
    torch.manual_seed(0)
    network = BoneRefiner(3, channels=(4, 8), embedding=2)
    save_weights(network, folder / "refiner.pt")
    settings().save(folder / "refiner.json")
    return folder


def settings(**changes):
    values = {
        "point": SegmentationPoint(NAMES, (0.5, 0.4, 0.6)),
        "height": 48,
        "width": 32,
        "margin": 0.3,
        "channels": (4, 8),
        "embedding": 2,
        "least_overlap": 0.5,
    }
    return RefinerSettings(**(values | changes))


@pytest.fixture
def drawing(models):
    refiner = Refiner(models / "refiner.pt")
    refiner.network = Bright()
    return refiner


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def refine(refiner, logits, placement):
    point = SegmentationPoint(NAMES, (0.5,) * 3)
    return refiner(film(), logits, placement=placement, point=point)


def test_each_bone_is_drawn_by_itself():
    torch.manual_seed(1)
    network = BoneRefiner(3, channels=(4, 8), embedding=2).eval()
    crops = torch.rand(2, 6, 16, 8)
    logits = network(crops)
    assert logits.shape == (2, 3, 16, 8)
    changed = crops.clone()
    changed[:, 1] = 0
    again = network(changed)
    assert torch.allclose(again[:, [0, 2]], logits[:, [0, 2]], atol=1e-6)
    assert not torch.allclose(again[:, 1], logits[:, 1], atol=1e-3)
    # The same crop, told to be another bone.
    same = crops[:, [0, 0, 0, 3, 3, 3]]
    assert not torch.allclose(network(same)[:, 0], network(same)[:, 1], atol=1e-4)


def test_a_network_without_levels_is_refused():
    with pytest.raises(ConfigurationError, match="two levels or more"):
        BoneRefiner(3, channels=(4,))


def test_outlines_are_drawn_at_the_films_own_size(drawing):
    logits, placement = first_logits()
    refined = refine(drawing, logits, placement)
    for bone, truth in enumerate(bones()):
        first = placement.to_film(logits[bone : bone + 1])[0] > 0
        drawn = refined.mask(bone)
        assert drawn.shape == SIZE
        assert dice(first, truth) < 0.88
        assert dice(drawn, truth) > 0.97


def test_what_has_too_little_in_common_is_not_believed(models, drawing):
    logits, placement = first_logits()
    # The first network saw the capitate where there is none: the crop shows flesh and noise.
    logits[2] = np.roll(logits[2], (8, -12), axis=(0, 1))
    refined = refine(drawing, logits, placement)
    assert refined.mask(0) is not None
    assert refined.mask(2) is None
    logits[1] = -9
    assert refine(drawing, logits, placement).mask(1) is None


def test_files_are_read_back(models):
    refiner = Refiner.find("beside", weights=models / "model.pt")
    assert refiner.settings == settings()
    told = refiner.about()
    assert told["thresholds"] == {"finger-2": 0.5, "finger-18": 0.4, "Capitate": 0.6}
    assert len(told["sha256"]) == 64
    pieces = Refiner(models / "refiner.pt", largest_piece=False)
    assert pieces.settings.point.largest_piece is False
    refined = refine(refiner, *first_logits())
    assert np.isfinite(refined.drawn).all()


def test_only_a_refiner_that_is_named_must_be_there(models, tmp_path):
    assert Refiner.find("beside", weights=tmp_path / "model.pt") is None
    assert Refiner.find(None, weights=models / "model.pt") is None
    with pytest.raises(RunError, match="refiner=null") as raised:
        Refiner.find(tmp_path / "other.pt", weights=models / "model.pt")
    assert raised.value.reason is Reason.WEIGHTS_MISSING


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "got FileNotFoundError"),
        ("{", "got JSONDecodeError"),
        ({"height": "tall"}, "got ValueError"),
        ({"width": 0}, "expected a height and width of 1 or more"),
        ({"least_overlap": 2}, "least_overlap from 0 to 1"),
        ({"thresholds": [0.5]}, "expected a threshold"),
    ],
)
def test_settings_that_are_wrong_are_refused(models, tmp_path, content, message):
    path = tmp_path / "refiner.json"
    if isinstance(content, dict):
        path.write_text(json.dumps(json.loads((models / "refiner.json").read_text()) | content))
    elif content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        RefinerSettings.load(path)


def test_other_bones_and_other_ways_of_resizing_are_refused(models):
    refiner = Refiner(models / "refiner.pt")
    logits, placement = first_logits()
    with pytest.raises(ConfigurationError, match="refiner=null"):
        refiner(film(), logits, placement=placement, point=SegmentationPoint(("a",), (0.5,)))
    window = Window(SIZE, 0, 0, *SIZE)
    with pytest.raises(ConfigurationError, match="Letterboxd"):
        refine(refiner, logits, window)


@pytest.mark.parametrize("from_file", [True, False])
def test_prediction_uses_the_refiner_beside_the_weights(models, drawing, tmp_path, from_file):
    logits, placement = first_logits()
    path = tmp_path / "film.png"
    Image.fromarray(np.rint(film()[0] * 255).astype(np.uint8)).save(path)
    prepared = PreparedFilm(
        item=Item(path, "film.png"),
        image=torch.zeros(1, 64, 64),
        original_size=SIZE,
        placement=placement,
        source=None if from_file else Radiograph(film(), None, Provenance(format="png", bits=8)),
    )

    def areas(**options):
        segment = Segment(
            models / "model.pt", output_dir=tmp_path / "out", save=["overlays"], **options
        )
        if segment.refiner is not None:
            segment.refiner.network = Bright()
        (record,) = segment([prepared], logits[None])
        assert (tmp_path / "out" / "overlays" / "film.png.png").is_file()
        return [decode(region.rle, SIZE).sum() for region in record.regions], segment.about()

    refined, told = areas()
    before, untold = areas(refiner=None)
    for drawn, first, truth in zip(refined, before, bones(), strict=True):
        assert drawn == pytest.approx(truth.sum(), rel=0.05)
        assert first > 1.15 * truth.sum()
    assert told["refiner"]["sha256"] == Refiner(models / "refiner.pt").weights_sha256
    assert untold["refiner"] is None


def test_the_first_network_is_what_its_bundle_predicts_with(models, tmp_path):
    net = torch.nn.Conv2d(1, 3, 1)
    save_weights(net, tmp_path / "model.pt")
    (tmp_path / "operating_point.json").write_bytes((models / "operating_point.json").read_bytes())
    first = CoarseMasks(net, tmp_path / "model.pt", height=64, width=64)
    before = repr(first)
    logits, placement = first(film())
    assert logits.shape == first.decide(logits).shape == (3, 64, 64)
    assert placement == Letterbox(SIZE, (64, 64))
    save_weights(torch.nn.Conv2d(1, 3, 3), tmp_path / "model.pt")
    assert repr(first) != before  # a cache of films made with other weights is not found again


def test_a_network_of_another_kind_cannot_be_finished(tmp_path):
    with pytest.raises(ConfigurationError, match="expected a BoneRefiner"):
        RefinementOutcome(
            tmp_path,
            evaluator=SimpleNamespace(),
            dataset=SimpleNamespace(),
            first=SimpleNamespace(),
            network=torch.nn.Conv2d(1, 3, 1),
            margin=0.3,
        )
