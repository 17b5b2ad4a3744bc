"""What a DICOM header says, held against itself and the file before any pixel is touched.

The order matters: first whether the file is for us at all (SOP class), then whether its numbers can
be right, then whether the bytes that they promise are there.
"""

import os
from collections.abc import Set
from dataclasses import dataclass, field
from typing import BinaryIO

from pydicom.tag import Tag
from pydicom.valuerep import VR

from pipelines.errors import InputError, Reason
from pipelines.ingest.dicom_attributes import Attributes, refuse_invalid, refuse_missing
from pipelines.ingest.dicom_elements import (
    UNDEFINED,
    Element,
    Encoding,
    Stream,
    check_representation,
    inflate,
    refuse_corrupt,
    refuse_truncated,
)
from pipelines.ingest.dicom_kind import DIRECTORY, Syntax, check_class, find_syntax, kind_flags
from pipelines.ingest.dicom_layout import PixelLayout, read_layout
from pipelines.ingest.limits import MAX_SAMPLES
from pipelines.radiograph import Identity

_META_GROUP = 2
_PREFIX_END = 132
_SOP_CLASS = int(Tag("SOPClassUID"))
_PIXEL_DATA = int(Tag("PixelData"))
_MAX_INFLATED = MAX_SAMPLES * 2 + 16_000_000
"""The largest frame allowed at 16 bits, and a generous header: what a deflated file may become."""
_MAX_FRAMES = 10_000
"""Each frame becomes an item of a batch; a radiograph has one, a captured series some hundreds."""
_SMALLEST_FRAGMENT = 10
"""Bytes of the shortest fragment: its tag, its length, two bytes of data."""


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """A header that has passed every check that needs no pixels.

    Attributes:
        sop_class: UID of the SOP class; it is on the allow-list.
        syntax: The transfer syntax.
        layout: Size and form of the samples.
        frames: Number of frames, 1 or more.
        identity: Whose film it is.
        flags: Short codes of what a user should know, sorted.
        attributes: The values that the grey scale, the colours and the spacing come from.
        pixel_data: Where the pixels stand; in the inflated bytes if the file is deflated.
    """

    sop_class: str
    syntax: Syntax
    layout: PixelLayout
    frames: int
    identity: Identity
    flags: tuple[str, ...]
    attributes: Attributes = field(repr=False)
    pixel_data: Element

    @property
    def sop_instance_uid(self) -> str:
        """UID of the image: what tells copies of one film. Empty if the file has none."""
        return self.identity.sop_instance_uid


def parse_header(content: BinaryIO, *, also: Set[int] = frozenset()) -> tuple[DicomHeader, Stream]:
    """Read and check the header of an open file.

    Args:
        content: The open file.
        also: Tags of elements that `attributes` keeps besides those that the reader looks at.

    Returns:
        The header, and the stream in which its `pixel_data` stands.

    Raises:
        InputError: For whatever makes reading on useless.
    """
    size = os.fstat(content.fileno()).st_size
    if size == 0:
        raise InputError(Reason.EMPTY_FILE, "expected an image, got a file of 0 bytes; remove it")
    stream = Stream(content, size)
    meta, start, flags = _read_meta(stream)
    syntax_uid = meta.text("TransferSyntaxUID")
    if syntax_uid == Syntax.DEFLATED:
        stream, start = inflate(content, start, _MAX_INFLATED), 0
    encoding = _encoding(stream, start, syntax_uid)
    attributes, pixel_data, sop_class = _read_data_set(
        stream, start, encoding, meta=meta, also=also
    )
    if not syntax_uid:
        syntax_uid = _guess_syntax(encoding, pixel_data)
        flags.add("no_transfer_syntax")
    syntax = find_syntax(syntax_uid)
    if pixel_data is None:
        raise InputError(
            Reason.NO_PIXEL_DATA, "expected PixelData, got a header alone; export the image again"
        )
    layout = read_layout(attributes, encapsulated=syntax.encapsulated)
    frames = _frames(attributes)
    if syntax.encapsulated:
        _check_fragments(stream, pixel_data, frames)
    else:
        _check_length(stream, pixel_data, layout.frame_bytes * frames, flags)
    flags |= kind_flags(attributes, sop_class)
    header = DicomHeader(
        sop_class=sop_class,
        syntax=syntax,
        layout=layout,
        frames=frames,
        identity=_identity(attributes),
        flags=tuple(sorted(flags)),
        attributes=attributes,
        pixel_data=pixel_data,
    )
    return header, stream


def parse_meta(content: BinaryIO) -> Attributes:
    """Read the file meta information of an open file, group 2, and nothing behind it.

    Args:
        content: The open file.

    Returns:
        Its attributes; none where the file has no such group.

    Raises:
        InputError: If the file is no DICOM file, or a DICOMDIR.
    """
    return _read_meta(Stream(content, os.fstat(content.fileno()).st_size))[0]


def _read_meta(stream: Stream) -> tuple[Attributes, int, set[str]]:
    # Group 2, the start of the data set behind it, and flags.
    head = stream.peek(0, _PREFIX_END)
    has_prefix = head[-4:] == b"DICM" and len(head) == _PREFIX_END
    start = _PREFIX_END if has_prefix else 0
    group = stream.peek(start, 2)
    if group not in {b"\x02\0", b"\x08\0", b"\0\x08"}:
        if has_prefix and not group:
            refuse_truncated()
        if has_prefix:
            refuse_corrupt("data elements behind the DICOM prefix", "other bytes")
        raise InputError(
            Reason.NOT_AN_IMAGE,
            "expected a DICOM file, got content of another kind; "
            "if it should be a film, export it again",
        )
    meta = Attributes(_sniff(stream, start, little=True))
    stream.seek(start)
    meta.read(stream, stop=lambda tag: tag >> 16 != _META_GROUP)
    start = stream.tell()
    if meta.text("MediaStorageSOPClassUID") == DIRECTORY:
        raise InputError(
            Reason.DICOMDIR, "expected an image, got the directory of a medium (DICOMDIR)"
        )
    if start >= stream.size:
        refuse_truncated()
    return meta, start, set() if has_prefix else {"no_preamble"}


def _sniff(stream: Stream, start: int, *, little: bool) -> Encoding:
    # Some writers name one syntax and use the other: the first element tells.
    representation = stream.peek(start, 6)[4:].decode("latin-1")
    return Encoding(representation in VR.__members__, little)


def _encoding(stream: Stream, start: int, syntax_uid: str) -> Encoding:
    if syntax_uid == Syntax.BIG_ENDIAN:
        return Encoding(explicit=True, little=False)
    # Group 8 read in the wrong byte order is group 0x0800.
    swapped = not syntax_uid and stream.peek(start, 2) == b"\0\x08"
    return _sniff(stream, start, little=not swapped)


def _read_data_set(
    stream: Stream, start: int, encoding: Encoding, *, meta: Attributes, also: Set[int]
) -> tuple[Attributes, Element | None, str]:
    """Collect the attributes up to PixelData; refuse other SOP classes as soon as known."""
    attributes = Attributes(encoding)
    stream.seek(start)
    last = attributes.read(stream, stop=lambda tag: tag > _SOP_CLASS, also=also)
    check_representation(last, encoding)
    sop_class = check_class(attributes, meta)
    last = attributes.read(stream, stop=lambda tag: tag == _PIXEL_DATA, also=also)
    check_representation(last, encoding)
    return attributes, last, sop_class


def _guess_syntax(encoding: Encoding, pixel_data: Element | None) -> Syntax:
    if pixel_data is not None and pixel_data.length == UNDEFINED:
        refuse_missing("TransferSyntaxUID")
    if not encoding.little:
        return Syntax.BIG_ENDIAN
    return Syntax.EXPLICIT if encoding.explicit else Syntax.IMPLICIT


def _frames(attributes: Attributes) -> int:
    numbers = attributes.numbers("NumberOfFrames")
    if not numbers:
        return 1
    frames = numbers[0]
    if not frames >= 0 or frames != int(frames):
        refuse_invalid("NumberOfFrames to be a whole number", frames)
    if frames > _MAX_FRAMES:
        refuse_invalid(f"at most {_MAX_FRAMES} frames", int(frames))
    return max(1, int(frames))


def _check_length(stream: Stream, pixel_data: Element, expected: int, flags: set[str]) -> None:
    if pixel_data.length == UNDEFINED:
        refuse_corrupt("PixelData of a known length in an uncompressed file", "fragments")
    if pixel_data.length < expected:
        raise InputError(
            Reason.PIXEL_LENGTH_MISMATCH,
            f"expected {expected} bytes of PixelData from the header, got {pixel_data.length}; "
            "export the image again",
        )
    if pixel_data.start + pixel_data.length > stream.size:
        refuse_truncated()
    if pixel_data.length > expected + expected % 2:
        flags.add("pixel_data_longer")


def _check_fragments(stream: Stream, pixel_data: Element, frames: int) -> None:
    if pixel_data.length != UNDEFINED:
        refuse_corrupt("fragments in a compressed file", "PixelData of a known length")
    if frames > 1 and pixel_data.start + frames * _SMALLEST_FRAGMENT > stream.size:
        raise InputError(
            Reason.PIXEL_LENGTH_MISMATCH,
            f"expected {frames} frames from the header, got a file that ends too early for them; "
            "export the image again",
        )


def _identity(attributes: Attributes) -> Identity:
    return Identity(
        patient_id=attributes.text("PatientID"),
        study_instance_uid=attributes.text("StudyInstanceUID"),
        series_instance_uid=attributes.text("SeriesInstanceUID"),
        sop_instance_uid=attributes.text("SOPInstanceUID"),
    )
