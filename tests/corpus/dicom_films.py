"""How the cases write DICOM: a small DX film whose attributes and bytes can be bent at will."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import UID, generate_uid

from corpus import Case
from pipelines.errors import Reason
from pipelines.radiograph import Radiograph

IMPLICIT = UID("1.2.840.10008.1.2")
EXPLICIT = UID("1.2.840.10008.1.2.1")
DEFLATED = UID("1.2.840.10008.1.2.1.99")
BIG_ENDIAN = UID("1.2.840.10008.1.2.2")

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

PATIENT_NAME, PATIENT_ID = "CANARYNAME^DICOM", "CANARYID99"

ROWS, COLUMNS = 38, 54
_random = np.random.default_rng(11)
GREY12 = _random.integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16)
GREY12[0, :2] = 0, 4095
GREY8 = (GREY12 >> 4).astype(np.uint8)
SMOOTH12 = np.add.outer(np.arange(ROWS) * 50, np.arange(COLUMNS) * 40).astype(np.uint16)
COLOUR8 = _random.integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
SMOOTH_COLOUR8 = np.stack(
    [SMOOTH12 // 16, 255 - SMOOTH12 // 16, np.full_like(SMOOTH12, 90)], axis=-1
).astype(np.uint8)

Expected = Reason | npt.NDArray[np.float32] | Callable[[Radiograph], None]


class Raw(bytes):
    """Bytes of a value that go into the file as they are."""


def linear(values: npt.ArrayLike, center: float, width: float) -> npt.NDArray[np.float32]:
    """PS3.3 C.11.2.1.2.1, written down as it stands there."""
    x = np.asarray(values, np.float64)
    y = (x - (center - 0.5)) / (width - 1) + 0.5 if width > 1 else x
    y = np.where(x <= center - 0.5 - (width - 1) / 2, 0, y)
    y = np.where(x > center - 0.5 + (width - 1) / 2, 1, y)
    return y.astype(np.float32)[None]


def between(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Without a window: half a per cent of the pixels is beyond each end."""
    x = np.sort(values.astype(np.float64), axis=None)
    beyond = x.size * 5 // 1000
    low, high = x[beyond], x[-1 - beyond]
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)[None]


def rgb(colour: npt.NDArray[np.generic], largest: int = 255) -> npt.NDArray[np.float32]:
    return np.moveaxis(colour / largest, -1, 0).astype(np.float32)


def film(pixels: npt.NDArray[np.generic] = GREY12, **attributes: object) -> Dataset:
    """A DX film; an attribute of None is left out, `Raw` is written as it is.

    An attribute may also be a tag in hexadecimal, with representation and value.
    """
    bits = pixels.dtype.itemsize * 8
    colour = pixels.ndim > 2
    told: dict[str, object] = {
        "SOPClassUID": DX,
        "SOPInstanceUID": generate_uid(),
        "PatientName": PATIENT_NAME,
        "PatientID": PATIENT_ID,
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": bits,
        "BitsStored": 8 if bits == 8 else 12,
        "HighBit": 7 if bits == 8 else 11,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
    }
    if colour:
        told["PlanarConfiguration"] = 0
    else:
        told |= {"WindowCenter": 2000, "WindowWidth": 3000}
    dataset = Dataset()
    for keyword, value in (told | attributes).items():
        if value is not None:
            put(dataset, keyword, value)
    return dataset


def put(dataset: Dataset, keyword: str, value: object) -> None:
    if isinstance(value, tuple):
        dataset.add_new(int(keyword, 16), *value)
        return
    tag = Tag(tag_for_keyword(keyword))
    if isinstance(value, Raw):
        kind = dictionary_VR(tag)
        padded = bytes(value) + b" " * (len(value) % 2)
        dataset._dict[tag] = RawDataElement(tag, kind, len(padded), padded, 0, False, True)
    elif keyword == "PixelData":
        kind = "OB" if dataset.get("BitsAllocated") == 8 else "OW"
        dataset[tag] = DataElement(tag, kind, value)
    else:
        setattr(dataset, keyword, value)


def table(keyword: str, first: int, entries: npt.NDArray[np.generic], bits: int) -> list[Dataset]:
    """The value of a modality or VOI LUT sequence."""
    item = Dataset()
    kind = "SS" if first < 0 else "US"
    item.add_new("LUTDescriptor", kind, [len(entries) % 65536, first, bits])
    item.add_new("LUTData", "OW", entries.tobytes() + b"\0" * (entries.nbytes % 2))
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
    return [item]


def save(path: Path, dataset: Dataset, syntax: str = EXPLICIT) -> None:
    """Write a file with preamble and meta information."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", DX)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta = meta
    if "PixelData" in dataset:
        native = syntax in {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN}
        dataset["PixelData"].is_undefined_length = not native
    dcmwrite(
        path,
        dataset,
        implicit_vr=syntax == IMPLICIT,
        little_endian=syntax != BIG_ENDIAN,
        enforce_file_format=True,
    )


def save_bare(path: Path, dataset: Dataset, *, implicit: bool, little: bool = True) -> None:
    """Write a data set alone: no preamble, no meta information."""
    dcmwrite(path, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)


def written(
    pixels: npt.NDArray[np.generic] = GREY12, syntax: str = EXPLICIT, **attributes: object
) -> Callable[[Path], None]:
    return lambda path: save(path, film(pixels, **attributes), syntax)


def fragments(frames: Sequence[bytes], *, table: bool = True) -> bytes:
    return encapsulate([bytes(frame) for frame in frames], has_bot=table)


def encoded(
    codestream: bytes, syntax: str, pixels: npt.NDArray[np.generic] = GREY12, **attributes: object
) -> Callable[[Path], None]:
    return written(pixels, syntax, **{"PixelData": fragments([codestream])} | attributes)


def edited(write: Callable[[Path], None], edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Write a file and change its bytes."""

    def write_edited(path: Path) -> None:
        write(path)
        path.write_bytes(edit(path.read_bytes()))

    return write_edited


def looks(
    pixels: npt.NDArray[np.float32],
    *,
    tolerance: float = 1e-6,
    flags: set[str] | None = None,
    spacing: tuple[float, float] | None = None,
    **provenance: object,
) -> Callable[[Radiograph], None]:
    """Expect pixels, and what is said of them; `flags` is all there are, if given."""

    def check(radiograph: Radiograph) -> None:
        assert radiograph.pixels.dtype == np.float32
        assert radiograph.pixels.shape == pixels.shape
        assert radiograph.pixels.min() >= 0
        assert radiograph.pixels.max() <= 1
        np.testing.assert_allclose(radiograph.pixels, pixels, rtol=0, atol=tolerance)
        if flags is not None:
            assert set(radiograph.provenance.flags) == flags
        assert radiograph.spacing_mm == spacing
        assert radiograph.identity is not None
        assert radiograph.identity.patient_id == PATIENT_ID
        for name, value in provenance.items():
            assert getattr(radiograph.provenance, name) == value, name

    return check


def case(
    name: str, write: Callable[[Path], None], expect: Expected, *, suffix: str = ".dcm"
) -> Case:
    return Case(f"dicom_{name}", write, expect, suffix)
