"""What lies over a film covers it, whatever the task of the bundle is."""

import cv2
import numpy as np
import pytest
import torch
from anomaly_fixture import SIDE, made_cases
from bundle_fixture import one_torch_thread, write_tiny_bundle

from pipelines.evaluation.anomaly import choose_anomaly_point
from pipelines.evaluation.anomaly_scores import Profile
from pipelines.evaluation.segmentation_point import SegmentationPoint
from pipelines.inference.anomaly import DetectAnomalies
from pipelines.inference.predictor import Predictor
from pipelines.inference.seen import MOST_HEAT_PIXELS, Seeing
from pipelines.inference.segment import Segment
from pipelines.radiograph import Provenance, Radiograph
from pipelines.results.rle import decode
from pipelines.transforms.reconstruction import reconstruction_preprocessing
from pipelines.transforms.segmentation_chains import segmentation_preprocessing


def film_of(pixels):
    return Radiograph(pixels.astype(np.float32), (0.2, 0.2), Provenance(format="png", bits=8))


@pytest.mark.parametrize("size", [(60, 50), (1100, 550)])
def test_where_a_classifier_looked_lies_over_the_whole_film(tmp_path, size):
    predictor = Predictor.from_bundle(write_tiny_bundle(tmp_path / "tiny"))
    film = film_of(np.random.default_rng(0).random((1, *size)))
    with one_torch_thread():
        answer = predictor.answer(predictor.prepare(film))
        seen = Seeing(predictor)(answer)
    (heat,) = seen.heats.values()
    share = min(1, MOST_HEAT_PIXELS / max(size))
    assert heat.shape == tuple(round(side * share) for side in size)
    assert 0 <= heat.min() < heat.max() <= 1
    assert seen.outlines == ()


def test_outlines_lie_where_the_masks_are(tmp_path):
    classes = ("Radius", "Ulna")
    SegmentationPoint(classes, (0.5, 0.5)).save(tmp_path / "operating_point.json")
    maps = np.full((1, 2, 64, 64), -9, np.float32)
    maps[0, 0, 20:40, 24:36] = 9
    maps[0, 0, 28:32, 28:32] = -9  # a hole
    predictor = Predictor(
        segmentation_preprocessing(64, 64, classes=classes),
        lambda _: maps,
        Segment(tmp_path / "model.pt", output_dir=tmp_path, refiner=None),
    )
    answer = predictor.answer(predictor.prepare(film_of(np.full((1, 120, 90), 0.5))))
    (traced,) = Seeing(predictor)(answer).outlines
    assert traced.name == "Radius", "what was not found has no outline"
    expected = decode(answer.record.regions[0].rle, (120, 90))
    lines = [np.rint(line).astype(np.int32) for line in traced.contours]
    assert len(lines) == 2
    drawn = cv2.fillPoly(np.zeros((120, 90), np.uint8), lines, 1).astype(bool)
    # The line around a hole runs on the structure, so a filled one covers all of it.
    assert not (expected & ~drawn).any()
    assert (drawn & ~expected).sum() < 0.05 * expected.sum()


def test_the_error_of_a_reconstruction_lies_where_it_is(tmp_path):
    profile = Profile.fit(made_cases(60, 0, seed=9).measured)
    point = choose_anomaly_point(
        made_cases(60, 30), profile, image_size=SIDE, error_scale=0.2, criterion="youden"
    )
    point.save(tmp_path)

    def engine(images):
        made = images.clone()
        made[:, :, 8:12, 20:24] += 0.4
        return made.numpy()

    predictor = Predictor(
        reconstruction_preprocessing(SIDE),
        engine,
        DetectAnomalies(tmp_path / "model.pt", output_dir=tmp_path),
    )
    answer = predictor.answer(predictor.prepare(film_of(np.full((1, 64, 64), 0.5))))
    seen = Seeing(predictor)(answer)
    (heat,) = seen.heats.values()
    assert np.unravel_index(heat.argmax(), heat.shape)[0] in range(8, 12)
    assert heat[9, 21] == 1
    assert heat[25, 5] == 0
    assert seen.scale == "0.2 of full grey"
    assert torch.is_tensor(answer.film.image)
