"""The verb `deidentify` over whole folders: films from anywhere, kills, keys, tables."""

import csv
import json
import multiprocessing
import os
import shutil
import signal
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
import pytest
from corpus.dicom_films import DEFLATED, GREY12, Raw, film, save
from PIL import Image

from pipelines.cli import main
from pipelines.datasets.index import write_datalist
from pipelines.deploy.deidentify import film as film_module
from pipelines.deploy.deidentify import folder
from pipelines.deploy.deidentify.film import Flag
from pipelines.deploy.deidentify.folder import Export, deidentify_folder
from pipelines.deploy.deidentify.key import PseudonymKey, open_key
from pipelines.deploy.deidentify.profile import Options
from pipelines.errors import ConfigurationError
from pipelines.verbs.privacy import FLAGS

KEY = PseudonymKey(b"a key for tests, and for nothing else")
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "deidentified.csv").open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def outcomes(output: Path) -> Counter[tuple[str, str]]:
    return Counter((row["outcome"], row["reason"]) for row in rows(output))


def files(output: Path) -> dict[str, bytes]:
    found = (path for path in output.rglob("*") if path.is_file())
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def source(tmp_path) -> Path:
    """Two patients with two films each, below a folder with a name."""
    root = tmp_path / "in"
    (root / "Miller Anna").mkdir(parents=True)
    for number in range(4):
        path = root / "Miller Anna" / f"{number}.dcm"
        save(path, film(PatientID=f"P{number // 2}"))
    return root


def test_every_input_is_accounted_for_and_none_is_changed(source, tmp_path, capsys):
    save(source / "capture.dcm", film(SOPClassUID=SECONDARY))
    save(source / "burnt.dcm", film(BurnedInAnnotation="YES"))
    shutil.copy(source / "burnt.dcm", source / "copy.dcm")
    cut = source / "cut.dcm"
    save(cut, film())
    cut.write_bytes(cut.read_bytes()[:-100])
    Image.fromarray(GREY12).save(source / "photograph.png")
    (source / "notes.txt").write_text("Miller")
    (source / "link.dcm").symlink_to(tmp_path / "elsewhere.dcm")
    save(tmp_path / "elsewhere.dcm", film())
    with zipfile.ZipFile(source / "films.zip", "w") as archive:
        archive.writestr("../../escaped.dcm", b"x")
    before = files(source)
    arguments = ["deidentify", str(source), str(tmp_path / "out"), "--key", str(tmp_path / "k")]
    assert main(arguments) == 3
    assert outcomes(tmp_path / "out") == {
        ("exported", ""): 4,
        ("held", "secondary_capture"): 1,
        ("held", "burned_in_annotation"): 1,
        ("skipped", "duplicate"): 1,
        ("failed", "truncated"): 1,
        ("skipped", "not_dicom"): 1,
        ("skipped", "not_an_image"): 2,
        ("skipped", "link_outside_root"): 1,
    }
    assert files(source) == before
    said = capsys.readouterr()
    assert "12 inputs: 4 exported, 2 held back, 5 skipped, 1 failed" in said.out
    for text in (said.out, said.err, *files(tmp_path / "out")):
        assert "Miller" not in text.replace(str(source), "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere.dcm", "in", "k", "out"]


def test_patients_and_studies_become_folders(source, tmp_path):
    deidentify_folder(Export(source, tmp_path / "out", KEY))
    exported = [row["file"] for row in rows(tmp_path / "out")]
    assert len({name.split("/")[1] for name in exported}) == 2
    for name in exported:
        made = pydicom.dcmread(tmp_path / "out" / name)
        assert name.split("/")[1] == made.PatientID == str(made.PatientName)


def test_grouping_by_patient_is_the_same_as_on_the_originals(tmp_path):
    """In the layout of class folders, whose names are asked to stay."""
    source = tmp_path / "in"
    random = np.random.default_rng(0)
    for number in range(12):
        path = source / ("NORMAL" if number % 2 else "PNEUMONIA") / "ward 3" / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 4096, (40, 40), dtype=np.uint16)
        told = {"StudyInstanceUID": f"1.2.3.{number // 2}", "InstanceNumber": str(number)}
        patient = "" if number in {10, 11} else f"P{number // 4}"
        save(path, film(pixels, PatientID=patient, **told))
    keep = ("NORMAL", "PNEUMONIA")
    counts = deidentify_folder(Export(source, tmp_path / "out", KEY, keep_folders=keep))
    assert counts["exported"] == 12
    assert not list((tmp_path / "out").rglob("ward*"))
    before = groups_of(source, tmp_path / "before.json")
    assert groups_of(tmp_path / "out" / "films", tmp_path / "after.json") == before
    assert sorted(map(len, before)) == [2, 2, 4, 4]


def groups_of(root: Path, listed: Path) -> list[list[str]]:
    """The films of each group, by class and InstanceNumber, as `datalist` groups them."""
    write_datalist("class_folders", root, listed, val_fraction=0, test_fraction=0)
    groups: dict[str, list[str]] = {}
    for entry in json.loads(listed.read_text("utf-8"))["training"]:
        header = pydicom.dcmread(root / entry["image"], stop_before_pixels=True)
        number = f"{entry['label']} {header.InstanceNumber}"
        groups.setdefault(entry["group"], []).append(number)
    return sorted(map(sorted, groups.values()))


def test_a_killed_run_goes_on_and_ends_the_same(source, tmp_path, monkeypatch):
    deidentify_folder(Export(source, tmp_path / "whole", KEY))
    export = Export(source, tmp_path / "out", KEY)
    write, done = folder.write_film, []

    def write_two(*given):
        if len(done) == 2:
            (tmp_path / "out" / "films" / ".writing-x.dcm").write_text("half")
            raise KeyboardInterrupt
        done.append(given)
        write(*given)

    monkeypatch.setattr(folder, "write_film", write_two)
    with pytest.raises(KeyboardInterrupt):
        deidentify_folder(export)
    assert not (tmp_path / "out" / "deidentified.csv").exists()
    again = []
    monkeypatch.setattr(folder, "write_film", lambda *given: (again.append(given), write(*given)))
    with (tmp_path / "out" / ".deidentified.jsonl").open("a") as journal:
        journal.write('{"stamp": "half a li')
    deidentify_folder(export)
    assert len(again) == 2
    made, whole = files(tmp_path / "out"), files(tmp_path / "whole")
    assert made.keys() == whole.keys()
    assert {n: c for n, c in made.items() if n[0] != "."} == {
        n: c for n, c in whole.items() if n[0] != "."
    }


def run_until_killed(export: Export, films: int) -> None:
    """Kill this process by the operating system while it writes the film behind so many."""
    write, done = film_module.whole_file, []

    @contextmanager
    def killed(target):
        with write(target) as temporary:
            yield temporary
            done.append(target)
            if len(done) > films:
                os.kill(os.getpid(), signal.SIGKILL)

    with mock.patch.object(film_module, "whole_file", killed):
        deidentify_folder(export)


def test_a_process_that_is_killed_leaves_whole_films_alone(tmp_path):
    """By the operating system: the same command then ends as if nothing were."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for number in range(12):
        save(source / f"{number}.dcm", film(PatientID=f"P{number % 7}"))
    export = Export(source, output, KEY)
    start = multiprocessing.get_context("spawn").Process  # no fork of threads of other tests
    process = start(target=run_until_killed, args=(export, 5))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    made = [path for path in output.rglob("*.dcm") if path.name[0] != "."]
    assert len(made) == 5
    for path in made:
        assert pydicom.dcmread(path).PixelData == GREY12.tobytes()
    assert list(output.rglob(".writing-*"))
    deidentify_folder(export)
    deidentify_folder(Export(source, tmp_path / "whole", KEY))
    same = {name: each for name, each in files(output).items() if name[0] != "."}
    assert same == {n: each for n, each in files(tmp_path / "whole").items() if n[0] != "."}


def test_what_is_added_or_lost_is_made_up_for(source, tmp_path):
    export = Export(source, tmp_path / "out", KEY)
    deidentify_folder(export)
    first = files(tmp_path / "out")
    lost = rows(tmp_path / "out")[0]["file"]
    (tmp_path / "out" / lost).unlink()
    save(source / "new.dcm", film(PatientID="P0"))
    assert deidentify_folder(export)["exported"] == 5
    assert (tmp_path / "out" / lost).read_bytes() == first[lost]
    assert len({row["file"].split("/")[1] for row in rows(tmp_path / "out")}) == 2


def test_what_no_input_gives_any_more_is_no_longer_handed_on(source, tmp_path, capsys):
    output, here = tmp_path / "out", source / "Miller Anna"
    given = ["deidentify", str(source), str(output), "--key", str(tmp_path / "key")]
    assert main(given) == 0
    first = rows(output)
    (output / "films" / "mine.txt").write_text("mine")
    save(here / "0.dcm", film(PatientID="corrected"))
    (here / "1.dcm").unlink()
    (here / "2.dcm").write_bytes((here / "2.dcm").read_bytes()[:-100])
    (here / "3.dcm").write_text("no longer a film")
    capsys.readouterr()
    assert main(given) == 3
    assert "4 films of an earlier run were removed" in capsys.readouterr().out
    (row,) = [each for each in rows(output) if each["file"]]
    stands = {f"films/{name}" for name in files(output / "films")}
    assert stands == {row["file"], "films/mine.txt"}
    assert [path.name for path in (output / "films").iterdir() if path.is_dir()] == [
        row["file"].split("/")[1]
    ]
    journal = (output / ".deidentified.jsonl").read_text("utf-8")
    assert not any(each["file"] in journal for each in first)
    assert main(given) == 3
    assert "removed" not in capsys.readouterr().out


def test_flagged_films_are_held_back_until_told_otherwise(tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    save(source / "a.dcm", film(SOPClassUID=SECONDARY, BurnedInAnnotation="YES"))
    some = Export(source, output, KEY, include=[Flag.BURNED_IN_ANNOTATION])
    every = Export(source, output, KEY, include=list(Flag))
    assert deidentify_folder(Export(source, output, KEY))["held"] == 1
    assert rows(output)[0]["flags"] == "burned_in_annotation secondary_capture"
    assert deidentify_folder(some)["held"] == 1
    assert not list(output.rglob("*.dcm"))
    assert deidentify_folder(every)["exported"] == 1
    assert pydicom.dcmread(next(output.rglob("*.dcm"))).BurnedInAnnotation == "YES"
    assert deidentify_folder(some)["held"] == 1
    assert not list(output.rglob("*.dcm"))
    assert sorted(FLAGS) == sorted(Flag)


def test_an_output_of_another_key_or_other_options_is_refused(source, tmp_path):
    output = tmp_path / "out"
    deidentify_folder(Export(source, output, KEY))
    before = files(output)
    other = PseudonymKey(b"another key for tests, of no more use")
    for export in (
        Export(source, output, other),
        Export(source, output, KEY, Options(modified_dates=True)),
        Export(source, output, KEY, keep_folders=("Miller Anna",)),
    ):
        with pytest.raises(ConfigurationError, match="choose another OUTPUT"):
            deidentify_folder(export)
    assert files(output) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="an empty or new folder"):
        deidentify_folder(Export(source, tmp_path / "full", KEY))


@pytest.mark.parametrize("place", ["in/out", "in", "."])
def test_input_and_output_stay_apart(source, tmp_path, place):
    before = files(source)
    with pytest.raises(ConfigurationError, match="outside"):
        deidentify_folder(Export(source, tmp_path / place, KEY))
    assert files(source) == before


def test_links_in_the_output_lead_nowhere(source, tmp_path):
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    deidentify_folder(Export(source, output, KEY))
    shutil.rmtree(output / "films")
    (output / "films").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(Exception, match="link out of it"):
        deidentify_folder(Export(source, output, KEY))
    assert not list(elsewhere.iterdir())


HOSTILE = {
    "uid that climbs": {"SOPInstanceUID": Raw(b"../../../escaped")},
    "absolute uid": {"SOPInstanceUID": Raw(b"/tmp/escaped")},
    "patient that climbs": {"PatientID": "../../escaped"},
    "study that climbs": {"StudyInstanceUID": Raw(b"../../escaped")},
    "empty identity": {"PatientID": "", "SOPInstanceUID": None, "StudyInstanceUID": Raw(b"")},
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("name", HOSTILE)
def test_identifiers_never_become_paths(name, tmp_path):
    source, output = tmp_path / "in", tmp_path / "deep" / "out"
    source.mkdir()
    dataset = film(**HOSTILE[name])
    save(source / "film.dcm", dataset)
    assert deidentify_folder(Export(source, output, KEY))["exported"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "in"]
    (made,) = output.rglob("*.dcm")
    assert made.relative_to(output / "films")
    assert pydicom.dcmread(made).SOPInstanceUID.is_valid
    assert b"escaped" not in made.read_bytes()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("verb", ["deidentify", "predict"])
def test_a_bomb_and_a_climbing_uid_write_nothing_outside(verb, tmp_path, capsys):
    source, output = tmp_path / "in", tmp_path / "deep" / "out"
    source.mkdir()
    bomb = source / "bomb.dcm"
    save(bomb, film(), DEFLATED)
    head = bomb.read_bytes()
    start = head.index(b"1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    inflated = b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(120_000_000)
    begin = start + head[start:].index(zlib_start(head))
    bomb.write_bytes(head[:begin] + packer.compress(inflated) + packer.flush())
    assert bomb.stat().st_size < 1_000_000
    save(source / "climbs.dcm", film(SOPInstanceUID=Raw(b"../../../escaped")))
    if verb == "deidentify":
        main(["deidentify", str(source), str(output), "--key", str(tmp_path / "key")])
        assert outcomes(output)["failed", "too_large"] == 1
    else:
        from bundle_fixture import quick_run, write_tiny_bundle

        bundle = write_tiny_bundle(tmp_path / "tiny")
        with quick_run():
            assert main(["predict", str(bundle.root), str(source), str(output)]) == 3
        assert "too_large" in (output / "failures.csv").read_text("utf-8")
        assert not list(output.rglob("*escaped*"))
    capsys.readouterr()
    assert {path.name for path in tmp_path.iterdir()} <= {"deep", "in", "key", "tiny"}
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def zlib_start(head: bytes) -> bytes:
    """The bytes that a deflated data set of the corpus begins with, behind group 2."""
    length = int.from_bytes(head[140:144], "little")
    return head[144 + length : 152 + length]


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    path = tmp_path / "key"
    made, is_new = open_key(path)
    assert is_new
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_key(path) == (made, False)
    assert repr(made) == "PseudonymKey()"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "key"
    open_key(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="owner alone"):
        open_key(path)


@pytest.mark.parametrize("content", ["", "short", "a" * 64, "\n" * 80, "ab" * 40])
def test_a_key_that_can_be_guessed_is_refused(tmp_path, content):
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="32 random bytes"):
        open_key(path)


def test_what_is_no_file_is_no_key(tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "dangling", "."):
        with pytest.raises(ConfigurationError, match="--key"):
            open_key(tmp_path / name)


def test_secrets_do_not_stand_in_what_is_handed_on(source, tmp_path, capsys):
    output = tmp_path / "out"
    common = ["deidentify", str(source), str(output), "--key"]
    assert main([*common, str(output / "key")]) == 2
    inside = ["--linking-table", str(output / "links.csv")]
    assert main([*common, str(tmp_path / "key"), *inside]) == 2
    assert capsys.readouterr().err.count("outside of OUTPUT") == 2
    assert not output.exists()
    assert not (tmp_path / "key").exists()


def test_secrets_take_the_place_of_nothing(source, tmp_path, capsys):
    notes, key, inside = tmp_path / "notes.csv", tmp_path / "key", source / "Miller Anna"
    notes.write_text("input,filename\n")
    open_key(key)
    before = files(tmp_path)
    common = ["deidentify", str(source), str(tmp_path / "out"), "--key"]
    assert main([*common, str(source / "key")]) == 2
    for table in (inside / "0.dcm", inside / "new.csv"):
        assert main([*common, str(key), "--linking-table", str(table)]) == 2
    assert capsys.readouterr().err.count("outside of INPUT") == 3
    for table in (notes, key, tmp_path):
        assert main([*common, str(key), "--linking-table", str(table)]) == 2
    assert capsys.readouterr().err.count("choose another --linking-table") == 3
    (tmp_path / "one").mkdir()
    one = ["deidentify", str(inside / "0.dcm"), str(tmp_path / "one"), "--key", str(key)]
    assert main([*one, "--linking-table", str(inside / "0.dcm")]) == 2
    assert files(tmp_path) == before


def test_the_linking_table_leads_back_and_is_for_its_owner(source, tmp_path):
    save(source / "=1+1.dcm", film(PatientID="=cmd"))
    (source / "notes.txt").write_text("x")
    links = tmp_path / "links.csv"
    for _ in range(2):  # its own table it replaces
        deidentify_folder(Export(source, tmp_path / "out", KEY, linking_table=links))
    assert links.stat().st_mode & 0o777 == 0o600
    with links.open(newline="", encoding="utf-8") as table:
        found = {row["input"]: row for row in csv.DictReader(table)}
    told = {row["input"]: row for row in rows(tmp_path / "out")}
    assert found.keys() == told.keys()
    for pseudonym, row in found.items():
        assert row["file"] == told[pseudonym]["file"]
        if row["filename"].startswith("Miller"):
            original = pydicom.dcmread(source / row["filename"])
            assert row["patient_id"] == original.PatientID
            assert row["sop_instance_uid"] == original.SOPInstanceUID
    assert {row["patient_id"] for row in found.values()} >= {"P0", "P1", "'=cmd", ""}
    assert any(row["filename"] == "./=1+1.dcm" for row in found.values())


def test_one_file_is_enough(source, tmp_path):
    path = source / "Miller Anna" / "0.dcm"
    assert deidentify_folder(Export(path, tmp_path / "out", KEY))["exported"] == 1
