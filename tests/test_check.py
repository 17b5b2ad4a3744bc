"""Every kind of mistake, planted alone, gets one line with file, line, place and the right name."""

import json
import time

import pytest
from made_up_bundle import TRAIN, write_bundle

from pipelines.errors import ConfigurationError
from pipelines.workflows.bundle import CHECKOUT, Bundle, find_bundle
from pipelines.workflows.check import check_bundle
from pipelines.workflows.required import Kind


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    return find_bundle(str(write_bundle(tmp_path)))


def plant(bundle: Bundle, file: str, *, right: str, wrong: str) -> None:
    path = bundle.configs / file
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))


def test_a_right_bundle_has_no_problem(bundle):
    assert check_bundle(bundle) == []


@pytest.mark.parametrize("folder", sorted((CHECKOUT / "bundles").glob("*/configs")), ids=str)
def test_bundles_of_this_project_have_no_problem(folder):
    assert list(map(str, check_bundle(find_bundle(str(folder.parent))))) == []


MISTAKES = {
    # what: file, right, wrong, place of the problem, what it says
    "argument": (
        "train",
        '"max_epochs"',
        '"max_epoch"',
        "train::trainer::max_epoch",
        "'max_epochs'",
    ),
    "argument of a base class": (
        "train",
        '"in_channels"',
        '"in_chanels"',
        "network_def::in_chanels",
        "'in_channels'",
    ),
    "argument missing": (
        "train",
        '"max_lr": 0.01,',
        "",
        "scheduler",
        "needs the argument 'max_lr'",
    ),
    "argument handed on by **kwargs": (
        "train",
        '"batch_size": 2',
        '"batchsize": 2',
        "train::dataloader::batchsize",
        "'batch_size'",
    ),
    "argument without likeness": (
        "train",
        '"lr": 0.001',
        '"lr": 0.001, "zzz": 1',
        "optimizer::zzz",
        "AdamW takes no 'zzz'; it takes: params, lr",
    ),
    "class": ("train", "DenseNet121", "DenseNte121", "network_def::_target_", "'DenseNet121'"),
    "module": ("train", "torch.optim.A", "torch.optm.A", "optimizer::_target_", "'optim'"),
    "package": ("train", "monai.inf", "monia.inf", "train::inferer::_target_", "'monai'"),
    "bare name": (
        "train",
        "EnsureTyped",
        "EnsureTypd",
        "train::preprocessing::transforms::1::_target_",
        "'EnsureTyped'",
    ),
    "module as target": (
        "train",
        "monai.networks.nets.DenseNet121",
        "monai.networks.nets",
        "network_def::_target_",
        "expected a class or function",
    ),
    "special key": (
        "train",
        '"_target_": "torch.nn.BCE',
        '"_targt_": "torch.nn.BCE',
        "loss::_targt_",
        "'_target_'",
    ),
    "mode": (
        "train",
        '"_target_": "torch.nn.BCE',
        '"_mode_": "calable", "_target_": "torch.nn.BCE',
        "loss::_mode_",
        "callable",
    ),
    "reference": ("train", '"@optimizer"', '"@optimzer"', "scheduler::optimizer", "'@optimizer'"),
    "reference inside": (
        "train",
        '"@validate::inferer"',
        '"@validate::infrer"',
        "validate::evaluator::inferer",
        "'@validate::inferer'",
    ),
    "reference in an expression": (
        "train",
        "$@network.par",
        "$@netwrok.par",
        "optimizer::params",
        "'@network'",
    ),
    "relative reference": (
        "train",
        '"@##dataset"',
        '"@##datset"',
        "train::dataloader::dataset",
        "'@train::dataset'",
    ),
    "name of what is referred to": (
        "train",
        '"loss":',
        '"los":',
        "train::trainer::loss_function",
        "'@los'",
    ),
    "text that looks like a reference": (
        "train",
        '"dataset_dir": "data"',
        '"dataset_dir": "@bundle_root/data"',
        "dataset_dir",
        "write $@bundle_root + '/data'",
    ),
    "expression without its mark": (
        "train",
        '"dataset_dir": "data"',
        '"dataset_dir": "@bundle_root + \'/../x\'"',
        "dataset_dir",
        "write $@bundle_root + '/../x'",
    ),
    "number below what can be": (
        "train",
        '"num_workers": 0',
        '"num_workers": -1',
        "train::dataloader::num_workers",
        "expected at least 0, got -1",
    ),
    "number that JSON has not": (
        "train",
        '"lr": 0.001',
        '"lr": NaN',
        "",
        "no valid JSON: NaN is no number of JSON",
    ),
    "circle": (
        "train",
        '"tag_name": "train_loss"',
        '"tag_name": "@train::trainer"',
        "train::trainer",
        "a circle of references",
    ),
    "macro": ("train", '"@loss"', '"%los"', "train::trainer::loss_function", "'%loss'"),
    "macro of a file": (
        "train",
        '"@loss"',
        '"%a.json::x"',
        "train::trainer::loss_function",
        "overlay",
    ),
    "required id": ("train", '"device": "$', '"devcie": "$', "devcie", "'device' is missing"),
    "required id inside": (
        "train",
        '"trainer": {',
        '"trainr": {',
        "train::trainr",
        "'train::trainer'",
    ),
    "required branch": ("train", '"train": {', '"trian": {', "trian", "'train' is missing"),
    "required id of inference": ("inference", '"dataset": {', '"datset": {', "datset", "'dataset'"),
    "fixed name": (
        "train",
        '"@train#handlers"',
        "[]",
        "train::trainer::train_handlers",
        "'@train::handlers'",
    ),
    "fixed name of the validator": (
        "train",
        '"interval": "@val_interval"',
        '"interval": "@seed"',
        "train::handlers::0::interval",
        "'@val_interval'",
    ),
    "handler that is none": (
        "train",
        '"handlers": [',
        '"handlers": [ "@loss",',
        "train::handlers::0",
        "component with _target_",
    ),
    "expression": (
        "train",
        "$@network_def.to(@device)",
        "$[x for x in @loss]",
        "network",
        "comprehension",
    ),
    "name in an expression": (
        "train",
        "set_determinism",
        "set_determinsm",
        "initialize::0",
        "'set_determinism'",
    ),
    "argument in an expression": ("train", "(seed=", "(sed=", "initialize::0", "'seed'"),
    "key given twice": ("train", '"seed": 0', '"seed": 0, "seed": 1', "seed", "given twice"),
    "comma": ("train", '"seed": 0,', '"seed": 0', "", "no valid JSON"),
    "overlay's key": ("evaluate", '"run"', '"rnu"', "rnu", "'run'"),
    "overlay's key inside": (
        "evaluate",
        "train::trainer::max_epochs",
        "trian::trainer::max_epochs",
        "trian::trainer::max_epochs",
        "'train::trainer::max_epochs'",
    ),
    "overlay's argument": (
        "evaluate",
        "train::trainer::max_epochs",
        "train::trainer::max_epoch",
        "train::trainer::max_epoch",
        "'max_epochs'",
    ),
    "overlay's reference": ("evaluate", "@validate::ev", "@valdate::ev", "run::0", "'@validate"),
    "overlay's mark": ("evaluate", '"_new_"', '"_nwe_"', "checkpoint", "_new_"),
    "metadata's field": ("metadata", '"task"', '"tsk"', "tsk", "'task' is missing"),
    "metadata's type": (
        "metadata",
        '"task": "none"',
        '"task": 3',
        "task",
        "expected a string, got int",
    ),
    "metadata's version": (
        "metadata",
        '"version": "0.1.0"',
        '"version": "0.1.1"',
        "changelog",
        "0.1.1",
    ),
    "metadata's tensor": (
        "metadata",
        '"num_channels": 1',
        '"num_channels": "1"',
        "network_data_format::inputs::image::num_channels",
        "whole number",
    ),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_one_mistake_is_one_problem(bundle, what):
    file, right, wrong, place, said = MISTAKES[what]
    plant(bundle, f"{file}.json", right=right, wrong=wrong)
    problems = check_bundle(bundle)
    if what == "overlay's mark":  # the key that is no longer marked, and the mark itself
        problems = [each for each in problems if each.place != "_nwe_"]
    assert len(problems) == 1, list(map(str, problems))
    assert problems[0].file == f"configs/{file}.json"
    assert problems[0].place == place
    assert said in problems[0].message
    text = (bundle.configs / f"{file}.json").read_text().splitlines()
    if what not in {"argument missing", "comma", "circle", "handler that is none"} and place:
        last = place.rpartition("::")[2]
        expected = [n for n, line in enumerate(text, start=1) if last in line or last.isdigit()]
        assert problems[0].line in expected
    assert len(str(problems[0]).splitlines()) == 1


def test_thousands_of_mistakes_are_said_in_part(bundle):
    path = bundle.configs / "train.json"
    content = json.loads(path.read_text())
    content["network_def"] |= {f"k{n}": f"@nosuch{n}" for n in range(1500)}
    path.write_text(json.dumps(content))
    problems = check_bundle(bundle)
    assert 100 < len(problems) <= 300
    assert {each.file for each in problems} == {"configs/train.json"}


def test_a_circle_longer_than_python_calls_itself_is_found(bundle):
    path = bundle.configs / "train.json"
    content = json.loads(path.read_text())
    content |= {f"k{n}": f"@k{(n + 1) % 3000}" for n in range(3000)}
    path.write_text(json.dumps(content))
    (problem,) = check_bundle(bundle)
    assert "a circle of references: @k" in problem.message
    assert problem.message.endswith("…")
    assert len(problem.message) < 300


def test_all_mistakes_are_said_at_once(bundle):
    plant(bundle, "train.json", right='"max_epochs"', wrong='"max_epoch"')
    plant(bundle, "train.json", right="DenseNet121", wrong="DenseNte121")
    plant(bundle, "inference.json", right="@evaluator", wrong="@evalutor")
    plant(bundle, "metadata.json", right='"task"', wrong='"tsk"')
    (bundle.root / "LICENSE").unlink()
    assert {each.file for each in check_bundle(bundle)} == {
        "LICENSE",
        "configs/train.json",
        "configs/inference.json",
        "configs/metadata.json",
    }
    assert len(check_bundle(bundle)) == 5


@pytest.mark.parametrize("name", ["train.json", "inference.json", "metadata.json", "logging.conf"])
def test_misspelt_file(bundle, name):
    wrong = name[0] + name[2:]
    (bundle.configs / name).rename(bundle.configs / wrong)
    (problem,) = check_bundle(bundle)
    assert problem.file == f"configs/{name}"
    assert wrong in problem.message


def test_bundle_of_yaml(bundle):
    (bundle.configs / "train.json").unlink()
    text = json.dumps(TRAIN, indent=2)  # JSON is YAML
    (bundle.configs / "train.yaml").write_text(text)
    assert check_bundle(bundle) == []
    (bundle.configs / "train.yaml").write_text(text.replace("0.001", "1e-3"))
    (problem,) = check_bundle(bundle)
    assert problem.place == "optimizer::lr"
    assert "1.0e-3" in problem.message


def test_overrides_hit_existing_keys(bundle):
    def said(overrides):
        return [str(each) for each in check_bundle(bundle, base=Kind.TRAIN, overrides=overrides)]

    assert said({"train::trainer::max_epochs": 3, "seed": 1}) == []
    assert said({"train#trainer#max_epochs": 3}) == []
    # An argument that the configuration leaves at its default is no unknown key.
    assert said({"optimizer::weight_decay": 0.1}) == []
    (line,) = said({"train::trainer::max_epoch": 3})
    assert line.startswith("--set: train::trainer::max_epoch:")
    assert "'max_epochs'" in line
    (line,) = said({"max_epochs": 3})
    assert "'train::trainer::max_epochs'" in line
    (line,) = said({"trian::trainer::max_epochs": 3})
    assert "'train::trainer::max_epochs'" in line
    (line,) = said({"train::handlers::7::interval": 3})
    assert line.startswith("--set: train::handlers::7")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("train::trainer::max_epochs", "abc", 'a whole number like 2, got a string: "abc"'),
        ("train::trainer::max_epochs", 2.5, "a whole number like 2, got a number: 2.5"),
        ("train::trainer::max_epochs", True, "got true or false: true"),
        ("train::trainer::max_epochs", 0, "expected at least 1, got 0"),
        ("train::dataloader::batch_size", -2, "expected at least 1, got -2"),
        ("optimizer::lr", "fast", "a number like 0.001, got a string"),
        ("dataset_dir", 3, 'a string like "data", got a whole number: 3'),
        ("run", 1, "a list like "),
        ("train", "x", "an object like "),
    ],
)
def test_a_value_of_another_kind(bundle, key, value, said):
    (problem,) = check_bundle(bundle, base=Kind.TRAIN, overrides={key: value})
    assert (problem.file, problem.place) == ("--set", key)
    assert said in problem.message
    assert len(problem.message) < 160


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer::lr", 1),  # a whole number where a number stands
        ("seed", None),
        ("seed", "$1 + 1"),
        ("train::dataloader::batch_size", "@seed"),
        ("device", "cpu"),  # an expression stood there
        ("loss", {"_target_": "torch.nn.MSELoss"}),
        ("dataset_dir", {"_target_": "pathlib.Path"}),
    ],
)
def test_a_value_whose_kind_fits_or_cannot_be_known(bundle, key, value):
    assert check_bundle(bundle, base=Kind.TRAIN, overrides={key: value}) == []


LOGGING_MISTAKES = {
    "[logger_root]": ("[logger_rot]", "did you mean 'logger_rot'", "loggers"),
    "[handler_console]": ("[handler_consle]", "did you mean 'handler_consle'", "handlers"),
    "[formatters]": ("[formaters]", "did you mean 'formaters'", ""),
    "formatter = plain": ("formatter = plian", "did you mean 'plain'", "handler_console"),
    "keys = root": ("keys = ", "the logger root is missing", "loggers"),
    "[loggers]": ("loggers", "no valid configuration of logging", ""),
}


@pytest.mark.parametrize("right", LOGGING_MISTAKES)
def test_a_mistake_in_the_configuration_of_logging(bundle, right):
    wrong, said, place = LOGGING_MISTAKES[right]
    plant(bundle, "logging.conf", right=right, wrong=wrong)
    problems = [each for each in check_bundle(bundle) if said in each.message]
    assert [(each.file, each.place) for each in problems] == [("configs/logging.conf", place)]
    assert len(str(problems[0]).splitlines()) == 1


def test_overrides_of_inference(bundle):
    assert check_bundle(bundle, base=Kind.INFERENCE, overrides={"dataset_dir": "x"}) == []
    (problem,) = check_bundle(bundle, base=Kind.INFERENCE, overrides={"seed": 1})
    assert "configs/inference.json has no such key" in problem.message


def test_value_of_an_override_is_checked_too(bundle):
    (problem,) = check_bundle(bundle, base=Kind.TRAIN, overrides={"loss": "@los"})
    assert (problem.file, problem.place) == ("--set", "loss")


def test_overlay_that_breaks_the_base_is_named(bundle):
    (bundle.configs / "short.json").write_text('{"validate": {}}')
    problems = check_bundle(bundle)
    assert problems
    assert all(each.file == "configs/train.json" for each in problems)
    assert all("(after configs/short.json)" in each.message for each in problems)


def test_overlay_of_inference_alone_is_no_mistake(bundle):
    content = json.loads(bundle.inference.read_text("utf-8"))
    key = next(key for key in content if key not in json.loads(bundle.train.read_text("utf-8")))
    (bundle.configs / "other.json").write_text(json.dumps({key: content[key]}))
    assert check_bundle(bundle) == []
    (bundle.configs / "other.json").write_text(json.dumps({f"{key}x": content[key]}))
    (problem,) = check_bundle(bundle)
    assert "did you mean" in problem.message


def test_unknown_overlay(bundle):
    with pytest.raises(ConfigurationError, match="did you mean 'evaluate'"):
        check_bundle(bundle, overlays=["evalute"])


def test_own_code_beside_the_bundle(bundle, tmp_path, monkeypatch):
    (tmp_path / "my_own_nets.py").write_text(
        "from monai.networks.nets import DenseNet121\n"
        "class Mine(DenseNet121):\n"
        "    def __init__(self, *, width: int, **kwargs):\n"
        "        super().__init__(spatial_dims=2, **kwargs)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plant(bundle, "train.json", right="monai.networks.nets.DenseNet121", wrong="my_own_nets.Mine")
    said = sorted(each.message for each in check_bundle(bundle))
    assert said == [
        "Mine needs the argument 'width'",
        "Mine takes no 'spatial_dims'; "
        "it takes: width, in_channels, out_channels, init_features, growth_rate, block_config,"
        " pretrained, progress, bn_size, act, norm, dropout_prob",
    ]


def test_it_is_quick(bundle):
    started = time.process_time()
    check_bundle(bundle)
    assert time.process_time() - started < 0.5


CLASSIFIER = '"_target_": "pipelines.networks.classifiers.build_classifier", "name": '


@pytest.mark.parametrize(
    ("name", "place"),
    [("resnet_50", "network_def::name"), ("@architecture", "architecture")],
)
def test_a_string_that_is_none_of_those_allowed_is_named(bundle, name, place):
    target = '"_target_": "monai.networks.nets.DenseNet121",\n'
    plant(bundle, "train.json", right=target, wrong=f'{CLASSIFIER}"{name}",\n')
    plant(bundle, "train.json", right='"spatial_dims": 2,', wrong="")
    plant(bundle, "train.json", right='"seed"', wrong='"architecture": "resnet_50", "seed"')
    (problem,) = check_bundle(bundle, base=Kind.TRAIN)
    assert problem.place == place
    assert "name has no 'resnet_50'; did you mean 'resnet50'? Known: densenet121" in problem.message
    bundle.train.write_text(bundle.train.read_text().replace("resnet_50", "resnet50"))
    assert check_bundle(bundle, base=Kind.TRAIN) == []
    (problem,) = check_bundle(bundle, base=Kind.TRAIN, overrides={place: "resnet_50"})
    assert (problem.file, problem.place) == ("--set", place)


def test_strings_written_into_the_annotation_count_too(bundle):
    plant(
        bundle,
        "train.json",
        right='"max_lr"',
        wrong='"anneal_strategy": "cosine", "max_lr"',
    )
    (problem,) = check_bundle(bundle, base=Kind.TRAIN)
    assert problem.place == "scheduler::anneal_strategy"
    assert "did you mean 'cos'?" in problem.message
