"""PNG, JPEG, BMP, TIFF and GIF as they come: rare, wrongly named, broken, hostile."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageOps

from corpus import Case
from corpus.raster_images import (
    ALPHA8,
    BITS,
    COLOUR8,
    COLOUR16,
    COLUMNS,
    GREY8,
    GREY16,
    ROWS,
    chunk,
    encoded,
    png,
    scaled,
    tiff_12,
    tiff_of_strips,
)
from pipelines.errors import Reason
from pipelines.radiograph import Radiograph

ORIENTATION = 0x0112


def cases() -> list[Case]:
    return [*_kept(), *_colour(), *_turned(), *_several(), *_large(), *_broken(), *_foreign()]


def save(path: Path, image: Image.Image, image_format: str, **options: object) -> None:
    image.save(path, image_format, **options)


def _saved(image: Image.Image, image_format: str, **options: object) -> Callable[[Path], None]:
    return partial(save, image=image, image_format=image_format, **options)


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def _tiff(values: npt.NDArray[np.generic], **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, values, **options)


def _opencv(values: npt.NDArray[np.generic], suffix: str) -> Callable[[Path], None]:
    return _bytes(cv2.imencode(suffix, values)[1].tobytes())


def _kept() -> Iterator[Case]:
    grey8, grey16 = Image.fromarray(GREY8), Image.fromarray(GREY16)
    exact8, exact16 = scaled(GREY8, 255), scaled(GREY16, 65535)
    yield Case("grey_8", _saved(grey8, "PNG"), exact8, ".png")
    yield Case("grey_16", _saved(grey16, "PNG"), exact16, ".png")
    yield Case("bmp_grey", _saved(grey8, "BMP"), exact8, ".bmp")
    yield Case("tiff_grey_8", _saved(grey8, "TIFF"), exact8, ".tif")
    yield Case("tiff_grey_16", _tiff(GREY16, byteorder="<"), exact16, ".tif")
    yield Case("tiff_grey_16_big_endian", _tiff(GREY16, byteorder=">"), exact16, ".tiff")
    yield Case("tiff_grey_16_packed", _saved(grey16, "TIFF", compression="tiff_lzw"), exact16, "")
    yield Case("tiff_big", _tiff(GREY16, bigtiff=True), exact16, ".tif")
    yield Case("tiff_strips", _tiff(GREY8, rowsperstrip=1), exact8, ".tif")
    for depth, values in ((8, GREY8), (16, GREY16)):
        white_zero = scaled(2**depth - 1 - values.astype(int), 2**depth - 1)
        write = _tiff(values, photometric="miniswhite")
        yield Case(f"tiff_white_zero_{depth}", write, white_zero, ".tif")
    twelve = GREY16 >> 4
    write = _bytes(tiff_12(twelve))
    yield Case("tiff_grey_12", write, scaled(twelve, 4095), ".tif")
    jpeg = encoded(grey8, "JPEG", quality=95)
    yield Case("jpeg_grey", _bytes(jpeg), exact8, ".jpg", tolerance=3 / 255)
    progressive = _saved(grey8, "JPEG", quality=95, progressive=True)
    yield Case("jpeg_progressive", progressive, exact8, ".jpeg", tolerance=3 / 255)
    yield Case("jpeg_named_png", _bytes(jpeg), exact8, ".png", tolerance=3 / 255)
    yield Case("png_named_dcm", _saved(grey8, "PNG"), exact8, ".dcm")
    yield Case("png_with_resolution", _saved(grey8, "PNG", dpi=(72, 72)), _no_spacing, ".png")
    for image_format, suffix in (("PNG", ".png"), ("BMP", ".bmp"), ("TIFF", ".tif")):
        write = _saved(Image.fromarray(BITS), image_format)
        yield Case(f"one_bit_{image_format.lower()}", write, scaled(BITS, 1), suffix)
    four_bits = (GREY8 >> 4)[:, ::2]
    packed = four_bits[:, ::2] << 4 | np.pad(four_bits, ((0, 0), (0, 1)))[:, 1::2]
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    write = _bytes(png((four_bits.shape[1], ROWS), depth=4, kind=0, body=body))
    yield Case("grey_4", write, scaled(four_bits, 15), ".png")


def _no_spacing(radiograph: Radiograph) -> None:
    assert radiograph.spacing_mm is None


def _colour() -> Iterator[Case]:
    colour, grey = Image.fromarray(COLOUR8), Image.fromarray(GREY8)
    exact = scaled(COLOUR8, 255)
    yield Case("colour", _saved(colour, "PNG"), exact, ".png")
    yield Case("bmp_colour", _saved(colour, "BMP"), exact, ".bmp")
    yield Case("tiff_colour", _saved(colour, "TIFF"), exact, ".tif")
    yield Case("grey_as_colour", _saved(grey.convert("RGB"), "PNG"), scaled(GREY8, 255), ".png")
    deep = scaled(COLOUR16[..., ::-1], 65535)
    yield Case("colour_48", _opencv(COLOUR16, ".png"), deep, ".png")
    yield Case("tiff_colour_48", _opencv(COLOUR16, ".tiff"), deep, ".tiff")
    # A length that lies is no reason to ask for that much memory.
    lying = bytearray(cv2.imencode(".png", COLOUR16)[1].tobytes())
    lying[33:37] = b"\x3a\0\0\0"
    yield Case("colour_48_of_long_chunk", _bytes(bytes(lying)), deep, ".png")
    alpha16 = np.full((ROWS, COLUMNS, 1), 65535, np.uint16)
    alpha16[3:9] = 0
    hidden = deep * (alpha16[..., 0] == 65535)
    write = _opencv(np.dstack([COLOUR16, alpha16]), ".png")
    yield Case("colour_48_and_alpha", write, hidden, ".png")
    alpha = Image.fromarray(ALPHA8)
    on_black = scaled(ALPHA8, 255)
    veiled = grey.convert("LA")
    veiled.putalpha(alpha)
    yield Case("grey_and_alpha", _saved(veiled, "PNG"), scaled(GREY8, 255) * on_black, ".png")
    opaque = colour.convert("RGBA")
    yield Case("colour_and_opaque_alpha", _saved(opaque, "PNG"), exact, ".png")
    transparent = colour.convert("RGBA")
    transparent.putalpha(alpha)
    yield Case("colour_and_alpha", _saved(transparent, "PNG"), exact * on_black, ".png")
    yield from _declared_transparent()
    yield from _palettes()
    flat = Image.new("CMYK", (COLUMNS, ROWS), (0, 0, 0, 102))
    flat_grey = np.full((1, ROWS, COLUMNS), 0.6, np.float32)
    for image_format, suffix in (("JPEG", ".jpg"), ("TIFF", ".tif")):
        name = f"cmyk_{image_format.lower()}"
        yield Case(name, _saved(flat, image_format), flat_grey, suffix, tolerance=2 / 255)
    smooth = Image.fromarray(np.dstack([GREY8, GREY8[::-1], GREY8])).convert("RGB")
    write = _saved(smooth, "JPEG", quality=98, subsampling=0)
    yield Case("jpeg_colour", write, scaled(np.array(smooth), 255), ".jpg", tolerance=8 / 255)


def _declared_transparent() -> Iterator[Case]:
    grey = Image.fromarray(GREY8)
    without = np.where(GREY8 == 200, 0, GREY8)
    write = _saved(grey, "PNG", transparency=200)
    yield Case("grey_with_transparent_value", write, scaled(without, 255), ".png")
    without = np.where(GREY16 == 65535, 0, GREY16)
    body = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in GREY16))
    before = chunk(b"tRNS", struct.pack(">H", 65535))
    content = png((COLUMNS, ROWS), depth=16, kind=0, body=body, before=before)
    yield Case("grey_16_with_transparent_value", _bytes(content), scaled(without, 65535), ".png")
    for depth in (1, 2, 4):
        values = GREY8[:, : COLUMNS // 8 * 8] >> (8 - depth)
        bits = np.unpackbits(values[..., None], axis=2)[..., -depth:]
        rows = np.packbits(bits.reshape(ROWS, -1), axis=1)
        body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        largest = 2**depth - 1
        before = chunk(b"tRNS", struct.pack(">H", largest))
        content = png((values.shape[1], ROWS), depth=depth, kind=0, body=body, before=before)
        without = np.where(values == largest, 0, values)
        name = f"grey_{depth}_with_transparent_value"
        yield Case(name, _bytes(content), scaled(without, largest), ".png")


def _palettes() -> Iterator[Case]:
    indices = GREY8 // 64
    table = np.array([[250, 10, 10], [0, 99, 0], [7, 7, 200], [255, 255, 255]], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(table.tobytes())
    exact = scaled(table[indices], 255)
    for image_format, suffix in (("PNG", ".png"), ("BMP", ".bmp"), ("GIF", ".gif"), ("TIFF", "")):
        write = _saved(image, image_format)
        yield Case(f"palette_{image_format.lower()}", write, exact, suffix)
    write = _saved(image, "PNG", transparency=bytes([255, 255, 0, 255]))
    yield Case("palette_with_transparency", write, exact * (indices != 2), ".png")
    image = Image.fromarray(indices)
    image.putpalette(np.repeat(np.array([[255], [128], [3], [0]], np.uint8), 3, axis=1).tobytes())
    turned = np.array([255, 128, 3, 0], np.uint8)[indices]
    yield Case("palette_of_greys", _saved(image, "PNG"), scaled(turned, 255), ".png")


def _turned() -> Iterator[Case]:
    colour = Image.fromarray(COLOUR8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        upright = colour.copy()
        upright.getexif()[ORIENTATION] = orientation
        exact = scaled(np.array(ImageOps.exif_transpose(upright)), 255)
        for image_format, suffix in (("PNG", ".png"), ("TIFF", ".tif")):
            name = f"orientation_{orientation}_{image_format.lower()}"
            yield Case(name, _saved(colour, image_format, exif=exif), exact, suffix)
    grey = Image.fromarray(GREY8)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    turned = scaled(np.rot90(GREY8, 3), 255)
    write = _saved(grey, "JPEG", quality=95, exif=exif)
    yield Case("orientation_6_jpeg", write, turned, ".jpg", tolerance=3 / 255)
    content = encoded(grey, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(40))
    yield Case("exif_broken", _bytes(content), scaled(GREY8, 255), ".jpg", tolerance=3 / 255)


def _several() -> Iterator[Case]:
    first, second = Image.fromarray(GREY8), Image.fromarray(GREY8[::-1].copy())
    options = {"save_all": True, "append_images": [second]}
    for image_format, suffix, flag in (
        ("PNG", ".png", "animated_first_frame"),
        ("GIF", ".gif", "animated_first_frame"),
        ("TIFF", ".tif", "first_page_only"),
    ):
        write = _saved(first, image_format, **options)
        yield Case(f"several_{image_format.lower()}", write, partial(_is_first, flag=flag), suffix)
    yield Case("gif_named_jpg", _saved(first, "GIF"), scaled(GREY8, 255), ".jpg")


def _is_first(radiograph: Radiograph, *, flag: str) -> None:
    assert flag in radiograph.provenance.flags
    np.testing.assert_array_equal(radiograph.pixels, scaled(GREY8, 255))


def _large() -> Iterator[Case]:
    side = 20_000
    body = zlib.compress(bytes((side // 8 + 1) * side))
    bomb = png((side, side), depth=1, kind=0, body=body)
    yield Case("bomb", _bytes(bomb), Reason.TOO_LARGE, ".png")
    narrow = png((1, 70_000), depth=8, kind=0, body=zlib.compress(bytes(140_000)))
    yield Case("too_long", _bytes(narrow), Reason.TOO_LARGE, ".png")
    bitmap = bytearray(encoded(Image.fromarray(GREY8), "BMP"))
    bitmap[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield Case("bmp_bomb", _bytes(bytes(bitmap)), Reason.TOO_LARGE, ".bmp")
    gif = bytearray(encoded(Image.fromarray(GREY8), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    yield Case("gif_bomb", _bytes(bytes(gif)), Reason.TOO_LARGE, ".gif")
    jpeg = bytearray(encoded(Image.fromarray(GREY8), "JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", 60_000, 60_000)
    yield Case("jpeg_bomb", _bytes(bytes(jpeg)), Reason.TOO_LARGE, ".jpg")
    scans = encoded(Image.fromarray(GREY8), "JPEG", progressive=True)
    start = scans.rindex(b"\xff\xda")
    scans = scans[:start] + scans[start:-2] * 500 + scans[-2:]
    yield Case("jpeg_of_many_scans", _bytes(scans), Reason.TOO_SLOW, ".jpg")
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, shape=(ROWS, COLUMNS), dtype=np.uint8)
    content = tiff.getvalue()
    for before, tag in ((COLUMNS, 256), (ROWS, 257)):
        entry = struct.pack("<HHI", tag, 4, 1)
        content = content.replace(entry + struct.pack("<I", before), entry + b"\x60\xea\0\0")
    yield Case("tiff_bomb", _bytes(content), Reason.TOO_LARGE, ".tif")
    numbers = 200_000
    for name, order, value in (
        ("tiff_tag_bomb", "<", numbers),
        ("tiff_tag_bomb_big", ">", numbers),
    ):
        yield Case(name, _bytes(tiff_of_strips(order, value)), Reason.TOO_LARGE, ".tif")
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    body = zlib.compress(bytes(4))
    content = png((1, 2), depth=8, kind=0, body=body, before=text)
    yield Case("png_text_bomb", _bytes(content), Reason.CORRUPT, ".png")


def _broken() -> Iterator[Case]:
    noise = Image.fromarray(COLOUR8)
    for image_format in ("PNG", "JPEG", "BMP", "GIF", "TIFF"):
        content = encoded(noise, image_format)
        cut = _bytes(content[: len(content) * 2 // 3])
        yield Case(f"cut_{image_format.lower()}", cut, Reason.TRUNCATED, "")
    packed = encoded(noise, "TIFF", compression="tiff_lzw")
    yield Case("cut_tags", _bytes(packed[: len(packed) // 2]), Reason.TRUNCATED, ".tif")
    # The tags stand in front here, so that the samples are what is missing.
    tags_first = io.BytesIO()
    tifffile.imwrite(tags_first, COLOUR8, compression="zlib")
    packed = tags_first.getvalue()
    yield Case("cut_packed", _bytes(packed[: len(packed) // 2]), Reason.TRUNCATED, ".tif")
    deep = cv2.imencode(".png", COLOUR16)[1].tobytes()
    yield Case("cut_48", _bytes(deep[: len(deep) // 2]), Reason.TRUNCATED, ".png")
    yield Case("header_only", _bytes(deep[:33]), Reason.TRUNCATED, ".png")
    whole = encoded(noise, "PNG")
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(8) + whole[middle + 8 :]
    yield Case("damaged_samples", _bytes(damaged), Reason.DECODE_FAILED, ".png")
    wrong_header = whole[:20] + b"\x01" + whole[21:]
    yield Case("damaged_header", _bytes(wrong_header), Reason.CORRUPT, ".png")
    yield Case("empty", _bytes(b""), Reason.EMPTY_FILE, ".png")
    yield Case("jpeg_of_nothing", _bytes(b"\xff\xd8\xff\xd9" + bytes(9)), Reason.CORRUPT, ".jpg")


def _foreign() -> Iterator[Case]:
    yield Case("text", _bytes(b"not an image\n"), Reason.NOT_AN_IMAGE, ".png")
    yield Case("bm_text", _bytes(b"BMI of the patients, by age\n"), Reason.NOT_AN_IMAGE, ".txt")
    yield Case("zip", _bytes(b"PK\x03\x04" + bytes(40)), Reason.NOT_AN_IMAGE, ".zip")
    yield Case("pdf", _bytes(b"%PDF-1.7\n" + bytes(40)), Reason.NOT_AN_IMAGE, ".pdf")
    yield Case("finder", _bytes(b"\0\0\0\1Bud1" + bytes(40)), Reason.NOT_AN_IMAGE, ".DS_Store")
    grey = Image.fromarray(GREY8)
    yield Case("webp", _saved(grey, "WEBP"), Reason.UNSUPPORTED_FORMAT, ".webp")
    yield Case("jpeg_2000", _saved(grey, "JPEG2000"), Reason.UNSUPPORTED_FORMAT, ".jp2")
    jpeg = bytearray(encoded(grey, "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    yield Case("jpeg_12", _bytes(bytes(jpeg)), Reason.UNSUPPORTED_FORMAT, ".jpg")
    for kind in (np.float32, np.int32, np.int16, np.uint32, np.float64):
        write = _tiff(GREY16.astype(kind), photometric="minisblack")
        yield Case(f"tiff_{np.dtype(kind)}", write, Reason.UNSUPPORTED_FORMAT, ".tif")
