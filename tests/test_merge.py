"""Shards of a prediction, merged, are what one run over all films leaves."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundle_fixture import one_torch_thread, write_dicom, write_png, write_tiny_bundle

from pipelines.errors import ConfigurationError, Reason, RunError
from pipelines.inference.batch import predict_folder
from pipelines.inference.lock import locked
from pipelines.inference.merge import merge_shards
from pipelines.inference.part import PART_NAME
from pipelines.ingest.shard import Shard
from pipelines.workflows.bundle import Bundle, find_bundle

SPEED = {"from_earlier_run", "seconds", "films_per_second", "shards"}


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    with one_torch_thread():
        yield


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Bundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Films of two formats, three inputs that are none, and three copies under other names."""
    folder = tmp_path_factory.mktemp("input") / "films"
    for number in range(6):
        write_png(folder / "png" / f"{number}.png", seed=number)
    for number in range(5):
        write_dicom(folder / "dicom" / f"{number}.dcm", seed=10 + number)
    for number in range(3):
        shutil.copy(folder / "dicom" / f"{number}.dcm", folder / f"copy {number}.dcm")
    changed = (folder / "dicom" / "4.dcm").read_bytes()
    (folder / "zz.dcm").write_bytes(changed[:-1] + bytes([changed[-1] ^ 1]))
    (folder / "notes.txt").write_text("no film")
    (folder / "empty.png").touch()
    (folder / "cut.png").write_bytes((folder / "png" / "0.png").read_bytes()[:60])
    return folder


def predict(bundle: Bundle, source: Path, output: Path, *, shards: int = 0, **options: object):
    if not shards:
        return predict_folder(bundle, source, output, overrides=options)
    for index in range(shards):
        predict_folder(bundle, source, output, overrides=options, shard=Shard(shards, index))
    return merge_shards(output)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table))


def tree(folder: Path, *patterns: str) -> dict[str, bytes]:
    """Every file that a pattern finds, with its content."""
    found = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def same_but_speed(one: dict[str, object], other: dict[str, object]) -> bool:
    return {k: v for k, v in one.items() if k not in SPEED} == {
        k: v for k, v in other.items() if k not in SPEED
    }


@pytest.fixture(scope="module")
def whole(bundle, films, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole")
    with one_torch_thread():
        predict(bundle, films, output, dicom="sr")
    return output


@pytest.fixture(scope="module")
def sharded(bundle, films, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("sharded")
    with one_torch_thread():
        predict(bundle, films, output, shards=3, dicom="sr")
    return output


def test_merged_shards_are_what_one_run_leaves(whole, sharded):
    kept = ("predictions.*", "failures.csv", "contact_sheet.png")
    assert tree(sharded, *kept) == tree(whole, *kept)
    one, other = (
        json.loads((each / "summary.json").read_text("utf-8")) for each in (whole, sharded)
    )
    assert same_but_speed(one, other)
    assert (other["inputs"], other["predicted"], other["shards"]) == (18, 11, 3)
    reasons = {row["filename"]: row for row in rows(sharded / "failures.csv")}
    assert {reasons[f"dicom/{n}.dcm"]["reason"] for n in range(3)} == {"duplicate"}
    assert "equal copy" in reasons["dicom/0.dcm"]["message"]
    assert "other content" in reasons["zz.dcm"]["message"]
    report = (sharded / "report.html").read_text("utf-8")
    assert len(report) == pytest.approx(len((whole / "report.html").read_text("utf-8")), rel=0.05)


def test_dicom_objects_come_along(whole, sharded):
    assert rows(sharded / "dicom" / "objects.csv") == rows(whole / "dicom" / "objects.csv")
    files = {path.name for path in (sharded / "dicom").glob("*.dcm")}
    assert files == {path.name for path in (whole / "dicom").glob("*.dcm")}
    assert len(files) == 5, "a copy has the object of its original"


def test_one_run_goes_on_where_merged_shards_ended(bundle, films, sharded, tmp_path):
    output = tmp_path / "out"
    shutil.copytree(sharded, output, ignore=shutil.ignore_patterns("shard-*"))
    summary = predict(bundle, films, output, dicom="sr")
    assert summary["from_earlier_run"] == 12, "the one that cannot be read is among them"
    assert tree(output, "predictions.csv") == tree(sharded, "predictions.csv")


@pytest.mark.parametrize("name", ["hand_bone_segmentation", "fracture_autoencoder"])
def test_other_tasks_too(name, tmp_path):
    for number in range(5):
        write_png(tmp_path / "films" / f"{number}.png", seed=number, size=(70, 60))
    shipped = find_bundle(name)
    # Alone in its batch, no film's last digits depend on the others.
    options: dict[str, object] = {"device": "cpu", "engine::batch_size": 1}
    options["evaluator::report"] = False
    options |= {"refiner": None, "image_size": 64} if name.startswith("hand") else {}
    one = predict(shipped, tmp_path / "films", tmp_path / "one", **options)
    other = predict(shipped, tmp_path / "films", tmp_path / "other", shards=2, **options)
    kept = ("*.csv", "predictions.json", "contact_sheet.png", "masks/**/*", "overlays/**/*")
    assert tree(tmp_path / "other", *kept) == tree(tmp_path / "one", *kept)
    assert len(tree(tmp_path / "one", "overlays/*.png")) == 5
    assert same_but_speed(one, other)
    assert not (tmp_path / "other" / "report.html").exists()


def test_new_films_move_no_others_and_are_all_that_is_read(bundle, films, tmp_path):
    source, output = tmp_path / "films", tmp_path / "out"
    shutil.copytree(films / "png", source)
    predict(bundle, source, output, shards=2)
    write_png(source / "new.png", seed=30)
    (source / "0.png").unlink()
    predict_folder(bundle, source, output, overrides={}, shard=Shard(2, 0))
    with pytest.raises(ConfigurationError, match="saw the same inputs, got 6 inputs"):
        merge_shards(output)
    summary = predict(bundle, source, output, shards=2)
    assert (summary["inputs"], summary["from_earlier_run"]) == (6, 5)
    predict(bundle, source, tmp_path / "whole")
    assert tree(output, "*.csv") == tree(tmp_path / "whole", "*.csv")


def test_what_does_not_fit_together_is_refused_with_words(bundle, films, tmp_path):
    source, output = tmp_path / "films", tmp_path / "out"
    shutil.copytree(films / "png", source)

    def refused(match: str, *folders: Path) -> None:
        with pytest.raises(ConfigurationError, match=match) as raised:
            merge_shards(output, folders)
        assert raised.value.reason in {Reason.PARTS_MISMATCH, Reason.CONFIGURATION}
        assert not (output / "predictions.csv").exists()

    output.mkdir()
    refused("folders shard-")
    first, second = Shard(2, 0), Shard(2, 1)
    predict_folder(bundle, source, output, overrides={}, shard=first)
    refused("all 2 shards, got 1 missing: 1/2; run those")
    predict_folder(bundle, source, output, overrides={"threshold": 0.9}, shard=second)
    refused("other values in shard 1/2 than in 0/2 of: operating point, options")
    predict_folder(bundle, source, output, overrides={}, shard=second)
    refused("each shard once, got 0/2", output / first.folder, output / first.folder)
    part = output / second.folder / PART_NAME
    whole = part.read_text("utf-8")
    part.write_text("".join(whole.splitlines(keepends=True)[:-1]), "utf-8")
    refused("each of the 6 inputs in one shard, got 1 in none")
    part.unlink()
    refused(f"finished shards, got 1 not: '{second.folder}'")
    part.write_text(whole, "utf-8")
    journal = output / second.folder / ".journal.jsonl"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]), "utf-8")
    refused("a record of each input, got none of 1")
    journal.write_text("".join(lines), "utf-8")
    shutil.copytree(output / first.folder, output / Shard(3, 0).folder)
    part = output / Shard(3, 0).folder / PART_NAME
    part.write_text(part.read_text("utf-8").replace('"0/2"', '"0/3"'), "utf-8")
    refused("shards of one run, got shards of 2 and 3; name the folders")
    with locked(output), pytest.raises(RunError, match="no other run"):
        merge_shards(output, [output / first.folder, output / second.folder])
    assert merge_shards(output, [output / first.folder, output / second.folder])["inputs"] == 6


def test_tables_of_other_films_are_not_replaced(bundle, films, sharded, tmp_path):
    predict(bundle, films / "png", tmp_path / "other")
    before = tree(tmp_path / "other", "*")
    with pytest.raises(ConfigurationError, match="another OUTPUT"):
        merge_shards(tmp_path / "other", sorted(sharded.glob("shard-*")))
    assert tree(tmp_path / "other", "*") == before


def test_a_share_may_be_empty_and_all_may_not(bundle, tmp_path):
    write_png(tmp_path / "films" / "one.png")
    summary = predict(bundle, tmp_path / "films", tmp_path / "out", shards=3)
    assert (summary["inputs"], summary["predicted"]) == (1, 1)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ConfigurationError, match="at least one file"):
        predict(bundle, tmp_path / "nothing", tmp_path / "none", shards=3)


def test_shards_inside_the_input_are_no_inputs_of_one_another(bundle, films, tmp_path):
    source = tmp_path / "films"
    shutil.copytree(films / "png", source)
    assert predict(bundle, source, source / "out", shards=2)["inputs"] == 6
    assert predict(bundle, source, source / "out", shards=2)["from_earlier_run"] == 6
