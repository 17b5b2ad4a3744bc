"""DICOM files become radiographs: CR, DX, MG and Secondary Capture, in every still-image syntax."""

from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_colour import render_colour
from pipelines.ingest.dicom_decode import Decoded, decode_encapsulated, decode_native
from pipelines.ingest.dicom_elements import Stream
from pipelines.ingest.dicom_frames import encoded_frame, native_frame
from pipelines.ingest.dicom_grey import Grey, grey_scale, reducible_by, render_grey
from pipelines.ingest.dicom_header import DicomHeader, parse_header, parse_meta
from pipelines.ingest.dicom_layout import read_spacing
from pipelines.ingest.dicom_values import film_values
from pipelines.ingest.film_values import FilmValues
from pipelines.ingest.guard import guard_input
from pipelines.ingest.reduction import LeastSize, reduce_film, reduction
from pipelines.radiograph import Provenance, Radiograph

__all__ = ["DicomHeader", "inspect_dicom", "read_dicom", "read_dicom_values", "read_sop_uids"]


def inspect_dicom(path: Path, *, also: Set[int] = frozenset()) -> DicomHeader:
    """Read and check the header of a DICOM file; its pixels are not decoded.

    Args:
        path: The file.
        also: Tags of elements that `attributes` keeps besides those that the reader looks at.

    Returns:
        The header; `frames` says how many radiographs the file holds.

    Raises:
        InputError: NOT_A_RADIOGRAPH if its SOP class is not on the allow-list, DICOMDIR,
            NOT_AN_IMAGE, EMPTY_FILE, NO_PIXEL_DATA, TRUNCATED, CORRUPT, TOO_LARGE, or another
            reason why the file cannot be read.
    """
    with _refusing(), path.open("rb") as content:
        return parse_header(content, also=also)[0]


def read_sop_uids(path: Path) -> tuple[str, str]:
    """Read which object a file says it holds, whatever kind of object that is.

    Args:
        path: The file.

    Returns:
        SOP class and SOP Instance UID of its meta information, unchecked; empty where there are
        none.

    Raises:
        InputError: If it is no DICOM file.
    """
    with _refusing(), path.open("rb") as content:
        meta = parse_meta(content)
        return meta.text("MediaStorageSOPClassUID"), meta.text("MediaStorageSOPInstanceUID")


def read_dicom(path: Path, *, frame: int = 0, least_size: LeastSize | None = None) -> Radiograph:
    """Read one frame of a DICOM file.

    Args:
        path: The file.
        frame: Index of the frame, from 0; only this frame is decoded.
        least_size: What is needed of it; a larger frame may come out reduced.

    Returns:
        The radiograph; bone is bright whatever the polarity of the file.

    Raises:
        InputError: With the reason why the file, or this frame of it, cannot be read. No other
            exception leaves, whatever the file holds.
    """
    header, decoded = _decoded(path, frame, least_size)
    with _refusing():
        return reduce_film(_render(decoded, header, frame, least_size), least_size)


def read_dicom_values(path: Path, *, frame: int = 0) -> FilmValues | None:
    """Read one frame of a DICOM file as the modality values that a viewer windows.

    Args:
        path: The file.
        frame: Index of the frame, from 0.

    Returns:
        The values; None for a film in colour.

    Raises:
        InputError: As of `read_dicom`.
    """
    header, decoded = _decoded(path, frame)
    if not header.layout.photometric.grey:
        return None
    with _refusing():
        scale = grey_scale(decoded, header.layout, header.attributes)
        return film_values(decoded, scale, bits=header.layout.bits_stored)


def _decoded(
    path: Path, frame: int, least_size: LeastSize | None = None
) -> tuple[DicomHeader, Decoded]:
    with _refusing(), path.open("rb") as content:
        header, stream = parse_header(content)
        if not 0 <= frame < header.frames:
            raise InputError(
                Reason.NO_SUCH_FRAME,
                f"expected a frame from 0 to {header.frames - 1}, got {frame}; check the index",
            )
        factor = reduction(header.layout.rows, header.layout.columns, least_size)
        return header, _decode(stream, header, frame, factor)


def _decode(stream: Stream, header: DicomHeader, frame: int, factor: int) -> Decoded:
    if header.syntax.encapsulated:
        encoded = encoded_frame(stream, header, frame)
        return decode_encapsulated(encoded, header.syntax, header.layout, factor=factor)
    return decode_native(
        native_frame(stream, header, frame),
        header.layout,
        little=header.attributes.encoding.little,
    )


def _render(
    decoded: Decoded, header: DicomHeader, frame: int, least_size: LeastSize | None
) -> Radiograph:
    attributes, layout = header.attributes, header.layout
    spacing, flags = read_spacing(attributes)
    reduced_by = decoded.reduced_by
    if layout.photometric.grey:
        if reduced_by == 1:
            reduced_by = reducible_by(decoded.samples, layout, least_size)
        grey = render_grey(decoded, layout, attributes, factor=reduced_by)
    else:
        pixels = render_colour(decoded, layout, attributes)
        grey = Grey(pixels, "none", "full_range", None, inverted=False, flags={"colour"})
    provenance = Provenance(
        format="dicom",
        bits=layout.bits_stored,
        transfer_syntax=str(header.syntax),
        sop_class=header.sop_class,
        modality_lut=grey.modality_lut,
        voi=grey.voi,
        voi_function=grey.voi_function,
        inverted=grey.inverted,
        decoder=decoded.decoder,
        flags=tuple(sorted({*header.flags, *flags, *grey.flags})),
    )
    return Radiograph(
        grey.pixels,
        spacing,
        provenance,
        header.identity,
        frame,
        reduced_by,
        whole_size=None if reduced_by == 1 else (layout.rows, layout.columns),
    )


@contextmanager
def _refusing() -> Iterator[None]:
    """Let nothing out but `InputError`: a file from anywhere must not stop a batch.

    Raises:
        InputError: CORRUPT in place of any error that a damaged file can cause; else as
            `guard_input` says.
    """
    with guard_input():
        try:
            yield
        except Exception as error:
            if isinstance(error, (InputError, MemoryError, OSError)):
                raise
            # Its text may hold values of the header.
            raise InputError(
                Reason.CORRUPT,
                f"expected a DICOM file, got one that raises {type(error).__name__}; "
                "export it again",
            ) from None
