"""NIfTI, MetaImage and NRRD: images, single slices, volumes, and files that promise too much."""

import gzip
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

from corpus import Case
from pipelines.errors import Reason
from pipelines.radiograph import Radiograph

ROWS, COLUMNS = 30, 40
SPACING_MM = (0.25, 0.125)

_random = np.random.default_rng(11)
BYTES = _random.integers(0, 256, (ROWS, COLUMNS), dtype=np.uint8)
SHORTS = _random.integers(-1000, 3000, (ROWS, COLUMNS)).astype(np.int16)
COLOUR = _random.integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)


def cases() -> list[Case]:
    return [*_images(), *_oriented(), *_refused()]


def stretched(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """What values without a window, (height, width), have to become."""
    low, high = np.percentile(values, (0.5, 99.5))
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)[np.newaxis]


def write_itk(path: Path, values: npt.NDArray[np.generic], **options: object) -> None:
    # ITK loads its modules when first used; a warning that is an error there ends the process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import itk

        image = itk.image_from_array(values, is_vector=values.ndim == 3 and values.shape[-1] == 3)
        if image.GetImageDimension() == 2:
            image.SetSpacing(SPACING_MM[::-1])
        itk.imwrite(image, str(path), **options)


def nifti(values: npt.NDArray[np.generic], kind: type = nibabel.Nifti1Image) -> bytes:
    """Rows first in, the file's bytes out: NIfTI puts columns first."""
    image = kind(values.T, np.diag([*SPACING_MM[::-1], 1, 1]))
    return image.to_bytes()


def _bytes(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content)


def _images() -> Iterator[Case]:
    exact = (BYTES / np.float32(255))[np.newaxis]
    near = stretched(SHORTS)
    for suffix in (".mha", ".mhd", ".nrrd", ".nhdr"):
        for packed in (False, True):
            name = f"image{'_packed' * packed}_{suffix[1:]}"
            write = partial(write_itk, values=BYTES, compression=packed)
            yield Case(name, write, exact, suffix)
        write = partial(write_itk, values=SHORTS)
        yield Case(f"signed_{suffix[1:]}", write, near, suffix, tolerance=1e-6)
    colour = np.moveaxis(COLOUR / np.float32(255), 2, 0)
    for suffix in (".mha", ".nrrd"):
        write = partial(write_itk, values=COLOUR)
        yield Case(f"colour_{suffix[1:]}", write, colour, suffix)
        write = partial(write_itk, values=BYTES[np.newaxis])
        yield Case(f"slice_{suffix[1:]}", write, exact, suffix)
    yield Case("image_nii", _bytes(nifti(BYTES)), exact, ".nii")
    yield Case("image_nii_packed", _bytes(gzip.compress(nifti(BYTES))), exact, ".nii.gz")
    yield Case("image_nii_2", _bytes(nifti(BYTES, nibabel.Nifti2Image)), exact, ".nii")
    yield Case("slice_nii", _bytes(nifti(BYTES[np.newaxis])), exact, ".nii")
    yield Case("coronal_nii", _bytes(nifti(BYTES[:, np.newaxis])), exact, ".nii")
    yield Case("image_nii_unnamed", _bytes(nifti(BYTES)), exact, "")
    yield Case("signed_nii", _bytes(nifti(SHORTS)), near, ".nii", tolerance=1e-6)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    big = nibabel.Nifti1Image(SHORTS.T, np.eye(4), header)
    yield Case("big_endian_nii", _bytes(big.to_bytes()), near, ".nii", tolerance=1e-6)
    rescaled = nibabel.Nifti1Image(BYTES.T, np.eye(4))
    rescaled.header.set_slope_inter(-2.0, 7.0)
    content = bytearray(rescaled.to_bytes())
    content[112:120] = struct.pack("<ff", -2.0, 7.0)
    turned = stretched(-2.0 * BYTES + 7.0)
    yield Case("rescaled_nii", _bytes(bytes(content)), turned, ".nii", tolerance=1e-6)
    content[112:120] = struct.pack("<ff", 3e38, -3e38)
    yield Case("overflowing_nii", _bytes(bytes(content)), _in_range, ".nii")
    flat = np.full((ROWS, COLUMNS), 1234, np.uint16)
    yield Case("flat", _bytes(nifti(flat)), np.full((1, ROWS, COLUMNS), 0.5, np.float32), ".nii")
    spot = BYTES.astype(np.uint16) * 0
    spot[4, 4] = 50
    yield Case("spot", _bytes(nifti(spot)), (spot / np.float32(50))[np.newaxis], ".nii")
    holes = SHORTS.astype(np.float32)
    holes[3, 4], holes[5, 6], holes[7, 8] = np.nan, np.inf, -np.inf
    yield Case("not_finite", _bytes(nifti(holes)), _without_holes, ".nii")


def _in_range(radiograph: Radiograph) -> None:
    assert radiograph.pixels.min() >= 0
    assert radiograph.pixels.max() <= 1


def _without_holes(radiograph: Radiograph) -> None:
    pixels = radiograph.pixels[0]
    assert radiograph.provenance.flags == ("not_finite", "voi_guessed")
    assert pixels[3, 4] == pixels[5, 6] == pixels[7, 8] == 0
    assert pixels.min() == 0
    assert pixels.max() == 1


def _oriented() -> Iterator[Case]:
    def has_spacing(radiograph: Radiograph) -> None:
        assert radiograph.spacing_mm == SPACING_MM

    def has_none(radiograph: Radiograph) -> None:
        assert radiograph.spacing_mm is None

    for suffix in (".mha", ".nhdr", ".nii.gz"):
        write = partial(write_itk, values=BYTES)
        yield Case(f"spacing_{suffix[1:3]}", write, has_spacing, suffix)
    micron = nibabel.Nifti1Image(BYTES.T, np.diag([125, 250, 1, 1]))
    micron.header.set_xyzt_units("micron")
    yield Case("spacing_micron", _bytes(micron.to_bytes()), has_spacing, ".nii")
    for name, spacing in (("one", (1, 1)), ("zero", (0, 0)), ("infinite", (np.inf, 1))):
        content = bytearray(nifti(BYTES))
        content[80:88] = struct.pack("<ff", *spacing)
        yield Case(f"spacing_{name}", _bytes(bytes(content)), has_none, ".nii")
    lines = _metaimage(spacing="oops")
    yield Case("spacing_text", _bytes(lines + BYTES.tobytes()), has_none, ".mha")


def _metaimage(
    *, sizes: str = f"{COLUMNS} {ROWS}", kind: str = "MET_UCHAR", spacing: str = "1 1",
    data: str = "LOCAL", more: str = "",
) -> bytes:  # fmt: skip
    return (
        f"ObjectType = Image\nNDims = {len(sizes.split())}\nDimSize = {sizes}\n{more}"
        f"ElementSpacing = {spacing}\nElementType = {kind}\nElementDataFile = {data}\n"
    ).encode()


def _nrrd(*, sizes: str, kind: str = "uint8", more: str = "") -> bytes:
    return (
        f"NRRD0004\n# made up\ntype: {kind}\ndimension: {len(sizes.split())}\n"
        f"sizes: {sizes}\n{more}endian: little\n\n"
    ).encode()


def _refused() -> Iterator[Case]:
    volume = _random.integers(0, 9, (3, ROWS, COLUMNS), dtype=np.uint8)
    for suffix in (".mha", ".nrrd", ".nii", ".nii.gz"):
        write = partial(write_itk, values=volume)
        yield Case(f"volume_{suffix[1:].replace('.', '_')}", write, Reason.VOLUME, suffix)
    series = nifti(volume[:, np.newaxis])
    yield Case("time_series", _bytes(series), Reason.VOLUME, ".nii")
    yield from _refused_nifti()
    body = BYTES.tobytes()
    too_large = Reason.TOO_LARGE
    for name, content, reason in (
        ("mha_short", _metaimage() + body[:-1], Reason.TRUNCATED),
        ("mha_bomb", _metaimage(sizes="60000 60000") + body, too_large),
        ("mha_long_side", _metaimage(sizes="70000 1") + body, too_large),
        ("mha_endless", _metaimage()[:60], Reason.CORRUPT),
        ("mha_no_size", _metaimage().replace(b"DimSize", b"Dimsize"), Reason.MISSING_ATTRIBUTE),
        ("mha_negative", _metaimage(sizes="-4 4") + body, Reason.INVALID_ATTRIBUTE),
        ("mha_type", _metaimage(kind="MET_LONG") + body, Reason.UNSUPPORTED_FORMAT),
        ("mha_text", _metaimage(more="BinaryData = False\n"), Reason.UNSUPPORTED_FORMAT),
        ("mha_packed", _metaimage(more="CompressedData = True\n") + body, Reason.DECODE_FAILED),
        (
            "mha_packed_wrong_sum",
            _metaimage(more="CompressedData = True\n") + zlib.compress(body)[:-4] + bytes(4),
            Reason.DECODE_FAILED,
        ),
        (
            "mha_packed_short",
            _metaimage(more="CompressedData = True\n") + zlib.compress(body)[:-100],
            Reason.TRUNCATED,
        ),
        ("mhd_outside", _metaimage(data="/etc/hostname"), Reason.FILE_UNREADABLE),
        ("mhd_above", _metaimage(data="../other.raw"), Reason.FILE_UNREADABLE),
        ("mhd_list", _metaimage(data="LIST"), Reason.FILE_UNREADABLE),
        ("mhd_pattern", _metaimage(data="a%03d.raw 1 2 1"), Reason.FILE_UNREADABLE),
        ("nrrd_short", _nrrd(sizes=f"{COLUMNS} {ROWS}") + body[:-1], Reason.TRUNCATED),
        ("nrrd_bomb", _nrrd(sizes="60000 60000") + body, too_large),
        ("nrrd_line", _nrrd(sizes="1200") + body, Reason.INVALID_ATTRIBUTE),
        ("nrrd_type", _nrrd(sizes="40 30", kind="block") + body, Reason.UNSUPPORTED_FORMAT),
        (
            "nrrd_text",
            _nrrd(sizes="40 30", more="encoding: ascii\n") + body,
            Reason.UNSUPPORTED_FORMAT,
        ),
        (
            "nrrd_skip",
            _nrrd(sizes="40 30", more="byte skip: many\n") + body,
            Reason.INVALID_ATTRIBUTE,
        ),
        ("nrrd_endless", b"NRRD0004\ntype: uint8\nsizes: 40 30", Reason.CORRUPT),
    ):
        yield Case(name, _bytes(content), reason, f".{name[:3]}")


def _refused_nifti() -> Iterator[Case]:
    whole = nifti(SHORTS)
    yield Case("nii_short", _bytes(whole[:-1]), Reason.TRUNCATED, ".nii")
    yield Case("nii_header_only", _bytes(whole[:350]), Reason.TRUNCATED, ".nii")
    packed = gzip.compress(nifti(SHORTS))
    yield Case("nii_packed_short", _bytes(packed[: len(packed) // 2]), Reason.TRUNCATED, ".nii.gz")
    damaged = packed[:1500] + bytes(60) + packed[1560:]
    yield Case("nii_packed_damaged", _bytes(damaged), Reason.DECODE_FAILED, ".nii.gz")
    summed = packed[:-8] + bytes(8)
    yield Case("nii_packed_wrong_sum", _bytes(summed), Reason.DECODE_FAILED, ".nii.gz")
    bomb = bytearray(whole[:352])
    bomb[40:56] = struct.pack("<8h", 2, 30_000, 30_000, 1, 1, 1, 1, 1)
    content = io.BytesIO()
    with gzip.GzipFile(fileobj=content, mode="wb") as stream:
        stream.write(bytes(bomb))
        stream.write(bytes(30_000_000))
    yield Case("nii_bomb", _bytes(content.getvalue()), Reason.TOO_LARGE, ".nii.gz")
    far = bytearray(whole)
    far[108:112] = struct.pack("<f", 2e9)
    yield Case("nii_far", _bytes(gzip.compress(bytes(far))), Reason.INVALID_ATTRIBUTE, ".nii.gz")
    unknown = bytearray(whole)
    unknown[70:72] = struct.pack("<h", 77)
    yield Case("nii_type", _bytes(bytes(unknown)), Reason.INVALID_ATTRIBUTE, ".nii")
    yield Case("nii_complex", _bytes(nifti(SHORTS * (1 + 0j))), Reason.UNSUPPORTED_FORMAT, ".nii")
    pair = whole[:344] + b"ni1\0" + whole[348:352]
    yield Case("nii_pair", _bytes(pair), Reason.UNSUPPORTED_FORMAT, ".hdr")
    yield Case("gzip_of_text", _bytes(gzip.compress(b"notes")), Reason.NOT_AN_IMAGE, ".gz")
