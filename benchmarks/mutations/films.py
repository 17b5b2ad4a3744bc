"""DICOM, PNG and JPEG files that are damaged on purpose: what `fuzz.py` gives to the reader.

Each kind begins with small files that are awkward in every way that is known (`tests/corpus`), with
files of pydicom's own tests, and with every mode in which PNG and JPEG are written. One to four
changes are made to one of them: of bytes, or of what its format is made of, so that the change gets
past the first check: values of elements at the ends of their ranges, other transfer syntaxes and
representations, lengths that lie, chunks with their checksums repaired, segments of a JPEG.
"""

import io
import re
import tempfile
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
from mixed_films import write_corpus

from mutations.changes import BYTES, Change, spliced
from mutations.dicom import DICOM_CHANGES
from mutations.images import JPEG_CHANGES, PNG_CHANGES, PNG_START

KINDS = ("dicom", "png", "jpeg", "other")
"""`other` is BMP, TIFF, GIF, NIfTI, MetaImage and NRRD."""

_CHANGES: dict[str, tuple[Change, ...]] = {
    "dicom": DICOM_CHANGES,
    "png": PNG_CHANGES,
    "jpeg": JPEG_CHANGES,
    "other": (),
}
LARGEST_BYTES = 20_000
LARGEST_REAL_BYTES = 64_000
JPEG_START = b"\xff\xd8\xff"
CHANGES = (1, 1, 1, 2, 2, 3, 4)
"""How many changes are made to a file, each as likely; few of many get past the first check."""


def begin(kind: str) -> list[bytes]:
    """Return the files that changes of a kind begin with."""
    with tempfile.TemporaryDirectory() as temporary:
        modules = {"dicom": ("dicom",), "other": ("raster", "volume")}.get(kind, ("raster",))
        paths = write_corpus(Path(temporary), modules, largest=LARGEST_BYTES)
        found = [path.read_bytes() for path in paths if path.is_file()]
    if kind == "dicom":
        return [*found, *_real_dicom()]
    if kind == "png":
        return [each for each in found if each.startswith(PNG_START)] + [*_every_png()]
    if kind == "jpeg":
        return [each for each in found if each.startswith(JPEG_START)] + [*_every_jpeg()]
    return [each for each in found if not each.startswith((PNG_START, JPEG_START))]


def mutate(kind: str, files: Sequence[bytes], random: Random) -> bytes:
    """Take one of the files and change it.

    Args:
        kind: Of `KINDS`.
        files: What `begin` gives for the kind.
        random: Where every choice comes from.
    """
    content = random.choice(files)
    structural = _CHANGES[kind]
    for _ in range(random.choice(CHANGES)):
        if random.random() < 0.1:
            content = spliced(content, random.choice(files), random)
        elif structural and random.random() < 0.7:
            content = random.choice(structural)(content, random)
        else:
            content = random.choice(BYTES)(content, random)
    return content


def _real_dicom() -> Iterator[bytes]:
    """Small files of pydicom's tests; those of CT and MR say that they are CR, to get read."""
    spec = find_spec("pydicom")
    folder = Path(spec.origin or "").parent if spec else Path()
    for path in sorted((folder / "data" / "test_files").glob("*.dcm")):
        if path.stat().st_size <= LARGEST_REAL_BYTES:
            cr = b"1.2.840.10008.5.1.4.1.1.1\0"
            yield re.sub(rb"1\.2\.840\.10008\.5\.1\.4\.1\.1\.[24]\0", cr, path.read_bytes())


def _every_png() -> Iterator[bytes]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 4), np.uint8)
    image = Image.fromarray(noise)
    deep = Image.fromarray(noise.view(np.uint16)[..., 0].copy())
    for each in (*map(image.convert, ("1", "L", "LA", "P", "RGB", "RGBA")), deep):
        for options in ({}, {"compress_level": 0}, {"optimize": True}):
            yield _saved(each, "PNG", **options)


def _every_jpeg() -> Iterator[bytes]:
    from PIL import Image

    ramp = np.add.outer(np.arange(40), np.arange(56)).astype(np.uint8)
    colour = np.stack([ramp, ramp[::-1], ramp * 2], axis=-1)
    for mode in ("L", "RGB", "CMYK"):
        image = Image.fromarray(colour).convert(mode)
        for progressive in (False, True):
            for subsampling in (0, 1, 2):
                options = {"progressive": progressive, "subsampling": subsampling}
                yield _saved(image, "JPEG", **options)
                yield _saved(image, "JPEG", restart_marker_rows=1, **options)


def _saved(image, image_format: str, **options: object) -> bytes:  # noqa: ANN001 - of Pillow
    content = io.BytesIO()
    image.save(content, image_format, **options)
    return content.getvalue()
