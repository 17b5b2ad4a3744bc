import csv
import json

import cv2
import numpy as np
import pytest
import torch
from anomaly_fixture import SIDE, made_cases, made_films
from PIL import Image

from pipelines.errors import ConfigurationError
from pipelines.evaluation.anomaly import choose_anomaly_point
from pipelines.evaluation.anomaly_scores import Profile
from pipelines.inference.anomaly import DetectAnomalies
from pipelines.inference.folder import prepare
from pipelines.ingest.collect import Item
from pipelines.predictions import AnomalyDetection, Refusal
from pipelines.transforms.reconstruction import reconstruction_preprocessing


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    profile = Profile.fit(made_cases(60, 0, seed=9).measured)
    point = choose_anomaly_point(
        made_cases(60, 30), profile, image_size=SIDE, error_scale=0.2, criterion="youden"
    )
    point.save(folder)
    return folder / "model.pt"


@pytest.fixture
def films(tmp_path):
    """Four normal films, then four unusual ones, as files of another shape than the network's."""
    folder = tmp_path / "input"
    (folder / "sub").mkdir(parents=True)
    chain = reconstruction_preprocessing(SIDE)
    prepared = []
    for unusual in (False, True):
        for place, film in enumerate(made_films(4, unusual=unusual, seed=1)[0]):
            name = f"sub/{'odd' if unusual else 'normal'} ({place}).png"
            levels = np.rint(film[0].numpy() * 255).astype(np.uint8)
            cv2.imwrite(
                str(folder / name), cv2.resize(levels, (64, 32), interpolation=cv2.INTER_NEAREST)
            )
            item = Item(path=folder / name, filename=name)
            prepared.append(prepare(chain, item.path, item=item))
    return prepared


def blurred(films):
    stack = torch.stack([film.image for film in films])
    return torch.nn.functional.avg_pool2d(stack, 5, 1, 2, count_include_pad=False).numpy()


def test_films_prepared_in_another_way_than_in_training_are_refused(weights, tmp_path):
    good = DetectAnomalies(weights, output_dir=tmp_path, image_size=SIDE, clip_limit=9.0)
    assert good.operating_point.image_size == SIDE
    for wrong, said in (({"image_size": 64}, f"image_size={SIDE}"), ({"clahe": True}, "clahe=fal")):
        options = {"image_size": SIDE, **wrong}
        with pytest.raises(ConfigurationError, match=f"set {said}"):
            _ = DetectAnomalies(weights, output_dir=tmp_path, **options).operating_point


def test_unusual_films_are_flagged_and_drawn(weights, films, tmp_path):
    output = tmp_path / "output"
    detect = DetectAnomalies(weights, output_dir=output)
    records = detect(films, blurred(films))
    assert all(isinstance(record, AnomalyDetection) for record in records)
    assert [record.anomalous for record in records] == [False] * 4 + [True] * 4
    scores = [record.anomaly_score for record in records]
    assert max(scores[:4]) < min(scores[4:])
    assert [record.out_of_distribution for record in records] == [
        score > detect.operating_point.out_of_distribution for score in scores
    ]
    with Image.open(output / "overlays" / "sub" / "odd (0).png.png") as picture:
        assert picture.width == 3 * 384 + 48
        assert picture.height < 384


def test_tables_hold_the_records(weights, films, tmp_path):
    detect = DetectAnomalies(weights, output_dir=tmp_path, overlays=False)
    records = detect(films, blurred(films))
    assert detect.tables(tmp_path, records) == {"anomalous": 4, "normal": 4}
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as table:
        reader = csv.DictReader(table)
        rows = list(reader)
    assert reader.fieldnames == ["filename", "anomaly_score", "anomalous", "out_of_distribution"]
    assert [row["filename"] for row in rows] == [film.filename for film in films]
    written = json.loads((tmp_path / "predictions.json").read_text("utf-8"))
    assert written["predictions"][0]["anomaly_score"] == records[0].anomaly_score
    assert not (tmp_path / "overlays").exists()
    assert detect.about()["threshold"] == detect.operating_point.threshold
    assert detect.caption(records[-1]).title.startswith("anomalous")


def test_given_threshold_decides(weights, films, tmp_path):
    detect = DetectAnomalies(weights, output_dir=tmp_path, overlays=False, threshold=1e6)
    assert not any(record.anomalous for record in detect(films, blurred(films)))


def test_output_that_is_not_finite_becomes_a_refusal(weights, films, tmp_path):
    made = blurred(films)
    made[2, 0, 5, 5] = np.nan
    records = DetectAnomalies(weights, output_dir=tmp_path, overlays=False)(films, made)
    assert [isinstance(record, Refusal) for record in records] == [place == 2 for place in range(8)]


def test_film_that_vanished_becomes_a_refusal(weights, films, tmp_path):
    films[1].item.path.unlink()
    records = DetectAnomalies(weights, output_dir=tmp_path)(films, blurred(films))
    assert isinstance(records[1], Refusal)
