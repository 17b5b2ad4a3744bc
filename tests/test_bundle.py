"""Bundles are found by name, by path and from inside, and a wrong name gets the right one."""

import json
from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError, Reason
from pipelines.workflows import bundle as bundles
from pipelines.workflows.bundle import bundle_root, find_bundle, list_bundles

METADATA = {
    "name": "chest_demo",
    "version": "1.2.0",
    "task": "Pneumonia on chest films",
    "eval_metrics": {"auroc": 0.99},
    "network_data_format": {
        "outputs": {"pred": {"channel_def": {"0": "NORMAL", "1": "PNEUMONIA"}}},
    },
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository root with one bundle, as working folder; no other checkout is in sight."""
    folder = tmp_path / "bundles" / "chest_demo"
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    for name in ("train", "inference", "evaluate", "resnet50"):
        (folder / "configs" / f"{name}.json").write_text("{}")
    monkeypatch.setattr(bundles, "CHECKOUT", tmp_path / "no_checkout")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_name_and_path_find_the_same_bundle(root, monkeypatch):
    by_name = find_bundle("chest_demo")
    assert by_name == find_bundle("bundles/chest_demo") == find_bundle(str(by_name.root))
    monkeypatch.chdir(by_name.root)
    assert find_bundle(".") == by_name
    assert by_name.root.is_absolute()


def test_checkout_is_looked_in_from_anywhere(root, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(bundles, "CHECKOUT", root)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert find_bundle("chest_demo").root == root / "bundles" / "chest_demo"
    assert bundle_root("chest_demo") == str(root / "bundles" / "chest_demo")


def test_misspelt_name_gets_the_nearest(root):
    with pytest.raises(ConfigurationError, match="did you mean 'chest_demo'") as caught:
        find_bundle("chset_demo")
    assert caught.value.reason is Reason.UNKNOWN_NAME
    assert len(str(caught.value).splitlines()) == 1


def test_message_holds_no_absolute_path(root):
    for wrong in (root / "bundles" / "chest_dem", root / "bundles"):
        with pytest.raises(ConfigurationError) as caught:
            find_bundle(str(wrong))
        assert str(root) not in str(caught.value)
        assert "chest_demo" in str(caught.value)


def test_a_working_folder_that_is_no_bundle_has_its_name(root):
    with pytest.raises(ConfigurationError, match=f"got '{root.name}', which has no folder"):
        find_bundle(".")


def test_bundle_root_from_the_root_and_from_inside(root, monkeypatch):
    folder = root / "bundles" / "chest_demo"
    assert bundle_root("chest_demo") == str(folder)
    monkeypatch.chdir(folder)
    assert bundle_root("chest_demo") == str(folder)


def test_bundle_root_prefers_a_copy_that_is_run_from_inside(root, monkeypatch):
    copy = root / "renamed_copy"
    (copy / "configs").mkdir(parents=True)
    (copy / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    monkeypatch.chdir(copy)
    assert bundle_root("chest_demo") == str(copy)


def test_overlays_are_all_but_the_three(root):
    bundle = find_bundle("chest_demo")
    assert [path.name for path in bundle.overlays()] == ["evaluate.json", "resnet50.json"]
    assert bundle.overlay("evaluate") == bundle.overlay("evaluate.json")
    with pytest.raises(ConfigurationError, match="did you mean 'resnet50'"):
        bundle.overlay("resnet5")


def test_overlay_may_be_a_file_from_elsewhere(root):
    mine = root / "mine.json"
    mine.write_text("{}")
    assert find_bundle("chest_demo").overlay("mine.json") == mine


def test_list_says_what_there_is(root):
    (summary,) = list_bundles()
    assert (summary.name, summary.version) == ("chest_demo", "1.2.0")
    assert summary.classes == ("NORMAL", "PNEUMONIA")
    assert summary.figures == {"auroc": 0.99}
    assert summary.weights_bytes is None
    models = root / "bundles" / "chest_demo" / "models"
    models.mkdir()
    (models / "model.pt").write_bytes(b"12345")
    (models / "operating_point.json").write_text('{"classes": ["no", "yes"]}')
    (summary,) = list_bundles()
    assert summary.weights_bytes == len(Path(models / "model.pt").read_bytes())
    assert summary.classes == ("no", "yes")


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"eval_metrics": 3}'])
def test_list_survives_broken_metadata(root, content):
    (root / "bundles" / "chest_demo" / "configs" / "metadata.json").write_text(content)
    (summary,) = list_bundles()
    assert summary.task == ""
    assert summary.figures == {}
