import json
import os

import pytest
from dataset_fixture import make_chest_set
from test_finished_run import METRICS, quick, write_run

from pipelines.cli import main
from pipelines.errors import ConfigurationError
from pipelines.workflows.compare import compare

__all__ = ["quick"]

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def test_finished_runs_are_laid_side_by_side_and_others_told(tmp_path):
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two")
    other = write_run(tmp_path / "other", films=("x.png", "y.png", "z.png"))
    (tmp_path / "begun").mkdir()
    sources = [one, tmp_path / "begun", other, two, tmp_path / "missing"]
    comparison = compare(sources, tmp_path / "out")
    assert [run.name for run in comparison.runs] == ["one", "two"]
    assert len(comparison.problems) == 3
    begun, missing, elsewhere = comparison.problems
    assert begun.startswith("begun: expected a finished run")
    assert missing.startswith("missing: expected the folder of a run")
    assert elsewhere.startswith("other: expected the 3 films (validation) of one")
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"comparison.txt", "comparison.csv", "comparison.png"}


def test_runs_of_one_name_are_told_apart_by_their_folder(tmp_path):
    sources = [write_run(tmp_path / side / "run") for side in ("left", "right")]
    names = [run.name for run in compare(sources, tmp_path / "out").runs]
    assert names == ["left/run", "right/run"]


def test_nothing_to_compare_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="found none named 'missing'"):
        compare([tmp_path / "missing"], tmp_path / "out")


def test_verb_prints_the_table_and_counts_what_is_missing(tmp_path, capsys):
    one = write_run(tmp_path / "one", metrics={**METRICS, "n": 3})
    output = ["--output", str(tmp_path / "out")]
    assert main(["compare", str(one), *output]) == 0
    assert "one" in capsys.readouterr().out
    assert main(["compare", str(one), str(tmp_path / "none"), *output]) == 3
    assert "not compared: none: expected the folder" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "none"), *output]) == 2


def test_experiment_trains_its_runs_once_and_evaluates_them_on_one_split(tmp_path):
    make_chest_set(tmp_path / "films", persons=16)
    settings = {
        "image_size": 32,
        "batch_size": 8,
        "num_workers": 0,
        "train.trainer.max_epochs": 1,
        "data.val_fraction": 0.3,
        "device": "cpu",
    }
    experiment = {
        "bundle": "pneumonia_classification",
        "data": "films",
        "networks": ["mobilenet_v3_small"],
        "recipes": ["base", "basic"],
        "seeds": [1],
        "settings": settings,
        "split": "test",
    }
    path = tmp_path / "trial.yaml"
    path.write_text(json.dumps(experiment))
    first = compare([path], tmp_path / "out")
    assert first.problems == ()
    assert [run.name for run in first.runs] == ["mobilenet_v3_small", "mobilenet_v3_small basic"]
    assert {run.split for run in first.runs} == {"test"}
    assert [round(run.parameters / 1e6, 1) for run in first.runs] == [1.5, 1.5]
    weights = tmp_path / "out" / "trial" / "mobilenet_v3_small-basic" / "model.pt"
    trained = os.stat(weights).st_mtime_ns  # noqa: PTH116
    again = compare([path], tmp_path / "out")
    assert again.runs[0].figures == first.runs[0].figures
    assert os.stat(weights).st_mtime_ns == trained  # noqa: PTH116
    path.write_text(json.dumps(experiment | {"settings": settings | {"batch_size": 4}}))
    with pytest.raises(ConfigurationError, match="the experiment now has others"):
        compare([path], tmp_path / "out")
