"""What has to be refused: cut, damaged, hostile files, and objects that are no radiographs."""

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.data import get_testdata_file

from corpus import Case
from corpus.dicom_films import (
    CR,
    DEFLATED,
    EXPLICIT,
    GREY8,
    GREY12,
    case,
    edited,
    encoded,
    film,
    save,
    written,
)
from corpus.dicom_syntax_cases import (
    HTJ2K,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    RLE,
    jpeg_2000,
    renamed,
    rle_segments,
)
from pipelines.errors import Reason

OTHER_OBJECTS = {
    "structured_report": "1.2.840.10008.5.1.4.1.1.88.11",
    "presentation_state": "1.2.840.10008.5.1.4.1.1.11.1",
    "key_object": "1.2.840.10008.5.1.4.1.1.88.59",
    "rt_plan": "1.2.840.10008.5.1.4.1.1.481.5",
    "rt_dose": "1.2.840.10008.5.1.4.1.1.481.2",
    "ecg": "1.2.840.10008.5.1.4.1.1.9.1.1",
    "segmentation": "1.2.840.10008.5.1.4.1.1.66.4",
    "ct": "1.2.840.10008.5.1.4.1.1.2",
    "ultrasound": "1.2.840.10008.5.1.4.1.1.6.1",
    "single_bit_capture": "1.2.840.10008.5.1.4.1.1.7.1",
    "private": "1.2.3.4.5",
}


def cases() -> list[Case]:
    return [*_cut(), *_lengths(), *_streams(), *_attributes(), *_objects(), *_bombs(), *_junk()]


def _cut_to(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


def _cut() -> Iterator[Case]:
    reason = Reason.TRUNCATED
    yield case("cut_in_pixels", edited(written(), _cut_to(0.6)), reason)
    yield case("cut_by_a_byte", edited(written(), lambda content: content[:-1]), reason)
    yield case("cut_in_header", edited(written(), lambda content: content[:600]), reason)
    yield case("cut_in_meta", edited(written(), lambda content: content[:200]), reason)
    yield case("cut_behind_prefix", edited(written(), lambda content: content[:132]), reason)
    deflated = edited(written(syntax=DEFLATED), _cut_to(0.6))
    yield case("cut_deflated", deflated, reason)
    stream = bytes(imagecodecs.jpegls_encode(GREY12))
    yield case("cut_in_fragment", edited(encoded(stream, JPEG_LS), _cut_to(0.6)), reason)
    table = edited(encoded(stream, JPEG_LS), lambda c: c[: c.index(b"\xe0\x7f\x10\0O") + 17])
    yield case("cut_in_offset_table", table, reason)


def _lengths() -> Iterator[Case]:
    reason = Reason.PIXEL_LENGTH_MISMATCH
    yield case("pixels_shorter", written(PixelData=GREY12.tobytes()[:-100]), reason)
    yield case("pixels_empty", written(PixelData=b""), reason)
    yield case("rows_more", written(Rows=39), reason)
    yield case("pixels_absent", written(PixelData=None), Reason.NO_PIXEL_DATA)
    none = written(syntax=JPEG_LS, PixelData=b"\xfe\xff\0\xe0\0\0\0\0")
    yield case("fragments_absent", none, Reason.NO_PIXEL_DATA)
    uncompressed = edited(written(), _undefine)
    yield case("fragments_in_native", uncompressed, Reason.CORRUPT)
    yield case("frames_three_of_one", written(NumberOfFrames=3), reason)


def _undefine(content: bytes) -> bytes:
    at = content.index(b"\xe0\x7f\x10\0OW\0\0") + 8
    return content[:at] + b"\xff" * 4 + content[at + 4 :]


def _streams() -> Iterator[Case]:
    stream = jpeg_2000(GREY12)
    yield case("jpeg_2000_cut", encoded(stream[:900], JPEG_2000), Reason.DECODE_FAILED)
    lossless = bytes(imagecodecs.jpegls_encode(GREY12))
    yield case("jpeg_ls_cut", encoded(lossless[:900], JPEG_LS), Reason.TRUNCATED)
    hollow = encoded(lossless[:900] + b"\xff\xd9", JPEG_LS)
    yield case("jpeg_ls_hollow", hollow, Reason.DECODE_FAILED)
    options = {"bitspersample": 12}
    stream = bytes(imagecodecs.jpeg_encode(GREY12, lossless=True, predictor=1, **options))
    yield case("jpeg_lossless_cut", encoded(stream[:-700], JPEG_LOSSLESS_SV1), Reason.TRUNCATED)
    stream = bytes(imagecodecs.jpeg_encode(GREY12, **options))
    yield case("jpeg_12_bit_cut", encoded(stream[:-700], JPEG_EXTENDED), Reason.TRUNCATED)
    stream = bytes(imagecodecs.jpeg_encode(GREY8))
    yield case("jpeg_cut", encoded(stream[:-700], JPEG_BASELINE, GREY8), Reason.TRUNCATED)
    htj2k = bytes(imagecodecs.htj2k_encode(GREY12))
    yield case("htj2k_cut", encoded(htj2k[:900], HTJ2K), Reason.DECODE_FAILED)
    yield case("rle_cut", encoded(rle_segments(GREY12)[:900], RLE), Reason.DECODE_FAILED)
    yield case("rle_one_segment", encoded(rle_segments(GREY8), RLE), Reason.PIXEL_LENGTH_MISMATCH)
    other = Reason.PIXEL_LENGTH_MISMATCH
    yield case("jpeg_2000_other_size", encoded(jpeg_2000(GREY12[:36]), JPEG_2000), other)
    turned = np.ascontiguousarray(GREY12.T)
    yield case("jpeg_ls_turned", encoded(bytes(imagecodecs.jpegls_encode(turned)), JPEG_LS), other)
    other_kind = encoded(lossless, JPEG_2000)
    yield case("jpeg_ls_named_jpeg_2000", other_kind, Reason.CORRUPT)
    progressive = edited(
        encoded(bytes(imagecodecs.jpeg_encode(GREY8)), JPEG_BASELINE, GREY8),
        lambda content: content.replace(b"\xff\xc0\x00\x0b", b"\xff\xc2\x00\x0b"),
    )
    yield case("jpeg_progressive", progressive, Reason.CORRUPT)
    yield case("jpeg_2000_garbage", encoded(bytes(500), JPEG_2000), Reason.CORRUPT)
    yield case("jpeg_lossless_garbage", encoded(bytes(500), JPEG_LOSSLESS_SV1), Reason.CORRUPT)
    sixteen = encoded(jpeg_2000(GREY12), JPEG_2000, GREY8)
    yield case("jpeg_2000_more_bits", sixteen, Reason.INVALID_ATTRIBUTE)


def _attributes() -> Iterator[Case]:
    for keyword in (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "PixelRepresentation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
    ):
        without = written(**{keyword: None})
        yield case(f"without_{keyword}", without, Reason.MISSING_ATTRIBUTE)
    empty = written(PhotometricInterpretation="")
    yield case("empty_photometric", empty, Reason.MISSING_ATTRIBUTE)
    yield case("rows_0", written(Rows=0), Reason.INVALID_ATTRIBUTE)
    large = written(**{"00280034": ("UN", bytes(5_000_000))})
    yield case("aspect_of_5_megabytes", large, Reason.INVALID_ATTRIBUTE)
    nameless = edited(
        written(SOPClassUID=None),
        lambda content: content.replace(b"\x02\0\x02\0UI", b"\x02\0\x03\0UI", 1),
    )
    yield case("without_SOPClassUID", nameless, Reason.MISSING_ATTRIBUTE)


def _objects() -> Iterator[Case]:
    for name, uid in OTHER_OBJECTS.items():
        yield case(name, written(SOPClassUID=uid), Reason.NOT_A_RADIOGRAPH)
        without = written(SOPClassUID=uid, PixelData=None)
        yield case(f"{name}_without_pixels", without, Reason.NOT_A_RADIOGRAPH)
    for name in ("reportsi.dcm", "rtplan.dcm", "rtdose.dcm", "CT_small.dcm", "waveform_ecg.dcm"):
        found = Path(get_testdata_file(name, download=False))
        yield case(f"pydicom_{found.stem}", _copied(found), Reason.NOT_A_RADIOGRAPH)
    directory = Path(get_testdata_file("DICOMDIR", download=False))
    yield case("directory", _copied(directory), Reason.DICOMDIR, suffix="")
    invalid = edited(
        written(SOPClassUID=f"{CR}.9"),
        lambda content: content.replace(f"{CR}.9".encode(), b"CANARYNAME".ljust(len(CR) + 2, b"X")),
    )
    yield case("class_not_a_uid", invalid, Reason.NOT_A_RADIOGRAPH)


def _copied(source: Path) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(source.read_bytes()) and None


def _bombs() -> Iterator[Case]:
    yield case("rows_65535", written(Rows=65535, Columns=65535), Reason.TOO_LARGE)
    yield case("deflated_bomb", _write_bomb, Reason.TOO_LARGE)
    hidden = film(Rows=20000, Columns=2000)
    yield case(
        "deflated_pixels_missing",
        lambda path: save(path, hidden, DEFLATED),
        Reason.PIXEL_LENGTH_MISMATCH,
    )
    for name, stream, syntax, at in (
        ("jpeg_2000", jpeg_2000(GREY12), JPEG_2000, 8),
        ("htj2k", bytes(imagecodecs.htj2k_encode(GREY12)), HTJ2K, 8),
    ):
        size = struct.pack(">2I", 60000, 60000)
        bomb = encoded(stream[:at] + size + stream[at + 8 :], syntax)
        yield case(f"{name}_bomb", bomb, Reason.PIXEL_LENGTH_MISMATCH)
    square = np.zeros((100, 100), np.uint16)
    tiles = bytearray(jpeg_2000(square))
    tiles[24:32] = struct.pack(">2I", 1, 1)
    yield case("jpeg_2000_tiles", encoded(bytes(tiles), JPEG_2000, square), Reason.CORRUPT)
    stream = bytes(imagecodecs.jpegls_encode(GREY12))
    at = stream.index(b"\xff\xf7") + 5
    bomb = stream[:at] + struct.pack(">2H", 65000, 65000) + stream[at + 4 :]
    yield case("jpeg_ls_bomb", encoded(bomb, JPEG_LS), Reason.PIXEL_LENGTH_MISMATCH)
    padded = stream + bytes(2_000_000)
    yield case("codestream_of_2_megabytes", encoded(padded, JPEG_LS), Reason.TOO_LARGE)
    deep = edited(written(), lambda content: _before_pixels(content, _nested(500)))
    yield case("sequences_500_deep", deep, Reason.CORRUPT)
    many = edited(written(), lambda content: _before_pixels(content, _elements(200_000)))
    yield case("elements_200000", many, Reason.CORRUPT)
    items = edited(written(), lambda content: _before_pixels(content, _items(200_000)))
    yield case("items_200000", items, Reason.CORRUPT)
    lie = _nested(1) + b"\x09\0\x02\x10OB\0\0" + struct.pack("<L", 4_000_000_000)
    beyond = edited(written(), lambda content: _before_pixels(content, lie))
    yield case("nested_value_of_4_gigabytes", beyond, Reason.TRUNCATED)


def _write_bomb(path: Path) -> None:
    """A deflated film of 400 MB of zeros behind 400 KB, whose header agrees with it."""
    save(path, film(), EXPLICIT)
    content = renamed(EXPLICIT, DEFLATED)(path.read_bytes())
    start, end = content.index(b"\x08\0\x16\0UI"), content.index(b"\xe0\x7f\x10\0OW")
    head, data = content[:start], content[start:end]
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflate.compress(data + b"\x09\0\x01\x10OB\0\0" + struct.pack("<L", 400_000_000))
    packed += deflate.flush(zlib.Z_FULL_FLUSH)
    # A block behind a full flush stands for itself, so it can be repeated.
    block = deflate.compress(bytes(1_000_000)) + deflate.flush(zlib.Z_FULL_FLUSH)
    packed += block * 399
    path.write_bytes(head + packed + deflate.flush())


def _before_pixels(content: bytes, inserted: bytes) -> bytes:
    at = content.index(b"\xe0\x7f\x10\0OW")
    return content[:at] + inserted + content[at:]


def _nested(depth: int) -> bytes:
    opening = b"\x09\0\x01\x50SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return opening * depth


def _elements(count: int) -> bytes:
    return b"\x09\0\x01\x50LO\0\0" * count


def _items(count: int) -> bytes:
    """A sequence of empty items, each of which a parser may make an object of."""
    return b"\x09\0\x01\x50SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\0\xe0\0\0\0\0" * count


def _junk() -> Iterator[Case]:
    random = np.random.default_rng(1).bytes(3000)
    yield case("prefix_and_junk", _holding(bytes(128) + b"DICM" + random), Reason.CORRUPT)
    yield case("prefix_and_text", _holding(bytes(128) + b"DICM" + b"junk" * 99), Reason.CORRUPT)
    yield case("prefix_and_zeros", _holding(bytes(128) + b"DICM" + bytes(999)), Reason.CORRUPT)
    yield case("zero_bytes", _holding(b""), Reason.EMPTY_FILE)
    yield case("text", _holding(b"Chest, two views. No findings.\n" * 9), Reason.NOT_AN_IMAGE)
    wrong = edited(
        written(), lambda content: content.replace(b"\x28\0\x10\0US", b"\x28\0\x10\0\1\2")
    )
    yield case("representation_damaged", wrong, Reason.CORRUPT)
    yield case("deflated_garbage", _write_deflated_garbage, Reason.CORRUPT)


def _write_deflated_garbage(path: Path) -> None:
    save(path, film(), DEFLATED)
    content = path.read_bytes()
    start = 144 + struct.unpack_from("<L", content, 140)[0]
    path.write_bytes(content[:start] + b"\xff" * 500)


def _holding(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None
