"""Every file of a folder is an item or a refusal, in a stable order."""

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest
from corpus.raster_images import GREY8
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pipelines.errors import ConfigurationError, Outcome, Reason
from pipelines.ingest.collect import Collection, collect
from pipelines.ingest.read import read_radiograph

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
SECONDARY_CAPTURE_FRAMES = "1.2.840.10008.5.1.4.1.1.7.2"
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def write_png(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(GREY8).save(path, "PNG")


def write_dicom(
    path: Path, *, uid: str = "", sop_class: str = COMPUTED_RADIOGRAPHY, frames: int = 1
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    film = pydicom.Dataset()
    film.SOPClassUID = sop_class
    film.SOPInstanceUID = uid or generate_uid()
    film.PatientID = "CANARY^ID"
    film.Modality = "CR"
    if sop_class != BASIC_TEXT_SR:
        film.Rows, film.Columns = GREY8.shape
        film.BitsAllocated = film.BitsStored = 8
        film.HighBit, film.PixelRepresentation, film.SamplesPerPixel = 7, 0, 1
        film.PhotometricInterpretation = "MONOCHROME2"
        pixels = np.stack([np.roll(GREY8, n, axis=0) for n in range(frames)])
        film.PixelData = pixels.tobytes() + bytes(pixels.size % 2)
        if frames > 1:
            film.NumberOfFrames = frames
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.save_as(path, enforce_file_format=True)


def reasons(collection: Collection) -> dict[str, Reason]:
    return {refusal.filename: refusal.reason for refusal in collection.refusals}


def names(collection: Collection) -> list[str]:
    return [item.filename for item in collection.items]


def test_order_is_by_name_folder_by_folder(tmp_path: Path):
    for name in ("b.png", "a/2.png", "a/10.png", "a/b/x.png", "c.dcm", "A.png"):
        write_png(tmp_path / name)
    assert names(collect(tmp_path)) == [
        "A.png", "a/10.png", "a/2.png", "a/b/x.png", "b.png", "c.dcm"
    ]  # fmt: skip


def test_what_is_no_film_has_a_reason(tmp_path: Path):
    write_dicom(tmp_path / "film", uid="1.2.3")
    write_dicom(tmp_path / "report.dcm", sop_class=BASIC_TEXT_SR)
    whole = (tmp_path / "film").read_bytes()
    (tmp_path / "short.dcm").write_bytes(whole[: len(whole) - 200])
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\0\0\1 of no interest")
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe")
    collection = collect(tmp_path)
    assert names(collection) == ["film"]
    assert reasons(collection) == {
        "report.dcm": Reason.NOT_A_RADIOGRAPH,
        "short.dcm": Reason.TRUNCATED,
        ".DS_Store": Reason.NOT_AN_IMAGE,
        "Thumbs.db": Reason.NOT_AN_IMAGE,
        "desktop.ini": Reason.NOT_AN_IMAGE,
        "notes.txt": Reason.NOT_AN_IMAGE,
        "empty.png": Reason.EMPTY_FILE,
        "pipe": Reason.NOT_AN_IMAGE,
    }
    assert collection.inputs == 9
    assert "CANARY" not in repr(collection)


def test_duplicates_by_instance(tmp_path: Path):
    write_dicom(tmp_path / "1.dcm", uid="1.2.3")
    write_dicom(tmp_path / "2.dcm", uid="1.2.4")
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "1.dcm").read_bytes())
    write_dicom(tmp_path / "other.dcm", uid="1.2.4", frames=1, sop_class=SECONDARY_CAPTURE_FRAMES)
    collection = collect(tmp_path)
    assert names(collection) == ["1.dcm", "2.dcm"]
    assert reasons(collection) == {"copy.dcm": Reason.DUPLICATE, "other.dcm": Reason.DUPLICATE}
    copy, other = collection.refusals
    assert copy.outcome is Outcome.SKIPPED
    assert "equal copy" in copy.message
    assert "other content" in other.message


def test_frames_are_items_of_their_own(tmp_path: Path):
    write_dicom(tmp_path / "loop.dcm", frames=3, sop_class=SECONDARY_CAPTURE_FRAMES)
    collection = collect(tmp_path)
    assert names(collection) == ["loop.dcm#1", "loop.dcm#2", "loop.dcm#3"]
    assert collection.inputs == 3
    first, second, _ = (read_radiograph(item.path, frame=item.frame) for item in collection.items)
    np.testing.assert_array_equal(np.roll(first.pixels, 1, axis=1), second.pixels)


def test_single_file_keeps_its_own_name(tmp_path: Path):
    write_png(tmp_path / "film.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "film.png")
    assert names(collect(tmp_path / "film.png")) == ["film.png"]
    assert names(collect(tmp_path / "link.png")) == ["link.png"]
    (tmp_path / "text.png").write_text("no image")
    assert reasons(collect(tmp_path / "text.png")) == {"text.png": Reason.NOT_AN_IMAGE}


def test_links_stay_inside_the_root(tmp_path: Path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    write_png(root / "film.png")
    write_png(outside / "film.png")
    (root / "again.png").symlink_to(root / "film.png")
    (root / "out.png").symlink_to(outside / "film.png")
    (root / "out").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "circle").symlink_to(root / "circle")
    (root / "nowhere").symlink_to(root / "gone")
    collection = collect(root)
    assert names(collection) == ["film.png"]
    assert reasons(collection) == {
        "again.png": Reason.DUPLICATE,
        "out.png": Reason.LINK_OUTSIDE_ROOT,
        "out": Reason.LINK_OUTSIDE_ROOT,
        "loop": Reason.DUPLICATE,
        "circle": Reason.FILE_UNREADABLE,
        "nowhere": Reason.FILE_UNREADABLE,
    }
    (tmp_path / "linked").symlink_to(root)
    assert names(collect(tmp_path / "linked")) == ["film.png"]


def test_locked_folder_is_accounted_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_png(tmp_path / "film.png")
    write_png(tmp_path / "locked" / "film.png")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # Tests may run as root, for whom no folder is locked.
    monkeypatch.setattr("pipelines.ingest.collect.os.scandir", refuse)
    collection = collect(tmp_path)
    assert names(collection) == ["film.png"]
    assert reasons(collection) == {"locked": Reason.FILE_UNREADABLE}


def test_names_of_any_bytes(tmp_path: Path):
    for name in (b"\xff\xfe.png", "Röntgen bild.png".encode(), b"a\nb.png", b"c#2.png"):
        write_png(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)))
    collection = collect(tmp_path)
    assert sorted(names(collection)) == sorted(
        ["\\xff\\xfe.png", "Röntgen bild.png", "a\nb.png", "c#2.png"]
    )
    for item in collection.items:
        item.filename.encode()
        read_radiograph(item.path)


def test_missing_root(tmp_path: Path):
    with pytest.raises(ConfigurationError) as refusal:
        collect(tmp_path / "gone")
    assert str(tmp_path) not in str(refusal.value)


def test_empty_folder(tmp_path: Path):
    (tmp_path / "nothing").mkdir()
    assert collect(tmp_path).inputs == 0


def test_folders_are_passed_over_with_all_below_them(tmp_path: Path):
    for name in ("out/a.png", "out/below/b.png", "films/out/c.png", "films/d.png", "e.png"):
        write_png(tmp_path / name)
    asked = []

    def passes_over(folder: Path) -> bool:
        asked.append(folder.relative_to(tmp_path).as_posix())
        return folder.name == "out"

    assert names(collect(tmp_path, passes_over=passes_over)) == ["e.png", "films/d.png"]
    assert asked == ["films", "films/out", "out"]


def test_lines_show_that_it_goes_on_with_thousands_of_files(tmp_path: Path, capsys):
    write_png(tmp_path / "0.png")
    for n in range(1, 2000):
        folder = tmp_path / str(n % 10)
        folder.mkdir(exist_ok=True)
        os.link(tmp_path / "0.png", folder / f"{n}.png")
    collection = collect(tmp_path, show_progress=True)
    assert collection.inputs == 2000
    assert capsys.readouterr().err.startswith("looking for films: 2000 files in ")
