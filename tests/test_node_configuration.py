"""The configuration of a node: every mistake is named at its line, and a right one is typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main
from pipelines.deploy.node.configuration import check_node, read_node, trial_settings
from pipelines.deploy.node.settings import Peer, StoreDestination, StowDestination
from pipelines.deploy.node.traits import Traits
from pipelines.errors import ConfigurationError

WHOLE = """
data_dir: kept
dicom:
  ae_title: FILMS
  host: 0.0.0.0
  port: 104
  max_pdu: 65536
  max_object_mb: 50
  max_associations: 4
  timeout_seconds: 12
  peers:
    - {ae_title: CR ROOM 1, host: 10.0.0.7}
    - {ae_title: ORTHANC}
  tls: {cert: node.pem, key: node.key, ca: site.pem}
http: {enabled: false}
rules:
  - name: children
    modality: [cr, DX]
    body_part: chest
    view_position: [ap, pa]
    calling_ae: CR ROOM 1
    bundle: pneumonia_classification
    dicom: [sr, sc]
    destinations: [pacs, archive]
    overrides: {engine.batch_size: 4}
  - bundle: hand_bone_segmentation
    body_part: HAND
destinations:
  pacs: {ae_title: ORTHANC, host: 127.0.0.1, port: 4242, tls: {ca: site.pem}}
  archive:
    url: https://archive.example/dicom-web/
    headers: {Authorization: ARCHIVE_TOKEN}
delivery: {attempts: 3, first_wait_seconds: 1, longest_wait_seconds: 60, timeout_seconds: 5}
batch: {size: 16, wait_seconds: 0.5}
limits: {queue: 100, free_disk_mb: 10}
retention: {done_hours: 0}
"""


def write(folder: Path, text: str) -> Path:
    for name in ("node.pem", "node.key", "site.pem"):
        (folder / name).touch()
    path = folder / "node.yaml"
    path.write_text(text, "utf-8")
    return path


def test_a_whole_file_is_read_as_it_is_written(tmp_path):
    settings = read_node(write(tmp_path, WHOLE))
    assert settings.data_dir == tmp_path / "kept"
    dicom = settings.dicom
    assert (dicom.ae_title, dicom.host, dicom.port, dicom.max_pdu) == (
        "FILMS",
        "0.0.0.0",
        104,
        65536,
    )
    assert dicom.max_object_bytes == 50_000_000
    assert dicom.peers == (Peer("CR ROOM 1", "10.0.0.7"), Peer("ORTHANC"))
    assert dicom.tls is not None
    assert dicom.tls.key == tmp_path / "node.key"
    first, second = settings.rules
    assert (first.name, second.name) == ("children", "rule 2")
    assert first.overrides == {"engine::batch_size": 4}
    assert first.dicom == ("sr", "sc")
    pacs, archive = settings.destinations["pacs"], settings.destinations["archive"]
    assert isinstance(pacs, StoreDestination)
    assert pacs.port == 4242
    assert isinstance(archive, StowDestination)
    assert archive.url == "https://archive.example/dicom-web"
    assert archive.headers == {"Authorization": "ARCHIVE_TOKEN"}
    assert (settings.batch.size, settings.limits.queue) == (16, 100)
    assert not settings.http.enabled


def test_the_first_rule_that_takes_a_film_decides_whatever_the_case(tmp_path):
    settings = read_node(write(tmp_path, WHOLE))

    def rule(**traits: str) -> str | None:
        found = settings.rule_for(Traits(**traits))
        return None if found is None else found.name

    chest = {"modality": "Cr", "body_part": "Chest", "view_position": "AP"}
    assert rule(**chest, calling_ae="CR Room 1") == "children"
    assert rule(**chest, calling_ae="OTHER") is None
    assert rule(modality="DX", body_part="hand", calling_ae="OTHER") == "rule 2"
    assert rule(**(chest | {"view_position": ""}), calling_ae="CR ROOM 1") is None
    trial = trial_settings("hand_bone_segmentation", tmp_path).rule_for(Traits())
    assert trial is not None
    assert trial.dicom == ("sr", "seg")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("ae_title: FILMS", "ae_titel: FILMS", 4, "did you mean 'ae_title'?"),
        ("port: 104", "port: 99999", 6, "a whole number from 0 to 65535, got 99999"),
        ("port: 104", "port: yes", 6, "YAML reads yes as true"),
        ("ae_title: FILMS", "ae_title: A NAME THAT IS TOO LONG", 4, "1 to 16 characters"),
        ("max_object_mb: 50", "max_object_mb: .inf", 8, "a number from 0.001 to 300"),
        ("host: 10.0.0.7}", "host: room}", 12, 'an IP address, got "room"'),
        ("key: node.key", "key: none.key", 14, "the path of an existing file"),
        ("enabled: false", "enabled: 0", 15, "true or false, got 0"),
        ("bundle: pneumonia_classification", "bundle: pnuemonia", 22, "no bundle named"),
        ("[sr, sc]", "[sr, seg]", 23, "expected seg of a bundle that outlines"),
        ("[sr, sc]", "[sr, pdf]", 23, "one or several of sr, seg, sc, gsps"),
        ("    dicom: [sr, sc]\n", "", 23, "expected dicom to say what is sent"),
        ("[pacs, archive]", "[pacz]", 24, "no destination named 'pacz'; did you mean 'pacs'?"),
        ("engine.batch_size", "engine.batchsize", 25, "did you mean 'batch_size'?"),
        (", port: 4242", "", 29, "expected the key 'port'"),
        ("ARCHIVE_TOKEN", "Bearer abc", 32, "the name of an environment variable"),
        ("https://archive.example", "https://me:pw@archive.example", 31, "without a user"),
        ("https://archive", "http://archive", 31, "expected https where headers are sent"),
        ("attempts: 3", "attempts: 0", 33, "a whole number from 1 to 1000"),
        (
            "  - bundle: hand",
            "  - name: children\n    bundle: hand",
            17,
            "of its own for each rule",
        ),
        ("done_hours: 0", "done_hours: soon", 36, "a number from 0 to 876000"),
        ("data_dir: kept", "datadir: kept", 2, "is 'datadir' meant?"),
    ],
)
def test_a_mistake_is_named_at_its_line(tmp_path, old, new, line, said):
    assert old in WHOLE
    problems = check_node(write(tmp_path, WHOLE.replace(old, new)))
    assert any(said in problem.message for problem in problems), problems
    found = next(problem for problem in problems if said in problem.message)
    assert found.line in {line, line - 1, None}, str(found)
    assert "abc" not in " ".join(map(str, problems)), "a secret in the wrong place is not shown"
    with pytest.raises(ConfigurationError, match="node"):
        read_node(tmp_path / "node.yaml")


def test_who_listens_to_the_network_names_who_may_send(tmp_path):
    text = "data_dir: kept\ndicom: {host: 0.0.0.0}\nrules: [{bundle: pneumonia_classification}]\n"
    (problem,) = check_node(write(tmp_path, text))
    assert "expected 127.0.0.1 where no peers are named" in problem.message
    (problem,) = check_node(write(tmp_path, text.replace("dicom:", "http:")))
    assert "expected 127.0.0.1 where no hosts are named" in problem.message


@pytest.mark.parametrize("text", ["", "[1, 2]", "rules: 3\ndata_dir: x", "a: {"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text):
    assert check_node(write(tmp_path, text))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either a configuration file or --bundle"),
        (["node.yaml", "--bundle", "x"], "either a configuration file or --bundle"),
        (["none.yaml"], "an existing file"),
        (["{}", "--data-dir", "x"], "--data-dir with --bundle alone"),
        (["--bundle", "pnuemonia_classification"], "did you mean 'pneumonia_classification'?"),
    ],
)
def test_the_verb_serve_says_what_it_needs(tmp_path, capsys, arguments, said):
    path = str(write(tmp_path, WHOLE))
    assert main(["serve", *(each.format(path) for each in arguments)]) == 2
    assert said in capsys.readouterr().err


def test_the_verb_check_takes_a_file_and_imports_nothing_heavy(tmp_path, capsys):
    path = write(tmp_path, WHOLE)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out == "node.yaml: ok\n"
    wrong = path.with_name("wrong.yaml")
    wrong.write_text(WHOLE.replace("port: 104", "prot: 104"), "utf-8")
    assert main(["check", str(wrong)]) == 2
    assert "wrong.yaml:6: dicom::prot: no key of this name" in capsys.readouterr().out
    heavy = ("torch", "monai", "numpy", "pydicom", "pynetdicom")
    code = f"import sys\nfrom pipelines.cli import main\nmain(['check', {str(path)!r}])\n"
    code += f"print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == "[]"
