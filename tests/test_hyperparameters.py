import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.tensorboard import SummaryWriter

from pipelines.training.hyperparameters import (
    add_hyperparameters,
    flat_settings,
    recorded_settings,
)

SETTINGS = {
    "_desc_": "made up",
    "bundle_root": "/somewhere",
    "output_dir": "/home/somebody/runs/1",
    "seed": 3,
    "amp": True,
    "classes": ["a", "b"],
    "network": "$@network_def.to(@device)",
    "weights": None,
    "train": {"dataset": {"_target_": "a.b.Films", "data": "@data", "sizes": [1, "@two"]}},
}


def test_settings_are_flat_and_say_nothing_of_this_machine():
    assert flat_settings(SETTINGS) == {
        "seed": 3,
        "amp": True,
        "classes": "['a', 'b']",
        "train.dataset": "Films",
    }


def test_settings_of_a_run_are_read_from_its_folder(tmp_path):
    assert recorded_settings(tmp_path) == {}
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    assert recorded_settings(tmp_path)["seed"] == 3
    (tmp_path / "config.json").write_text("[1]")
    assert recorded_settings(tmp_path) == {}


def test_tensorboard_has_settings_and_metrics_in_the_run_itself(tmp_path):
    with SummaryWriter(str(tmp_path)) as writer:
        add_hyperparameters(writer, {"seed": 3, "loss": "Focal"}, {"validation/auroc": 0.9})
    assert [path.is_dir() for path in tmp_path.iterdir()] == [False]
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    parts = read.PluginTagToContent("hparams")
    start = plugin_data_pb2.HParamsPluginData.FromString(
        parts["_hparams_/session_start_info"]
    ).session_start_info
    assert start.hparams["seed"].number_value == 3
    assert start.hparams["loss"].string_value == "Focal"
    made = plugin_data_pb2.HParamsPluginData.FromString(parts["_hparams_/experiment"])
    assert [info.name.tag for info in made.experiment.metric_infos] == ["validation/auroc"]
