"""Formats are told from content; no content raises anything but a refusal."""

import os
from pathlib import Path

import pytest
from corpus.raster_images import GREY8, encoded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.errors import InputError, Reason
from pipelines.ingest.sniff import FileFormat, sniff

EXPLICIT = bytes.fromhex("08000500 4353 0a00") + b"ISO_IR 100" + bytes.fromhex("08001600 5549 0200")
IMPLICIT = bytes.fromhex("08000500 0a000000") + b"ISO_IR 100" + bytes.fromhex("08001600 02000000")
BIG_ENDIAN = bytes.fromhex("00080005 4353 000a") + b"ISO_IR 100" + bytes.fromhex("00080016 5549")
META = bytes.fromhex("02000000 554c 0400 00000000 02000100 4f42 0000 02000000 0001")
SEQUENCE = bytes.fromhex("08000600 5351 0000 00000000 08001600 5549 0200")

random_bytes = st.binary(max_size=600)
starts = st.sampled_from(
    [b"", b"BM", b"GIF89a", b"II*\0", b"NRRD0004\n", b"NDims = 2\n", b"\x1f\x8b", b"\x08\0\x05\0",
     b"\x02\0\0\0", bytes(128) + b"DICM", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]
)  # fmt: skip


def reason_of(path: Path) -> Reason:
    with pytest.raises(InputError) as refusal:
        sniff(path)
    assert str(path.parent) not in str(refusal.value)
    return refusal.value.reason


@given(start=starts, rest=random_bytes)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_content_is_a_format_or_a_refusal(tmp_path: Path, start: bytes, rest: bytes):
    path = tmp_path / "any"
    path.write_bytes(start + rest)
    try:
        outcome: FileFormat | Reason = sniff(path)
    except InputError as refusal:
        outcome = refusal.reason
    refusals = {Reason.EMPTY_FILE, Reason.NOT_AN_IMAGE, Reason.UNSUPPORTED_FORMAT}
    assert outcome in {*FileFormat, *refusals}


@pytest.mark.parametrize(
    "content",
    [
        bytes(128) + b"DICM",
        b"II*\0" + bytes(124) + b"DICM",
        EXPLICIT,
        IMPLICIT,
        BIG_ENDIAN,
        META,
        SEQUENCE,
    ],
    ids=["preamble", "tiff_preamble", "explicit", "implicit", "big_endian", "meta", "sequence"],
)
def test_dicom_with_and_without_preamble(tmp_path: Path, content: bytes):
    path = tmp_path / "film.png"
    path.write_bytes(content)
    assert sniff(path) is FileFormat.DICOM


def test_names_lie(tmp_path: Path):
    path = tmp_path / "film.jpg"
    path.write_bytes(encoded(Image.fromarray(GREY8), "GIF"))
    assert sniff(path) is FileFormat.GIF


@pytest.mark.parametrize(
    "content",
    [b"\x08\x00\x05\x00 is no tag at all", b"Age = 40\nndims are missing here", b"\x1f\x8bbroken"],
)
def test_what_only_looks_alike(tmp_path: Path, content: bytes):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert reason_of(path) is Reason.NOT_AN_IMAGE
    with pytest.raises(InputError, match=r"expected .*, got .*; (if it should|unpack)"):
        sniff(path)


def test_missing_dangling_and_special(tmp_path: Path):
    assert reason_of(tmp_path / "missing.png") is Reason.FILE_UNREADABLE
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    assert reason_of(tmp_path / "link.png") is Reason.FILE_UNREADABLE
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "pipe.png") is Reason.NOT_AN_IMAGE
    assert reason_of(tmp_path) is Reason.NOT_AN_IMAGE


def test_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "film.png"
    path.write_bytes(EXPLICIT)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, for whom no file is locked.
    monkeypatch.setattr(Path, "open", refuse)
    assert reason_of(path) is Reason.FILE_UNREADABLE
