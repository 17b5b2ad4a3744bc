import csv
import json

import numpy as np
import pytest
from anomaly_fixture import made_cases
from PIL import Image

from pipelines.evaluation.anomaly import choose_anomaly_point, evaluate_anomalies
from pipelines.evaluation.anomaly_files import write_anomalies
from pipelines.evaluation.anomaly_pictures import (
    PANEL_SIDE,
    draw_anomaly,
    heat_map,
    stack_pictures,
    write_picture,
)
from pipelines.evaluation.anomaly_rows import anomaly_cells
from pipelines.evaluation.anomaly_scores import Profile


def evaluation_of(cases):
    profile = Profile.fit(made_cases(40, 0, seed=9).measured)
    point = choose_anomaly_point(cases, profile, image_size=32, error_scale=0.2)
    return evaluate_anomalies(cases, point, split="validation", resamples=50)


def rows(path):
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def test_tables_hold_every_film_and_figure(tmp_path):
    evaluation = evaluation_of(made_cases(12, 8))
    write_anomalies(tmp_path, evaluation)
    films = rows(tmp_path / "predictions.csv")
    assert [film["filename"] for film in films] == list(evaluation.cases.filenames)
    assert [float(film["anomaly_score"]) for film in films] == pytest.approx(
        evaluation.scores.tolist(), rel=1e-8
    )
    assert [film["anomalous"] for film in films] == [
        str(bool(score >= evaluation.point.threshold)).lower() for score in evaluation.scores
    ]
    assert films[0]["label"] == "normal"
    metrics = json.loads((tmp_path / "metrics.json").read_text("utf-8"))
    assert metrics["films"] == {"normal": 12, "anomalous": 8}
    listed = {row["metric"]: row["value"] for row in rows(tmp_path / "metrics.csv")}
    assert float(listed["auroc"]) == metrics["metrics"]["auroc"]["value"]
    for name in ("scores.png", "roc.png", "precision_recall.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300


def test_films_without_labels_have_no_curves(tmp_path):
    write_anomalies(tmp_path, evaluation_of(made_cases(12, 0)))
    assert (tmp_path / "scores.png").is_file()
    assert not (tmp_path / "roc.png").exists()


def test_cells_are_safe_for_spreadsheets():
    cells = anomaly_cells("=1+1.png", 0.1, anomalous=True, out_of_distribution=None)
    assert list(cells.values()) == ["./=1+1.png", 0.1, "true", ""]


def test_heat_is_bright_where_the_error_is():
    film = np.zeros((64, 64), np.float32)
    made = film.copy()
    made[10:20, 40:50] = 0.5
    heat = heat_map(film, made, error_scale=0.25)
    assert heat[15, 45] == 1
    assert heat[40, 10] == 0


def test_panels_have_the_shape_of_the_film_and_leave_it_as_it_is(tmp_path):
    original = np.tile(np.linspace(0, 1, 200, dtype=np.float32), (100, 1))
    film = np.tile(np.linspace(0, 1, 32, dtype=np.float32), (32, 1))
    picture = draw_anomaly(original, film, film * 0.5, error_scale=0.2, title="anomalous")
    path = tmp_path / "overlays" / "film [1].png.png"
    write_picture(path, stack_pictures([picture, picture]))
    with Image.open(path) as written:
        pixels = np.asarray(written)
    assert pixels.shape == (2 * picture.height, 3 * PANEL_SIDE + 48, 3)
    shown = pixels[100, 12 : 12 + PANEL_SIDE]
    assert (shown[:, 0] == shown[:, 2]).all()
    assert np.abs(shown[:, 0] / 255 - np.linspace(0, 1, PANEL_SIDE)).max() < 0.01
