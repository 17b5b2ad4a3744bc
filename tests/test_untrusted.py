"""A bundle of somebody else: whatever could run code, fetch or lead outside is refused unrun."""

import ast
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.cli import main
from pipelines.networks.weights import save_weights
from pipelines.workflows.allowed import ALLOWED_TARGETS, is_training_expression
from pipelines.workflows.bundle import CHECKOUT, Bundle, bundle_file, find_bundle
from pipelines.workflows.manifest import write_manifest
from pipelines.workflows.merging import walk
from pipelines.workflows.untrusted import check_untrusted
from pipelines.workflows.weight_files import weights_complaint

SHIPPED = sorted(path.parent for path in (CHECKOUT / "bundles").glob("*/configs"))


class Malicious:
    """Unpickling this makes a file: the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def bundle(tmp_path) -> Bundle:
    root = tmp_path / "stranger"
    shutil.copytree(CHECKOUT / "bundles" / "fracture_autoencoder", root)
    return Bundle(root.name, root)


def said(bundle: Bundle) -> list[str]:
    """What the check says once the stranger has made the manifest fit."""
    if not any(path.is_symlink() for path in bundle.root.rglob("*")):
        write_manifest(bundle)
    return list(map(str, check_untrusted(bundle)))


def plant(bundle: Bundle, file: str, key: str, value: object) -> None:
    path = bundle.configs / file
    content = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(content | {key: value}), "utf-8")


@pytest.mark.parametrize("root", SHIPPED, ids=lambda root: root.name)
def test_shipped_bundles_pass(root):
    """After a change on purpose: `plainfilm check --write-manifest`, and targets in allowed.py."""
    assert list(map(str, check_untrusted(find_bundle(str(root))))) == []


def test_the_list_of_targets_holds_nothing_that_no_bundle_needs():
    named = {
        value
        for root in SHIPPED
        for path in (root / "configs").glob("*.json")
        for place, value in walk(json.loads(path.read_text("utf-8")))
        if place.endswith("_target_")
    }
    # An exported file that is opened names an engine of its own.
    assert named | {"pipelines.inference.exported.ExportedEngine"} == ALLOWED_TARGETS


@pytest.mark.parametrize("root", SHIPPED, ids=lambda root: root.name)
def test_inference_needs_no_expression(root):
    for path in (root / "configs").glob("inference*.json"):
        assert '"$' not in path.read_text("utf-8")


PLANTED = {
    "command in inference": ("inference.json", "x", "$__import__('os').system('touch canary')"),
    "harmless expression in inference": ("inference.json", "x", "$1 + 1"),
    "command in train": ("train.json", "x", "$__import__('os').system('touch canary')"),
    "command behind a right beginning": ("train.json", "x", "$@network.parameters() or exit()"),
    "command in a list": ("extra.json", "run", ["$@evaluator.run()", "$exit()"]),
    "command in metadata": ("metadata.json", "x", {"y": "$exit()"}),
    "subprocess": ("inference.json", "x", {"_target_": "subprocess.check_output", "args": "id"}),
    "builtin": ("inference.json", "x", {"_target_": "eval"}),
    "bare name of MONAI": ("inference.json", "x", {"_target_": "UNet"}),
    "MONAI's downloads": ("inference.json", "x", {"_target_": "monai.bundle.download"}),
    "our own files": ("inference.json", "x", {"_target_": "pipelines.files.write_text"}),
    "target by reference": ("inference.json", "x", {"_target_": "@threshold"}),
    "target in metadata": ("metadata.json", "x", {"_target_": "os.system"}),
    "target as an overlay sets it": ("extra.json", "network_def#_target_", "os.system"),
    "target as a list": ("inference.json", "x", {"_target_": ["os.system"]}),
    "debugger": ("extra.json", "network_def::_mode_", "debug"),
    "macro": ("inference.json", "x", "%/etc/passwd::root"),
    "absolute path": ("inference.json", "output_dir", "/etc"),
    "home": ("inference.json", "output_dir", "~/.ssh"),
    "parent": ("inference.json", "weights", "models/../../other/model.pt"),
    "parent in training": ("train.json", "output_dir", "$@bundle_root + '/../../../etc'"),
    "writing beside the output": ("extra.json", "postprocessing::output_dir", "bundles"),
    "writing by a detour": ("train.json", "checkpoint_dir", "bundles"),
    "writing by reference": ("extra.json", "explainer", {"output_dir": "@dataset_dir"}),
    "weights from the hub": ("train.json", "pretrained", "hf://somebody/model"),
    "address": ("inference.json", "weights", "https://example.org/model.pt"),
    "weights from elsewhere": (
        "extra.json",
        "network_def",
        {"_target_": "monai.networks.nets.FlexibleUNet", "pretrained": True},
    ),
    "nested": ("inference.json", "x", [{"y": {"z": ["$exit()"]}}]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_configurations_that_could_run_something_are_refused(bundle, name):
    plant(bundle, *PLANTED[name])
    file = f"configs/{PLANTED[name][0]}"
    found = said(bundle)
    assert found
    assert all(each.startswith(file) for each in found)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("args = (sys.stdout,)", "args = (__import__('os').system('touch canary'),)"),
        ("class = StreamHandler", "class = FileHandler"),
        ("class = StreamHandler", "class = __import__('os')"),
        ("[formatter_plain]", "[formatter_plain]\nclass = os.system"),
        ("[handler_console]", "[DEFAULT]\nclass = x\n[handler_console]"),
        ("args = (sys.stdout,)", "args = (sys.stdout,)\nkwargs = {'x': exit()}"),
        ("[loggers]", "not a section"),
    ],
)
def test_logging_that_python_would_evaluate_is_refused(bundle, right, wrong):
    text = bundle.logging.read_text("utf-8")
    assert right in text
    bundle.logging.write_text(text.replace(right, wrong, 1), "utf-8")
    found = said(bundle)
    assert found
    assert all(each.startswith("configs/logging.conf") for each in found)


def test_a_malicious_pickle_is_refused_and_not_run(bundle, tmp_path, capsys, monkeypatch):
    """Also when it is used without having been checked."""
    canary = tmp_path / "canary"
    torch.save({"weight": Malicious(canary)}, bundle.weights)
    assert any("posix.system" in each for each in said(bundle))
    assert main(["check", "--untrusted", str(bundle.root)]) == 2
    films = tmp_path / "films"
    films.mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["predict", str(bundle.root), str(films), str(tmp_path / "out")]) == 1
    assert "weights_mismatch" in capsys.readouterr().err
    assert not canary.exists()


def test_a_zip_slip_as_weights_writes_nothing(bundle, tmp_path, capsys, monkeypatch):
    """Neither when it is checked nor when it is used unchecked: no archive is ever extracted."""
    with zipfile.ZipFile(bundle.weights, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("../../../escaped", "x")
        archive.writestr("model/../../escaped", "x")
    assert any("leads out of it" in each for each in said(bundle))
    (tmp_path / "films").mkdir()
    monkeypatch.chdir(tmp_path)
    arguments = ["predict", str(bundle.root), str(tmp_path / "films"), str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "weights_mismatch" in capsys.readouterr().err
    assert not list(tmp_path.parent.rglob("*escaped*"))


def test_a_bare_pickle_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps({"weight": Malicious(tmp_path / "canary")}))
    assert "bare pickle" in str(weights_complaint(path))


def test_torchscript_is_refused(tmp_path, bundle):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("model/constants.pkl", pickle.dumps((), protocol=2))
        archive.writestr("model/code/__torch__.py", "def forward(self): ...")
    assert "TorchScript" in str(weights_complaint(path))
    shutil.copy(path, bundle.root / "models" / "model.ts")
    assert [each for each in said(bundle) if "models/model.ts" in each and "TorchScript" in each]


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path):
    for name in ("../../data.pkl", "/data.pkl", "x/..\\..\\data.pkl"):
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, pickle.dumps({}, protocol=2))
        assert "leads out" in str(weights_complaint(path))


def test_pickles_that_name_things_in_other_ways_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Malicious(tmp_path), protocol=4))
    assert "STACK_GLOBAL" in str(weights_complaint(path))


def test_arrays_of_objects_are_refused_and_others_are_not(tmp_path):
    path = tmp_path / "guard.npz"
    np.savez(path, mean=np.zeros(3), names=np.array(["one", "two"]))
    assert weights_complaint(path) is None
    np.savez(path, evil=np.array([Malicious(tmp_path / "canary")], dtype=object))
    assert "Python objects" in str(weights_complaint(path))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
def test_damaged_weights_are_refused(tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"PK\x03\x04 and then nothing")
    assert weights_complaint(path)


@pytest.mark.parametrize(
    "start",
    [
        b"\x93NUMPY",
        *(
            b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
            for header in (b"{'descr' '<f8'", b"{}", b"()", b"(" * 300, b"{'descr': '<f8'}\0")
        ),
    ],
)
def test_arrays_with_a_broken_header_are_refused(tmp_path, start):
    path = tmp_path / "GUARD.NPZ"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mean.npy", start)
    assert "cannot be read" in str(weights_complaint(path))


def test_compressed_arrays_that_are_damaged_are_refused(tmp_path):
    path = tmp_path / "guard.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("mean.npy", bytes(1000))
    content = bytearray(path.read_bytes())
    content[46:50] = b"\xff" * 4
    path.write_bytes(content)
    assert "cannot be read" in str(weights_complaint(path))


def test_every_file_is_in_the_manifest_whatever_the_case_of_its_suffix(bundle):
    for path in (bundle.configs / "inference.json", bundle.weights):
        shutil.copy(path, path.with_name(f"other{path.suffix.upper()}"))
    missing = {str(each).partition(":")[0] for each in check_untrusted(bundle)}
    assert missing == {"configs/other.JSON", "models/other.PT"}
    assert said(bundle) == []


def test_plain_weights_pass(tmp_path):
    save_weights(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    torch.save({"model": torch.nn.Linear(2, 2).state_dict()}, tmp_path / "other.PT")
    assert weights_complaint(tmp_path / "model.pt") is None
    assert weights_complaint(tmp_path / "other.PT") is None


def test_links_code_and_strange_files_are_refused(bundle, tmp_path):
    (bundle.root / "docs" / "link.md").symlink_to(tmp_path / "elsewhere")
    (bundle.root / "scripts").symlink_to(tmp_path, target_is_directory=True)
    (bundle.root / "torch.py").write_text("raise SystemExit")
    os.mkfifo(bundle.root / "pipe.json")
    found = {each.partition(":")[0] for each in said(bundle)}
    assert {"docs/link.md", "scripts", "torch.py", "pipe.json"} <= found


def test_yaml_that_repeats_itself_is_refused(bundle):
    """Nine lines that would be a thousand million values."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (bundle.configs / "extra.yaml").write_text("\n".join(lines))
    assert any("without aliases" in each for each in said(bundle))


def test_a_configuration_that_stands_elsewhere_is_refused_too(bundle):
    """It could be named as an overlay, by its path."""
    evil = '{"x": "$exit()", "y": {"_target_": "os.system"}}'
    (bundle.root / "docs" / "evil.json").write_text(evil)
    found = said(bundle)
    assert len(found) == 2
    assert all(each.startswith("docs/evil.json") for each in found)


@pytest.mark.parametrize("folder", ["configs", "docs"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"x": ' + "[" * 90_000 + "]" * 90_000 + "}", "at most 100 levels"),
        ('{"x": ' + "[" * 200 + '"$exit()"' + "]" * 200 + "}", "at most 100 levels"),
        ('{"x": NaN, "y": "$exit()"}', "NaN is no number of JSON"),
    ],
    ids=["endless", "deep", "not a number"],
)
def test_what_monai_would_read_and_the_check_does_not_is_refused(bundle, folder, content, message):
    (bundle.root / folder / "evil.json").write_text(content)
    assert any(message in each for each in said(bundle) if "evil.json" in each)


def test_the_check_imports_neither_torch_nor_the_bundle():
    code = (
        "import sys, pipelines.cli; status = pipelines.cli.main(['check', '--untrusted']);"
        "print(status, [m for m in ('torch', 'monai', 'numpy', 'pickle') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    # pickletools, which reads pickles without running them, imports pickle.
    assert done.stdout.splitlines()[-1] == "0 ['pickle']"


def test_names_of_a_stranger_do_not_reach_the_terminal(bundle, capsys):
    (bundle.root / "\x1b[2Jcleared.py").write_text("x")
    plant(bundle, "inference.json", "\x1b]0;title\x07", "$exit()")
    assert main(["check", "--untrusted", str(bundle.root)]) == 2
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b[2Jcleared.py" in said


def test_a_zip_is_no_bundle(tmp_path, capsys):
    path = tmp_path / "bundle.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped", "x")
    assert main(["check", "--untrusted", str(path)]) == 2
    assert "no bundle named 'bundle.zip'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_of_a_file_stays_inside_the_bundle(bundle):
    assert bundle_file(str(bundle.root), "models/model.pt") == str(bundle.weights)
    with pytest.raises(ValueError, match="leads out"):
        bundle_file(str(bundle.root), "../other/model.pt")


# What a run has packed itself: for its workers over Ray, which unpickles whatever it carries, and
# into a file without a name.
UNPICKLES = {
    ("deploy/ray_batch/blocks.py", "pickle.loads"),
    ("ingest/spooled.py", "pickle.loads"),
}


def test_every_load_of_weights_in_the_package_is_for_weights_alone():
    """And of arrays, none allows pickles; nothing unpickles, and no archive is extracted."""
    loads = 0
    for path in sorted((CHECKOUT / "pipelines").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {each.arg: ast.unparse(each.value) for each in node.keywords}
            where = f"{path.name}:{node.lineno}"
            if called == "torch.load":
                loads += 1
                assert given.get("weights_only") == "True", where
            if (path.relative_to(CHECKOUT / "pipelines").as_posix(), called) not in UNPICKLES:
                assert called not in {"pickle.load", "pickle.loads", "eval", "exec"}, where
            assert not called.endswith((".extractall", ".extract", "unpack_archive")), where
            assert given.get("allow_pickle", "False") == "False", where
            assert "trust_remote_code" not in given, where
    assert loads >= 2


def test_expressions_of_training_are_a_closed_list():
    assert is_training_expression("$@data.split('train')")
    for text in ("$@data.split('train').x", "$@data.split(1)", "$exit()", "$@x.run()"):
        assert not is_training_expression(text)
