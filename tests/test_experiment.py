import json

import pytest
from made_up_bundle import TRAIN, write_bundle

from pipelines.errors import ConfigurationError
from pipelines.workflows.experiment import read_experiment

NAMED = {
    "_target_": "pipelines.networks.classifiers.build_classifier",
    "name": "densenet121",
    "in_channels": 1,
    "out_channels": 1,
}
DATA = {
    "_target_": "pipelines.datasets.opened.OpenedDataset",
    "dataset_dir": "@dataset_dir",
    "classes": ["a", "b"],
    "seed": "@seed",
}


@pytest.fixture
def bundle(tmp_path):
    root = write_bundle(tmp_path)
    (tmp_path / "films").mkdir()
    train = TRAIN | {"network_def": NAMED, "data": DATA}
    (root / "configs" / "train.json").write_text(json.dumps(train))
    for name, change in {"wide": {"network_def::name": "resnet50"}, "slow": {"seed": 7}}.items():
        (root / "configs" / f"{name}.json").write_text(json.dumps(change))
    return root


def write(bundle, text):
    path = bundle.parent / "trial.yaml"
    path.write_text(f"bundle: {bundle}\ndata: films\n{text}\n")
    return path


def test_networks_recipes_and_seeds_are_multiplied(bundle):
    text = "networks: [base, wide, resnet18]\nrecipes: [base, slow]\nseeds: [3, 4]"
    experiment = read_experiment(write(bundle, text))
    assert experiment.name == "trial"
    assert experiment.data == bundle.parent / "films"
    assert experiment.split == "val"
    assert [cell.name for cell in experiment.cells[:5]] == [
        "base seed3",
        "base seed4",
        "slow seed3",
        "slow seed4",
        "wide seed3",
    ]
    cells = {cell.folder: cell for cell in experiment.cells}
    assert len(cells) == 12
    assert cells["wide-slow-seed4"].overlays == ("wide", "slow")
    # The split of the films stays that of the first seed.
    assert cells["wide-slow-seed4"].overrides == {"seed": 4, "data::seed": 3}
    assert cells["resnet18-seed3"].overlays == ()
    assert cells["resnet18-seed3"].overrides["network_def::name"] == "resnet18"


def test_bundle_alone_is_one_run(bundle):
    (cell,) = read_experiment(write(bundle, "settings: {train.trainer.max_epochs: 1}")).cells
    assert (cell.name, cell.folder, cell.overlays) == ("base", "base", ())
    assert cell.overrides == {"train::trainer::max_epochs": 1}


def test_data_given_beside_the_file_takes_its_place(bundle, tmp_path):
    assert read_experiment(write(bundle, ""), data=tmp_path).data == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("network: [wide]", "no key 'network' of an experiment; did you mean 'networks'"),
        ("networks: []", "expected networks to be a list of different names"),
        ("networks: [wide, wide]", "expected networks to be a list of different names"),
        ("seeds: [one]", "expected seeds to be a list of different numbers"),
        ("seeds: [true]", "expected seeds to be a list of different numbers"),
        ("recipes: [slwo]", "no overlay named 'slwo'.*slow"),
        ("settings: 3", "expected settings to be values by key"),
        ("settings: {sede: 3}", "base: .*seed"),
        ("split: all", "expected split val or test, got 'all'"),
        ("data: nowhere", "none named 'nowhere'"),
        ("bundle: [1]", "expected bundle to be a text"),
        ("bundle: {", "expected an experiment in YAML"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(bundle, text, message):
    with pytest.raises(ConfigurationError, match=message):
        read_experiment(write(bundle, text))


def test_empty_and_missing_files_are_told(tmp_path):
    with pytest.raises(ConfigurationError, match="expected an experiment in YAML"):
        read_experiment(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(ConfigurationError, match="expected an experiment with the keys"):
        read_experiment(tmp_path / "empty.yaml")
