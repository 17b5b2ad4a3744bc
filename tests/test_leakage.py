"""The leak check on small films: every kind of copy is found, and films that look alike are not."""

import csv
import shutil
from collections import Counter

import cv2
import nibabel
import numpy as np
import pytest
from dataset_fixture import make_image, make_images
from PIL import Image

from pipelines.datasets.datalist import build_datalist
from pipelines.datasets.index import write_datalist
from pipelines.datasets.leak_kinds import LeakKind
from pipelines.datasets.leak_report import (
    COLUMNS,
    count_kinds,
    describe_leaks,
    format_leaks,
    leaks_of,
    write_leaks,
)
from pipelines.datasets.leakage import Severity, find_leaks
from pipelines.datasets.opened import OpenedDataset
from pipelines.errors import ConfigurationError, DatasetError, Reason
from pipelines.evaluation.leak_pictures import draw_leaks


@pytest.fixture
def leaking(tmp_path):
    """Given splits with one of everything that the check looks for."""
    root = make_images(
        tmp_path / "data",
        [f"{split}/{name}/{split}{name}{n}.png" for split in ("train", "test") for name in "AB"
         for n in range(8)],
    )  # fmt: skip
    shutil.copy(root / "train/A/trainA0.png", root / "test/A/copied.png")
    film = cv2.imread(str(root / "train/B/trainB1.png"), cv2.IMREAD_GRAYSCALE)
    assert cv2.imwrite(str(root / "test/B/mirrored.png"), film[:, ::-1])
    shutil.copy(root / "train/A/trainA2.png", root / "train/B/other_label.png")
    make_image(root / "train/A/person7_virus_1.png")
    make_image(root / "test/A/person7_virus_2.png")
    (root / "train/A/trainA3.png").rename(root / "train/A/trainA3.jpg")
    (root / "train/A/page.jpg").write_text("<html>not found</html>")
    (root / "train/C").mkdir()
    return root


def indexed(root, **options):
    return build_datalist(root, allow_gaps=True, require=(), val_fraction=0, **options)


def test_each_kind_is_found_once_and_leaks_come_first(leaking):
    found = find_leaks(indexed(leaking))
    told = Counter((each.kind, each.severity) for each in found)
    assert told == {
        (LeakKind.BYTE_COPY, Severity.LEAK): 1,
        (LeakKind.BYTE_COPY, Severity.WARNING): 1,
        (LeakKind.NEAR_COPY, Severity.LEAK): 1,
        (LeakKind.SAME_GROUP, Severity.LEAK): 1,
        (LeakKind.TWO_LABELS, Severity.WARNING): 1,
        (LeakKind.WRONG_SUFFIX, Severity.WARNING): 2,
        (LeakKind.EMPTY_CLASS, Severity.WARNING): 1,
    }
    assert [each.severity for each in found] == sorted(each.severity for each in found)
    near = next(each for each in found if each.kind is LeakKind.NEAR_COPY)
    assert (near.first.file, near.second.file) == ("train/B/trainB1.png", "test/B/mirrored.png")
    assert near.similarity == pytest.approx(1, abs=0.01)
    assert found[-1].first.file == "train/C"


def test_the_table_is_short_and_the_file_whole(leaking, tmp_path):
    found = find_leaks(indexed(leaking))
    lines = format_leaks(found).splitlines()
    assert len(lines) == 1 + sum(count > 0 for count in count_kinds(found).values())
    assert lines[1].split()[:4] == ["byte_copy", "2", "train/test", "1"]
    write_leaks(tmp_path / "leakage.csv", found)
    with (tmp_path / "leakage.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    assert tuple(rows[0]) == COLUMNS
    assert [row["kind"] for row in rows] == [each.kind for each in found]
    assert format_leaks(()) == "leak check: nothing found"


def test_no_name_in_the_file_is_a_formula(tmp_path):
    root = make_images(tmp_path / "data", ["=1+1/=2+2.png", "plain/a.png", "plain/b.png"])
    shutil.copy(root / "=1+1/=2+2.png", root / "plain/-c.png")
    write_leaks(tmp_path / "leakage.csv", find_leaks(indexed(root)))
    with (tmp_path / "leakage.csv").open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    copied = next(row for row in rows if row["kind"] == LeakKind.BYTE_COPY)
    files = {copied["first_file"], copied["second_file"]}
    assert files == {"./=1+1/=2+2.png", "plain/-c.png"}
    assert {copied["first_label"], copied["second_label"]} == {"'=1+1", "plain"}


def test_a_packed_volume_is_known_by_both_suffixes(tmp_path):
    root = make_images(tmp_path / "data", [f"{name}/{n}.png" for name in "AB" for n in range(3)])
    affine, grey = np.eye(4), np.random.default_rng(0).random((8, 8, 1)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(grey, affine), root / "A/good.nii.gz")
    (root / "A/0.png").rename(root / "A/wrong.nii.gz")
    found = find_leaks(indexed(root))
    wrong = [each.first.file for each in found if each.kind is LeakKind.WRONG_SUFFIX]
    assert wrong == ["A/wrong.nii.gz"]


def test_pairs_are_drawn_and_an_old_picture_goes(leaking, tmp_path):
    datalist = indexed(leaking)
    found = find_leaks(datalist)
    draw_leaks(tmp_path, datalist, found)
    picture = np.asarray(Image.open(tmp_path / "leakage.png"))
    assert picture.std() > 20
    draw_leaks(tmp_path, datalist, ())
    assert not (tmp_path / "leakage.png").exists()


def test_training_is_refused_unless_told_otherwise(leaking, caplog):
    given = {"classes": ["A", "B"], "val_fraction": 0.2}
    with pytest.raises(DatasetError) as caught:
        OpenedDataset(leaking, **given).check_leaks()
    assert caught.value.reason is Reason.DATA_LEAK
    said = str(caught.value)
    assert "1 byte_copy, 1 near_copy, 1 same_group" in said
    assert "--fix" in said
    assert "data::leaks" in said
    assert len(said.splitlines()) <= 5
    OpenedDataset(leaking, leaks="ignore", **given).check_leaks()
    assert not caplog.records
    OpenedDataset(leaking, leaks="warn", **given).check_leaks()
    assert "expected no film on two sides" in caplog.text
    with pytest.raises(ConfigurationError, match="did you mean 'warn'"):
        OpenedDataset(leaking, leaks="wan", **given)


@pytest.mark.parametrize("fix", ["group", "drop"])
def test_a_mended_list_is_clean_when_it_is_indexed_again(leaking, tmp_path, fix):
    done = write_datalist("class_folders", leaking, tmp_path / "list.json", val_fraction=0, fix=fix)
    assert leaks_of(done.found)
    assert not leaks_of(done.left)
    again = write_datalist("file", tmp_path / "list.json", tmp_path / "again.json", val_fraction=0)
    assert not leaks_of(again.found)
    kinds = {kind for kind, count in count_kinds(again.found).items() if count}
    if fix == "drop":
        assert kinds == {LeakKind.WRONG_SUFFIX}
        names = {item["image"].rpartition("/")[2] for _, item in done.datalist.with_splits()}
        # The test film stays, and films with two labels go.
        assert {"copied.png", "mirrored.png", "person7_virus_2.png"} <= names
        assert not {"trainA0.png", "trainB1.png", "trainA2.png", "other_label.png"} & names
    else:
        assert len(done.datalist.train) == 18 + 3
        assert "3 films moved" in done.datalist.notes[-1]


def test_a_clean_set_is_clean_and_a_wrong_fix_is_refused(tmp_path):
    root = make_images(
        tmp_path / "data", [f"{name}/{name}{n}.png" for name in "AB" for n in range(9)]
    )
    done = write_datalist("class_folders", root, tmp_path / "list.json")
    assert done.found == ()
    assert describe_leaks(()).startswith("expected no film")
    with pytest.raises(ConfigurationError, match="did you mean 'group'"):
        write_datalist("class_folders", root, tmp_path / "list.json", fix="grup")
