import json

import numpy as np
import pytest
from anomaly_fixture import made_films

from pipelines.errors import ConfigurationError, Reason
from pipelines.evaluation.anomaly_point import (
    AnomalyPoint,
    check_target,
    clahe_of,
    clip_limit_of,
    image_size_of,
)
from pipelines.evaluation.anomaly_scores import AnomalyScore, Profile, measure_films
from pipelines.evaluation.figures import Figure


@pytest.fixture
def point():
    return AnomalyPoint(
        score=AnomalyScore.PROFILE,
        threshold=1.2,
        out_of_distribution=2.5,
        image_size=128,
        error_scale=0.3,
        criterion="sensitivity",
        target=0.9,
        split="validation",
        profile=Profile.fit(measure_films(*made_films(20, unusual=False))),
        chosen_from={"profile": 0.8},
        figures={"auroc": Figure(0.8, 0.7, 0.9), "ppv": Figure(None)},
    )


def test_point_comes_back_as_it_was_saved(point, tmp_path):
    point.save(tmp_path)
    again = AnomalyPoint.beside(tmp_path / "model.pt")
    assert repr(again) == repr(point)
    assert np.array_equal(again.profile.mean, point.profile.mean)
    assert np.array_equal(again.profile.whitening, point.profile.whitening)
    assert np.array_equal(again.profile.scale, point.profile.scale)
    assert image_size_of(tmp_path / "model.pt", without=1024) == 128


def test_size_has_a_default_without_weights(tmp_path):
    assert image_size_of(tmp_path / "model.pt", without=1024) == 1024


def test_older_files_without_clahe_still_load(point, tmp_path):
    point.save(tmp_path)
    file = tmp_path / "operating_point.json"
    content = json.loads(file.read_text("utf-8"))
    del content["clahe"], content["clip_limit"]
    file.write_text(json.dumps(content))
    weights = tmp_path / "model.pt"
    assert repr(AnomalyPoint.beside(weights)) == repr(point)
    assert (clahe_of(weights), clip_limit_of(weights)) == (False, 2.0)


@pytest.mark.parametrize("name", ["operating_point.json", "profile.npz"])
def test_missing_file_is_named(point, tmp_path, name):
    point.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigurationError, match=name) as caught:
        AnomalyPoint.beside(tmp_path / "model.pt")
    assert caught.value.reason is Reason.WEIGHTS_MISSING


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "classification"}, "expected the task"),
        ({"score": "entropy"}, "mean_error"),
        ({"threshold": -1}, "above 0"),
        ({"threshold": "high"}, "above 0"),
        ({"target": 2}, "between 0 and 1"),
        ({"criterion": "luck"}, "youden"),
        ({"figures": {"auroc": {"worth": 1}}}, "figures"),
        ({"clahe": 1}, "clahe true or false"),
        ({"clip_limit": 0}, "clip_limit above 0"),
        ({"more": 1}, "expected the task"),
    ],
)
def test_content_that_breaks_a_rule_is_refused(point, tmp_path, change, words):
    point.save(tmp_path)
    file = tmp_path / "operating_point.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | change))
    with pytest.raises(ConfigurationError, match=words):
        AnomalyPoint.beside(tmp_path / "model.pt")


@pytest.mark.parametrize("content", ["[]", "{", ""])
def test_file_that_is_no_object_is_refused(point, tmp_path, content):
    point.save(tmp_path)
    (tmp_path / "operating_point.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"JSON|object"):
        AnomalyPoint.beside(tmp_path / "model.pt")


def test_broken_profile_is_refused(point, tmp_path):
    point.save(tmp_path)
    (tmp_path / "profile.npz").write_bytes(b"PK nothing")
    with pytest.raises(ConfigurationError, match="profile of normal films"):
        AnomalyPoint.beside(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("criterion", "target", "good"),
    [
        ("youden", None, True),
        ("youden", 0.5, False),
        ("false_alarms", 0.05, True),
        ("false_alarms", None, False),
        ("sensitivity", 1.5, False),
        ("given", 0.5, False),
    ],
)
def test_target_goes_with_its_criterion(criterion, target, good):
    if good:
        check_target(criterion, target)
    else:
        with pytest.raises(ConfigurationError):
            check_target(criterion, target)
