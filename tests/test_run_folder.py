import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_fixture import make_chest_set
from monai.bundle import ConfigParser

from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import ConfigurationError, DatasetError, Reason, RunError
from pipelines.networks.device import pick_device
from pipelines.workflows.run_folder import RunRecord, choose_run_folder, unfinished_runs


@pytest.fixture
def bundle(tmp_path):
    root = tmp_path / "bundles" / "some_bundle"
    root.mkdir(parents=True)
    return root


def begun(bundle, name, settings):
    folder = bundle.parents[1] / "runs" / bundle.name / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def chosen(bundle, settings):
    """Resolve `output_dir` as a config does."""
    target = {
        "_target_": "pipelines.workflows.run_folder.choose_run_folder",
        "bundle_root": str(bundle),
    }
    return ConfigParser({**settings, "output_dir": target}).get_parsed_content("output_dir")


def test_new_folder_stands_beside_the_bundles_and_is_not_made(bundle):
    folder = choose_run_folder(str(bundle))
    assert folder.startswith(str(bundle.parents[1] / "runs" / "some_bundle"))
    assert not os.path.exists(folder)  # noqa: PTH110 - a string, as the config has it
    assert choose_run_folder(str(bundle)) != folder


def test_unfinished_run_with_the_same_settings_goes_on(bundle):
    settings = {"seed": 1, "batch_size": 4}
    folder = begun(bundle, "20260101-000000-aaaaaa", settings)
    assert chosen(bundle, settings) == str(folder)


@pytest.mark.parametrize("other", [{"seed": 2, "batch_size": 4}, {"seed": 1}])
def test_unfinished_run_with_other_settings_is_left_alone(bundle, other):
    folder = begun(bundle, "20260101-000000-aaaaaa", {"seed": 1, "batch_size": 4})
    assert chosen(bundle, other) != str(folder)


def test_finished_run_is_not_continued(bundle):
    folder = begun(bundle, "20260101-000000-aaaaaa", {"seed": 1})
    (folder / "metrics.json").write_text("{}")
    assert unfinished_runs(folder.parent) == []
    assert chosen(bundle, {"seed": 1}) != str(folder)


def test_unfinished_runs_come_newest_first(bundle):
    older = begun(bundle, "20260101-000000-ffffff", {})
    newer = begun(bundle, "20260102-000000-aaaaaa", {})
    assert unfinished_runs(older.parent) == [newer, older]


@pytest.fixture
def data(tmp_path):
    make_chest_set(tmp_path / "data")
    return OpenedDataset(tmp_path / "data", classes=["NORMAL", "PNEUMONIA"])


def record(folder, data):
    return RunRecord(folder, dataset=data, seed=3, device="cpu")


def test_a_new_run_is_the_newest_though_the_clock_was_set_back(bundle):
    begun(bundle, "20991231-235959-aaaaaa", {"seed": 1})
    folder = Path(choose_run_folder(str(bundle)))
    assert folder.name.startswith("21000101-000000-")
    begun(bundle, folder.name, {"seed": 2})
    assert unfinished_runs(folder.parent)[0] == folder


def test_what_a_killed_run_left_unfinished_is_removed(tmp_path, data):
    left = tmp_path / "run" / "checkpoints" / ".writing-0123.pt"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    RunRecord(tmp_path / "run", dataset=data, seed=0, device="cpu").start()
    assert not left.exists()


def test_folder_records_what_is_run_on_what(tmp_path, data):
    record(tmp_path / "run", data).start()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text("utf-8"))
    assert environment["seed"] == 3
    assert environment["device"] == "cpu"
    assert environment["data_fingerprint"] == data.datalist.fingerprint()
    assert environment["versions"]["torch"].startswith("2.13.0")
    listed = json.loads((tmp_path / "run" / "datalist.json").read_text("utf-8"))
    assert len(listed["training"]) == len(data.split("train"))


def test_device_is_named_as_everywhere(tmp_path, data):
    named = RunRecord(tmp_path / "run", dataset=data, seed=0, device="auto")
    assert named.device == pick_device("auto")
    with pytest.raises(ConfigurationError, match="a device of this machine, got 'gpu'"):
        RunRecord(tmp_path / "run", dataset=data, seed=0, device="gpu")


def test_data_that_cannot_be_used_leaves_no_folder(tmp_path):
    nothing = OpenedDataset(tmp_path / "nothing", classes=["NORMAL", "PNEUMONIA"])
    assert nothing.split("all") == []
    with pytest.raises(DatasetError) as seen:
        record(tmp_path / "run", nothing).start()
    assert seen.value.reason is Reason.DATASET_LAYOUT
    assert not (tmp_path / "run").exists()


def test_run_that_another_process_writes_is_refused(tmp_path, data):
    code = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    (tmp_path / "run").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run" / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(RunError, match="another process is writing"):
            record(tmp_path / "run", data).start()
        holder.kill()
    # The kernel has dropped the dead process's lock.
    record(tmp_path / "run", data).start()


def test_folder_that_cannot_be_written_is_refused(tmp_path, data):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as seen:
        record(tmp_path / "file" / "run", data).start()
    assert seen.value.reason is Reason.OUTPUT_UNWRITABLE
    assert str(tmp_path) not in str(seen.value)
