"""The manifest of a bundle: held against its files before it is used, renewed by one command."""

import json

import pytest
from bundle_fixture import write_png, write_tiny_bundle, write_weights

from pipelines.cli import main
from pipelines.deploy.export import export_bundle
from pipelines.deploy.node.prediction import Model
from pipelines.deploy.node.settings import BatchSettings, Rule
from pipelines.errors import ConfigurationError, Reason
from pipelines.inference.batch import predict_folder
from pipelines.workflows.bundle import Bundle
from pipelines.workflows.manifest import (
    MANIFEST,
    RENEW,
    manifest_problems,
    verify_manifest,
    write_manifest,
)
from pipelines.workflows.run import evaluate


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    made = write_tiny_bundle(tmp_path / "tiny")
    write_manifest(made)
    return made


def test_it_lists_configurations_weights_and_operating_point(bundle):
    (bundle.root / "docs").mkdir()
    (bundle.root / "docs" / "README.md").write_text("may change")
    (bundle.root / "models" / "model.ts").write_bytes(b"exported")
    (bundle.configs / ".writing-x.json").write_text("{}")
    content = json.loads(write_manifest(bundle).read_text("utf-8"))
    assert list(content["files"]) == [
        "configs/inference.json",
        "configs/metadata.json",
        "models/model.pt",
        "models/operating_point.json",
    ]
    assert list(manifest_problems(bundle)) == []


def test_whatever_uses_a_changed_bundle_refuses_it(bundle, tmp_path):
    write_weights(bundle.root, seed=1)
    uses = (
        lambda: predict_folder(bundle, tmp_path, tmp_path / "out", overrides={}),
        lambda: export_bundle(bundle, output=tmp_path / "x.ts"),
        lambda: evaluate(bundle, data=tmp_path),
        lambda: Model(Rule("any", str(bundle.root)), BatchSettings(), tmp_path / "out"),
    )
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"models/model\.pt") as refused:
            use()
        assert refused.value.reason is Reason.MANIFEST_MISMATCH
        assert f"`{RENEW} tiny`" in str(refused.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "x.ts").exists()


@pytest.mark.filterwarnings("ignore:.*nvImageCodec")
def test_the_command_of_monai_refuses_it_too(bundle, tmp_path, monkeypatch):
    from monai.bundle import ConfigWorkflow

    write_png(tmp_path / "films" / "a.png")
    workflow = ConfigWorkflow(
        workflow_type="infer",
        config_file=str(bundle.inference),
        meta_file=str(bundle.metadata),
        logging_file=False,
        bundle_root=str(bundle.root),
        dataset_dir=str(tmp_path / "films"),
        output_dir=str(tmp_path / "out"),
    )
    bundle.operating_point.write_text(bundle.operating_point.read_text("utf-8") + " ")
    workflow.initialize()
    with pytest.raises(RuntimeError) as refused:
        workflow.run()
    causes = []
    error: BaseException | None = refused.value
    while error is not None:
        causes.append(str(error))
        error = error.__cause__ or error.__context__
    assert any("models/operating_point.json" in each for each in causes)


@pytest.mark.parametrize("how", ["missing", "changed", "link", "configuration"])
def test_the_message_names_the_file(bundle, tmp_path, how):
    path = bundle.inference if how == "configuration" else bundle.weights
    if how == "link":
        path.rename(tmp_path / "elsewhere.pt")
        path.symlink_to(tmp_path / "elsewhere.pt")
    elif how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    found = [str(each) for each in manifest_problems(bundle)]
    assert len(found) == 1
    assert RENEW in found[0]
    assert found[0].startswith(path.relative_to(bundle.root).as_posix())
    with pytest.raises(ConfigurationError, match="expected the file that manifest"):
        verify_manifest(bundle)


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "not JSON",
        '{"algorithm": "MD5", "files": {"configs/inference.json": "00"}}',
        '{"algorithm": "SHA-256", "files": {"configs/../../etc/passwd": "%s"}}' % ("0" * 64),
        '{"algorithm": "SHA-256", "files": {"/etc/passwd": "%s"}}' % ("0" * 64),
        '{"algorithm": "SHA-256", "files": {"configs/inference.json": 5}}',
    ],
)
def test_a_manifest_that_is_none_is_refused(bundle, content):
    (bundle.root / MANIFEST).write_text(content)
    with pytest.raises(ConfigurationError, match="expected files with their SHA-256"):
        verify_manifest(bundle)


def test_the_owner_renews_it_by_one_command(bundle, capsys):
    write_weights(bundle.root, seed=1)
    assert main(["check", "--write-manifest", str(bundle.root)]) == 0
    assert "manifest.json written" in capsys.readouterr().out
    verify_manifest(bundle)


def test_a_bundle_without_a_manifest_is_used_as_before(bundle):
    (bundle.root / MANIFEST).unlink()
    write_weights(bundle.root, seed=1)
    verify_manifest(bundle)


def test_a_link_is_not_written_into_a_manifest(bundle, tmp_path):
    (bundle.configs / "extra.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ConfigurationError, match=r"a link at configs/extra\.json"):
        write_manifest(bundle)
