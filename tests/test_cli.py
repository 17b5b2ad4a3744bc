"""The command line, in-process: what it calls, what it prints and with which status it ends."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_bundle import write_bundle
from sample_fixture import small_films

import pipelines
from pipelines.cli import main
from pipelines.deploy.export import Exported
from pipelines.deploy.export_table import Row
from pipelines.errors import ConfigurationError, DatasetError, Reason, RunError
from pipelines.verbs.options import settings
from pipelines.workflows import bundle as bundles

VERBS = ("list", "check", "datalist", "sample", "train", "evaluate", "predict")


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A working folder with one made-up bundle and a folder of images."""
    write_bundle(tmp_path / "bundles")
    (tmp_path / "films").mkdir()
    monkeypatch.setattr(bundles, "CHECKOUT", tmp_path / "no_checkout")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def calls(monkeypatch) -> list:
    """What the heavy functions were called with; they do nothing."""
    made = []

    def called(name, result):
        def fake(*positional, **named):
            made.append((name, positional, named))
            if isinstance(result, BaseException):
                raise result
            return result

        return fake

    def replace(target, result):
        monkeypatch.setattr(target, called(target.rpartition(".")[2], result))

    summary = {"inputs": 5, "predicted": 4, "skipped": 1, "failed": 0}
    replace("pipelines.workflows.run.train", Path("runs/made_up/1"))
    replace("pipelines.workflows.run.evaluate", Path("runs/made_up/2"))
    replace("pipelines.inference.batch.predict_folder", summary)
    made.append(replace)
    return made


def test_help_and_version(capsys):
    for arguments, said in ((["--help"], "130  stopped"), (["--version"], pipelines.__version__)):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        assert said in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"example:\n  plainfilm {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "did you mean 'train'?"),
        (["predict", "maed_up", "films", "out"], "did you mean 'made_up'?"),
        (["check", "maed_up"], "did you mean 'made_up'?"),
        (["train", "made_up", "--data", "films", "--resum"], "did you mean '--resume'?"),
        (["check", "--all"], "unexpected argument '--all'; see `plainfilm check --help`"),
        (["train", "made_up", "--data", "films", "--overlay", "evalute"], "'evaluate'"),
        (
            ["train", "made_up", "--data", "films", "--set", "max_epochs=3"],
            "'train::trainer::max_ep",
        ),
        (["train", "made_up", "--data", "films", "--set", "max_epochs"], "KEY=VALUE"),
        (["train", "made_up", "--data", "flims"], "none named 'flims'; did you mean 'films'?"),
        (["train", "made_up"], "--data"),
        (["train", "made_up", "--data", "qqq"], "none named 'qqq'; check the path"),
        (["train", "made_up", "--data", "films", "--set", "seed=abc"], "seed: expected a whole"),
        (["predict", "made_up", "films"], "OUTPUT"),
        (["predict", "made_up", "films", "out", "--set", "evaluator.network_=1"], "'network'"),
        (["sample", "chset", "out"], "did you mean 'chest'?"),
        (["sample", "chest", "out", "--count", "x"], "--count"),
        ([], "VERB"),
    ],
)
def test_wrong_use(root, calls, capsys, arguments, said):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.startswith(
        ("plainfilm: error (configuration): ", "plainfilm: error (unknown_name): ")
    )
    assert len(shown.err.splitlines()) <= 5
    assert str(root) not in shown.err
    assert len(calls) == 1, "nothing was run"


def test_check(root, capsys):
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "made_up: ok\n"
    path = root / "bundles" / "made_up" / "configs" / "train.json"
    path.write_text(path.read_text().replace('"max_epochs"', '"max_epoch"', 1))
    assert main(["check", "made_up"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("made_up/configs/train.json:")
    assert "did you mean 'max_epochs'?" in line


def test_check_with_what_shall_be_set_or_merged(root, capsys):
    known = ["--set", "train.trainer.max_epochs=3", "--overlay", "evaluate"]
    assert main(["check", "made_up", *known]) == 0
    assert main(["check", "made_up", "--set", "evaluator.hash_check=1"]) == 2
    assert "made_up: ok" in capsys.readouterr().out
    for wrong, said in (
        (["--set", "train.trainer.max_epoch=3"], "did you mean 'max_epochs'?"),
        (["--set", "train.trainer.max_epochs=x"], "--set: train::trainer::max_epochs: expected"),
        (["--overlay", "evalute"], "did you mean 'evaluate'?"),
    ):
        assert main(["check", "made_up", *wrong]) == 2
        shown = capsys.readouterr()
        assert said in shown.out + shown.err
        assert len((shown.out + shown.err).splitlines()) == 1


def test_check_without_bundles(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundles, "CHECKOUT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 2
    assert "no bundles" in capsys.readouterr().err
    assert main(["list"]) == 0


def test_a_broken_bundle_is_not_run(root, calls, capsys):
    path = root / "bundles" / "made_up" / "configs" / "train.json"
    text = path.read_text()
    for word in ("max_epochs", "spatial_dims", "total_steps", "batch_size", "tag_name"):
        text = text.replace(f'"{word}"', f'"{word}_"', 1)
    path.write_text(text)
    assert main(["train", "made_up", "--data", "films"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 5
    assert lines[-1] == "and 2 more: plainfilm check made_up"
    assert len(calls) == 1


def test_train_passes_everything_on(root, calls, capsys):
    arguments = ["train", "made_up", "--data", "films", "--output", "out", "--resume"]
    arguments += ["--set", "train.trainer.max_epochs=3", "--set", "train#trainer#amp=true"]
    assert main([*arguments, "--overlay", "evaluate"]) == 0
    name, positional, named = calls[-1]
    assert name == "train"
    assert positional[0].root == root / "bundles" / "made_up"
    assert named == {
        "data": Path("films"),
        "output_dir": Path("out"),
        "overlays": ["evaluate"],
        "overrides": {"train::trainer::max_epochs": 3, "train::trainer::amp": True},
        "resume": True,
    }
    assert capsys.readouterr().out == "run folder: runs/made_up/1\n"


def test_evaluate(root, calls, capsys):
    assert main(["evaluate", "made_up", "--data", "films", "--set", "checkpoint=x.pt"]) == 0
    name, _, named = calls[-1]
    assert name == "evaluate"
    assert named["overrides"] == {"checkpoint": "x.pt"}
    assert "runs/made_up/2" in capsys.readouterr().out


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (2, 3)])
def test_predict(root, calls, capsys, failed, status):
    summary = {"inputs": 5 + failed, "predicted": 4, "skipped": 1, "failed": failed}
    calls[0]("pipelines.inference.batch.predict_folder", summary)
    assert main(["predict", "made_up", "films", "out", "--restart"]) == status
    _, positional, named = calls[-1]
    assert positional[1:] == (Path("films"), Path("out"))
    assert named == {"overrides": {}, "overlays": [], "restart": True, "shard": None}
    said = capsys.readouterr().out
    assert said == f"{5 + failed} inputs: 4 predicted, 1 skipped, {failed} failed; tables: out\n"


def test_explain_and_region_are_keys_of_the_configuration(root, calls, capsys):
    configuration = root / "bundles" / "made_up" / "configs" / "inference.json"
    content = json.loads(configuration.read_text("utf-8")) | {"explain": False, "region": "none"}
    configuration.write_text(json.dumps(content), "utf-8")
    summary = {"inputs": 0, "predicted": 0, "skipped": 0, "failed": 0}
    calls[0]("pipelines.inference.batch.predict_folder", summary)
    assert main(["predict", "made_up", "films", "out", "--explain", "--region", "mask"]) == 0
    assert calls[-1][2]["overrides"] == {"explain": True, "region": "mask"}


def test_export(root, calls, capsys):
    row = Row("torch float32", 8.2, 20.4, 60.0, 0, 0.0, 0.0)
    calls[0]("pipelines.deploy.export.export_bundle", Exported(Path("model.ts"), (row,)))
    assert main(["export", "made_up", "--output", "model.ts"]) == 0
    _, positional, named = calls[-1]
    assert positional[0].name == "made_up"
    assert (named["export_format"], named["output"]) == ("torchscript", Path("model.ts"))
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ["torch", "float32", "8.2", "20.4", "60.0", "0", "0"]
    assert said[-1] == "exported: model.ts"
    assert main(["export", "made_up", "--int8"]) == 2
    assert "expected --int8 and --calibration DIR together" in capsys.readouterr().err


def wrapped(error: Exception) -> Exception:
    """An error as MONAI passes it on, with two others around it."""
    outer = RuntimeError("Failed to evaluate ConfigExpression: '$@train::trainer.run()'")
    outer.__cause__ = RuntimeError("Failed to instantiate component")
    outer.__cause__.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DatasetError(Reason.DATASET_LAYOUT, "no class folders"), 2, "(dataset_layout): no class"),
        (DatasetError(Reason.TRUNCATED, "3 of 9"), 1, "error (truncated): 3 of 9"),
        (
            ConfigurationError(Reason.CONFIGURATION, "no such thing"),
            2,
            "error (configuration): no such thing",
        ),
        (
            wrapped(RunError(Reason.NOT_FINITE, "the loss is NaN")),
            1,
            "error (not_finite): the loss is NaN",
        ),
        (
            wrapped(RuntimeError("CUDA out of memory\nand so on")),
            1,
            "RuntimeError: CUDA out of mem",
        ),
        (OSError(28, "No space left on device", "/secret/Doe^Jane"), 1, "No space left on device"),
        (ValueError("Doe^Jane"), 1, "error (internal): ValueError"),
    ],
)
def test_errors_are_one_line_without_patient_data(root, calls, capsys, error, status, said):
    calls[0]("pipelines.workflows.run.train", error)
    assert main(["train", "made_up", "--data", "films"]) == status
    shown = capsys.readouterr().err
    assert said in shown
    assert len(shown.splitlines()) == 1
    assert "Doe" not in shown
    assert main(["train", "made_up", "--data", "films", "--debug"]) == status
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_interrupted(root, calls, capsys, verb):
    calls[0]("pipelines.workflows.run.train", KeyboardInterrupt())
    calls[0]("pipelines.inference.batch.predict_folder", KeyboardInterrupt())
    arguments = {"train": ["--data", "films"], "predict": ["films", "out"]}[verb]
    assert main([verb, "made_up", *arguments]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_classes_of_a_datalist_are_named(root, capsys):
    with small_films():
        assert main(["sample", "fracture", "limbs", "--count", "24"]) == 0
    arguments = ["datalist", "flat", "limbs", "--classes", "not fractured", "--output", "list.json"]
    assert main(arguments) == 0
    listed = json.loads(Path("list.json").read_text("utf-8"))
    normal = {Path(item["image"]).parent.name for item in listed["training"]}
    assert normal == {"not fractured"}


def test_sample_then_datalist(root, capsys):
    with small_films():
        assert main(["sample", "chest", "demo", "--count", "24"]) == 0
    assert main(["datalist", "chest_xray", "demo", "--output", "list.json"]) == 0
    said = capsys.readouterr().out
    assert "generated images: demo" in said
    assert "PNEUMONIA" in said
    listed = json.loads((root / "list.json").read_text())
    assert {"training", "validation", "test"} <= listed.keys()
    shutil.rmtree(root / "demo")


def test_list(root, capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("made_up 0.1.0\n")
    assert "weights  none" in said
    assert "classes  film" in said


@given(
    key=st.lists(st.from_regex(r"\A[a-z_]+\Z"), min_size=1, max_size=4),
    separator=st.sampled_from([".", "#", "::"]),
    value=st.none() | st.booleans() | st.integers() | st.lists(st.text()) | st.text("ab=c "),
)
def test_settings_come_back(key, separator, value):
    written = value if isinstance(value, str) else json.dumps(value)
    assert settings([f"{separator.join(key)}={written}"]) == {"::".join(key): value}
