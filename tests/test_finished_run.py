import json

import pytest
from bundle_fixture import quick_run

from pipelines.errors import ConfigurationError
from pipelines.files import write_csv, write_json
from pipelines.workflows import finished_run
from pipelines.workflows.finished_run import read_run

NETWORK = {
    "_target_": "monai.networks.nets.DenseNet",
    "spatial_dims": 2,
    "in_channels": 3,
    "out_channels": 1,
    "block_config": [1, 1],
    "init_features": 8,
    "growth_rate": 4,
}
METRICS = {
    "split": "validation",
    "n": 3,
    "metrics": {"auroc": {"value": 0.9, "low": 0.8, "high": None}},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Neither pictures, which others look at, nor a second to measure the speed of each network."""
    monkeypatch.setattr(finished_run, "_SECONDS", 0.01)
    with quick_run():
        yield


def write_run(folder, *, metrics=METRICS, config=None, films=("a.png", "b.png", "c.png")):
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "config.json", {"network_def": NETWORK, "image_size": 32, **(config or {})})
    write_csv(folder / "predictions.csv", ["filename"], [{"filename": film} for film in films])
    return folder


def test_run_has_figures_parameters_and_speed(tmp_path):
    from monai.networks.nets import DenseNet

    run = read_run("tiny", write_run(tmp_path / "run"))
    arguments = {key: value for key, value in NETWORK.items() if key != "_target_"}
    expected = sum(each.numel() for each in DenseNet(**arguments).parameters())
    assert run.row.name == "tiny"
    assert (run.row.split, run.row.films) == ("validation", 3)
    assert run.row.figures["auroc"].value == 0.9
    assert run.row.figures["auroc"].high is None
    assert run.row.parameters == expected
    assert run.row.films_per_second > 1


def test_films_are_told_apart_by_name_and_not_by_order(tmp_path):
    one = read_run("one", write_run(tmp_path / "1"))
    two = read_run("two", write_run(tmp_path / "2", films=("c.png", "a.png", "b.png")))
    other = read_run("other", write_run(tmp_path / "3", films=("c.png", "a.png", "d.png")))
    assert one.films == two.films != other.films


def test_network_that_cannot_be_built_leaves_its_figures_out(tmp_path):
    config = {"network_def": {"_target_": "no.such.network"}}
    run = read_run("broken", write_run(tmp_path / "run", config=config))
    assert run.row.parameters is None
    assert run.row.films_per_second is None
    assert run.row.figures["auroc"].value == 0.9


def test_size_that_is_not_known_leaves_the_speed_out(tmp_path):
    run = read_run("run", write_run(tmp_path / "run", config={"image_size": None}))
    assert run.row.parameters > 0
    assert run.row.films_per_second is None


def test_missing_unfinished_and_broken_runs_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="expected the folder of a run, found none"):
        read_run("none", tmp_path / "none")
    (tmp_path / "begun").mkdir()
    with pytest.raises(ConfigurationError, match=r"'begun' has no metrics.json.*name one of"):
        read_run("begun", tmp_path / "begun")
    (tmp_path / "begun" / "config.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"'begun' has no metrics.json.*go on with it"):
        read_run("begun", tmp_path / "begun")
    for content in ({}, {"metrics": {"auroc": 1}}, {**METRICS, "n": None}):
        write_run(tmp_path / "broken", metrics=json.loads(json.dumps(content)))
        with pytest.raises(ConfigurationError, match="expected the figures of a run"):
            read_run("broken", tmp_path / "broken")
