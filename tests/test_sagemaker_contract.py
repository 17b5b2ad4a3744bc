"""What a SageMaker container is told, and what becomes of it, without any training."""

import csv
import json
import os
from pathlib import Path

import pytest
from dataset_fixture import make_images
from hypothesis import given, settings
from hypothesis import strategies as st
from sagemaker_fixture import SMALL, write_container
from sample_fixture import write_small_samples

from pipelines.cli import main
from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.films import LayoutError
from pipelines.datasets.pairs import find_pairs
from pipelines.deploy.sagemaker import training
from pipelines.deploy.sagemaker.channels import join_channels
from pipelines.deploy.sagemaker.contract import read_contract
from pipelines.deploy.sagemaker.failure import LONGEST, without_names, write_failure
from pipelines.deploy.sagemaker.hosts import Hosts
from pipelines.deploy.sagemaker.hyperparameters import read_hyperparameters
from pipelines.errors import ConfigurationError
from pipelines.workflows import devices


@pytest.fixture(scope="module")
def chest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chest") / "data"
    write_small_samples("chest", folder, count=16, seed=1)
    return folder


def channels_of(folder):
    return {path.name: path for path in folder.iterdir() if path.is_dir()}


def names(items, root):
    return sorted(Path(item["image"]).relative_to(root).as_posix() for item in items)


def test_files_tell_what_the_environment_does_not(tmp_path):
    environment = write_container(tmp_path, hosts=("algo-2", "algo-10", "algo-1"), current="algo-2")
    (tmp_path / "input" / "data" / "train").mkdir()
    contract = read_contract(environment)
    assert contract.hyperparameters == SMALL
    assert contract.channels == {"train": tmp_path / "input" / "data" / "train"}
    assert contract.hosts == Hosts(("algo-1", "algo-2", "algo-10"), "algo-2", "eth0")
    assert contract.hosts.rank == 1
    assert contract.model_dir == tmp_path / "model"
    assert contract.checkpoint_dir == tmp_path / "checkpoints"
    assert contract.failure == tmp_path / "output" / "failure"

    told = environment | {
        "SM_CHANNEL_TRAIN": "/a/train",
        "SM_CHANNEL_VAL": "/a/val",
        "SM_MODEL_DIR": "/a/model",
        "SM_CHECKPOINT_DIR": "/a/kept",
        "SM_OUTPUT_DATA_DIR": "/a/out",
        "SM_HPS": json.dumps({"bundle": "x", "batch_size": 8, "sagemaker_program": "train.py"}),
        "SM_HOSTS": '["algo-1"]',
        "SM_CURRENT_HOST": "algo-1",
    }
    contract = read_contract(told)
    assert contract.channels == {"train": Path("/a/train"), "val": Path("/a/val")}
    assert (contract.model_dir, contract.checkpoint_dir) == (Path("/a/model"), Path("/a/kept"))
    assert contract.output_data_dir == Path("/a/out")
    assert contract.hyperparameters == {"bundle": "x", "batch_size": 8}
    assert contract.hosts.count == 1
    assert read_contract({}).base == Path("/opt/ml")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"SM_HPS": "{"}, "JSON in the variable SM_HPS"),
        ({"SM_HPS": "[1]"}, "names with values in SM_HPS, got list"),
        ({"SM_NUM_GPUS": "many"}, "a number in the variable SM_NUM_GPUS, got 'many'"),
        ({"SM_CURRENT_HOST": "algo-9"}, "this host among algo-1, got 'algo-9'"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, told, said):
    with pytest.raises(ConfigurationError, match=said.replace("[", r"\[")):
        read_contract(write_container(tmp_path) | told)


def test_every_host_knows_its_place_and_the_same_master():
    hosts = ["algo-10", "algo-2", "algo-1"]
    parts = [Hosts.of(hosts, name, interface="eth0").machines(4) for name in hosts]
    assert [part.place for part in parts] == [2, 1, 0]
    assert {(part.master, part.port, part.count, part.processes) for part in parts} == {
        ("algo-1", 29500, 3, 4)
    }
    assert devices._environment(parts[0], Path("f"))["NCCL_SOCKET_IFNAME"] == "eth0"
    assert devices._launch_config(parts[1], Path("f"), silent=True).rdzv_endpoint == "algo-1:29500"
    assert Hosts().machines(1).alone


@pytest.mark.parametrize(
    ("hosts", "current", "told", "processes"),
    [
        (("algo-1",), "algo-1", {"SM_NUM_GPUS": "4"}, 4),
        (("algo-1", "algo-2"), "algo-1", {"SM_NUM_GPUS": "0"}, 1),
        (("algo-1", "algo-2"), "algo-2", {"SM_NUM_GPUS": "8", "MASTER_PORT": "4000"}, 8),
    ],
)
def test_a_process_a_gpu_trains_on_each_host(
    chest, tmp_path, monkeypatch, capsys, hosts, current, told, processes
):
    started = []
    monkeypatch.setattr(
        devices,
        "train_on_devices",
        lambda bundle, machines, **given: started.append((machines, given)),
    )
    handed = []
    for name in ("hand_back_run", "hand_back_model"):
        monkeypatch.setattr(training, name, lambda *given: handed.append(given))
    given = {name: value for name, value in SMALL.items() if name != "device"}
    environment = write_container(
        tmp_path, data=chest, hosts=hosts, current=current, hyperparameters=given
    )
    training.train(environment | told)
    ((machines, given),) = started
    assert (machines.processes, machines.count) == (processes, len(hosts))
    assert machines.port == int(told.get("MASTER_PORT", 29500))
    assert given["output_dir"] == tmp_path / "checkpoints" / "run"
    assert (given["data"] / "train").is_dir()
    assert given["overrides"]["image_size"] == 32
    # The first host alone hands back.
    assert bool(handed) == (current == "algo-1")
    assert f"{processes} processes" in capsys.readouterr().out


def test_channels_of_class_folders_are_one_data_set(chest, tmp_path):
    root = join_channels(channels_of(chest), tmp_path / "w")
    joined, plain = (build_datalist(each, val_fraction=0.1) for each in (root, chest))
    for split in ("train", "val", "test"):
        assert names(getattr(joined, split), root) == names(getattr(plain, split), chest)
    assert joined.fingerprint() == plain.fingerprint()
    # Again, as after an interruption, and without a channel.
    again = join_channels({"train": chest / "train", "validation": chest / "val"}, tmp_path / "w")
    assert again == root
    assert sorted(path.name for path in root.iterdir()) == ["train", "val"]


def test_a_single_channel_is_the_whole_data_set_in_any_layout(chest, tmp_path):
    assert join_channels({"train": chest, "weights": tmp_path}, tmp_path / "w") == chest
    (tmp_path / "listed").mkdir()
    (tmp_path / "listed" / "labels.csv").write_text("image,label\n", "utf-8")
    alone = join_channels({"training": tmp_path / "listed"}, tmp_path / "w")
    assert alone == tmp_path / "listed" / "labels.csv"


def test_channels_of_hands_are_pairs_of_films_and_masks(tmp_path):
    folder = tmp_path / "hands"
    for split, persons in (("train", 3), ("val", 2), ("test", 2)):
        for person in range(persons):
            name = f"{split[0]}{person:03d}/image_R"
            make_images(folder / split / "DCM", [f"{name}.png"])
            mask = folder / split / "outputs_json" / f"{name}.json"
            mask.parent.mkdir(parents=True)
            mask.write_text("{}", "utf-8")
    joined = find_pairs(join_channels(channels_of(folder), tmp_path / "w"))
    plain = find_pairs(folder)
    assert [(pair.name, pair.split, pair.patient) for pair in joined.pairs] == [
        (pair.name, pair.split, pair.patient) for pair in plain.pairs
    ]
    assert [pair.split for pair in joined.pairs].count("train") == 3
    assert not joined.problems


@pytest.mark.parametrize("suffix", ["", ".png"])
def test_tables_of_channels_are_joined(tmp_path, suffix):
    for split, count in (("train", 6), ("val", 4), ("test", 4)):
        folder = tmp_path / "s3" / split
        make_images(folder, [f"images/{split}{i}.png" for i in range(count)])
        rows = [
            f"L{split}{i};{split}{i}{suffix};{'mel' if i % 2 else 'nv'};x" for i in range(count)
        ]
        text = "\n".join(["lesion_id;image_id;dx;localization", *rows])
        (folder / "metadata.csv").write_text(text, "utf-8")
    root = join_channels(channels_of(tmp_path / "s3"), tmp_path / "w")
    found = build_datalist(root, classes=("nv", "mel"))
    assert names(found.test, root) == [f"test/images/test{i}.png" for i in range(4)]
    assert (len(found.train), len(found.val)) == (6, 4)
    assert [item["label"] for item in found.val] == [0, 1, 0, 1]
    with (root / "metadata.csv").open(newline="", encoding="utf-8") as table:
        assert {row["split"] for row in csv.DictReader(table)} == {"train", "val", "test"}

    (tmp_path / "s3" / "val" / "metadata.csv").unlink()
    with pytest.raises(LayoutError, match="got none in val"):
        join_channels(channels_of(tmp_path / "s3"), tmp_path / "w")


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ({"tran": "."}, "no use for a channel named 'tran'; did you mean 'train'?"),
        ({"train": ".", "training": "."}, "one channel for the split 'train', got two"),
        ({"val": "."}, "expected a channel 'train' with films, got val"),
        ({}, "got no channel"),
    ],
)
def test_channels_that_say_nothing_are_refused(tmp_path, channels, said):
    with pytest.raises(ConfigurationError) as refused:
        join_channels({name: Path(path) for name, path in channels.items()}, tmp_path)
    assert said in str(refused.value)


def test_hyperparameters_are_checked_as_set_is(tmp_path):
    wanted = read_hyperparameters(
        {
            "bundle": "pneumonia_classification",
            "overlays": "resnet50",
            "train.trainer.max_epochs": 2,
        }
    )
    assert wanted.bundle.name == "pneumonia_classification"
    assert wanted.overlays == ("resnet50",)
    assert wanted.overrides == {"train::trainer::max_epochs": 2}


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({"bundel": "pneumonia_classification"}, "is 'bundel' meant?"),
        ({"bundle": "pnuemonia_classification"}, "did you mean 'pneumonia_classification'?"),
        ({"overlays": "resnet5"}, "did you mean 'resnet50'?"),
        ({"train.trainer.max_epoch": "3"}, "did you mean 'max_epochs'?"),
        ({"output_dir": "/tmp"}, "no hyperparameter 'output_dir'"),
    ],
)
def test_a_wrong_hyperparameter_ends_the_job_with_its_reason(
    tmp_path, capsys, monkeypatch, hyperparameters, said
):
    base = {} if "bundel" in hyperparameters else {"bundle": "pneumonia_classification"}
    environment = write_container(tmp_path, hyperparameters=base | hyperparameters)
    monkeypatch.setenv("SAGEMAKER_BASE_DIR", environment["SAGEMAKER_BASE_DIR"])
    assert main(["sagemaker", "train"]) == 2
    assert said in capsys.readouterr().err
    assert said in (tmp_path / "output" / "failure").read_text("utf-8")
    assert not list((tmp_path / "model").iterdir())


def test_the_reason_of_a_failure_names_no_film_and_is_short(tmp_path):
    data = tmp_path / "data"
    make_images(data, ["train/NORMAL/DOE_JANE/film7.png", "train/PNEUMONIA/roe.png"])
    environment = write_container(tmp_path / "ml", data=data)
    error = LayoutError(
        "expected every film to be readable, 2 are not (film7.png, DOE_JANE/film7)",
        ["train/NORMAL/DOE_JANE/film7.png", "train/PNEUMONIA/roe.png"],
        remedy="mend the class NORMAL" + " and more" * 200,
    )
    write_failure(error, environment)
    text = (tmp_path / "ml" / "output" / "failure").read_text("utf-8")
    assert text.startswith("error (dataset_layout): expected every film")
    assert "NORMAL" in text
    assert not {"DOE", "film7", "roe"} & set(text.replace("/", " ").split())
    assert "DOE_JANE" not in text
    assert len(text) <= LONGEST


def test_an_unexpected_error_is_told_without_its_text(tmp_path):
    environment = write_container(tmp_path)
    write_failure(ValueError("PatientName is DOE^JANE"), environment)
    text = (tmp_path / "output" / "failure").read_text("utf-8")
    assert "ValueError" in text
    assert "DOE" not in text


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text("abcXYZ019_-. ", min_size=3, max_size=12), min_size=1, max_size=5))
def test_no_name_that_stands_alone_is_left(found):
    kept = [name for name in found if name.strip() == name and name[0] not in "-. "]
    said = "; ".join(f"({name})" for name in kept)
    hidden = without_names(said, kept)
    assert all(f"({name})" not in hidden for name in kept)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lunch"], "'launch'"),
        ([], "PART"),
        (["launch"], "CONFIG.yaml"),
        (["train", os.devnull], "unexpected argument"),
    ],
)
def test_a_wrong_use_is_refused(capsys, arguments, said):
    assert main(["sagemaker", *arguments]) == 2
    assert said in capsys.readouterr().err
