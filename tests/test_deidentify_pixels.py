"""Pixels stay as they are; text beside them in the bytes goes, and text in them is flagged."""

import io
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from corpus import dicom_grey_cases, dicom_syntax_cases
from corpus.dicom_films import GREY12, film, fragments, save
from PIL import Image

from pipelines.deploy.deidentify.burned_in import FEWEST_MARKS, has_text_at_margins
from pipelines.deploy.deidentify.film import inspect_film, place_of, write_film
from pipelines.deploy.deidentify.key import PseudonymKey
from pipelines.deploy.deidentify.pixel_data import clean_codestream
from pipelines.deploy.deidentify.profile import Cleaner, Options
from pipelines.errors import Reason
from pipelines.ingest.read import read_radiograph

CLEANER = Cleaner(PseudonymKey(b"a key for tests, and for nothing else"), Options())
SMOOTH8 = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
CASES = [
    case
    for case in [*dicom_syntax_cases.cases(), *dicom_grey_cases.cases()]
    if not isinstance(case.expect, Reason)
]


def exported(path: Path) -> Path:
    found = inspect_film(path)
    target = path.with_name("out") / place_of(found, CLEANER)
    write_film(found, target, CLEANER)
    return target


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_film_that_is_read_is_exported_with_the_same_pixels(case, tmp_path):
    path = tmp_path / "film.dcm"
    case.write(path)
    made = exported(path)
    before, after = read_radiograph(path), read_radiograph(made)
    assert np.array_equal(before.pixels, after.pixels)
    assert before.spacing_mm == after.spacing_mm
    assert before.provenance.transfer_syntax == after.provenance.transfer_syntax
    assert b"CANARY" not in made.read_bytes()


def test_plain_pixel_data_stays_equal_byte_by_byte(tmp_path):
    save(tmp_path / "film.dcm", film())
    assert pydicom.dcmread(exported(tmp_path / "film.dcm")).PixelData == GREY12.tobytes()


def test_bits_above_the_samples_and_bytes_behind_them_go(tmp_path):
    hidden = GREY12 | np.uint16(0xA000)
    save(tmp_path / "film.dcm", film(PixelData=hidden.tobytes() + b"CANARY behind the pixels"))
    assert pydicom.dcmread(exported(tmp_path / "film.dcm")).PixelData == GREY12.tobytes()


def test_signed_samples_keep_their_sign(tmp_path):
    signed = (GREY12.astype(np.int16) - 2048).astype(np.int16)
    save(tmp_path / "film.dcm", film(signed, WindowCenter=0))
    assert pydicom.dcmread(exported(tmp_path / "film.dcm")).PixelData == signed.tobytes()


def with_segments(code: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put segments behind the beginning of a JPEG codestream."""
    built = b"".join(
        bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
        for marker, body in segments
    )
    return code[:2] + built + code[2:] + b"CANARY behind the image."


JPEG_TEXT = (
    (0xFE, b"CANARY comment"),
    (0xE1, b"Exif\0\0CANARY and all that cameras tell"),
    (0xE0, b"JFIF\0\1\1\0\0\1\0\1\1\1CANARYTHUMB"),
    (0xED, b"Photoshop 3.0\0CANARY"),
    (0xEE, b"Adobe\0d\0\0\0\0\0CANARY"),
)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg_ls", "lossless"])
def test_comments_and_application_segments_of_jpeg_are_blanked(kind):
    plain = {
        "jpeg": lambda: imagecodecs.jpeg8_encode(SMOOTH8, level=90),
        "jpeg_ls": lambda: imagecodecs.jpegls_encode(SMOOTH8),
        "lossless": lambda: imagecodecs.ljpeg_encode(SMOOTH8),
    }[kind]()
    decode = {
        "jpeg": imagecodecs.jpeg8_decode,
        "jpeg_ls": imagecodecs.jpegls_decode,
        "lossless": imagecodecs.ljpeg_decode,
    }[kind]
    told = with_segments(plain, *JPEG_TEXT)
    cleaned = clean_codestream(told)
    assert b"CANARY" in told
    assert b"CANARY" not in cleaned
    assert np.array_equal(decode(cleaned), decode(plain))
    assert b"JFIF\0" in cleaned
    assert b"Adobe" in cleaned


def test_comments_between_the_scans_of_a_progressive_jpeg_are_blanked():
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH8).save(buffer, "JPEG", progressive=True)
    plain = buffer.getvalue()
    second = plain.index(b"\xff\xda", plain.index(b"\xff\xda") + 2)
    told = plain[:second] + b"\xff\xfe\0\x0cCANARYLATE" + plain[second:]
    cleaned = clean_codestream(told)
    assert b"CANARY" not in cleaned
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(cleaned))), Image.open(buffer))


def test_comments_of_jpeg_2000_are_blanked(tmp_path):
    """In the header, and in that of a tile."""
    plain = dicom_syntax_cases.jpeg_2000(GREY12)
    comment = b"\xff\x64\0\x12\0\1CANARYWAVELET."[:20]
    start = plain.index(b"\xff\x90")
    data = plain.index(b"\xff\x93", start)
    length = int.from_bytes(plain[start + 6 : start + 10], "big")
    tile = plain[start : start + 6] + (length + 20).to_bytes(4, "big") + plain[start + 10 : data]
    told = plain[:start] + comment + tile + comment + plain[data:]
    assert told.count(b"CANARY") == 2
    save(
        tmp_path / "film.dcm",
        film(PixelData=fragments([told])),
        "1.2.840.10008.1.2.4.90",
    )
    made = exported(tmp_path / "film.dcm")
    assert b"CANARY" not in made.read_bytes()
    read = read_radiograph(made).pixels
    save(tmp_path / "plain.dcm", film())
    assert np.array_equal(read, read_radiograph(tmp_path / "plain.dcm").pixels)


def test_what_is_no_jpeg_stays():
    assert clean_codestream(b"\1\0\0\0RLE") == b"\1\0\0\0RLE"


def film_with(text: str, *, high: int, corner: tuple[float, float], value: float) -> np.ndarray:
    """A smooth film of 900 x 700 with a line of text, as (1, height, width)."""
    rows, columns = np.mgrid[0:1:900j, 0:1:700j]
    grey = 0.15 + 0.6 * np.exp(-(((rows - 0.5) / 0.3) ** 2) - ((columns - 0.5) / 0.25) ** 2)
    mask = np.zeros(grey.shape, np.uint8)
    place = (int(corner[1] * 700), int(corner[0] * 900))
    width = max(1, high // 11)
    cv2.putText(mask, text, place, cv2.FONT_HERSHEY_SIMPLEX, high / 22, 255, width, cv2.LINE_AA)
    share = mask / 255
    return (grey * (1 - share) + value * share).astype(np.float32)[None]


@pytest.mark.parametrize("high", [12, 20, 40])
@pytest.mark.parametrize("text", ["DOE JOHN 1950", "12.03.2021", "ID 471108"])
@pytest.mark.parametrize("corner", [(0.08, 0.03), (0.97, 0.3)])
def test_printed_lines_at_the_margin_are_flagged(text, high, corner):
    pixels = film_with(text, high=high, corner=corner, value=1.0)
    assert has_text_at_margins(pixels)
    assert has_text_at_margins(np.rot90(pixels, axes=(1, 2)).copy())
    assert has_text_at_margins(1 - pixels)


def test_a_marker_of_the_side_is_not():
    for text in ("", "R", "L", "R JD", "AP"):
        assert len(text.replace(" ", "")) < FEWEST_MARKS
        pixels = film_with(text, high=30, corner=(0.1, 0.05), value=1.0)
        assert not has_text_at_margins(pixels)


def test_films_of_any_size_can_be_looked_at():
    for shape in ((1, 1), (1, 4000), (30, 30), (5000, 20)):
        assert not has_text_at_margins(np.zeros((1, *shape), np.float32))
