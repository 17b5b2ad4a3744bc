"""The same film in every transfer syntax, several frames, and files that name no syntax."""

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import numpy.typing as npt
from openjpeg.utils import encode_array
from PIL import Image
from pydicom.dataset import Dataset
from rle.utils import encode_pixel_data

from corpus import Case
from corpus.dicom_films import (
    BIG_ENDIAN,
    COLOUR8,
    DEFLATED,
    EXPLICIT,
    GREY8,
    GREY12,
    IMPLICIT,
    SMOOTH12,
    SMOOTH_COLOUR8,
    case,
    edited,
    encoded,
    film,
    fragments,
    linear,
    looks,
    rgb,
    save,
    save_bare,
    written,
)
from pipelines.errors import Reason

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.57"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_LS_NEAR = "1.2.840.10008.1.2.4.81"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
JPEG_2000_LOSSY = "1.2.840.10008.1.2.4.91"
HTJ2K = "1.2.840.10008.1.2.4.201"
HTJ2K_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K_LOSSY = "1.2.840.10008.1.2.4.203"
RLE = "1.2.840.10008.1.2.5"

PLAIN = linear(GREY12, 2000, 3000)
SIGNED12 = (GREY12.astype(np.int16) - 2048).astype(np.int16)
SIGNED_WINDOW = {"WindowCenter": 0, "WindowWidth": 3000}


def cases() -> list[Case]:
    return [*_native(), *_lossless(), *_lossy(), *_signed(), *_colour(), *_frames(), *_unnamed()]


def jpeg_2000(pixels: npt.NDArray[np.generic], bits: int = 12, **options: object) -> bytes:
    photometric = 2 if pixels.ndim == 2 else 1
    found: bytes = encode_array(
        pixels, bits_stored=bits, photometric_interpretation=photometric, use_mct=False, **options
    )
    return found


def rle_segments(pixels: npt.NDArray[np.generic]) -> bytes:
    return bytes(
        encode_pixel_data(
            pixels.tobytes(),
            rows=pixels.shape[0],
            columns=pixels.shape[1],
            samples_per_pixel=1 if pixels.ndim == 2 else 3,
            bits_allocated=pixels.dtype.itemsize * 8,
            number_of_frames=1,
            byteorder="<",
        )
    )


def _native() -> Iterator[Case]:
    expected = looks(PLAIN, flags=set(), decoder="numpy")
    for name, syntax in (("implicit", IMPLICIT), ("explicit", EXPLICIT), ("deflated", DEFLATED)):
        yield case(name, written(syntax=syntax), expected)
    swapped = written(syntax=BIG_ENDIAN, PixelData=GREY12.astype(">u2").tobytes())
    yield case("big_endian", swapped, expected)
    plain8 = looks(linear(GREY8, 128, 256))
    window = {"WindowCenter": 128, "WindowWidth": 256}
    yield case("big_endian_8_bit", written(GREY8, BIG_ENDIAN, **window), plain8)
    words = GREY8.view("<u2").byteswap().tobytes()
    in_words = written(GREY8, BIG_ENDIAN, **window, **{"7FE00010": ("OW", words)}, PixelData=None)
    yield case("big_endian_8_bit_words", in_words, plain8)
    odd = GREY8[:37, :53]
    padded = written(odd, **window, PixelData=odd.tobytes() + b"\0")
    yield case("odd_length_padded", padded, looks(linear(odd, 128, 256), flags=set()))
    longer = written(PixelData=GREY12.tobytes() + bytes(10))
    yield case("pixels_longer", longer, looks(PLAIN, flags={"pixel_data_longer"}))
    for name, syntax in (("explicit", EXPLICIT), ("implicit", IMPLICIT)):
        nested = film()
        nested.RequestAttributesSequence = [film(PixelData=None)]
        nested["RequestAttributesSequence"].is_undefined_length = True
        nested.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
        write = _saved(nested, syntax)
        yield case(f"nested_undefined_{name}", write, looks(PLAIN, flags=set()))
    for name, syntax in (("explicit", EXPLICIT), ("implicit", IMPLICIT), ("big", BIG_ENDIAN)):
        told = film(SpecificCharacterSet="ISO_IR 100")
        told.RequestAttributesSequence = [Dataset()]
        told.RequestAttributesSequence[0].SpecificCharacterSet = "ISO_IR 100"
        told["RequestAttributesSequence"].is_undefined_length = True
        if syntax == BIG_ENDIAN:
            told.PixelData = GREY12.astype(">u2").tobytes()
        unknown = edited(_saved(told, syntax), _misname_character_sets)
        yield case(f"character_set_unknown_{name}", unknown, looks(PLAIN, flags=set()))
    large = written(**{"00091001": ("OB", bytes(300_000))})
    yield case("large_private_value", large, looks(PLAIN, flags=set()))
    mislabelled = edited(written(syntax=IMPLICIT), renamed(IMPLICIT, EXPLICIT))
    yield case("implicit_named_explicit", mislabelled, looks(PLAIN))
    mislabelled = edited(written(), renamed(EXPLICIT, IMPLICIT))
    yield case("explicit_named_implicit", mislabelled, looks(PLAIN))


def _misname_character_sets(content: bytes) -> bytes:
    assert content.count(b"ISO_IR 100") == 2
    return content.replace(b"ISO_IR 100", b"CANARY SET")


def _saved(dataset: object, syntax: str) -> Callable[[Path], None]:
    return lambda path: save(path, dataset, syntax)


def renamed(old: str, new: str) -> Callable[[bytes], bytes]:
    """Another transfer syntax in the meta information; the shorter one is padded."""

    def edit(content: bytes) -> bytes:
        length = max(len(old), len(new)) + max(len(old), len(new)) % 2
        old_value = old.encode().ljust(len(old) + len(old) % 2, b"\0")
        new_value = new.encode().ljust(length if len(new) > len(old) else len(old_value), b"\0")
        element = b"\x02\0\x10\0UI" + struct.pack("<H", len(old_value)) + old_value
        assert element in content
        changed = b"\x02\0\x10\0UI" + struct.pack("<H", len(new_value)) + new_value
        return content.replace(element, changed)

    return edit


def _lossless() -> Iterator[Case]:
    expected = looks(PLAIN, flags=set(), bits=12)
    streams = {
        "jpeg_lossless": (JPEG_LOSSLESS, _jpeg(GREY12, lossless=True, predictor=4)),
        "jpeg_lossless_sv1": (JPEG_LOSSLESS_SV1, _jpeg(GREY12, lossless=True, predictor=1)),
        "jpeg_lossless_16": (
            JPEG_LOSSLESS_SV1,
            _jpeg(GREY12, lossless=True, predictor=1, bitspersample=16),
        ),
        "jpeg_ls": (JPEG_LS, bytes(imagecodecs.jpegls_encode(GREY12))),
        "jpeg_2000": (JPEG_2000, jpeg_2000(GREY12)),
        "jpeg_2000_of_16_bit": (JPEG_2000, jpeg_2000(GREY12, bits=16)),
        "jpeg_2000_boxed": (JPEG_2000, jpeg_2000(GREY12, codec_format=1)),
        "jpeg_2000_in_lossy": (JPEG_2000_LOSSY, jpeg_2000(GREY12)),
        "htj2k": (HTJ2K, bytes(imagecodecs.htj2k_encode(GREY12))),
        "htj2k_rpcl": (HTJ2K_RPCL, bytes(imagecodecs.htj2k_encode(GREY12))),
        "htj2k_in_lossy": (HTJ2K_LOSSY, bytes(imagecodecs.htj2k_encode(GREY12))),
        "rle": (RLE, rle_segments(GREY12)),
    }
    for name, (syntax, stream) in streams.items():
        yield case(name, encoded(stream, syntax), expected)
    window = {"WindowCenter": 128, "WindowWidth": 256}
    eight = looks(linear(GREY8, 128, 256))
    yield case("rle_8_bit", encoded(rle_segments(GREY8), RLE, GREY8, **window), eight)
    jpeg_ls = bytes(imagecodecs.jpegls_encode(GREY8))
    yield case("jpeg_ls_8_bit", encoded(jpeg_ls, JPEG_LS, GREY8, **window), eight)
    # Eight bits of precision in a container of sixteen.
    wide = GREY8.astype(np.uint16)
    narrow = encoded(jpeg_ls, JPEG_LS, wide, **window)
    yield case("jpeg_ls_8_bit_in_16", narrow, looks(linear(GREY8, 128, 256)))
    junk = GREY12 | np.uint16(0xA000)
    above = encoded(bytes(imagecodecs.jpegls_encode(junk)), JPEG_LS)
    yield case("jpeg_ls_junk_above", above, looks(PLAIN))
    stream = bytes(imagecodecs.jpegls_encode(GREY12))
    parts = [stream[:1000], stream[1000:]]
    split = written(syntax=JPEG_LS, PixelData=_joined(parts))
    yield case("fragments_of_one_frame", split, expected)
    endless = edited(encoded(stream, JPEG_LS), lambda content: content[:-8])
    yield case("no_closing_delimiter", endless, expected)


def _joined(parts: list[bytes]) -> bytes:
    """An empty offset table and one fragment for each part."""
    items = [b"", *(part + b"\0" * (len(part) % 2) for part in parts)]
    return b"".join(b"\xfe\xff\0\xe0" + struct.pack("<L", len(item)) + item for item in items)


def _jpeg(pixels: npt.NDArray[np.generic], **options: object) -> bytes:
    return bytes(imagecodecs.jpeg_encode(pixels, **{"bitspersample": 12} | options))


def _lossy() -> Iterator[Case]:
    smooth8 = (SMOOTH12 >> 4).astype(np.uint8)
    window = {"WindowCenter": 128, "WindowWidth": 256}
    eight = looks(linear(smooth8, 128, 256), tolerance=4 / 255)
    stream = _pillow(smooth8)
    yield case("jpeg_baseline", encoded(stream, JPEG_BASELINE, smooth8, **window), eight)
    yield case("jpeg_extended_8", encoded(stream, JPEG_EXTENDED, smooth8, **window), eight)
    twelve = looks(linear(SMOOTH12, 2000, 3000), tolerance=0.01, decoder="imagecodecs")
    yield case("jpeg_extended_12", encoded(_jpeg(SMOOTH12, level=98), JPEG_EXTENDED), twelve)
    # Lossy compression overshoots beyond the stored bits: the brightest stay the brightest.
    bright = np.where(GREY12 > 2000, np.uint16(1023), np.uint16(0))
    stored = {"BitsStored": 10, "HighBit": 9, "WindowCenter": 512, "WindowWidth": 1024}
    stream = _jpeg(bright, level=50)
    assert imagecodecs.jpeg_decode(stream).max() > 1023
    cut = looks(np.clip(imagecodecs.jpeg_decode(stream) / 1023, 0, 1)[None].astype(np.float32))
    yield case("jpeg_extended_overshoots", encoded(stream, JPEG_EXTENDED, **stored), cut)
    near = bytes(imagecodecs.jpegls_encode(GREY12, 3))
    close = looks(PLAIN, tolerance=3 / 2999 + 1e-6)
    yield case("jpeg_ls_near", encoded(near, JPEG_LS_NEAR), close)
    lossy = jpeg_2000(SMOOTH12, compression_ratios=[8])
    rough = looks(linear(SMOOTH12, 2000, 3000), tolerance=0.05)
    yield case("jpeg_2000_lossy", encoded(lossy, JPEG_2000_LOSSY), rough)


def _pillow(pixels: npt.NDArray[np.uint8], **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=98, **options)
    return content.getvalue()


def _signed() -> Iterator[Case]:
    expected = looks(linear(SIGNED12, 0, 3000), flags=set())
    unsigned = (SIGNED12 & 0x0FFF).astype(np.uint16)
    told = {"pixels": SIGNED12, **SIGNED_WINDOW}
    yield case("signed_jpeg_2000", encoded(jpeg_2000(SIGNED12), JPEG_2000, **told), expected)
    # Written as unsigned although the header says signed, as some archives do.
    crossed = encoded(jpeg_2000(unsigned), JPEG_2000, **told)
    yield case("signed_jpeg_2000_as_unsigned", crossed, expected)
    crossed = encoded(jpeg_2000(SIGNED12), JPEG_2000, unsigned, PixelRepresentation=0)
    yield case("unsigned_jpeg_2000_as_signed", crossed, looks(linear(unsigned, 2000, 3000)))
    stream = bytes(imagecodecs.jpegls_encode(unsigned))
    lossless = _jpeg(unsigned, lossless=True, predictor=1)
    yield case("signed_jpeg_lossless", encoded(lossless, JPEG_LOSSLESS_SV1, **told), expected)
    yield case("signed_jpeg_ls", encoded(stream, JPEG_LS, **told), expected)
    yield case(
        "signed_htj2k", encoded(bytes(imagecodecs.htj2k_encode(SIGNED12)), HTJ2K, **told), expected
    )
    yield case("signed_rle", encoded(rle_segments(SIGNED12.view(np.uint16)), RLE, **told), expected)
    swapped = SIGNED12.astype(">i2").tobytes()
    yield case(
        "signed_big_endian",
        written(SIGNED12, BIG_ENDIAN, PixelData=swapped, **SIGNED_WINDOW),
        expected,
    )
    small = np.clip(SIGNED12 // 32, -64, 63).astype(np.int8)
    stream = jpeg_2000(small, bits=8)
    wide = small.astype(np.int16)
    narrow = encoded(stream, JPEG_2000, wide, WindowCenter=0, WindowWidth=128)
    yield case("signed_8_bit_jpeg_2000_in_16", narrow, looks(linear(small, 0, 128)))


def _colour() -> Iterator[Case]:
    exact = looks(rgb(COLOUR8), flags={"colour"})
    close = looks(rgb(SMOOTH_COLOUR8), tolerance=8 / 255)
    ybr = {"PhotometricInterpretation": "YBR_FULL_422"}
    stream = _pillow(SMOOTH_COLOUR8)
    yield case("jpeg_ybr", encoded(stream, JPEG_BASELINE, SMOOTH_COLOUR8, **ybr), close)
    bare = _without_jfif(stream)
    yield case("jpeg_ybr_unmarked", encoded(bare, JPEG_BASELINE, SMOOTH_COLOUR8, **ybr), close)
    # Components of RGB without a mark: only the DICOM header tells.
    unmarked = bytes(
        imagecodecs.jpeg_encode(
            SMOOTH_COLOUR8, 98, colorspace="RGB", outcolorspace="RGB", subsampling="444"
        )
    )
    unmarked = _with_numbered_components(_without_adobe(unmarked))
    yield case("jpeg_rgb_unmarked", encoded(unmarked, JPEG_BASELINE, SMOOTH_COLOUR8), close)
    marked = bytes(
        imagecodecs.jpeg_encode(
            SMOOTH_COLOUR8, 98, colorspace="RGB", outcolorspace="RGB", subsampling="444"
        )
    )
    yield case("jpeg_rgb_marked", encoded(marked, JPEG_BASELINE, SMOOTH_COLOUR8), close)
    yield case("jpeg_rgb_named_ybr", encoded(marked, JPEG_BASELINE, SMOOTH_COLOUR8, **ybr), close)
    yield case("rle_rgb", encoded(rle_segments(COLOUR8), RLE, COLOUR8), exact)
    yield case(
        "jpeg_ls_rgb", encoded(bytes(imagecodecs.jpegls_encode(COLOUR8)), JPEG_LS, COLOUR8), exact
    )
    yield case("jpeg_2000_rgb", encoded(jpeg_2000(COLOUR8, 8), JPEG_2000, COLOUR8), exact)
    transformed = encode_array(COLOUR8, bits_stored=8, photometric_interpretation=1, use_mct=True)
    rct = {"PhotometricInterpretation": "YBR_RCT"}
    yield case("jpeg_2000_rct", encoded(transformed, JPEG_2000, COLOUR8, **rct), exact)
    stream = bytes(
        imagecodecs.jpeg_encode(
            COLOUR8, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
        )
    )
    yield case("jpeg_lossless_rgb", encoded(stream, JPEG_LOSSLESS_SV1, COLOUR8), exact)


def _without_jfif(stream: bytes) -> bytes:
    assert stream[2:4] == b"\xff\xe0"
    return stream[:2] + stream[4 + int.from_bytes(stream[4:6], "big") :]


def _without_adobe(stream: bytes) -> bytes:
    at = stream.find(b"\xff\xee")
    if at < 0:
        return stream
    return stream[:at] + stream[at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big") :]


def _with_numbered_components(stream: bytes) -> bytes:
    """Name the components 1, 2, 3 instead of R, G, B, in frame and scan header."""
    changed = bytearray(stream)
    for marker, first, step in ((b"\xff\xc0", 10, 3), (b"\xff\xda", 5, 2)):
        at = stream.index(marker)
        for component in range(3):
            changed[at + first + component * step] = component + 1
    return bytes(changed)


def _frames() -> Iterator[Case]:
    stack = np.stack([GREY12, GREY12[::-1], GREY12[:, ::-1]])
    three = {"NumberOfFrames": 3}
    expected = looks(PLAIN, flags=set())
    native = written(**three, PixelData=stack.tobytes())
    yield case("three_frames", native, expected)
    streams = [bytes(imagecodecs.jpegls_encode(frame)) for frame in stack]
    for name, table in (("offset_table", True), ("no_offset_table", False)):
        write = written(syntax=JPEG_LS, **three, PixelData=fragments(streams, table=table))
        yield case(f"three_frames_{name}", write, expected)
    halves = [half for stream in streams for half in (stream[:800], stream[800:])]
    split = written(syntax=JPEG_LS, **three, PixelData=_joined(halves))
    yield case("three_frames_in_six_fragments", split, expected)
    yield case("one_frame", written(NumberOfFrames=1), expected)
    yield case("frames_empty", written(NumberOfFrames=""), expected)
    yield case("frames_0", written(NumberOfFrames=0), expected)
    text = edited(written(NumberOfFrames=1234), lambda content: content.replace(b"1234", b"many"))
    yield case("frames_text", text, Reason.INVALID_ATTRIBUTE)
    yield case("frames_negative", written(NumberOfFrames=-1), Reason.INVALID_ATTRIBUTE)
    yield case("frames_2e9", written(NumberOfFrames=2_000_000_000), Reason.INVALID_ATTRIBUTE)
    yield case("frames_9000", written(NumberOfFrames=9000), Reason.PIXEL_LENGTH_MISMATCH)
    many = written(syntax=JPEG_LS, NumberOfFrames=9000, PixelData=fragments(streams))
    yield case("frames_9000_compressed", many, Reason.PIXEL_LENGTH_MISMATCH)
    four = written(syntax=JPEG_LS, NumberOfFrames=4, PixelData=fragments(streams))
    yield case("frames_more_than_fragments", four, Reason.PIXEL_LENGTH_MISMATCH)


def _unnamed() -> Iterator[Case]:
    bare = looks(PLAIN, flags={"no_preamble", "no_transfer_syntax"})
    for name, implicit in (("explicit", False), ("implicit", True)):
        yield case(f"no_preamble_{name}", _bare(implicit=implicit), bare)
        unnamed = edited(_saved(film(), IMPLICIT if implicit else EXPLICIT), _unname)
        yield case(f"no_syntax_{name}", unnamed, looks(PLAIN, flags={"no_transfer_syntax"}))
    swapped = film(PixelData=GREY12.astype(">u2").tobytes())
    yield case(
        "no_preamble_big_endian",
        lambda path: save_bare(path, swapped, implicit=False, little=False),
        bare,
    )
    headless = edited(written(), lambda content: content[132:])
    yield case("no_preamble_with_meta", headless, looks(PLAIN, flags={"no_preamble"}))
    stream = bytes(imagecodecs.jpegls_encode(GREY12))
    compressed = edited(encoded(stream, JPEG_LS), _unname)
    yield case("no_syntax_compressed", compressed, Reason.MISSING_ATTRIBUTE)
    yield case("no_suffix", written(), looks(PLAIN), suffix="")
    yield case("named_png", written(), looks(PLAIN), suffix=".png")
    yield case("upper case é", written(), looks(PLAIN), suffix=".DCM")
    for name, uid in (("video", "1.2.840.10008.1.2.4.102"), ("private", "1.2.840.113619.5.2")):
        yield case(f"syntax_{name}", _saved_as(uid), Reason.UNSUPPORTED_TRANSFER_SYNTAX)
    odd = edited(
        written(),
        lambda content: content.replace(b"1.2.840.10008.1.2.1\0", b"CANARYNAME.1.2.1.1.1"),
    )
    yield case("syntax_not_a_uid", odd, Reason.UNSUPPORTED_TRANSFER_SYNTAX)


def _saved_as(uid: str) -> Callable[[Path], None]:
    return lambda path: save(path, film(PixelData=fragments([bytes(100)])), uid)


def _bare(*, implicit: bool) -> Callable[[Path], None]:
    return lambda path: save_bare(path, film(), implicit=implicit)


def _unname(content: bytes) -> bytes:
    """Cut TransferSyntaxUID out of the meta information."""
    at = content.index(b"\x02\0\x10\0UI")
    (length,) = struct.unpack_from("<H", content, at + 6)
    return content[:at] + content[at + 8 + length :]
