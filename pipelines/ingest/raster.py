"""PNG, JPEG, BMP, TIFF and GIF become a `Radiograph`.

What is kept and what is changed:

- 8 and 16 bits are kept: a pixel is its stored value over the largest of its type, exactly. So are
  1, 2, 4 and 12 bits.
- Colour of 16 bits (48-bit RGB) is decoded twice, by Pillow, which finds damage but keeps 8 bits,
  and by OpenCV, which keeps 16; it is refused where the two disagree.
- Three equal channels become one; other colour stays three. CMYK becomes RGB. Palettes are
  resolved. Colour profiles and gamma are ignored, as they are meant for the colour of screens.
- Transparency, by an alpha channel or by a colour declared transparent, is laid on black.
- EXIF orientation is applied. TIFF that stores white as zero is turned.
- Of an animation or of several pages the first is read, and flagged.
- Resolution tags are not trusted: a scanner or a screenshot writes dots per inch of a page. So the
  spacing is unknown.
- Floating point, signed and 32-bit samples are refused: nothing says which value is black.
"""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, NoReturn

from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import Base as ExifTag
from PIL.ImageFile import ImageFile

from pipelines.errors import InputError, PlainfilmError, Reason
from pipelines.ingest.guard import guard_input
from pipelines.ingest.limits import check_file_bytes, check_samples, check_sides
from pipelines.ingest.raster_samples import (
    DEEP_BITS,
    Samples,
    deep_samples,
    orient,
    samples_of,
    stored_bits,
    to_pixels,
)
from pipelines.ingest.raster_tiff import check_tags, lacks_data
from pipelines.ingest.reduction import LeastSize, reduce_film, reduction
from pipelines.ingest.sniff import FileFormat, sniff
from pipelines.radiograph import Provenance, Radiograph

# Once and here, since `warnings.catch_warnings` is not safe in reader threads. What Pillow warns of
# is metadata that it skips; what matters raises.
warnings.filterwarnings("ignore", module=r"PIL\.")
# Without any handler Python prints its errors, which are raised as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# The classes themselves: `Image.open` would try other formats and warn of sizes through a global.
_OPENERS: dict[FileFormat, type[ImageFile]] = {
    FileFormat.PNG: PngImagePlugin.PngImageFile,
    FileFormat.JPEG: JpegImagePlugin.JpegImageFile,
    FileFormat.BMP: BmpImagePlugin.BmpImageFile,
    FileFormat.TIFF: TiffImagePlugin.TiffImageFile,
    FileFormat.GIF: GifImagePlugin.GifImageFile,
}
_GREY_MODES = frozenset({"1", "L", "I;16", "I;16B", "I;16L"})
_OTHER_MODES = frozenset({"P", "LA", "La", "PA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK", "YCbCr"})
_BITS = frozenset({1, 2, 4, 8, 12, 16})
_MAX_JPEG_SCANS = 100
_MAX_EXIF_BYTES = 65_536
_UPRIGHT = 4
"""The largest EXIF orientation that keeps width and height."""


def read_raster(path: Path, *, least_size: LeastSize | None = None) -> Radiograph:
    """Read the first image of a PNG, JPEG, BMP, TIFF or GIF file, whatever its name.

    Args:
        path: The file.
        least_size: What is needed of it; a larger image may come out reduced.

    Returns:
        The film: one channel, or three where the colours differ; spacing unknown.

    Raises:
        InputError: TOO_LARGE from the header alone; TRUNCATED; CORRUPT if the header is broken,
            DECODE_FAILED if the samples are; UNSUPPORTED_FORMAT for sample types that are not read.
    """
    file_format = sniff(path)
    opener = _OPENERS.get(file_format)
    if opener is None:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected one of {', '.join(_OPENERS)}, got {file_format}; use read_radiograph",
        )
    with guard_input():
        check_file_bytes(path)
        with path.open("rb") as content:
            return _read(content, file_format, opener, least_size)


def read_raster_size(path: Path) -> tuple[int, int]:
    """Tell the height and width of an image as `read_raster` gives it, from its header.

    Args:
        path: The file; of a raster format.

    Returns:
        Height and width in pixels.

    Raises:
        InputError: CORRUPT or TRUNCATED if the header is broken.
    """
    file_format = sniff(path)
    with path.open("rb") as content, _refusing(Reason.CORRUPT, content, file_format):
        image = _OPENERS[file_format](content)
        turned = _orientation(image) > _UPRIGHT
        return (image.width, image.height) if turned else (image.height, image.width)


def _read(
    content: IO[bytes],
    file_format: FileFormat,
    opener: type[ImageFile],
    least_size: LeastSize | None,
) -> Radiograph:
    if file_format is FileFormat.TIFF:
        check_tags(content)
        content.seek(0)
    with _refusing(Reason.CORRUPT, content, file_format):
        image = opener(content)
        bits = stored_bits(image)
        if isinstance(image, TiffImagePlugin.TiffImageFile) and lacks_data(image, content):
            _refuse_truncated()
    _check_header(image, bits)
    if file_format is FileFormat.JPEG:
        _check_scans(content)
    is_deep = bits == DEEP_BITS and image.mode not in _GREY_MODES
    size = (image.height, image.width)
    drafted = _draft(image, least_size)
    with _refusing(Reason.DECODE_FAILED, content, file_format):
        samples = _decode(image, content, bits=bits, is_deep=is_deep)
        flags = _page_flags(image, file_format)
    pixels, is_transparent = to_pixels(samples, largest=_largest(image, bits))
    flags += ["colour"] * (len(pixels) > 1) + ["transparency_on_black"] * is_transparent
    film = Radiograph(
        pixels,
        spacing_mm=None,
        provenance=Provenance(
            format=file_format,
            bits=bits,
            inverted=_is_white_zero(image),
            decoder="opencv" if is_deep else "pillow",
            flags=tuple(sorted(flags)),
        ),
        reduced_by=drafted,
        whole_size=None if drafted == 1 else size,
    )
    return reduce_film(film, least_size)


def _draft(image: ImageFile, least_size: LeastSize | None) -> int:
    """Have a JPEG decoded at a lower resolution, where that is as good; return by how much."""
    factor = reduction(image.height, image.width, least_size)
    is_plain = isinstance(image, JpegImagePlugin.JpegImageFile) and image.mode in {"L", "RGB"}
    # Turned, the parts of blocks at the right and below would come to lie at other edges.
    if factor == 1 or not is_plain or _orientation(image) > 1:
        return 1
    image.draft(None, (image.width // factor, image.height // factor))
    return factor


def _decode(image: ImageFile, content: IO[bytes], *, bits: int, is_deep: bool) -> Samples:
    image.load()
    if is_deep:
        content.seek(0)
        samples = deep_samples(image, content.read())
    else:
        samples = samples_of(image, bits=bits)
    if image.mode.startswith("I;16") and _is_white_zero(image):
        # Pillow turns the smaller sample types itself.
        samples = _largest(image, bits) - samples
    return orient(samples, _orientation(image))


@contextmanager
def _refusing(reason: Reason, content: IO[bytes], file_format: FileFormat) -> Iterator[None]:
    # Turns a decoder's error into what it says, or TRUNCATED where the end is missing, or `reason`.
    try:
        yield
    # Pillow lets through whatever its parsers meet: OSError, SyntaxError, struct.error and more.
    except Exception as error:
        if isinstance(error, PlainfilmError | MemoryError):
            raise
        if "truncated" in str(error) or _ends_early(content, file_format):
            _refuse_truncated()
        if re.search("cannot handle|unknown pixel mode|[Uu]nsupported", str(error)):
            reason = Reason.UNSUPPORTED_FORMAT
        raise InputError(
            reason,
            f"expected an image that can be decoded, got {type(error).__name__} from Pillow; "
            "export the image again",
        ) from None


def _refuse_truncated() -> NoReturn:
    raise InputError(
        Reason.TRUNCATED, "expected a whole file, got one that ends early; copy it again"
    ) from None


def _ends_early(content: IO[bytes], file_format: FileFormat) -> bool:
    """Whether a file that cannot be decoded lacks its end, by what its format puts there."""
    content.seek(0)
    everything = content.read()
    if file_format is FileFormat.TIFF:
        order: Literal["little", "big"] = "little" if everything[:2] == b"II" else "big"
        return int.from_bytes(everything[4:8], order) >= len(everything)
    end = {FileFormat.PNG: b"IEND", FileFormat.JPEG: b"\xff\xd9"}.get(file_format, b"")
    return end not in everything


def _check_header(image: ImageFile, bits: int) -> None:
    if image.mode not in _GREY_MODES | _OTHER_MODES or bits not in _BITS:
        raise InputError(
            Reason.UNSUPPORTED_FORMAT,
            f"expected unsigned samples of at most 16 bits, grey, RGB or CMYK, got {bits} bits as "
            f"{image.mode!r}; export the image as 8 or 16 bits",
        )
    check_sides(image.height, image.width)
    check_samples(image.width * image.height * len(image.getbands()))


def _check_scans(content: IO[bytes]) -> None:
    # A progressive JPEG may ask for any number of passes over the whole image.
    content.seek(0)
    scans = content.read().count(b"\xff\xda")
    if scans > _MAX_JPEG_SCANS:
        raise InputError(
            Reason.TOO_SLOW,
            f"expected at most {_MAX_JPEG_SCANS} scans in a JPEG file, got {scans}; "
            "export the image again",
        )


def _largest(image: ImageFile, bits: int) -> int:
    """Return the largest value of the sample type: Pillow scales 2 and 4 bits to 8."""
    if image.mode == "1":
        return 1
    return 2**bits - 1 if bits > 8 else 255  # noqa: PLR2004 (bits of a byte and its largest value)


def _is_white_zero(image: ImageFile) -> bool:
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    return tags.get(ExifTag.PhotometricInterpretation) == 0


def _orientation(image: ImageFile) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    if len(image.info.get("exif", b"")) > _MAX_EXIF_BYTES:
        return 1
    try:
        orientation = image.getexif().get(ExifTag.Orientation, 1)
    # A broken EXIF block says nothing about the image; its parser raises as it comes.
    except Exception:  # noqa: BLE001
        return 1
    return orientation if orientation in range(1, 9) else 1


def _page_flags(image: ImageFile, file_format: FileFormat) -> list[str]:
    if not getattr(image, "is_animated", False):
        return []
    return ["first_page_only" if file_format is FileFormat.TIFF else "animated_first_frame"]
